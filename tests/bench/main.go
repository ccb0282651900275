// Command bench compares zamqp with the servers and clients that a user could take
// instead. It runs all of them on this machine in interleaved rounds, and writes a
// page to docs/bench. Run it from its own directory:
//
//	go run . [-smoke] [-broker] [-rounds N] [-only REGEX] [-skip REGEX] [-before REVISION] [-out DIR] [-profile DIR]
//
// The README beside this file says what is measured and how.
package main

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"syscall"
	"time"
)

// The kernel ends a child when the thread that started it ends (Pdeathsig). So one
// thread that lives as long as the process starts all of them.
func init() { runtime.LockOSThread() }

// options are the options of the command line, and the sizes that follow from them.
type options struct {
	smoke    bool
	brokers  bool // only the workloads that compare brokers
	rounds   int
	only     *regexp.Regexp // of "workload/server"; nil is all
	skip     *regexp.Regexp
	out      string
	load     time.Duration // length of one measured HTTP or RPC load; wrk wants whole seconds
	warm     time.Duration // length of the warm-up before it
	messages int           // messages of one consume or publish run
	idle     int           // connections held open
	before   string        // an earlier revision of ours that replaces the peers
	profile  string        // directory for CPU profiles of ours; "" = no profiles
}

func main() {
	o, err := parse(os.Args[1:])
	if err != nil {
		os.Exit(2) // flag has printed the reason
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func parse(args []string) (*options, error) {
	o := &options{}
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	set.BoolVar(&o.smoke, "smoke", false, "run everything once with tiny sizes, write no page; fail if something breaks")
	set.BoolVar(&o.brokers, "broker", false, "only the embedded broker beside RabbitMQ")
	set.IntVar(&o.rounds, "rounds", 5, "rounds; each runs every server once")
	set.DurationVar(&o.load, "load", 2*time.Second, "length of one HTTP or RPC load, in whole seconds")
	set.IntVar(&o.messages, "messages", 100000, "messages of one consume or publish run")
	set.IntVar(&o.idle, "idle", 10000, "idle connections")
	set.StringVar(&o.before, "before", "", "compare with this earlier `revision` of zamqp and with nothing else")
	set.StringVar(&o.out, "out", "../../docs/bench", "directory of the page")
	set.StringVar(&o.profile, "profile", "", "write CPU profiles of zamqp to this `directory`; writes no page")
	pattern := func(name, usage string, to **regexp.Regexp) {
		set.Func(name, usage, func(s string) (err error) {
			*to, err = regexp.Compile(s)
			return err
		})
	}
	pattern("only", "run only what matches this `regexp`, as workload/server", &o.only)
	pattern("skip", "leave out what matches this `regexp`, as workload/server", &o.skip)
	if err := set.Parse(args); err != nil {
		return nil, err
	}
	if o.brokers && o.only == nil {
		o.only = regexp.MustCompile("^broker-")
	}
	o.warm = time.Second
	o.load = max(time.Second, o.load.Truncate(time.Second))
	if o.smoke {
		o.rounds, o.load, o.warm, o.messages, o.idle = 1, time.Second, 0, 2000, 300
	}
	return o, nil
}

// run builds, measures and reports.
func run(ctx context.Context, o *options) error {
	if _, err := os.Stat("peers"); err != nil {
		return fmt.Errorf("no peers here: run it in tests/bench, where its go.mod is")
	}
	workloads := choose(catalog(o), o)
	if len(workloads) == 0 {
		return fmt.Errorf("-only and -skip leave nothing to run; names are like %q", "http-plain/evio")
	}
	b, err := newBench(ctx, o)
	if err != nil {
		return err
	}
	defer b.close()
	if o.before != "" {
		if err := b.unpackBefore(o.before); err != nil {
			return err
		}
	}
	if err := b.build(workloads); err != nil {
		return err
	}
	if err := b.startBroker(workloads); err != nil {
		return err
	}
	results, err := b.measure(workloads)
	if err != nil {
		return err
	}
	printTables(os.Stdout, results, !o.smoke)
	if o.smoke {
		fmt.Println("Smoke run: everything answers; the figures above mean nothing.")
		return nil
	}
	if o.profile != "" {
		fmt.Println("Profiles are in", o.profile+"; the figures above include their cost.")
		return nil
	}
	page, err := writePage(o, describeMachine(), results)
	if err != nil {
		return err
	}
	fmt.Println("Written:", page)
	return nil
}
