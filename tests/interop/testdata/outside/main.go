// Command shop is a server in a module of its own: it has some of zamqp's handlers and one of its
// own.
package main

import (
	"os"

	_ "example.org/shop/decode"
	_ "example.org/shop/slow"
	_ "example.org/shop/typed"
	_ "zamqp/handlers/health"
	_ "zamqp/handlers/hello"
	_ "zamqp/handlers/orders"
	"zamqp/publisher/app"
)

func main() { os.Exit(app.Main(os.Args[1:])) }
