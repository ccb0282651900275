package loop_test

import (
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"zamqp/loop"
	"zamqp/tests/kit/selfsigned"
)

// secured accepts connections, makes their handshakes on a goroutine, and gives them to the loop.
// It returns a function that dials it.
func (r *running) secured(own selfsigned.Certificate, accept func(*loop.Conn) loop.Peer) func(version uint16) (*tls.Conn, *net.TCPConn) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { _ = ln.Close() })
	go func() {
		for {
			nc, err := ln.Accept()
			if err != nil {
				return
			}
			go func() {
				lower := loop.NewLower(nc)
				upper := tls.Server(lower, &tls.Config{Certificates: []tls.Certificate{own.TLS}})
				if err := upper.Handshake(); err != nil {
					r.t.Error(err)
					return
				}
				r.Post(func() {
					if err := r.AdoptOver(lower, upper, accept); err != nil {
						r.t.Error(err)
					}
				})
			}()
		}
	}()
	return func(version uint16) (*tls.Conn, *net.TCPConn) {
		r.t.Helper()
		nc, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			r.t.Fatal(err)
		}
		r.t.Cleanup(func() { _ = nc.Close() })
		_ = nc.SetDeadline(time.Now().Add(patience))
		c := tls.Client(&heard{Conn: nc}, &tls.Config{RootCAs: own.Pool, ServerName: "localhost", MaxVersion: version})
		if err := c.Handshake(); err != nil {
			r.t.Fatal(err)
		}
		return c, nc.(*net.TCPConn)
	}
}

// A heard is a connection that keeps the last octets that it has read.
type heard struct {
	net.Conn
	last []byte
}

func (h *heard) Read(b []byte) (int, error) {
	n, err := h.Conn.Read(b)
	h.last = append(h.last, b[:n]...)
	h.last = h.last[max(0, len(h.last)-alertSize):]
	return n, err
}

// alertSize is the length of a record of TLS 1.2 with an alert, under AES-GCM.
const alertSize = 5 + 8 + 2 + 16

// alert reports whether an alert was the last thing that was read.
func alert(c *tls.Conn) bool {
	last := c.NetConn().(*heard).last
	return len(last) == alertSize && last[0] == 21
}

// TestEchoOverAStream: octets arrive in both directions, cut anywhere, with peers that take
// random amounts.
func TestEchoOverAStream(t *testing.T) {
	const seed, clients, size = 7, 4, 300_000
	own := selfsigned.New(t)
	for _, name := range []string{"whole", "prefixes"} {
		for _, version := range []uint16{tls.VersionTLS12, tls.VersionTLS13} {
			t.Run(name+" "+tls.VersionName(version), func(t *testing.T) {
				r := start(t, loop.Options{ReadSize: 4096, ReadTurnMax: 10_000})
				accept := echo
				if name == "prefixes" {
					accept = stubborn(seed, func(fn func()) { r.Post(fn) })
				}
				connect := r.secured(own, accept)
				var wg sync.WaitGroup
				for i := range clients {
					c, _ := connect(version)
					wg.Go(func() { echoOnce(t, c, rand.New(rand.NewPCG(seed, uint64(i))), size) })
				}
				wg.Wait()
			})
		}
	}
}

// If a client does not read, the output stays with the peer, and the loop does not read from the
// client. When it reads again, everything arrives.
func TestPressureOverAStream(t *testing.T) {
	const high, size = 64 << 10, 16 << 20
	r := start(t, loop.Options{HighWater: high})
	var server *peer
	connect := r.secured(selfsigned.New(t), func(c *loop.Conn) loop.Peer {
		server = echo(c).(*peer)
		return server
	})
	c, nc := connect(0)
	_ = nc.SetReadBuffer(64 << 10) // or the system would take all of it
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range size / (64 << 10) {
			if _, err := c.Write(make([]byte, 64<<10)); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	r.until("output above the mark", func() bool { return server != nil && len(server.out) > high })
	last := -1
	r.until("the reading to stop", func() bool { same := last == server.fed; last = server.fed; return same })
	if last >= size {
		t.Fatalf("all of the input was read though no output left: %d of %d wait", len(server.out), server.fed)
	}
	if n, err := io.CopyN(io.Discard, c, size); err != nil {
		t.Fatalf("%d bytes: %v", n, err)
	}
	wait(t, sent, "the writer")
}

// TestEndsOverAStream: an orderly end is an orderly end for the peer as well, and a cut
// record is not. A peer that closes sends the alert close_notify after its last output; one
// that aborts does not.
func TestEndsOverAStream(t *testing.T) {
	own := selfsigned.New(t)
	cause := errors.New("enough")
	for _, row := range []struct {
		name   string
		server func(*loop.Conn)
		client func(*tls.Conn, *net.TCPConn)
		alert  bool // the client gets one
		lost   func(error) bool
	}{
		{"the client closes", nil, func(c *tls.Conn, _ *net.TCPConn) { _ = c.CloseWrite() }, true, func(err error) bool { return err == nil }},
		{"without close_notify", nil, func(_ *tls.Conn, nc *net.TCPConn) { _ = nc.CloseWrite() }, true, func(err error) bool { return err == nil }},
		{"inside of a record", nil, func(_ *tls.Conn, nc *net.TCPConn) {
			_, _ = nc.Write([]byte{23, 3, 3, 0, 99, 1, 2})
			_ = nc.CloseWrite()
		}, false, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"a record of another", nil, func(_ *tls.Conn, nc *net.TCPConn) {
			_, _ = nc.Write(append([]byte{23, 3, 3, 0, 40}, make([]byte, 40)...))
		}, true, func(err error) bool { return err != nil }},
		{"the server closes", (*loop.Conn).Close, nil, true, func(err error) bool { return err == nil }},
		{"the server aborts", func(c *loop.Conn) { c.Abort(cause) }, nil, false, func(err error) bool { return err == cause }},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := start(t, loop.Options{})
			lost := make(chan error, 2)
			connect := r.secured(own, func(c *loop.Conn) loop.Peer {
				if row.server != nil {
					row.server(c)
				}
				return &peer{conn: c, out: make([]byte, 100_000), lost: lostTo(lost)}
			})
			c, nc := connect(tls.VersionTLS12)
			if row.client != nil {
				if _, err := io.ReadFull(c, make([]byte, 100_000)); err != nil {
					t.Fatal(err)
				}
				row.client(c, nc)
			}
			if _, err := io.Copy(io.Discard, c); alert(c) != row.alert {
				t.Errorf("an alert: %t; %v", alert(c), err)
			}
			_ = nc.Close()
			if err := wait(t, lost, "Lost"); !row.lost(err) {
				t.Errorf("Lost(%v)", err)
			}
		})
	}
}

// TestDetachOverAStream: the new owner of the connection continues the same stream, after the
// octets that were sent before.
func TestDetachOverAStream(t *testing.T) {
	const size = 8 << 20
	r := start(t, loop.Options{})
	var conn *loop.Conn
	var p *peer
	connect := r.secured(selfsigned.New(t), func(c *loop.Conn) loop.Peer {
		conn = c
		p = &peer{conn: c, feed: func(p *peer, _ []byte) (int, error) {
			if p.out == nil {
				p.out = make([]byte, size)
			}
			return 0, nil
		}}
		return p
	})
	c, _ := connect(0)
	fmt.Fprint(c, "ping")
	r.until("output that waits", func() bool { return p != nil && p.out != nil && len(p.out) < size })
	var nc net.Conn
	var rest []byte
	var unsent []byte
	var err error
	r.do(func() {
		nc, rest, err = conn.Detach()
		unsent = p.out
	})
	if err != nil || string(rest) != "ping" {
		t.Fatalf("%q, %v", rest, err)
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(patience))
	if _, ok := nc.(*tls.Conn); !ok {
		t.Errorf("it is a %T", nc)
	}
	go func() {
		_, _ = nc.Write(append(unsent, "pong"...))
		_, _ = io.CopyN(nc, nc, 6)
	}()
	fmt.Fprint(c, "second")
	all := make([]byte, size+len("pongsecond"))
	if _, err := io.ReadFull(c, all); err != nil || string(all[size:]) != "pongsecond" {
		t.Errorf("%q, %v", all[size:], err)
	}
}
