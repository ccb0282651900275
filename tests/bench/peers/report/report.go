// Package report is what a Go peer says to the runner, one line each on
// standard output. Peers in other languages print the same lines.
//
//	ready          it is connected and serves
//	first          warm-up is over; the runner reads the CPU clock
//	done N BYTES   the last of N measured messages is settled; the bodies of
//	               all, those of the warm-up too, had BYTES octets
package report

import (
	"flag"
	"fmt"
	"log"
	"os"
)

// Job is what the runner asks of an AMQP peer on its command line.
type Job struct {
	Mode   string // consume, publish or echo
	URL    string // amqp://…
	Queue  string // already declared by the runner
	Count  int    // measured messages
	Warm   int    // messages before them
	Window int    // prefetch, or publishes outstanding
}

// Parse reads the Job; it ends the process with usage when it is wrong.
func Parse() Job {
	var j Job
	flag.StringVar(&j.URL, "url", "amqp://guest:guest@127.0.0.1/", "broker")
	flag.StringVar(&j.Queue, "queue", "bench", "queue to consume from or publish to")
	flag.IntVar(&j.Count, "count", 100000, "measured messages")
	flag.IntVar(&j.Warm, "warm", 0, "messages before the measured ones")
	flag.IntVar(&j.Window, "window", 1000, "prefetch, or publishes outstanding")
	flag.Parse()
	if j.Mode = flag.Arg(0); flag.NArg() != 1 {
		fmt.Fprintln(os.Stderr, "usage: peer [flags] consume|publish|echo")
		os.Exit(2)
	}
	return j
}

// Ready says that the peer is connected and serves.
func Ready() { fmt.Println("ready") }

// First says that warm-up is over.
func First() { fmt.Println("first") }

// Done says that count measured messages are settled and how many octets all
// bodies had, so that a peer which loses or invents some is found.
func Done(count, bytes int) { fmt.Println("done", count, bytes) }

// Check ends the process when err is not nil: a peer has nothing to recover.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Forever keeps the process until the runner ends it.
func Forever() { select {} }
