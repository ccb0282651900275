// Command zamqp-bench is the zamqp server with the bench's handlers besides the
// usual ones. With BENCH_PROFILE=FILE it writes a CPU profile of its whole run.
package main

import (
	"fmt"
	"os"
	"runtime/pprof"

	_ "zamqp/handlers"
	"zamqp/publisher/app"
	_ "zamqp/tests/bench/ours/benchhandlers"
)

func main() { os.Exit(run()) }

func run() int {
	if path := os.Getenv("BENCH_PROFILE"); path != "" {
		file, err := os.Create(path)
		if err == nil {
			err = pprof.StartCPUProfile(file)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, "profile:", err)
			return 1
		}
		defer pprof.StopCPUProfile()
	}
	return app.Main(os.Args[1:])
}
