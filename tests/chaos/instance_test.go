package chaos_test

import (
	"fmt"
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

	"zamqp/tests/chaos/plan"
)

// serverBinary builds the server under test once.
var serverBinary = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("zamqp-chaos-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	path := filepath.Join(dir, fmt.Sprint("server-", os.Getpid()))
	if out, err := exec.Command("go", "build", "-o", path, "./server").CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build ./server: %w: %s", err, out)
	}
	return path, nil
})

// instance is one process of ours, which is killed and started again.
type instance struct {
	t       *testing.T
	url     string // of HTTP
	args    []string
	env     []string
	logPath string
	cmd     *exec.Cmd
	ended   chan struct{}
}

func newInstance(t *testing.T, name, dir, book string, options []string, env ...string) *instance {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ln.Addr().String()
	_ = ln.Close() // its port is ours now
	i := &instance{t: t, url: "http://" + addr, logPath: filepath.Join(dir, name+".log"), args: []string{"serve", "-o", "http.listen=" + addr, "-o", "log.format=json"}}
	for _, o := range options {
		i.args = append(i.args, "-o", o)
	}
	i.env = slices.DeleteFunc(os.Environ(), func(s string) bool { return strings.HasPrefix(s, "ZAMQP_") })
	i.env = append(append(i.env, plan.LedgerEnv+"="+book), env...)
	t.Cleanup(func() {
		if i.running() {
			i.kill()
		}
		if t.Failed() {
			text, _ := os.ReadFile(i.logPath)
			t.Logf("the end of the log of %s:\n%s", name, text[max(0, len(text)-4000):])
		}
	})
	return i
}

// start runs a new process and does not wait for it.
func (i *instance) start() {
	i.t.Helper()
	path, err := serverBinary()
	if err != nil {
		i.t.Fatal(err)
	}
	log, err := os.OpenFile(i.logPath, os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o644)
	if err != nil {
		i.t.Fatal(err)
	}
	defer func() { _ = log.Close() }() // the process has its own
	i.cmd = exec.Command(path, i.args...)
	i.cmd.Env, i.cmd.Stdout, i.cmd.Stderr = i.env, log, log
	i.cmd.SysProcAttr = withParent()
	i.cmd.Dir = filepath.Dir(i.logPath) // away from any config.toml
	if err := i.cmd.Start(); err != nil {
		i.t.Fatal(err)
	}
	i.ended = make(chan struct{})
	go func(cmd *exec.Cmd, ended chan struct{}) {
		_ = cmd.Wait() // how it ended is told by the log
		close(ended)
	}(i.cmd, i.ended)
}

func (i *instance) running() bool {
	if i.cmd == nil {
		return false
	}
	select {
	case <-i.ended:
		return false
	default:
		return true
	}
}

func (i *instance) signal(s syscall.Signal) { _ = i.cmd.Process.Signal(s) }

// kill ends the process at once.
func (i *instance) kill() {
	i.signal(syscall.SIGKILL)
	<-i.ended
}

// drain ends it in good order.
func (i *instance) drain() {
	i.t.Helper()
	i.signal(syscall.SIGTERM)
	select {
	case <-i.ended:
	case <-time.After(time.Minute):
		i.t.Error("SIGTERM has not ended the server within a minute")
		i.kill()
	}
}

// awaitReady waits until /readyz answers 200.
func (i *instance) awaitReady() {
	i.t.Helper()
	client := &http.Client{Timeout: 2 * time.Second}
	for end := time.Now().Add(2 * time.Minute); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		resp, err := client.Get(i.url + "/readyz")
		if err != nil {
			continue
		}
		_ = resp.Body.Close()
		if resp.StatusCode == http.StatusOK {
			return
		}
	}
	i.t.Errorf("%s is not ready within two minutes", i.url)
}
