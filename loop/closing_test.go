package loop_test

import (
	"bytes"
	"errors"
	"io"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/loop"
)

// lostTo makes a function for peer.lost that sends the cause to a channel.
func lostTo(c chan error) func(error) { return func(err error) { c <- err } }

func TestHalfClose(t *testing.T) {
	for _, more := range []bool{false, true} {
		r := start(t, loop.Options{})
		lost := make(chan error, 2)
		var server *peer
		at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
			server = &peer{conn: c, lost: lostTo(lost), eof: func(p *peer) bool {
				p.out = append(p.out, "last"...)
				return more
			}}
			return server
		})
		c := dial(t, at).(*net.TCPConn)
		_ = c.CloseWrite()
		if more { // the peer goes on for as long as it likes
			r.until("EOF", func() bool { return server != nil && server.out != nil && len(server.out) == 0 })
			r.do(func() {
				server.out = append(server.out, " words"...)
				server.conn.Close()
			})
		}
		got, err := io.ReadAll(c)
		if want := map[bool]string{false: "last", true: "last words"}[more]; err != nil || string(got) != want {
			t.Errorf("more=%v: read %q, %v", more, got, err)
		}
		if err := wait(t, lost, "Lost"); err != nil {
			t.Errorf("more=%v: Lost(%v)", more, err)
		}
		r.end()
		if len(lost) != 0 {
			t.Error("Lost twice")
		}
	}
}

// Input that the peer refused before EOF came can still be taken.
func TestKeptInputAfterEOF(t *testing.T) {
	r := start(t, loop.Options{})
	var server *peer
	var busy, ended bool
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		busy = true
		server = &peer{conn: c,
			feed: func(p *peer, in []byte) (int, error) {
				if busy {
					return 0, nil
				}
				p.out = append(p.out, in...)
				c.Close()
				return len(in), nil
			},
			eof: func(*peer) bool { ended = true; return true },
		}
		return server
	})
	c := dial(t, at).(*net.TCPConn)
	_, _ = c.Write([]byte("second request"))
	_ = c.CloseWrite()
	r.until("EOF", func() bool { return ended })
	r.do(func() { busy = false; server.conn.Wake() })
	if got, err := io.ReadAll(c); err != nil || string(got) != "second request" {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestReset(t *testing.T) {
	r := start(t, loop.Options{})
	lost := make(chan error, 2)
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer { return &peer{conn: c, lost: lostTo(lost)} })
	c := dial(t, at).(*net.TCPConn)
	_, _ = c.Write([]byte("x"))
	_ = c.SetLinger(0)
	_ = c.Close()
	if err := wait(t, lost, "Lost"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Lost(%v)", err)
	}
}

// A reset is noticed while the connection is not being read, and does not make the loop spin.
func TestResetWhilePaused(t *testing.T) {
	r := start(t, loop.Options{InputMax: 1})
	lost := make(chan error, 2)
	var server *peer
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		server = &peer{conn: c, lost: lostTo(lost), feed: func(*peer, []byte) (int, error) { return 0, nil }}
		return server
	})
	c := dial(t, at).(*net.TCPConn)
	_, _ = c.Write([]byte("refused"))
	r.until("the refusal", func() bool { return server != nil && server.fed > 0 })
	_ = c.SetLinger(0)
	_ = c.Close()
	if err := wait(t, lost, "Lost"); !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("Lost(%v)", err)
	}
}

// A unix socket whose other side is gone reports a hang-up for ever. While it is not read,
// that must cost nothing.
func TestHangUpWhilePaused(t *testing.T) {
	r := start(t, loop.Options{InputMax: 1})
	lost := make(chan error, 2)
	var server *peer
	taking := false
	at := r.listen("unix", t.TempDir()+"/s", func(c *loop.Conn) loop.Peer {
		server = &peer{conn: c, lost: lostTo(lost), feed: func(_ *peer, in []byte) (int, error) {
			if taking {
				return len(in), nil
			}
			return 0, nil
		}}
		return server
	})
	c := dial(t, at)
	_, _ = c.Write([]byte("refused"))
	r.until("the refusal", func() bool { return server != nil && server.fed > 0 })
	_ = c.Close()
	before := r.exact()
	for range 5 { // a loop that spins makes thousands of turns in that time
		time.Sleep(2 * time.Millisecond)
	}
	if n := r.exact().Turns - before.Turns; n > 50 {
		t.Errorf("%d turns while nothing happened", n)
	}
	r.do(func() { taking = true; server.conn.Wake() })
	if err := wait(t, lost, "Lost"); err != nil {
		t.Errorf("Lost(%v)", err)
	}
}

// An answer and a close while the client is still sending: it must read the answer and not a reset.
func TestLingeringCloseDeliversTheLastAnswer(t *testing.T) {
	for _, how := range []string{"close", "error"} {
		r := start(t, loop.Options{LingerTime: time.Hour}) // however long the client takes to send
		lost := make(chan error, 2)
		refusal := errors.New("too large")
		at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
			return &peer{conn: c, lost: lostTo(lost), feed: func(p *peer, in []byte) (int, error) {
				p.out = append(p.out, "413"...)
				if how == "error" {
					return 0, refusal
				}
				c.Close()
				return len(in), nil
			}}
		})
		c := dial(t, at).(*net.TCPConn)
		body := bytes.Repeat([]byte{'b'}, 8<<20)
		if _, err := c.Write(body); err != nil { // all of it, before it reads
			t.Fatalf("%s: write: %v", how, err)
		}
		if got, err := io.ReadAll(c); err != nil || string(got) != "413" {
			t.Errorf("%s: read %q, %v", how, got, err)
		}
		err := wait(t, lost, "Lost")
		if how == "error" != (err == refusal) {
			t.Errorf("%s: Lost(%v)", how, err)
		}
		_ = c.Close()
		r.until("the lingering to end", func() bool { return true })
		for deadline := time.Now().Add(patience); r.exact().Open != 0; {
			if time.Now().After(deadline) {
				t.Fatal("the connection lingers though the client has closed")
			}
		}
		r.end()
	}
}

func TestCloseFlushesAndAbortDoesNot(t *testing.T) {
	const size = 8 << 20
	cause := errors.New("enough")
	for _, abort := range []bool{false, true} {
		r := start(t, loop.Options{})
		lost := make(chan error, 2)
		at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
			return &peer{conn: c, lost: lostTo(lost), feed: func(p *peer, in []byte) (int, error) {
				p.out = make([]byte, size)
				if abort {
					c.Abort(cause)
				} else {
					c.Close()
				}
				c.Wake() // too late for both
				return len(in), nil
			}}
		})
		c := dial(t, at)
		_, _ = c.Write([]byte("x"))
		n, _ := io.Copy(io.Discard, c)
		err := wait(t, lost, "Lost")
		if abort && (n != 0 || err != cause) || !abort && (n != size || err != nil) {
			t.Errorf("abort=%v: %d bytes, Lost(%v)", abort, n, err)
		}
	}
}

func TestFlushTimeout(t *testing.T) {
	r := start(t, loop.Options{FlushTime: 10 * time.Millisecond})
	lost := make(chan error, 2)
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		return &peer{conn: c, lost: lostTo(lost), feed: func(p *peer, in []byte) (int, error) {
			p.out = make([]byte, 64<<20)
			c.Close()
			return len(in), nil
		}}
	})
	c := dial(t, at)
	_, _ = c.Write([]byte("x")) // and never reads
	if err := wait(t, lost, "Lost"); err != loop.ErrFlushTimeout {
		t.Errorf("Lost(%v)", err)
	}
}

func TestRefusedByAccept(t *testing.T) {
	r := start(t, loop.Options{})
	at := r.listen("tcp", "127.0.0.1:0", func(*loop.Conn) loop.Peer { return nil })
	if n, err := dial(t, at).Read(make([]byte, 1)); n != 0 || err == nil {
		t.Errorf("read %d, %v", n, err)
	}
	r.until("the connection to be closed", func() bool { return true })
	if s := r.exact(); s.Open != 0 || s.Accepted != 1 {
		t.Errorf("%+v", s)
	}
}

// Input that came before the connection was lost is fed, although the write that found the
// loss has failed.
func TestInputBeforeAFailedWriteIsFed(t *testing.T) {
	r := start(t, loop.Options{InputMax: 1})
	lost := make(chan error, 2)
	var server *peer
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		server = &peer{conn: c, lost: lostTo(lost)}
		return server
	})
	c := dial(t, at).(*net.TCPConn)
	r.until("the connection", func() bool { return server != nil })
	r.do(func() {
		// All this happens while the loop is held here, so that its next act on this socket is the
		// write.
		_, _ = c.Write([]byte("farewell"))
		_ = c.Close() // with nothing unread: an orderly end
		server.out = append(server.out, "x"...)
		server.conn.Wake()
	})
	wait(t, lost, "Lost")
	if server.fed != len("farewell") {
		t.Errorf("%d bytes fed", server.fed)
	}
}

func TestPanicsCloseOneConnection(t *testing.T) {
	for _, where := range []string{"accept", "feed", "tick", "eof", "sent", "lost"} {
		t.Run(where, func(t *testing.T) {
			reports := make(chan *loop.PanicError, 4)
			r := start(t, loop.Options{OnPanic: func(e *loop.PanicError) { reports <- e }})
			lost := make(chan error, 4)
			faulty := true
			at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
				p := echo(c).(*peer)
				if !faulty {
					return p
				}
				faulty = false
				boom := func() { panic("boom in " + where) }
				p.lost = lostTo(lost)
				switch where {
				case "accept":
					boom()
				case "feed":
					p.feed = func(*peer, []byte) (int, error) { boom(); return 0, nil }
				case "tick":
					p.tick = func(p *peer, _ time.Time) time.Time {
						if p.fed > 0 {
							boom()
						}
						return time.Time{}
					}
				case "eof":
					p.eof = func(*peer) bool { boom(); return false }
				case "sent":
					p.sent = func(*peer) { boom() }
				case "lost":
					p.lost = func(err error) { lost <- err; boom() }
				}
				return p
			})
			c := dial(t, at).(*net.TCPConn)
			_, _ = c.Write([]byte("x"))
			_ = c.CloseWrite()
			_, _ = io.Copy(io.Discard, c)
			e := wait(t, reports, "the report")
			if e.Value != "boom in "+where || !strings.Contains(string(e.Stack), "closing_test.go") {
				t.Errorf("%v\n%s", e, e.Stack)
			}
			if where != "accept" {
				err := wait(t, lost, "Lost")
				if where == "lost" && err != nil || where != "lost" && err != e {
					t.Errorf("Lost(%v)", err)
				}
			}
			// The loop goes on.
			c = dial(t, at).(*net.TCPConn)
			_, _ = c.Write([]byte("y"))
			if _, err := io.ReadFull(c, make([]byte, 1)); err != nil {
				t.Errorf("after the panic: %v", err)
			}
			r.end()
			if len(lost) != 0 || len(reports) != 0 || r.Stats().Panics != 1 {
				t.Errorf("more was told than one panic and one Lost: %+v", r.Stats())
			}
		})
	}
}
