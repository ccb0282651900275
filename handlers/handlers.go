// Package handlers is the list of the handler packages that the server binary
// is built with. A blank import is all that it takes.
package handlers

import (
	_ "zamqp/handlers/health"
	_ "zamqp/handlers/hello"
	_ "zamqp/handlers/metrics"
	_ "zamqp/handlers/orders"
)
