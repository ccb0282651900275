package interop_test

import (
	"bufio"
	"io"
	"net/http"
	"os"
	"os/exec"
	"os/signal"
	"strings"
	"syscall"
	"testing"

	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

// launchPiped runs the built server without a broker, its standard error a pipe
// of the caller's to read.
func launchPiped(t *testing.T) (s *server, stderr *os.File) {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	stderr, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stderr.Close() })
	addr := process.FreeAddress(t)
	s = &server{t: t, addr: addr, url: "http://" + addr, log: &logs.Buffer{}}
	cmd := exec.Command(path, "serve")
	cmd.Dir, cmd.Stderr = t.TempDir(), w
	// Calls that fail with 400 are also logged.
	cmd.Env = process.Environment("ZAMQP_LOG__LEVEL=debug", "ZAMQP_HTTP__LISTEN="+addr, "ZAMQP_CONNECTION__DEFAULT__URL=amqp://127.0.0.1:1/")
	if s.Process, err = process.Start(cmd); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(s.Kill)
	s.waitStatus("/livez", 200)
	return s, stderr
}

// badOrder posts what is no order, and fails the test unless that is answered.
func (s *server) badOrder(client *http.Client) {
	s.t.Helper()
	resp, err := client.Post(s.url+"/orders", "application/json", strings.NewReader(`}`))
	if err != nil {
		s.t.Fatalf("the server stands still: %v", err)
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	_ = resp.Body.Close()
	if resp.StatusCode != 400 {
		s.t.Fatalf("%s, and 400 was wanted", resp.Status)
	}
}

// metric is the value of a metric without labels, as /metrics shows it; "" if there is none.
func (s *server) metric(name string) string {
	client := http.Client{Timeout: patience}
	resp, err := client.Get(s.url + "/metrics")
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	for lines := bufio.NewScanner(resp.Body); lines.Scan(); {
		if value, ok := strings.CutPrefix(lines.Text(), name+" "); ok {
			return value
		}
	}
	return ""
}

func (s *server) ends(sig syscall.Signal) {
	s.t.Helper()
	s.signal(sig)
	s.wait()
}

// TestLogThatNobodyReads: more lines than the pipe and the server's buffer hold.
// HTTP goes on, and a drain ends.
func TestLogThatNobodyReads(t *testing.T) {
	for name, read := range map[string]bool{"never": false, "at the end": true} {
		t.Run(name, func(t *testing.T) {
			s, stderr := launchPiped(t)
			client := &http.Client{Timeout: patience}
			for n := 0; n%100 != 0 || strings.Trim(s.metric("zamqp_log_dropped_total"), "0") == ""; n++ {
				if n == 50_000 {
					t.Fatal("nothing was dropped")
				}
				s.badOrder(client)
			}
			if status := s.status("/livez"); status != 200 {
				t.Fatalf("/livez: %d", status)
			}
			if !read {
				s.ends(syscall.SIGTERM)
				return
			}
			text := make(chan string)
			go func() {
				b, _ := io.ReadAll(stderr)
				text <- string(b)
			}()
			s.ends(syscall.SIGTERM)
			lines := strings.Split(strings.TrimSuffix(<-text, "\n"), "\n")
			dropped := false
			for _, line := range lines {
				if !strings.HasPrefix(line, "{") || !strings.HasSuffix(line, "}") {
					t.Fatalf("a broken line: %q", line)
				}
				dropped = dropped || strings.Contains(line, "lines of this log are missing here")
			}
			if last := lines[len(lines)-1]; !dropped || !strings.Contains(last, `"stopped"`) {
				t.Errorf("of %d lines none says that others are missing (%v), or the last one is not the server's: %s", len(lines), dropped, last)
			}
		})
	}
}

// TestLogWhoseReaderEnds: the process outlives the reader of its log, and counts.
func TestLogWhoseReaderEnds(t *testing.T) {
	s, stderr := launchPiped(t)
	_ = stderr.Close()
	client := &http.Client{Timeout: patience}
	s.badOrder(client)
	wait.Until(t, "a write fails", func() bool { return strings.Trim(s.metric("zamqp_log_failures_total"), "0") != "" })
	s.badOrder(client)
	s.ends(syscall.SIGTERM)
}

func TestHangupDrains(t *testing.T) {
	// Under nohup the signal is ignored, by the server as well: not if it is caught here.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	s, stderr := launchPiped(t)
	text := make(chan string)
	go func() {
		b, _ := io.ReadAll(stderr)
		text <- string(b)
	}()
	s.ends(syscall.SIGHUP)
	if log := <-text; !strings.Contains(log, `"reason":"hangup"`) || !strings.Contains(log, `"stopped"`) {
		t.Errorf("no drain: %s", log)
	}
}
