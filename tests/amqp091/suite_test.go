// Package amqp091_test runs the integration tests of rabbitmq/amqp091-go, the Go
// client that RabbitMQ's makers maintain, against RabbitMQ and against the
// embedded broker: what passes there must pass here. It is a module of its own,
// as those tests want more than zamqp does.
//
//	go test .
//
// By hand, against any broker:
//
//	AMQP_URL=amqp://… go test -count=1 -tags integration github.com/rabbitmq/amqp091-go -skip Recovery
//
// The embedded broker needs broker.product=RabbitMQ for it: three of their tests
// do nothing, and leave their connections open, when they read another name.
package amqp091_test

import (
	"bytes"
	"encoding/json"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	_ "github.com/rabbitmq/amqp091-go"
	_ "go.uber.org/goleak" // their tests import it, and go.mod must list it

	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
)

const suite = "github.com/rabbitmq/amqp091-go"

// result is what came of one of their tests.
type result struct {
	action string // pass, fail or skip; run if it never ended
	output string
}

// run runs their tests against a broker; only is a list of names, nil for all
// but Recovery, which break connections by the management interface of a
// RabbitMQ that they start themselves. The result without a name is that of the
// run: it fails for a test, and for goroutines that are there at the end.
func run(t *testing.T, url string, only []string) map[string]*result {
	t.Helper()
	args := []string{"test", "-json", "-count=1", "-tags", "integration", suite}
	if only == nil {
		args = append(args, "-skip", "Recovery")
	} else {
		for i := range only {
			only[i] = regexp.QuoteMeta(only[i])
		}
		args = append(args, "-run", "^("+strings.Join(only, "|")+")$")
	}
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "AMQP_URL="+url)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output() // a failing test is no error of ours
	results := map[string]*result{}
	for line := range bytes.Lines(out) {
		var e struct{ Action, Test, Output string }
		if json.Unmarshal(line, &e) != nil || strings.Contains(e.Test, "/") {
			continue
		}
		r := results[e.Test]
		if r == nil {
			r = &result{}
			results[e.Test] = r
		}
		switch e.Action {
		case "run", "pass", "fail", "skip":
			r.action = e.Action
		case "output":
			r.output += e.Output
		}
	}
	if len(results) < 2 {
		t.Fatalf("go %s: %v\n%s%s", strings.Join(args, " "), err, out, errs.Bytes())
	}
	return results
}

// TestSuite has a subtest for each of their tests.
func TestSuite(t *testing.T) {
	if testing.Short() {
		t.Skip("runs another project's tests twice")
	}
	theirs := run(t, rabbitmq.Start(t), nil)
	url := embedded.New(t, embedded.Options{Set: []string{"broker.product=RabbitMQ"}}).URL
	ours := run(t, url, nil)
	if left := leaks(ours); left != "" && leaks(theirs) == "" {
		t.Errorf("all pass on the embedded broker, but the run as a whole: %s", left)
	}
	// They wait for 100 or 200 ms in many places, which is little on a busy
	// machine: what fails gets two more chances, on either broker.
	again(t, url, ours)
	again(t, rabbitmq.Start(t), theirs)
	delete(theirs, "")
	passed := 0
	for _, name := range slices.Sorted(maps.Keys(theirs)) {
		t.Run(name, func(t *testing.T) {
			r, o := theirs[name], ours[name]
			switch {
			case o == nil:
				t.Fatal("did not run: an earlier test has ended the run")
			case o.action == r.action && o.action == "skip":
				t.Skip("skips itself on both brokers")
			case r.action == "fail" && o.action != "fail":
				t.Log("passes on the embedded broker, fails on RabbitMQ:\n" + r.output)
			case o.action != r.action:
				t.Errorf("%s on the embedded broker, %s on RabbitMQ:\n%s", o.action, r.action, o.output)
			}
			passed++
		})
	}
	if passed < 90 {
		t.Errorf("only %d of their tests ran: has their number changed, or do they not find the broker?", passed)
	}
}

// again repeats what has failed or never ended.
func again(t *testing.T, url string, results map[string]*result) {
	for range 2 {
		var failed []string
		for name, r := range results {
			if name != "" && (r.action == "fail" || r.action == "run") {
				failed = append(failed, name)
			}
		}
		if len(failed) == 0 {
			return
		}
		slices.Sort(failed)
		t.Logf("once more: %s", strings.Join(failed, ", "))
		maps.Copy(results, run(t, url, failed))
	}
}

// leaks is what a run says in which every test passed, and that failed all the
// same: connections were left open. After a failed test that means nothing.
func leaks(results map[string]*result) string {
	for name, r := range results {
		if name != "" && (r.action == "fail" || r.action == "run") {
			return ""
		}
	}
	if all := results[""]; all != nil && all.action == "fail" {
		return all.output
	}
	return ""
}
