// Package rabbitmq gives tests a real RabbitMQ: an isolated node of their own,
// started by the script beside this file, or the broker that the environment
// names.
//
//	url := rabbitmq.Start(t)        // one node for the whole test binary
//	node := rabbitmq.New(t)         // a node of this test's own, to be killed
//	queues := rabbitmq.Shared(t).Queues(t)
//
// A node ends with the test binary, however that ends: a small watcher process
// waits for it.
package rabbitmq

import (
	_ "embed"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"zamqp/tests/kit/process"
)

const (
	// URLEnv names a broker to use instead of starting one.
	URLEnv = "ZAMQP_TEST_AMQP_URL"
	// DirEnv names the directory in which the script runs that broker. Without it,
	// a test cannot ask the broker about its queues, and cannot stop or kill it.
	DirEnv = "ZAMQP_TEST_RABBITMQ_DIR"
	// VersionEnv is the version of the nodes that a run starts: 3.10, 4.0 or 4.3.
	// Without it, the installed version is used.
	VersionEnv = "ZAMQP_TEST_RABBITMQ"
)

//go:embed rabbitmq
var script []byte

// Node is a running broker.
type Node struct {
	URL string
	dir string // empty for a given broker
	sh  string // runs the script
	// the version asked for, as 4.0; empty means the version of the whole run
	version string
	// command is put before the script, as "nsenter", "--net=…".
	command []string
}

var shared = sync.OnceValues(func() (*Node, error) {
	if url := os.Getenv(URLEnv); url != "" {
		n := &Node{URL: url, dir: os.Getenv(DirEnv)}
		if n.dir == "" {
			return n, nil
		}
		// The test run gives this directory and removes it. Test binaries run at
		// the same time, so the name is this process's own.
		n.sh = filepath.Join(n.dir, fmt.Sprint("rabbitmq.", os.Getpid()))
		return n, os.WriteFile(n.sh, script, 0o755)
	}
	return start("", "")
})

// Start returns the URL of the broker that all tests of this binary share. It
// skips the test when RabbitMQ is not installed and no broker was given.
func Start(t testing.TB) (url string) {
	t.Helper()
	return Shared(t).URL
}

// Shared returns the broker behind Start.
func Shared(t testing.TB) *Node {
	t.Helper()
	need(t)
	n, err := shared()
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// New starts a node for t alone and stops it when t ends.
func New(t testing.TB) *Node { t.Helper(); return NewWith(t, "") }

// NewWith is New with more lines of rabbitmq.conf, and with plugins.
func NewWith(t testing.TB, conf string, plugins ...string) *Node {
	t.Helper()
	if !Installed() {
		t.Skip("rabbitmq-server is not installed (tests/setup/install)")
	}
	return own(t, "", conf, plugins...)
}

func own(t testing.TB, version, conf string, plugins ...string) *Node {
	t.Helper()
	n, err := start(version, conf, plugins...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_, _ = n.run("kill", n.dir)
		_ = os.RemoveAll(n.dir)
	})
	return n
}

// Installed reports whether a node can be started here.
func Installed() bool {
	if v := os.Getenv(VersionEnv); v != "" {
		_, ok := has(v)
		return ok
	}
	for _, dir := range []string{os.Getenv("RABBITMQ_SCRIPTS"), "/usr/lib/rabbitmq/bin"} {
		if _, err := os.Stat(filepath.Join(dir, "rabbitmq-server")); dir != "" && err == nil {
			return true
		}
	}
	_, err := exec.LookPath("rabbitmq-server")
	return err == nil
}

func need(t testing.TB) {
	t.Helper()
	if os.Getenv(URLEnv) == "" && !Installed() {
		t.Skip("rabbitmq-server is not installed (tests/setup/install), and " + URLEnv + " is not set")
	}
}

func start(version, conf string, plugins ...string) (*Node, error) {
	n, err := prepare(map[string]string{"more.conf": conf, "plugins": strings.Join(plugins, ",")})
	if err != nil {
		return nil, err
	}
	n.version = version
	return n, n.launch()
}

// prepare makes the directory of a node, with the files that the script reads.
func prepare(files map[string]string) (*Node, error) {
	dir, err := os.MkdirTemp("", "zamqp-rabbitmq-")
	if err != nil {
		return nil, err
	}
	n := &Node{dir: dir, sh: filepath.Join(dir, "rabbitmq")}
	if err := os.WriteFile(n.sh, script, 0o755); err != nil {
		return nil, err
	}
	for name, text := range files {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			return nil, err
		}
	}
	return n, nil
}

func (n *Node) launch() (err error) {
	args := []string{"start", "-for", strconv.Itoa(os.Getpid()), "-rm"}
	if n.version != "" {
		args = append(args, "-version", n.version)
	}
	n.URL, err = n.run(append(args, n.dir)...)
	return err
}

// run calls the script and returns its trimmed output.
func (n *Node) run(args ...string) (string, error) {
	return process.Script("rabbitmq "+args[0], slices.Concat(n.command, []string{"bash", n.sh}, args)...)
}

func (n *Node) must(t testing.TB, args ...string) string {
	t.Helper()
	if n.dir == "" {
		t.Skipf("the broker given by %s cannot be controlled without %s", URLEnv, DirEnv)
	}
	out, err := n.run(args...)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

// Ctl runs rabbitmqctl on the node and returns its output.
func (n *Node) Ctl(t testing.TB, args ...string) string {
	t.Helper()
	return n.must(t, append([]string{"ctl", n.dir}, args...)...)
}

// Sync returns once what was declared is on the disk. RabbitMQ with Mnesia, that
// is before 4.2, answers declare-ok within its first moments and may forget the
// queue, with its confirmed messages, when it is killed at once: a test that
// declares on a node that has just started calls Sync before Kill.
func (n *Node) Sync(t testing.TB) {
	t.Helper()
	n.Ctl(t, "eval", "lists:keymember(mnesia, 1, application:which_applications()) andalso mnesia:sync_log().")
}

// Kill ends the node as a power cut would. See Sync.
func (n *Node) Kill(t testing.TB) { t.Helper(); n.must(t, "kill", n.dir) }

// Stop ends the node cleanly: clients get connection.close 320.
func (n *Node) Stop(t testing.TB) { t.Helper(); n.must(t, "stop", n.dir) }

// Restart starts a stopped node again, on the same port with the same data.
func (n *Node) Restart(t testing.TB) {
	t.Helper()
	n.must(t, "start", "-for", strconv.Itoa(os.Getpid()), "-rm", n.dir)
}

// Pause freezes the node: its connections stay, and it answers nothing. Resume
// before the test ends.
func (n *Node) Pause(t testing.TB) { t.Helper(); process.Freeze(t, n.pid(t)) }

// Resume lets a paused node go on.
func (n *Node) Resume(t testing.TB) {
	t.Helper()
	if err := syscall.Kill(n.pid(t), syscall.SIGCONT); err != nil {
		t.Fatal(err)
	}
}

func (n *Node) pid(t testing.TB) int {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(n.dir, "node.pid"))
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	return pid
}

// Queue is what the broker reports about one queue.
type Queue struct {
	Messages       int // ready and unacknowledged
	Unacknowledged int
	Consumers      int
}

// Queues lists the queues of the default virtual host.
func (n *Node) Queues(t testing.TB) map[string]Queue {
	t.Helper()
	out := n.Ctl(t, "list_queues", "--no-table-headers", "name", "messages", "messages_unacknowledged", "consumers")
	queues := map[string]Queue{}
	for line := range strings.Lines(out) {
		f := strings.Split(strings.TrimRight(line, "\n"), "\t")
		if len(f) != 4 {
			continue
		}
		var q Queue
		q.Messages, _ = strconv.Atoi(f[1])
		q.Unacknowledged, _ = strconv.Atoi(f[2])
		q.Consumers, _ = strconv.Atoi(f[3])
		queues[f[0]] = q
	}
	return queues
}

// patience is how long a queue's figures may take to appear on a busy machine.
const patience = time.Minute

// WaitQueue asks until ok accepts the queue. RabbitMQ updates its figures with some
// delay.
func (n *Node) WaitQueue(t testing.TB, name string, ok func(Queue) bool) {
	t.Helper()
	var q Queue
	var there bool
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(500 * time.Millisecond) {
		if q, there = n.Queues(t)[name]; there && ok(q) {
			return
		}
	}
	t.Fatalf("queue %q (exists: %v) after %v: %+v", name, there, patience, q)
}
