package loop_test

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"zamqp/loop"
)

func TestUnixSocketFiles(t *testing.T) {
	r := start(t, loop.Options{})
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	ul, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ul.SetUnlinkOnClose(false)
	_ = ul.Close()
	ask(t, dial(t, r.listen("unix", stale, echo)))
	// One is in use, and one is not a socket: both are left alone.
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for path, says := range map[string]string{stale: "another process", file: "in use"} {
		r.do(func() { _, err = r.Listen("unix", path, echo) })
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%s: %v", path, err)
		}
	}
	if b, _ := os.ReadFile(file); string(b) != "precious" {
		t.Error("a file that is no socket was removed")
	}
}

func TestListenErrors(t *testing.T) {
	r := start(t, loop.Options{})
	at := r.listen("tcp", "127.0.0.1:0", echo)
	var taken, unknown error
	r.do(func() {
		_, taken = r.Listen("tcp", at.String(), echo)
		_, unknown = r.Listen("udp", "127.0.0.1:0", echo)
	})
	if taken == nil || !strings.Contains(taken.Error(), at.String()) {
		t.Error(taken)
	}
	if unknown == nil || !strings.Contains(unknown.Error(), "udp") {
		t.Error(unknown)
	}
}

// Both listeners have an event in the same turn; whichever comes first closes the other and opens a
// third, which is likely to get the other's descriptor, and a dial. The event of the closed
// listener must not be taken for theirs.
func TestStaleEvents(t *testing.T) {
	r := start(t, loop.Options{})
	target := r.listen("tcp", "127.0.0.1:0", echo)
	// Whether the events come together is the system's affair; usually they do at once.
	for range 100 {
		staleEvents(t, r, target)
		if r.exact().Stale > 0 {
			return
		}
	}
	t.Error("no stale event in a hundred trials")
}

func staleEvents(t *testing.T, r *running, target net.Addr) {
	var lns [2]*loop.Listener
	done := make(chan error, 2)
	accepted := 0
	for i := range lns {
		r.do(func() {
			lns[i], _ = r.Listen("tcp", "127.0.0.1:0", func(*loop.Conn) loop.Peer {
				accepted++
				lns[1-i].Close()
				if _, err := r.Listen("tcp", "127.0.0.1:0", echo); err != nil {
					t.Error(err)
				}
				r.Dial("tcp", target.String(), patience, func(_ *loop.Conn, err error) loop.Peer {
					done <- err
					return nil
				})
				return nil
			})
		})
	}
	r.do(func() { // while the loop is held here, both get their event
		for _, ln := range lns {
			c, err := net.Dial("tcp", ln.Addr().String())
			if err != nil {
				t.Error(err)
				return
			}
			defer c.Close()
		}
	})
	if err := wait(t, done, "the dial"); err != nil {
		t.Error(err)
	}
	if accepted != 1 {
		t.Errorf("%d accepted, want one", accepted)
	}
}
