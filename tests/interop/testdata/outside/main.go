// Command shop is a server of its own: it picks handlers of zamqp's and one that
// zamqp has never heard of.
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
