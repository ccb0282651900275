// Command testrun is what `make test` runs: all checks of the repository, one after
// the other. It goes on after a failure, and prints one line of counts at the end.
//
//	go run ./tests/setup/testrun                   everything
//	go run ./tests/setup/testrun -only vet,unit    some steps
//	go run ./tests/setup/testrun -rabbitmq all     with each version of RabbitMQ
//	go run ./tests/setup/testrun -list             the steps and what they are for
//
// It reads nothing from standard input. It needs the tools that tests/setup/install
// installs; a step whose tool is missing counts as skipped and says so.
package main

import (
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

// outcome is the result of a step or a test run.
type outcome struct {
	passed, failed, skipped int
	report                  strings.Builder // why something failed
	notes                   []string        // one-line remarks, always printed
}

func (o *outcome) fail(format string, args ...any) {
	o.failed++
	fmt.Fprintf(&o.report, strings.TrimRight(format, "\n")+"\n", args...)
}

func (o *outcome) skip(format string, args ...any) {
	o.skipped++
	o.notes = append(o.notes, fmt.Sprintf(format, args...))
}

func (o *outcome) add(other *outcome) {
	o.passed += other.passed
	o.failed += other.failed
	o.skipped += other.skipped
	o.report.WriteString(other.report.String())
	o.notes = append(o.notes, other.notes...)
}

// step is one line of the run.
type step struct {
	name, what string
	run        func() *outcome
	part       bool // of another step: runs only when asked for
	beside     bool // runs at the same time as the steps after it, one such step at a time
	alone      bool // waits for all steps before it
}

func main() {
	only := flag.String("only", "", "run these steps, separated by commas")
	skip := flag.String("skip", "", "leave these steps out")
	rabbitmq := flag.String("rabbitmq", "", "run the suites that talk to RabbitMQ with these versions, as 4.0,4.3, or with all")
	list := flag.Bool("list", false, "print the steps and stop")
	flag.Parse()
	if err := os.Chdir(repository()); err != nil {
		fmt.Fprintln(os.Stderr, "testrun:", err)
		os.Exit(2)
	}
	if *list {
		for _, s := range steps {
			fmt.Printf("%-10s %s\n", s.name, s.what)
		}
		return
	}
	if *rabbitmq != "" {
		os.Exit(runVersions(*rabbitmq, *only))
	}
	chosen := choose(*only, *skip)
	// All builds but those of the race detector do without a C compiler, so that
	// nothing is compiled twice.
	if os.Getenv("CGO_ENABLED") == "" {
		_ = os.Setenv("CGO_ENABLED", "0")
	}
	stop := broker(chosen)
	code := runAll(chosen)
	stop()
	os.Exit(code)
}

// repository is the directory of the module in which testrun runs.
func repository() string {
	out, err := exec.Command("go", "env", "GOMOD").Output()
	if err != nil {
		return "."
	}
	return filepath.Dir(strings.TrimSpace(string(out)))
}

func choose(only, skip string) []step {
	var chosen []step
	names := func(s string) []string {
		return strings.FieldsFunc(s, func(r rune) bool { return r == ',' || r == ' ' })
	}
	for _, n := range append(names(only), names(skip)...) {
		if !slices.ContainsFunc(steps, func(s step) bool { return s.name == n }) {
			fmt.Fprintf(os.Stderr, "testrun: no step %q; see -list\n", n)
			os.Exit(2)
		}
	}
	for _, s := range steps {
		if (only == "" && !s.part || slices.Contains(names(only), s.name)) && !slices.Contains(names(skip), s.name) {
			chosen = append(chosen, s)
		}
	}
	return chosen
}

// indent indents a report, and shortens a long one: of a log of a thousand lines it
// keeps the two ends.
func indent(report string) string {
	const keep = 150
	lines := strings.Split(strings.TrimRight(report, "\n"), "\n")
	if n := len(lines); n > 2*keep {
		cut := fmt.Sprintf("… %d lines left out …", n-2*keep)
		lines = slices.Concat(lines[:keep], []string{cut}, lines[n-keep:])
	}
	return "    | " + strings.Join(lines, "\n    | ") + "\n"
}
