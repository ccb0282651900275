// Command zamqp serves HTTP requests and AMQP messages with the handlers that
// the package handlers lists.
package main

import (
	"os"

	_ "zamqp/handlers"
	"zamqp/publisher/app"
)

func main() { os.Exit(app.Main(os.Args[1:])) }
