package chaos_test

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"syscall"
	"testing"
	"time"

	"zamqp/tests/chaos/plan"
	"zamqp/tests/kit/process"
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
	process *process.Process // the last one
}

func newInstance(t *testing.T, name, dir, book string, options []string, env ...string) *instance {
	t.Helper()
	addr := process.FreeAddress(t)
	i := &instance{t: t, url: "http://" + addr, logPath: filepath.Join(dir, name+".log"), args: []string{"serve", "-o", "http.listen=" + addr, "-o", "log.format=json"}}
	for _, o := range options {
		i.args = append(i.args, "-o", o)
	}
	i.env = process.Environment(append(env, plan.LedgerEnv+"="+book)...)
	t.Cleanup(func() {
		if i.process != nil {
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
	cmd := exec.Command(path, i.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = i.env, log, log
	cmd.SysProcAttr = process.WithParent()
	cmd.Dir = filepath.Dir(i.logPath) // away from any config.toml
	if i.process, err = process.Start(cmd); err != nil {
		i.t.Fatal(err)
	}
}

func (i *instance) signal(s syscall.Signal) { _ = i.process.Signal(s) }

// kill ends the process at once.
func (i *instance) kill() { i.process.Kill() }

// drain ends it cleanly.
func (i *instance) drain() {
	i.t.Helper()
	if err := i.process.Stop(); errors.Is(err, process.ErrStuck) {
		i.t.Error("SIGTERM: ", err)
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
