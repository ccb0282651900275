package interop_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

// startStuck starts the server of testdata/outside without a broker.
func startStuck(t *testing.T, options ...string) *server {
	t.Helper()
	path, err := outsider()
	if err != nil {
		t.Fatal(err)
	}
	options = append([]string{"log.format=json", "server.call_timeout=1h", "connection.default.url=amqp://127.0.0.1:1/",
		"consumer.slow.enabled=false", "consumer.turns.enabled=false", "consumer.turns-quorum.enabled=false", "consumer.alone.enabled=false",
		"consumer.decoded.enabled=false", "consumer.celery.enabled=false"}, options...)
	s := launch(t, path, process.FreeAddress(t), "amqp://127.0.0.1:1/", options...)
	s.waitStatus("/livez", 200)
	return s
}

// hold makes a request that is never answered, and waits until another request is not
// answered, either.
func (s *server) hold(path string) {
	s.t.Helper()
	c, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = c.Close() })
	if _, err := io.WriteString(c, "GET "+path+" HTTP/1.1\r\nHost: h\r\n\r\n"); err != nil {
		s.t.Fatal(err)
	}
	client := http.Client{Timeout: 300 * time.Millisecond, Transport: &http.Transport{DisableKeepAlives: true}}
	wait.Until(s.t, "the thread is held", func() bool {
		resp, err := client.Get(s.url + "/livez")
		if err == nil {
			_ = resp.Body.Close()
		}
		return err != nil
	})
}

// lastLines are the lines that a process says before it ends itself: what held the
// loop, and the goroutines.
func lastLines(log string) (first struct{ Message, Function, Stack, Handler, Reason string }, goroutines int) {
	for lines := bufio.NewScanner(strings.NewReader(log)); lines.Scan(); {
		line := first
		if !strings.Contains(lines.Text(), `"level":"fatal"`) || json.Unmarshal(lines.Bytes(), &line) != nil {
			continue
		}
		if line.Message == "a goroutine at the end" {
			goroutines++
			continue
		}
		first = line
	}
	return first, goroutines
}

// wantEnd waits for the end of the process, with a status of its own, and looks for
// the function that has held the thread.
func (s *server) wantEnd(status int, function string) {
	s.t.Helper()
	select {
	case <-s.Ended():
	case <-time.After(patience):
		s.t.Fatal("the server did not end itself")
	}
	if got := s.State().ExitCode(); got != status {
		s.t.Errorf("%v, want exit status %d", s.State(), status)
	}
	first, goroutines := lastLines(s.log.String())
	if !strings.Contains(first.Stack, "slow."+function+"(") || first.Function != "example.org/shop/slow."+function || !strings.HasPrefix(first.Handler, "GET /stuck/") || goroutines < 3 {
		s.t.Errorf("%d goroutines, first\n%+v", goroutines, first)
	}
}

// stuckWays are the routes that hold the thread, and the functions that do.
var stuckWays = map[string]string{"compute": "compute", "receive": "receive", "select": "wait", "lock": "lock", "read": "read", "inline": "compute"}

// TestStallLimit: in whatever way the thread is held, the process ends itself and says by
// what.
func TestStallLimit(t *testing.T) {
	for way, function := range stuckWays {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := startStuck(t, "loop.stall_limit=1s")
			s.hold("/stuck/" + way)
			s.wantEnd(70, function)
		})
	}
	t.Run("without warning", func(t *testing.T) {
		t.Parallel()
		s := startStuck(t, "loop.stall_limit=1s", "loop.stall_warning=off")
		s.hold("/stuck/compute")
		s.wantEnd(70, "compute")
	})
}

// TestSecondSignalToAHeldLoop: it ends the process, which says what holds the thread. The
// second signal is a different one, because the system may merge two equal ones.
func TestSecondSignalToAHeldLoop(t *testing.T) {
	for way, function := range stuckWays {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			s := startStuck(t)
			s.hold("/stuck/" + way)
			s.signal(syscall.SIGTERM)
			s.signal(syscall.SIGINT)
			s.wantEnd(71, function)
		})
	}
}

// TestLoopThatIsHeldInTheEnd: a handler may hold the thread when its wait is cut. A
// second signal ends that, and so does time.
func TestLoopThatIsHeldInTheEnd(t *testing.T) {
	for name, second := range map[string]bool{"second signal": true, "time": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if !second && os.Getenv("ZAMQP_TEST_LONG") == "" {
				t.Skip("waits for ten seconds: ZAMQP_TEST_LONG=1 does")
			}
			s := startStuck(t, "server.drain_timeout=100ms")
			waitInHand(t, s, 1, func() { get(s.url + "/stuck/late") })
			s.signal(syscall.SIGTERM)
			wait.Until(t, "the drain is cut", func() bool { return strings.Contains(s.log.String(), "the drain is cut short") })
			if second {
				s.signal(syscall.SIGTERM)
			}
			s.wantEnd(71, "compute")
			if first, _ := lastLines(s.log.String()); first.Reason != "terminated" {
				t.Errorf("reason %q", first.Reason)
			}
		})
	}
}

// TestMountedHandlerHoldsNobody: a handler that computes on a goroutine of its own.
func TestMountedHandlerHoldsNobody(t *testing.T) {
	s := startStuck(t, "loop.stall_limit=1s", "server.drain_timeout=100ms")
	go get(s.url + "/stuck/mounted")
	for start := time.Now(); time.Since(start) < 3*time.Second; {
		if status := s.status("/livez"); status != 200 {
			t.Fatalf("/livez: %d", status)
		}
	}
}

// TestStallLimitWithoutAReader: a log that nobody reads, whose pipe and buffer are
// full, keeps no process from ending.
func TestStallLimitWithoutAReader(t *testing.T) {
	path, err := outsider()
	if err != nil {
		t.Fatal(err)
	}
	stderr, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer stderr.Close()
	addr := process.FreeAddress(t)
	s := &server{t: t, addr: addr, url: "http://" + addr, log: &logs.Buffer{}}
	cmd := exec.Command(path, "serve", "-o", "loop.stall_limit=3s", "-o", "log.level=debug", "-o", "connection.default.url=amqp://127.0.0.1:1/")
	cmd.Dir, cmd.Stderr = t.TempDir(), w
	cmd.Env = process.Environment("ZAMQP_HTTP__LISTEN=" + addr)
	if s.Process, err = process.Start(cmd); err != nil {
		t.Fatal(err)
	}
	_ = w.Close()
	t.Cleanup(s.Kill)
	s.waitStatus("/livez", 200)
	client := &http.Client{Timeout: patience}
	for range 1000 { // more than a pipe takes
		s.badOrder(client)
	}
	s.hold("/stuck/compute")
	select {
	case <-s.Ended():
	case <-time.After(patience):
		t.Fatal("the server did not end itself")
	}
	if got := s.State().ExitCode(); got != 70 {
		t.Errorf("%v", s.State())
	}
}

// TestStoppedProcessHasNotHeldItsThread: a debugger, a container's pause or a moved machine
// stops the whole process.
func TestStoppedProcessHasNotHeldItsThread(t *testing.T) {
	if testing.Short() {
		t.Skip("stops a process for seconds")
	}
	stops := 1
	if os.Getenv("ZAMQP_TEST_LONG") != "" {
		stops = 10
	}
	s := startStuck(t, "loop.stall_limit=2s")
	stop := make(chan struct{})
	go func() { // so that it is stopped in the middle of a turn, most likely
		for {
			select {
			case <-stop:
				return
			default:
				get(s.url + "/hello")
			}
		}
	}()
	defer close(stop)
	for range stops {
		s.signal(syscall.SIGSTOP)
		time.Sleep(3 * time.Second)
		s.signal(syscall.SIGCONT)
		if status := s.status("/livez"); status != 200 {
			t.Fatalf("/livez: %d", status)
		}
	}
}
