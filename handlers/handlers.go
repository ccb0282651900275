// Package handlers is the list of the handler packages that the server binary
// contains. To add one, add a blank import.
package handlers

import (
	_ "zamqp/handlers/health"
	_ "zamqp/handlers/hello"
	_ "zamqp/handlers/metrics"
	_ "zamqp/handlers/orders"
)
