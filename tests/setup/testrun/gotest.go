package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
)

// event is a line of `go test -json`; see `go doc test2json`.
type event struct {
	Action, Package, Test, Output, ImportPath string
}

// id names a test, or a package when test is empty.
type id struct{ pkg, test string }

// tally counts the events of one `go test`.
type tally struct {
	open      map[id]bool // started, but without a result yet
	output    map[id]*strings.Builder
	result    map[id]string
	order     []id
	loose     strings.Builder // lines that are not events, and failed builds
	badBuilds int
}

// goTest runs `go test -json` without the cache and counts every test and subtest.
// A package that fails without a failing test (it did not build, it panicked
// outside a test, it was killed) counts as one failure.
func goTest(dir string, env []string, args ...string) *outcome {
	cmd := exec.Command("go", append([]string{"test", "-json", "-count=1"}, args...)...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), env...)
	cmd.Stderr = cmd.Stdout
	pipe, err := cmd.StdoutPipe()
	o := &outcome{}
	if err != nil {
		o.fail("go test: %v", err)
		return o
	}
	cmd.Stderr = cmd.Stdout
	if err := cmd.Start(); err != nil {
		o.fail("go test: %v", err)
		return o
	}
	t := newTally()
	t.read(pipe)
	err = cmd.Wait()
	t.into(o)
	// The exit code decides: no failure may go uncounted.
	if err != nil && o.failed == 0 {
		o.fail("go test %s: %v\n%s", strings.Join(args, " "), err, t.loose.String())
	}
	return o
}

func newTally() *tally {
	return &tally{open: map[id]bool{}, output: map[id]*strings.Builder{}, result: map[id]string{}}
}

func (t *tally) read(r io.Reader) {
	// Lines may have any length: a test may print a body of a megabyte.
	in := bufio.NewReader(r)
	for {
		line, err := in.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) == nil && e.Action != "" {
				t.event(e)
			} else {
				t.loose.Write(line)
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				fmt.Fprintln(&t.loose, err)
			}
			return
		}
	}
}

func (t *tally) event(e event) {
	k := id{e.Package, e.Test}
	switch e.Action {
	case "build-output":
		t.loose.WriteString(e.Output)
	case "build-fail":
		t.badBuilds++
	case "run":
		t.open[k] = true
		t.order = append(t.order, k)
	case "output":
		if t.output[k] == nil {
			t.output[k] = &strings.Builder{}
		}
		t.output[k].WriteString(e.Output)
	case "pass", "fail", "skip":
		if e.Test == "" || !t.open[k] {
			t.order = append(t.order, k)
		}
		delete(t.open, k)
		t.result[k] = e.Action
		if e.Action == "pass" {
			delete(t.output, k)
		}
	}
}

// into writes the counts and the reasons into o.
func (t *tally) into(o *outcome) {
	failures := map[string]int{} // of tests, by package
	for _, k := range t.order {
		if k.test == "" {
			continue
		}
		switch t.result[k] {
		case "pass":
			o.passed++
		case "skip":
			o.skip("skipped %s %s: %s", room(k.pkg), k.test, t.reason(k))
		default: // failed, or never ended
			failures[k.pkg]++
			o.fail("%s %s\n%s", k.pkg, k.test, t.text(k))
		}
	}
	broken := slices.DeleteFunc(slices.Clone(t.order), func(k id) bool {
		return k.test != "" || t.result[k] != "fail" || failures[k.pkg] > 0
	})
	for _, k := range broken {
		o.fail("%s\n%s", k.pkg, t.text(k))
	}
	// The package reports what goes wrong around a failing test, such as a panic.
	for _, k := range t.order {
		if k.test == "" && t.result[k] == "fail" && failures[k.pkg] > 0 {
			o.report.WriteString(t.text(k))
		}
	}
	if t.badBuilds > 0 && len(broken) == 0 {
		o.failed += t.badBuilds
	}
	if t.badBuilds > 0 {
		o.report.WriteString(t.loose.String())
	}
}

// text returns what a test or a package has printed, without the lines of go test
// itself.
func (t *tally) text(k id) string {
	if t.output[k] == nil {
		return ""
	}
	var b strings.Builder
	for line := range strings.Lines(t.output[k].String()) {
		if !strings.HasPrefix(line, "=== ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// reason returns the last line that a skipped test has printed.
func (t *tally) reason(k id) string {
	last := ""
	for line := range strings.Lines(t.text(k)) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "--- ") {
			last = line
		}
	}
	return last
}

func room(pkg string) string { return strings.TrimPrefix(pkg, "zamqp/") }
