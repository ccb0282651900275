// Command shop is a separate server: it uses some handlers of zamqp, and one of its own.
package main

import (
	"os"

	_ "example.org/shop/decode"
	_ "example.org/shop/slow"
	_ "zamqp/handlers/health"
	_ "zamqp/handlers/hello"
	_ "zamqp/handlers/orders"
	"zamqp/publisher/app"
)

func main() { os.Exit(app.Main(os.Args[1:])) }
