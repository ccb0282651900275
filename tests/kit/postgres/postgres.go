// Package postgres gives tests a real PostgreSQL: an isolated server of their own, started by
// the script beside this file, or the one that the environment names.
//
//	url := postgres.Start(t)     // one server for the whole test binary
//	server := postgres.New(t)    // a server of this test's own, to be killed
//
// A server ends with the test binary, however that ends: a small watcher process waits for it.
package postgres

import (
	_ "embed"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"

	"zamqp/tests/kit/process"
)

// URLEnv names a server to use instead of starting one.
const URLEnv = "ZAMQP_TEST_POSTGRES_URL"

//go:embed postgres
var script []byte

// Server is a running PostgreSQL.
type Server struct {
	URL string // of a database in which everything is allowed
	dir string
}

var shared = sync.OnceValues(start)

// Start returns the URL of the server that all tests of this binary share. It skips the test
// when PostgreSQL is not installed and no server was given.
func Start(t testing.TB) (url string) {
	t.Helper()
	if url := os.Getenv(URLEnv); url != "" {
		return url
	}
	need(t)
	s, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return s.URL
}

// New starts a server for t alone and stops it when t ends.
func New(t testing.TB) *Server {
	t.Helper()
	need(t)
	s, err := start()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = s.run("kill", s.dir)
		_ = os.RemoveAll(s.dir)
	})
	return s
}

// Installed reports whether a server can be started here.
func Installed() bool {
	found, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if dir := os.Getenv("POSTGRES_BIN"); dir != "" || len(found) > 0 {
		return true
	}
	_, err := exec.LookPath("initdb")
	return err == nil
}

func need(t testing.TB) {
	t.Helper()
	if !Installed() {
		t.Skip("PostgreSQL is not installed (tests/setup/install), and " + URLEnv + " is not set")
	}
}

func start() (*Server, error) {
	dir, err := os.MkdirTemp("", "zamqp-postgres-")
	if err != nil {
		return nil, err
	}
	s := &Server{dir: dir}
	if err = os.WriteFile(s.script(), script, 0o755); err == nil {
		err = s.launch()
	}
	if err != nil {
		_ = os.RemoveAll(dir)
		return nil, err
	}
	return s, nil
}

func (s *Server) script() string { return filepath.Join(s.dir, "postgres.sh") }

func (s *Server) launch() (err error) {
	s.URL, err = s.run("start", "-for", strconv.Itoa(os.Getpid()), "-rm", s.dir)
	return err
}

// run calls the script and returns its trimmed output.
func (s *Server) run(args ...string) (string, error) {
	return process.Script("postgres "+args[0], append([]string{"bash", s.script()}, args...)...)
}

func (s *Server) must(t testing.TB, args ...string) {
	t.Helper()
	if _, err := s.run(args...); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the server as a power cut would.
func (s *Server) Kill(t testing.TB) { t.Helper(); s.must(t, "kill", s.dir) }

// Stop ends the server and all connections.
func (s *Server) Stop(t testing.TB) { t.Helper(); s.must(t, "stop", s.dir) }

// Restart starts a stopped server again, on the same port with the same data.
func (s *Server) Restart(t testing.TB) {
	t.Helper()
	s.must(t, "start", "-for", strconv.Itoa(os.Getpid()), "-rm", s.dir)
}
