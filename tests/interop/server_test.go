package interop_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// patience bounds each wait for what must come. It only ends a hang: a busy
// machine gets there.
const patience = 2 * time.Minute

// program builds the server once for all tests. ZAMQP_TEST_RACE=1 builds it with
// the race detector.
var program = sync.OnceValues(func() (string, error) {
	return build("../..", "zamqp")
})

func build(dir, name string) (string, error) {
	path := filepath.Join(scratch, name)
	args := []string{"build", "-buildvcs=false", "-o", path}
	if os.Getenv("ZAMQP_TEST_RACE") != "" {
		args = append(args, "-race")
	}
	cmd := exec.Command("go", append(args, ".")...)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build in %s: %w\n%s", dir, err, out)
	}
	return path, nil
}

// server is a running server process.
type server struct {
	t    testing.TB
	url  string // http://127.0.0.1:port
	addr string // 127.0.0.1:port
	cmd  *exec.Cmd
	log  *logBuffer
	done chan struct{} // closed when the process has ended
	err  error         // of its end, after done
}

// start runs the built server against the broker at amqpURL; options are
// settings as -o takes them. It returns once /readyz answers 200.
func start(t testing.TB, amqpURL string, options ...string) *server {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, path, freePort(t), amqpURL, options...)
	s.waitReady()
	return s
}

// launch starts a server binary and does not wait for it.
func launch(t testing.TB, path, addr, amqpURL string, options ...string) *server {
	t.Helper()
	args := []string{"serve"}
	for _, o := range options {
		args = append(args, "-o", o)
	}
	s := &server{t: t, addr: addr, url: "http://" + addr, log: &logBuffer{}, done: make(chan struct{})}
	s.cmd = exec.Command(path, args...)
	s.cmd.Dir = t.TempDir() // no config.toml there: the defaults
	s.cmd.Env = append(environment(), "ZAMQP_HTTP__LISTEN="+addr, "ZAMQP_CONNECTION__DEFAULT__URL="+amqpURL)
	s.cmd.Stdout, s.cmd.Stderr = s.log, s.log
	if err := s.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		s.err = s.cmd.Wait()
		close(s.done)
	}()
	t.Cleanup(func() {
		select {
		case <-s.done:
		default:
			_ = s.cmd.Process.Kill()
			<-s.done
		}
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log.ends())
		}
		if strings.Contains(s.log.String(), "WARNING: DATA RACE") {
			t.Error("the server has a data race, see its log")
		}
	})
	return s
}

// environment is ours without what is for tests: to the server each variable that
// starts with ZAMQP_ is a setting, and an unknown one an error.
func environment() []string {
	return slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "ZAMQP_") })
}

// freePort returns an address on which nobody listens.
func freePort(t testing.TB) string {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	return ln.Addr().String()
}

// status asks for a path and returns the status; 0 when there was no answer.
func (s *server) status(path string) int {
	client := http.Client{Timeout: patience, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Get(s.url + path)
	if err != nil {
		return 0
	}
	defer resp.Body.Close()
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.StatusCode
}

// json decodes the answer to a GET, whatever its status.
func (s *server) json(path string, into any) error {
	client := http.Client{Timeout: patience}
	resp, err := client.Get(s.url + path)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	return json.NewDecoder(resp.Body).Decode(into)
}

func (s *server) waitReady() {
	s.t.Helper()
	s.waitStatus("/readyz", 200)
}

// waitStatus asks until path answers want; a server that ends meanwhile fails t.
func (s *server) waitStatus(path string, want int) {
	s.t.Helper()
	got := 0
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(50 * time.Millisecond) {
		if got = s.status(path); got == want {
			return
		}
		select {
		case <-s.done:
			s.t.Fatalf("the server ended while %s was awaited: %v", path, s.err)
		default:
		}
	}
	s.t.Fatalf("%s answers %d, not %d, after %v", path, got, want, patience)
}

// until asks again and again until ok.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("not within %v: %s", patience, what)
		}
	}
}

// stop sends SIGTERM and wants exit code 0.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	s.wait()
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.cmd.Process.Signal(sig); err != nil && !errors.Is(err, os.ErrProcessDone) {
		s.t.Fatal(err)
	}
}

// wait wants the process to end by itself with exit code 0.
func (s *server) wait() {
	s.t.Helper()
	select {
	case <-s.done:
		if s.err != nil {
			s.t.Fatalf("the server ended with %v, want exit code 0", s.err)
		}
	case <-time.After(patience):
		s.t.Fatalf("the server still runs %v after the signal", patience)
	}
}

// logBuffer collects what a process writes.
type logBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *logBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *logBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// ends is the log, shortened in the middle.
func (b *logBuffer) ends() string {
	s := b.String()
	if n := 8 << 10; len(s) > 2*n {
		return s[:n] + "\n…\n" + s[len(s)-n:]
	}
	return s
}
