package interop_test

import (
	"errors"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

// TestHooksOfAnotherModule: what a start or a stop does wrong is said with its place
// and ends the process with the right status.
func TestHooksOfAnotherModule(t *testing.T) {
	path, err := outsider()
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct {
		options string
		signals []string // what is waited for in the log before a SIGTERM each
		status  int
		want    []string // in the log
		never   string
	}{
		"the start fails":      {"start=fail", nil, 1, []string{"OnStart (registered at slow/ticks.go:", "nothing to tick with"}, "serving http"},
		"the start panics":     {"start=panic", nil, 1, []string{"OnStart (registered at slow/ticks.go:", "it panicked: nothing to tick with", "stack"}, "serving http"},
		"a signal in a start":  {"start=hang", []string{"the start hangs"}, 0, []string{"the start was ended", "terminated"}, "serving http"},
		"all is well":          {"writers=0", []string{"serving http"}, 0, []string{"stopped"}, "OnStop"},
		"the stop fails":       {"stop=fail", []string{"serving http"}, 0, []string{"OnStop (registered at slow/ticks.go:", "it does not stop ticking", "stopped"}, ""},
		"the stop takes long":  {"stop=hang", []string{"serving http"}, 1, []string{"OnStop (registered at slow/ticks.go:", "drain_timeout", "stopped"}, ""},
		"the stop never ends":  {"stop=forever", []string{"serving http"}, 1, []string{"OnStop (registered at slow/ticks.go:", "drain_timeout", "ends without waiting for it"}, "stopped"},
		"a signal in that one": {"stop=forever,server.drain_timeout=1h", []string{"serving http", "the stop hangs"}, 1, []string{"a second terminated ended the drain", "ends without waiting for it"}, "stopped"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			options := []string{"server.drain_timeout=300ms"}
			for option := range strings.SplitSeq(row.options, ",") {
				if !strings.HasPrefix(option, "server.") {
					option = "app.ticks." + option
				}
				options = append(options, option)
			}
			s := launch(t, path, process.FreeAddress(t), "amqp://127.0.0.1:1/", options...)
			for _, text := range row.signals {
				wait.Until(t, text, func() bool { return strings.Contains(s.log.String(), text) })
				s.signal(syscall.SIGTERM)
			}
			err := s.Wait()
			status := 0
			if exit := (*exec.ExitError)(nil); errors.As(err, &exit) {
				status = exit.ExitCode()
			} else if err != nil {
				t.Fatal(err)
			}
			log := s.log.String()
			if status != row.status {
				t.Errorf("status %d, want %d", status, row.status)
			}
			for _, text := range row.want {
				if !strings.Contains(log, text) {
					t.Errorf("%q is not in the log", text)
				}
			}
			if row.never != "" && strings.Contains(log, row.never) {
				t.Errorf("%q is in the log", row.never)
			}
		})
	}
}

// confirmedOutsideOfCallsIsKept kills the broker while goroutines of a handler package
// publish, starts it again, and stops the server while they go on. What was confirmed to
// them is in the queue; with a spool they do not even notice.
func confirmedOutsideOfCallsIsKept(t *testing.T, n killable, spool bool) {
	file := filepath.Join(t.TempDir(), "confirmed")
	options := append([]string{"app.ticks.writers=8", "app.ticks.file=" + file, "connection.default.confirm_timeout=3s",
		// RabbitMQ 3.10 may not answer for a quorum queue that was declared just before it was
		// killed.
		"consumer.turns-quorum.enabled=false"}, impatient...)
	if spool {
		options = append(options, "connection.default.spool=file", "connection.default.spool_dir="+t.TempDir())
	}
	s := startOutsider(t, n.url(), options...)
	confirmed := func() []string {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Fields(string(text))
	}
	more := func(what string) {
		t.Helper()
		before := len(confirmed())
		wait.Until(t, what, func() bool { return len(confirmed()) >= before+200 })
	}
	more("publishes are confirmed")
	n.kill(t)
	if spool {
		more("publishes are stored while there is no broker")
	} else {
		s.waitStatus("/readyz", http.StatusServiceUnavailable)
	}
	n.restart(t)
	s.waitReady()
	more("publishes are confirmed by the broker that is back")
	s.stop()
	told := confirmed()
	if spool { // what is still on disk leaves with the next server
		s = startOutsider(t, n.url(), options[2:]...)
		wait.Until(t, "the spool is empty", func() bool {
			var ready struct {
				Parts []struct{ Kind, State string }
			}
			if err := s.json("/readyz", &ready); err != nil {
				t.Fatal(err)
			}
			return slices.ContainsFunc(ready.Parts, func(p struct{ Kind, State string }) bool { return p.Kind == "spool" && p.State == "empty" })
		})
		s.stop()
	}
	if last := told[len(told)-1]; last != "goodbye" {
		t.Errorf("the last one is %s: the stop has not published", last)
	}
	came := takeAll(t, n.url(), "ticks")
	for _, body := range told {
		if came[body] == 0 {
			t.Errorf("%s was confirmed and is lost", body)
		}
	}
	t.Logf("%d confirmed, %d came", len(told), len(came))
}

// takeAll empties a queue and counts the bodies.
func takeAll(t *testing.T, url, queue string) map[string]int {
	t.Helper()
	ch, done := amqpclient.Open(t, url)
	defer done()
	for count := map[string]int{}; ; {
		d, ok, err := ch.Get(queue, true)
		if err != nil {
			t.Fatal(err)
		}
		if !ok {
			return count
		}
		count[string(d.Body)]++
	}
}
