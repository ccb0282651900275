package interop_test

import (
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"

	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/wait"
)

// TestEventsReachBrowsersOfAllServers: two servers behind a balancer share a fanout exchange. The
// server of a browser stops or is killed. The browser connects to the other one, and gets every
// event once.
func TestEventsReachBrowsersOfAllServers(t *testing.T) {
	apart(t, func(t *testing.T, n node) {
		signals := []syscall.Signal{syscall.SIGTERM}
		if _, rabbit := n.(rabbitNode); !rabbit {
			signals = []syscall.Signal{syscall.SIGKILL}
		}
		if os.Getenv("ZAMQP_TEST_LONG") != "" {
			signals = []syscall.Signal{syscall.SIGTERM, syscall.SIGKILL}
		}
		for _, sig := range signals {
			t.Run(sig.String(), func(t *testing.T) { eventsReachBrowsers(t, n, sig) })
		}
	})
}

func eventsReachBrowsers(t *testing.T, n node, sig syscall.Signal) {
	var servers []*server
	for range 2 {
		servers = append(servers, startOutsider(t, n.url(), "consumer.alone.enabled=false"))
	}
	a, b := servers[0], servers[1]
	balancer := newBalancer(t, a.addr)
	follow := follower(t)
	first := follow("http://" + balancer.addr + "/news")
	awaitLine(t, first, "open")
	balancer.target(b.addr)
	second := follow("http://" + balancer.addr + "/news")
	awaitLine(t, second, "open")
	announce(t, a, "one")
	awaitLine(t, first, `headline "one"`)
	awaitLine(t, second, `headline "one"`)
	if err := a.Signal(sig); err != nil {
		t.Fatal(err)
	}
	if sig == syscall.SIGTERM {
		a.wait()
	}
	announce(t, b, "two") // while the first browser is away, or still on its way
	announce(t, b, "two and\na half")
	awaitLine(t, second, `headline "two and\na half"`)
	awaitLine(t, first, `headline "two and\na half"`)
	announce(t, b, "three")
	for _, browser := range []*logs.Buffer{first, second} {
		awaitLine(t, browser, `headline "three"`)
		var got []string
		for line := range strings.Lines(browser.String()) {
			if headline, is := strings.CutPrefix(strings.TrimSpace(line), "headline "); is {
				got = append(got, headline)
			}
		}
		if want := `"one" "two" "two and\na half" "three"`; strings.Join(got, " ") != want {
			t.Errorf("a browser has got %s, want %s", strings.Join(got, " "), want)
		}
	}
	if sig != syscall.SIGTERM {
		a.Kill()
	}
	b.stop()
}

func awaitLine(t *testing.T, out *logs.Buffer, line string) {
	t.Helper()
	wait.Until(t, "the browser prints "+line, func() bool { return strings.Contains(out.String(), line+"\n") })
}

func announce(t *testing.T, s *server, text string) {
	t.Helper()
	resp, err := http.Post(s.url+"/news", "text/plain", strings.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != 202 {
		t.Fatalf("%q: %s", text, resp.Status)
	}
}

// follower returns a function that starts a browser: the client for Node, which works as browsers
// do. It skips the test if that is not installed.
func follower(t *testing.T) func(url string) *logs.Buffer {
	t.Helper()
	modules, err := filepath.Abs(filepath.Join("..", "..", "bin", "node_modules"))
	if err != nil {
		t.Fatal(err)
	}
	env := append(process.Environment(), "NODE_PATH="+modules)
	there := exec.Command("node", "-e", "require('eventsource')")
	there.Env = env
	if err := there.Run(); err != nil {
		t.Skip("eventsource is not installed (npm install --prefix bin eventsource@3)")
	}
	return func(url string) *logs.Buffer {
		out := &logs.Buffer{}
		cmd := exec.Command("node", "events.js", url)
		cmd.Dir, cmd.Env = "clients", env
		cmd.Stdout, cmd.Stderr = out, os.Stderr
		p, err := process.Start(cmd)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { p.Kill() })
		return out
	}
}

// balancer passes connections on to a server.
type balancer struct {
	addr string
	mu   sync.Mutex
	to   string
}

func newBalancer(t *testing.T, to string) *balancer {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	b := &balancer{addr: ln.Addr().String(), to: to}
	go func() {
		for {
			conn, err := ln.Accept()
			if err != nil {
				return
			}
			go b.pass(conn)
		}
	}()
	return b
}

// target makes the balancer pass later connections on to another server.
func (b *balancer) target(addr string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.to = addr
}

func (b *balancer) pass(client net.Conn) {
	b.mu.Lock()
	to := b.to
	b.mu.Unlock()
	defer func() { _ = client.Close() }()
	server, err := net.Dial("tcp", to)
	if err != nil {
		return
	}
	defer func() { _ = server.Close() }()
	go func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	}()
	_, _ = io.Copy(client, server)
}
