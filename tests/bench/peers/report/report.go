// Package report is how a Go peer reports to the bench: one line for each event on
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

// Job is what the bench tells an AMQP peer on its command line.
type Job struct {
	Mode   string // consume, publish or echo
	URL    string // amqp://…
	Queue  string // the bench has declared it
	Count  int    // measured messages
	Warm   int    // messages before them
	Window int    // prefetch, or publishes outstanding
}

// Parse reads the Job from the command line. If that is wrong, it prints the usage
// and ends the process.
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

// Ready reports that the peer is connected and serves.
func Ready() { fmt.Println("ready") }

// First reports that the warm-up is over.
func First() { fmt.Println("first") }

// Done reports that count measured messages are settled, and how many octets all
// bodies had. So the bench notices a peer that loses or invents messages.
func Done(count, bytes int) { fmt.Println("done", count, bytes) }

// Check ends the process when err is not nil: a peer does not recover.
func Check(err error) {
	if err != nil {
		log.Fatal(err)
	}
}

// Forever keeps the process until the bench ends it.
func Forever() { select {} }
