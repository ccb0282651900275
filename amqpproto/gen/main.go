// Command gen writes method_gen.go, the methods of AMQP 0-9-1, from the table in
// methods.go. "go generate" in the package directory runs it.
package main

import (
	"flag"
	"fmt"
	"os"
)

func main() {
	out := flag.String("o", "method_gen.go", "file to write")
	flag.Parse()
	src, err := generate(classes)
	if err == nil {
		err = os.WriteFile(*out, src, 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}
