// Command shopd is a zamqp server with the handlers of the shop, its bank, and those that watch
// the server.
package main

import (
	"os"

	_ "zamqp/handlers/health"
	_ "zamqp/handlers/metrics"
	_ "zamqp/handlers/shop"
	_ "zamqp/handlers/shop/bank"
	"zamqp/publisher/app"
)

func main() { os.Exit(app.Main(os.Args[1:])) }
