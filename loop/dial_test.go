package loop_test

import (
	"errors"
	"io"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zamqp/loop"
)

// dialed dials on the loop and returns what done got.
func (r *running) dialed(network, addr string, timeout time.Duration, p *peer) error {
	r.t.Helper()
	got := make(chan error, 2)
	r.do(func() {
		inside := true
		r.Dial(network, addr, timeout, func(c *loop.Conn, err error) loop.Peer {
			if inside {
				r.t.Error("done called inside Dial")
			}
			if (c == nil) != (err != nil) {
				r.t.Errorf("done(%v, %v)", c, err)
			}
			got <- err
			if p != nil {
				p.conn = c
			}
			return p
		})
		inside = false
	})
	return wait(r.t, got, "the dial")
}

func TestDial(t *testing.T) {
	r := start(t, loop.Options{})
	tcp := r.listen("tcp", "127.0.0.1:0", echo)
	path := filepath.Join(t.TempDir(), "s")
	r.listen("unix", path, echo)
	_, port, _ := net.SplitHostPort(tcp.String())
	for _, to := range []struct{ network, addr string }{
		{"tcp", tcp.String()},
		{"tcp4", tcp.String()},
		{"tcp", "localhost:" + port}, // may resolve to ::1 first, where nobody listens
		{"tcp4", ":" + port},
		{"unix", path},
	} {
		echoed := make(chan string, 1)
		p := &peer{out: []byte("hello"), feed: func(_ *peer, in []byte) (int, error) {
			if len(in) < 5 {
				return 0, nil
			}
			echoed <- string(in)
			return len(in), nil
		}}
		if err := r.dialed(to.network, to.addr, patience, p); err != nil {
			t.Errorf("%v: %v", to, err)
			continue
		}
		if got := wait(t, echoed, "the echo"); got != "hello" {
			t.Errorf("%v: %q", to, got)
		}
		r.do(func() {
			if a := p.conn.RemoteAddr(); a == nil || to.network != "unix" && !strings.HasSuffix(a.String(), ":"+port) {
				t.Errorf("%v: remote address %v", to, a)
			}
		})
	}
}

func TestDialFails(t *testing.T) {
	r := start(t, loop.Options{})
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	closed := free.Addr().String()
	_ = free.Close()
	for _, row := range []struct {
		network, addr string
		is            error
		says          string
	}{
		{"tcp", closed, syscall.ECONNREFUSED, closed},
		{"unix", filepath.Join(t.TempDir(), "none"), os.ErrNotExist, "none"},
		{"tcp", "no-such-host.invalid:5672", nil, "no-such-host.invalid"},
		{"tcp", "127.0.0.1", nil, "missing port"},
		{"tcp", "127.0.0.1:no-such-service", nil, "no-such-service"},
		{"tcp6", "127.0.0.1:1", nil, "no address of a family"},
		{"udp", "127.0.0.1:1", nil, "unknown network"},
	} {
		err := r.dialed(row.network, row.addr, patience, nil)
		if err == nil || row.is != nil && !errors.Is(err, row.is) || !strings.Contains(err.Error(), row.says) ||
			!strings.Contains(err.Error(), "dial "+row.network+" "+row.addr) {
			t.Errorf("%s %s: %v", row.network, row.addr, err)
		}
	}
	if s := r.exact(); s.DialFail != 7 || s.Open != 0 {
		t.Errorf("%+v", s)
	}
}

// silent is a listening socket that never accepts and whose backlog is full, so that a connect to
// it hangs.
func silent(t *testing.T) string {
	t.Helper()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = unix.Close(fd) })
	if err := errors.Join(unix.Bind(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}}), unix.Listen(fd, 0)); err != nil {
		t.Fatal(err)
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		t.Fatal(err)
	}
	at := &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: sa.(*unix.SockaddrInet4).Port}
	hanging := 0
	for range 24 {
		c, err := net.DialTimeout("tcp", at.String(), 100*time.Millisecond)
		if err == nil {
			t.Cleanup(func() { _ = c.Close() })
			continue
		}
		if hanging++; hanging == 3 { // one may be late without being kept waiting
			return at.String()
		}
	}
	t.Skip("this system queues connections without bound")
	return ""
}

func TestDialTimeout(t *testing.T) {
	r := start(t, loop.Options{})
	to := silent(t)
	if err := r.dialed("tcp", to, 10*time.Millisecond, nil); !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), to) {
		t.Errorf("%v", err)
	}
}

// Stop during a dial ends it with ErrStopped and leaves nothing behind.
func TestStopDuringDial(t *testing.T) {
	r := start(t, loop.Options{})
	to := silent(t)
	got := make(chan error, 4)
	done := func(_ *loop.Conn, err error) loop.Peer { got <- err; return nil }
	r.do(func() {
		r.Dial("tcp", to, time.Hour, done)
		r.Dial("tcp", "no-such-host.invalid:1", time.Hour, done)
	})
	r.Stop()
	for range 2 {
		if err := wait(t, got, "done"); !errors.Is(err, loop.ErrStopped) && !strings.Contains(err.Error(), "no-such-host") {
			t.Errorf("%v", err)
		}
	}
	r.end()
}

// A peer that closes first thing still gets its output sent, and its Lost.
func TestDialThenClose(t *testing.T) {
	r := start(t, loop.Options{})
	got := make(chan string, 1)
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	go func() {
		c, err := nl.Accept()
		if err != nil {
			return
		}
		b, _ := io.ReadAll(c)
		_ = c.Close()
		got <- string(b)
	}()
	lost := make(chan error, 2)
	r.do(func() {
		r.Dial("tcp", nl.Addr().String(), patience, func(c *loop.Conn, err error) loop.Peer {
			if err != nil {
				t.Error(err)
				return nil
			}
			c.Close()
			return &peer{conn: c, out: []byte("bye"), lost: lostTo(lost)}
		})
	})
	if s := wait(t, got, "the server"); s != "bye" {
		t.Errorf("%q", s)
	}
	if err := wait(t, lost, "Lost"); err != nil {
		t.Error(err)
	}
}
