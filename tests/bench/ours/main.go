// Command zamqp-bench is the server zamqp with the bench's handlers in place
// of the usual ones.
package main

import (
	"os"

	"zamqp/publisher/app"
	_ "zamqp/tests/bench/ours/benchhandlers"
)

func main() { os.Exit(app.Main(os.Args[1:])) }
