package main

import (
	"fmt"
	"os"
	"strings"
	"sync"
	"time"
)

// run is what has run so far. Steps that run at the same time share it.
type run struct {
	mu     sync.Mutex
	total  outcome
	broken []string // names of steps that failed
}

// runAll runs the steps and prints a line for each, after the reasons of its
// failures.
func runAll(chosen []step) int {
	var r run
	began := time.Now()
	var pending sync.WaitGroup
	beside := make(chan step, len(chosen))
	defer close(beside)
	go func() {
		for s := range beside {
			r.step(s)
			pending.Done()
		}
	}()
	for _, s := range chosen {
		if s.beside {
			pending.Add(1)
			beside <- s
			continue
		}
		if s.alone {
			pending.Wait()
		}
		r.step(s)
	}
	pending.Wait()
	fmt.Printf("\n%.0f s in all\n", time.Since(began).Seconds())
	if len(r.broken) > 0 {
		fmt.Printf("failed: %s (repeat with: go run ./tests/setup/testrun -only %s)\n",
			strings.Join(r.broken, ", "), strings.Join(r.broken, ","))
	}
	fmt.Printf("%d passed, %d failed, %d skipped\n", r.total.passed, r.total.failed, r.total.skipped)
	if r.total.failed > 0 {
		return 1
	}
	return 0
}

// step runs one step and prints its result.
func (r *run) step(s step) {
	if terminal() {
		fmt.Printf("run   %-10s %s\n", s.name, s.what)
	}
	began := time.Now()
	if err := freshBroker(s); err != nil {
		fmt.Println("     ", err)
	}
	o := s.run()
	r.mu.Lock()
	defer r.mu.Unlock()
	result := "ok  "
	switch {
	case o.failed > 0:
		result, r.broken = "FAIL", append(r.broken, s.name)
		fmt.Print(indent(o.report.String()))
	case o.passed == 0:
		result = "skip"
	}
	for _, n := range o.notes {
		fmt.Printf("      %s\n", n)
	}
	fmt.Printf("%s  %-10s %6.1f s  %d passed, %d failed, %d skipped\n",
		result, s.name, time.Since(began).Seconds(), o.passed, o.failed, o.skipped)
	r.total.passed += o.passed
	r.total.failed += o.failed
	r.total.skipped += o.skipped
}

// terminal reports whether the output is a terminal.
func terminal() bool {
	info, err := os.Stdout.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
