// Command server is zamqp with the handlers of the rig.
package main

import (
	"fmt"
	"os"
	"time"

	_ "zamqp/handlers/health"
	_ "zamqp/handlers/metrics"
	"zamqp/publisher/app"
	"zamqp/tests/chaos/work"
)

func main() {
	if err := work.Open(); err != nil {
		fmt.Fprintln(os.Stderr, "server:", err)
		os.Exit(1)
	}
	time.Sleep(work.Slow())
	os.Exit(app.Main(os.Args[1:]))
}
