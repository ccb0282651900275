package loop_test

import (
	"crypto/tls"
	"errors"
	"net"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"zamqp/loop"
)

func descriptors(t *testing.T) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(list)
}

// Stop, with connections of all kinds in all states: each peer gets Lost once, and no descriptor
// and no goroutine stays.
func TestStopLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	// Package net's own poller, once opened, stays.
	if nl, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = nl.Close()
	}
	fds, goroutines := descriptors(t), runtime.NumGoroutine()

	r := start(t, loop.Options{StallWarning: time.Second, LingerTime: time.Hour})
	opened, lost := 0, 0
	quiet := func(c *loop.Conn) loop.Peer {
		opened++
		p := echo(c).(*peer)
		p.lost = func(err error) {
			// The client whose TLS gets its own bytes back resets its connection; the others end by
			// Stop.
			if lost++; err != nil && !errors.Is(err, loop.ErrStopped) && !errors.Is(err, syscall.ECONNRESET) {
				t.Errorf("Lost(%v)", err)
			}
		}
		return p
	}
	var clients []net.Conn
	client := func(at net.Addr) net.Conn {
		c, err := net.Dial(at.Network(), at.String())
		if err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
		return c
	}
	tcp := r.listen("tcp", "127.0.0.1:0", quiet)
	unix := r.listen("unix", filepath.Join(dir, "s"), quiet)
	for range 5 {
		ask(t, client(tcp))
		ask(t, client(unix))
	}
	// One lingers, one has output that nobody reads, two are adopted, one is dialled.
	lingering := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer { p := quiet(c); c.Close(); return p })
	client(lingering)
	stuck := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		p := quiet(c).(*peer)
		p.out = make([]byte, 64<<20)
		return p
	})
	client(stuck)
	pipe, far := net.Pipe()
	clients = append(clients, far)
	nc := client(tcp)
	r.do(func() {
		r.Adopt(pipe, quiet)
		r.Adopt(tls.Client(nc, &tls.Config{InsecureSkipVerify: true}), func(c *loop.Conn) loop.Peer { opened++; return &peer{lost: func(error) { lost++ }} })
		r.Dial("tcp", tcp.String(), patience, func(c *loop.Conn, err error) loop.Peer { return quiet(c) })
		r.After(time.Hour, func() { t.Error("a timer ran at Stop") })
		r.Offload(func() {}, nil)
	})
	r.until("all connections", func() bool { return opened >= 16 })
	r.end()
	if opened != lost {
		t.Errorf("%d opened, %d lost", opened, lost)
	}
	if s := r.Stats(); s.Open != 0 || s.Lingers != 0 || s.Pending != 0 || s.InputHeld != 0 {
		t.Errorf("%+v", s)
	}
	if _, err := os.Stat(filepath.Join(dir, "s")); !os.IsNotExist(err) {
		t.Errorf("the unix socket's file is still there: %v", err)
	}
	for _, c := range clients {
		_ = c.Close()
	}
	deadline := time.Now().Add(patience)
	for descriptors(t) > fds || runtime.NumGoroutine() > goroutines {
		if time.Now().After(deadline) {
			b := make([]byte, 1<<20)
			t.Fatalf("descriptors %d, before %d; goroutines %d, before %d\n%s", descriptors(t), fds, runtime.NumGoroutine(), goroutines, b[:runtime.Stack(b, true)])
		}
		runtime.Gosched()
	}
}

// A loop that was never run is released by Stop and Run.
func TestReleaseWithoutRunning(t *testing.T) {
	if nl, err := net.Listen("tcp", "127.0.0.1:0"); err == nil {
		_ = nl.Close()
	}
	fds := descriptors(t)
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.Listen("tcp", "127.0.0.1:0", echo); err != nil {
		t.Fatal(err)
	}
	l.Stop()
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	if n := descriptors(t); n != fds {
		t.Errorf("%d descriptors, before %d", n, fds)
	}
}
