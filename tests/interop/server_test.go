package interop_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

const patience = wait.Patience

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
	log  *logs.Buffer
	*process.Process
}

// start runs the built server against the broker at amqpURL; options are
// settings as -o takes them. It returns once /readyz answers 200.
func start(t testing.TB, amqpURL string, options ...string) *server {
	t.Helper()
	path, err := program()
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, path, process.FreeAddress(t), amqpURL, options...)
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
	s := &server{t: t, addr: addr, url: "http://" + addr, log: &logs.Buffer{}}
	cmd := exec.Command(path, args...)
	cmd.Dir = t.TempDir() // no config.toml there: the defaults
	cmd.Env = process.Environment("ZAMQP_HTTP__LISTEN="+addr, "ZAMQP_CONNECTION__DEFAULT__URL="+amqpURL)
	cmd.Stdout, cmd.Stderr = s.log, s.log
	var err error
	if s.Process, err = process.Start(cmd); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Kill()
		if t.Failed() {
			t.Logf("the server's log:\n%s", s.log.Ends(8<<10))
		}
		if strings.Contains(s.log.String(), "WARNING: DATA RACE") {
			t.Error("the server has a data race, see its log")
		}
	})
	return s
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
		if !s.Running() {
			s.t.Fatalf("the server ended while %s was awaited: %v", path, s.Err())
		}
	}
	s.t.Fatalf("%s answers %d, not %d, after %v", path, got, want, patience)
}

// stop sends SIGTERM and wants exit code 0.
func (s *server) stop() {
	s.t.Helper()
	s.signal(syscall.SIGTERM)
	s.wait()
}

func (s *server) signal(sig syscall.Signal) {
	s.t.Helper()
	if err := s.Signal(sig); err != nil {
		s.t.Fatal(err)
	}
}

// wait wants the process to end by itself with exit code 0.
func (s *server) wait() {
	s.t.Helper()
	if err := s.Wait(); err != nil {
		s.t.Fatalf("the server ended with %v, want exit code 0", err)
	}
}
