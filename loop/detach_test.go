package loop_test

import (
	"bufio"
	"errors"
	"io"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"zamqp/loop"
)

// TestDetach: the socket works without the loop, nothing that was read is lost, and Go's poller
// wakes a goroutine that waits for it.
func TestDetach(t *testing.T) {
	for _, network := range []string{"tcp", "unix"} {
		t.Run(network, func(t *testing.T) {
			r := start(t, loop.Options{})
			addr := "127.0.0.1:0"
			if network == "unix" {
				addr = filepath.Join(t.TempDir(), "s")
			}
			var kept *loop.Conn
			fed := make(chan struct{}, 16)
			at := r.listen(network, addr, func(c *loop.Conn) loop.Peer {
				kept = c
				return &peer{
					feed: func(*peer, []byte) (int, error) { fed <- struct{}{}; return 0, nil },
					lost: func(error) { t.Error("Lost was called") },
				}
			})
			client := dial(t, at)
			if _, err := io.WriteString(client, "rest\n"); err != nil {
				t.Fatal(err)
			}
			wait(t, fed, "the peer to be fed")
			var nc net.Conn
			var rest []byte
			var err, again error
			r.do(func() {
				nc, rest, err = kept.Detach()
				_, _, again = kept.Detach()
				kept.Wake()
				kept.Close()
			})
			if err != nil || string(rest) != "rest\n" || again != loop.ErrNotDetachable {
				t.Fatalf("%q %v, again %v", rest, err, again)
			}
			defer nc.Close()
			r.until("no connection is left", func() bool { return r.Stats().Open == 0 })
			go func() { _, _ = io.Copy(nc, nc) }()
			in := bufio.NewReader(client)
			for range 3 {
				if _, err := io.WriteString(client, "ping\n"); err != nil {
					t.Fatal(err)
				}
				if line, err := in.ReadString('\n'); line != "ping\n" || err != nil {
					t.Fatalf("%q %v", line, err)
				}
			}
			if err := nc.SetReadDeadline(time.Unix(1, 0)); err != nil {
				t.Error(err)
			}
			r.end() // the connection is not the loop's any more
			if _, err := io.WriteString(nc, "bye\n"); err != nil {
				t.Error(err)
			}
			if line, err := in.ReadString('\n'); line != "bye\n" || err != nil {
				t.Errorf("%q %v", line, err)
			}
		})
	}
}

// TestDetachLeavesThePoller: what arrives on a connection that was given away does not turn the loop.
func TestDetachLeavesThePoller(t *testing.T) {
	r := start(t, loop.Options{})
	var kept *loop.Conn
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer { kept = c; return &peer{} })
	client := dial(t, at)
	r.until("the connection", func() bool { return kept != nil })
	var nc net.Conn
	r.do(func() { nc, _, _ = kept.Detach() })
	if nc == nil {
		t.Fatal("not detached")
	}
	defer nc.Close()
	before := r.Stats().Events
	if _, err := io.WriteString(client, strings.Repeat("x", 1000)); err != nil {
		t.Fatal(err)
	}
	_ = client.Close()
	if b, err := io.ReadAll(nc); len(b) != 1000 || err != nil {
		t.Errorf("%d octets, %v", len(b), err)
	}
	other := dial(t, at)
	r.until("another connection", func() bool { return r.Stats().Accepted == 2 })
	_ = other.Close()
	r.until("all to be closed", func() bool { return r.Stats().Open == 0 })
	if s := r.Stats(); s.Stale > 0 || s.Events-before > 500 {
		t.Errorf("%d events, %d of them stale", s.Events-before, s.Stale)
	}
}

// TestDetachOfAStream: a pump is no socket.
func TestDetachOfAStream(t *testing.T) {
	r := start(t, loop.Options{})
	ours, theirs := net.Pipe()
	defer theirs.Close()
	r.do(func() {
		c := r.Adopt(ours, func(*loop.Conn) loop.Peer { return &peer{} })
		if _, _, err := c.Detach(); !errors.Is(err, loop.ErrNotDetachable) {
			t.Error(err)
		}
	})
}
