package loop_test

import (
	"bytes"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"testing"
	"time"

	"zamqp/loop"
	"zamqp/tests/kit/selfsigned"
)

func TestAdoptPipe(t *testing.T) {
	r := start(t, loop.Options{})
	ours, theirs := net.Pipe()
	lost := make(chan error, 2)
	r.do(func() {
		r.Adopt(ours, func(c *loop.Conn) loop.Peer {
			p := echo(c).(*peer)
			p.lost = lostTo(lost)
			return p
		})
	})
	_ = theirs.SetDeadline(time.Now().Add(patience))
	echoOnce(t, theirs, rand.New(rand.NewPCG(3, 3)), 2<<20)
	_ = theirs.Close()
	if err := wait(t, lost, "Lost"); err != nil {
		t.Errorf("Lost(%v)", err)
	}
}

// Nobody reads what the peer sends: its output stays with it, except for a bounded buffer,
// and its input is not read.
func TestAdoptBackpressure(t *testing.T) {
	const high = 64 << 10
	r := start(t, loop.Options{HighWater: high})
	ours, theirs := net.Pipe()
	var server *peer
	r.do(func() {
		r.Adopt(ours, func(c *loop.Conn) loop.Peer {
			server = echo(c).(*peer)
			return server
		})
	})
	const size = 8 << 20
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		for range size / (64 << 10) {
			if _, err := theirs.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}()
	r.until("output above the mark", func() bool { return len(server.out) > high })
	last := -1
	r.until("the reading to stop", func() bool { same := last == server.fed; last = server.fed; return same })
	if last >= size {
		t.Fatal("all of the input was read though no output left")
	}
	_ = theirs.SetDeadline(time.Now().Add(patience))
	if n, err := io.CopyN(io.Discard, theirs, size); err != nil {
		t.Fatalf("%d bytes: %v", n, err)
	}
	wait(t, sent, "the writer")
}

func TestAdoptCloseAndAbort(t *testing.T) {
	cause := errors.New("enough")
	for _, abort := range []bool{false, true} {
		r := start(t, loop.Options{})
		ours, theirs := net.Pipe()
		lost := make(chan error, 2)
		const size = 1 << 20
		r.do(func() {
			r.Adopt(ours, func(c *loop.Conn) loop.Peer {
				if abort {
					c.Abort(cause)
				} else {
					c.Close()
				}
				return &peer{conn: c, out: make([]byte, size), lost: lostTo(lost)}
			})
		})
		n, _ := io.Copy(io.Discard, theirs)
		err := wait(t, lost, "Lost")
		if abort && (n != 0 || err != cause) || !abort && (n != size || err != nil) {
			t.Errorf("abort=%v: %d bytes, Lost(%v)", abort, n, err)
		}
	}
}

func TestAdoptRefusedByAccept(t *testing.T) {
	r := start(t, loop.Options{})
	ours, theirs := net.Pipe()
	r.do(func() { r.Adopt(ours, func(*loop.Conn) loop.Peer { return nil }) })
	_ = theirs.SetDeadline(time.Now().Add(patience))
	if _, err := theirs.Read(make([]byte, 1)); err != io.EOF {
		t.Errorf("read: %v", err)
	}
}

// A panic in a peer that is fed by a stream closes that stream.
func TestAdoptPanic(t *testing.T) {
	reports := make(chan *loop.PanicError, 2)
	r := start(t, loop.Options{OnPanic: func(e *loop.PanicError) { reports <- e }})
	ours, theirs := net.Pipe()
	lost := make(chan error, 2)
	r.do(func() {
		r.Adopt(ours, func(c *loop.Conn) loop.Peer {
			return &peer{conn: c, lost: lostTo(lost), feed: func(*peer, []byte) (int, error) { panic("boom") }}
		})
	})
	_, _ = theirs.Write([]byte("x"))
	if e := wait(t, reports, "the report"); e.Value != "boom" || wait(t, lost, "Lost") != e {
		t.Error(e)
	}
}

// Two loops' peers talk TLS with each other: one side as server, the other as client.
func TestAdoptTLS(t *testing.T) {
	own := selfsigned.New(t)
	r := start(t, loop.Options{})
	nl, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer nl.Close()
	go func() {
		nc, err := nl.Accept()
		if err != nil {
			return
		}
		server := tls.Server(nc, &tls.Config{Certificates: []tls.Certificate{own.TLS}})
		r.Post(func() { r.Adopt(server, echo) })
	}()
	nc, err := net.Dial("tcp", nl.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	out := make([]byte, 3<<20)
	rng := rand.New(rand.NewPCG(5, 5))
	for i := range out {
		out[i] = byte(rng.Uint32())
	}
	var in []byte
	whole := make(chan struct{})
	lost := make(chan error, 2)
	client := tls.Client(nc, &tls.Config{RootCAs: own.Pool, ServerName: "localhost"})
	r.do(func() {
		r.Adopt(client, func(c *loop.Conn) loop.Peer {
			return &peer{conn: c, out: bytes.Clone(out), lost: lostTo(lost), feed: func(_ *peer, b []byte) (int, error) {
				if in = append(in, b...); len(in) == len(out) {
					c.Close()
					close(whole)
				}
				return len(b), nil
			}}
		})
	})
	wait(t, whole, "the echo")
	if !bytes.Equal(in, out) {
		t.Error("what came back is not what was sent")
	}
	if err := wait(t, lost, "Lost"); err != nil {
		t.Errorf("Lost(%v)", err)
	}
}

func TestAdoptTLSHandshakeFails(t *testing.T) {
	r := start(t, loop.Options{})
	ours, theirs := net.Pipe()
	lost := make(chan error, 2)
	r.do(func() {
		r.Adopt(tls.Server(ours, &tls.Config{Certificates: []tls.Certificate{selfsigned.New(t).TLS}}), func(c *loop.Conn) loop.Peer {
			return &peer{conn: c, lost: lostTo(lost)}
		})
	})
	go func() { _, _ = theirs.Write([]byte("GET / HTTP/1.1\r\n\r\n")); _, _ = io.Copy(io.Discard, theirs) }()
	if err := wait(t, lost, "Lost"); err == nil {
		t.Error("Lost(nil)")
	}
}
