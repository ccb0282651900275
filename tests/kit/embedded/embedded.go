// Package embedded gives tests the embedded broker as users run it: the binary of
// this repository as `zamqp broker`, in a process of its own.
//
//	url := embedded.Start(t)                       // one for the whole test binary
//	node := embedded.New(t, embedded.Options{})    // one of this test's own, to be killed
//
// tests/kit/rabbitmq does the same for RabbitMQ.
package embedded

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/process"
)

// URLEnv names an embedded broker to use instead of starting one.
const URLEnv = "ZAMQP_TEST_EMBEDDED_URL"

// Options of a broker.
type Options struct {
	Binary  string   // the program; "" builds it
	DataDir string   // broker.data_dir; "" keeps nothing
	Vhosts  []string // virtual hosts besides "/"
	Set     []string // more settings, as "broker.memory_max=1GiB"
	Command []string // put before the binary, as "taskset", "-c", "0"
}

// Node is one broker, running or not.
type Node struct {
	URL string

	addr    string
	options Options
	process *process.Process
	log     logs.Buffer
}

// Binary builds zamqp once for this process and returns its path, in a directory
// that the system cleans up.
var Binary = sync.OnceValues(func() (string, error) {
	dir := filepath.Join(os.TempDir(), fmt.Sprintf("zamqp-embedded-%d", os.Getuid()))
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", err
	}
	// Test binaries run at the same time, so each builds under a name of its own.
	// The build cache makes all builds but the first quick.
	path := filepath.Join(dir, fmt.Sprint("zamqp-", os.Getpid()))
	// Tests of other modules start it too, and their go.mod lacks what it needs: so
	// it is built in its own directory.
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "zamqp").Output()
	if err != nil {
		return "", fmt.Errorf("go list -m zamqp: %w", err)
	}
	build := exec.Command("go", "build", "-o", path, ".")
	build.Dir = strings.TrimSpace(string(root))
	if out, err := build.CombinedOutput(); err != nil {
		return "", fmt.Errorf("go build: %w: %s", err, out)
	}
	return path, nil
})

var shared = sync.OnceValues(func() (*Node, error) {
	if url := os.Getenv(URLEnv); url != "" {
		return &Node{URL: url}, nil
	}
	return Launch(Options{})
})

// Start returns the URL of a broker without a data directory that all tests of
// this binary share. It ends with the test binary.
func Start(t testing.TB) (url string) {
	t.Helper()
	n, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return n.URL
}

// New starts a broker for t alone and kills it when t ends.
func New(t testing.TB, o Options) *Node {
	t.Helper()
	n, err := Launch(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		n.Kill()
		if t.Failed() {
			t.Logf("log of the broker:\n%s", n.Log())
		}
	})
	return n
}

// Launch starts a broker on a free port and returns when it greets. The caller ends
// it. It also ends when the thread that started it does.
func Launch(o Options) (*Node, error) {
	if o.Binary == "" {
		var err error
		if o.Binary, err = Binary(); err != nil {
			return nil, err
		}
	}
	addr, err := process.UnusedAddress()
	if err != nil {
		return nil, err
	}
	n := &Node{addr: addr, options: o, URL: "amqp://guest:guest@" + addr + "/"}
	return n, n.Restart()
}

// Restart starts a broker again that has ended, on the same port with the same
// data, and returns when it greets.
func (n *Node) Restart() error {
	o := n.options
	argv := append(slices.Clone(o.Command), o.Binary, "broker", "-o", "broker.listen="+n.addr, "-o", "broker.data_dir="+o.DataDir, "-o", "log.level=warn")
	if len(o.Vhosts) > 0 {
		argv = append(argv, "-o", "broker.vhosts=/,"+strings.Join(o.Vhosts, ","))
	}
	for _, s := range o.Set {
		argv = append(argv, "-o", s)
	}
	cmd := exec.Command(argv[0], argv[1:]...)
	// Away from any config.toml, and without the settings of the tests.
	cmd.Dir, cmd.Env = os.TempDir(), process.Environment()
	cmd.Stdout, cmd.Stderr = &n.log, &n.log
	cmd.SysProcAttr = process.WithParent()
	var err error
	if n.process, err = process.Start(cmd); err != nil {
		return err
	}
	return n.await()
}

// await returns when the broker answers the protocol header.
func (n *Node) await() error {
	for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
		if !n.process.Running() {
			return fmt.Errorf("the broker has ended: %s", n.Log())
		}
		if greets(n.addr) {
			return nil
		}
	}
	n.Kill()
	return errors.New("the broker does not greet within a minute: " + n.Log())
}

func greets(addr string) bool {
	conn, err := net.DialTimeout("tcp", addr, time.Second)
	if err != nil {
		return false
	}
	defer func() { _ = conn.Close() }() // one octet is enough
	_ = conn.SetDeadline(time.Now().Add(2 * time.Second))
	if _, err := io.WriteString(conn, amqpproto.ProtocolHeader); err != nil {
		return false
	}
	var first [1]byte
	_, err = io.ReadFull(conn, first[:])
	return err == nil && first[0] == amqpproto.FrameMethod
}

// Pause freezes the broker: its connections stay, and it answers nothing. Resume
// before the test ends.
func (n *Node) Pause(t testing.TB) { t.Helper(); process.Freeze(t, n.Pid()) }

// Resume lets a paused broker go on.
func (n *Node) Resume(t testing.TB) {
	t.Helper()
	if err := n.process.Signal(syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

// Kill ends the broker as kill -9 does, and returns when it has ended.
func (n *Node) Kill() {
	if n.process != nil { // nil for a broker that the environment names
		n.process.Kill()
	}
}

// Stop ends the broker cleanly. The log says how it ended.
func (n *Node) Stop() {
	if n.process != nil {
		_ = n.process.Stop()
	}
}

// Pid is the process that Restart started last. It is the broker, unless a command
// was put before it that does not exec.
func (n *Node) Pid() int { return n.process.Pid() }

// Ended is closed when the process has ended, for whatever reason.
func (n *Node) Ended() <-chan struct{} { return n.process.Ended() }

// Log is what the broker has written so far.
func (n *Node) Log() string { return n.log.String() }
