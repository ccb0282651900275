package loop_test

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"testing"

	"zamqp/loop"
)

// talker sends what it was given, in pieces that keep it below the high-water mark, and collects
// what comes back.
func talker(out []byte, got *[]byte) *peer {
	const piece = 30_000
	refill := func(p *peer) {
		if len(p.out) == 0 {
			n := min(piece, len(out))
			p.out, out = out[:n], out[n:]
		}
	}
	first := out[:min(piece, len(out))]
	out = out[len(first):]
	return &peer{out: first, sent: refill, feed: func(_ *peer, in []byte) (int, error) {
		*got = append(*got, in...)
		return len(in), nil
	}}
}

func TestJoinEcho(t *testing.T) {
	for _, name := range []string{"whole", "prefixes"} {
		t.Run(name, func(t *testing.T) {
			r := start(t, loop.Options{ReadSize: 4096, ReadTurnMax: 10_000, HighWater: 64 << 10})
			other := echo
			if name == "prefixes" {
				other = stubborn(5, func(fn func()) { r.Post(fn) })
			}
			rng := rand.New(rand.NewPCG(5, 5))
			out := make([]byte, 3<<20) // more than the pair holds
			for i := range out {
				out[i] = byte(rng.Uint32())
			}
			var got []byte
			r.do(func() {
				r.Pipe(func(*loop.Conn) loop.Peer { return talker(bytes.Clone(out), &got) }, other)
			})
			r.until("all to come back", func() bool { return len(got) == len(out) })
			if !bytes.Equal(got, out) {
				t.Error("what came back is not what was sent")
			}
		})
	}
}

// One end stops reading: what the other says stays with it, all but what the pair holds.
func TestJoinBackpressure(t *testing.T) {
	r := start(t, loop.Options{InputMax: 64 << 10, ReadSize: 16 << 10})
	take := false
	var sender, reader *peer
	r.do(func() {
		r.Pipe(func(*loop.Conn) loop.Peer {
			sender = &peer{out: make([]byte, 8<<20)}
			return sender
		}, func(c *loop.Conn) loop.Peer {
			reader = &peer{conn: c, feed: func(_ *peer, in []byte) (int, error) {
				if !take {
					return 0, nil
				}
				return len(in), nil
			}}
			return reader
		})
	})
	last := -1
	r.until("the sending to stop", func() bool { same := last == len(sender.out); last = len(sender.out); return same })
	if last < 7<<20 {
		t.Fatalf("%d bytes were taken though nobody read", 8<<20-last)
	}
	r.do(func() { take = true; reader.conn.Wake() })
	r.until("all to be sent", func() bool { return len(sender.out) == 0 })
}

func TestJoinEnds(t *testing.T) {
	cause := errors.New("enough")
	for _, row := range []struct {
		name      string
		end       func(c *loop.Conn)
		own       error
		withoutIt bool
	}{
		{"close", (*loop.Conn).Close, nil, false},
		{"abort", func(c *loop.Conn) { c.Abort(cause) }, cause, true},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := start(t, loop.Options{})
			own, others := make(chan error, 1), make(chan error, 1)
			var got []byte
			var c *loop.Conn
			r.do(func() {
				r.Pipe(func(conn *loop.Conn) loop.Peer { c = conn; return &peer{lost: lostTo(own)} }, func(*loop.Conn) loop.Peer {
					p := talker(nil, &got)
					p.lost = lostTo(others)
					return p
				})
			})
			r.do(func() {
				if !row.withoutIt {
					c.Close()
				}
				row.end(c)
			})
			if err := wait(t, own, "Lost of this end"); !errors.Is(err, row.own) {
				t.Errorf("Lost(%v), want %v", err, row.own)
			}
			if err := wait(t, others, "Lost of the other end"); err != nil {
				t.Errorf("the other end: Lost(%v)", err)
			}
		})
	}
}

// What was pending at a Close arrives before the end does.
func TestJoinFlushesBeforeTheEnd(t *testing.T) {
	r := start(t, loop.Options{})
	lost := make(chan error, 1)
	var got []byte
	farewell := bytes.Repeat([]byte("farewell "), 100_000)
	r.do(func() {
		r.Pipe(func(c *loop.Conn) loop.Peer {
			c.Close()
			return &peer{out: bytes.Clone(farewell)}
		}, func(*loop.Conn) loop.Peer {
			p := talker(nil, &got)
			p.lost = lostTo(lost)
			return p
		})
	})
	if err := wait(t, lost, "Lost"); err != nil {
		t.Error(err)
	}
	if !bytes.Equal(got, farewell) {
		t.Errorf("%d bytes of %d arrived", len(got), len(farewell))
	}
}

func TestJoinRefused(t *testing.T) {
	r := start(t, loop.Options{})
	lost := make(chan error, 1)
	r.do(func() {
		r.Pipe(func(*loop.Conn) loop.Peer { return &peer{lost: lostTo(lost)} }, func(*loop.Conn) loop.Peer { return nil })
	})
	if err := wait(t, lost, "Lost"); err != nil {
		t.Errorf("Lost(%v)", err)
	}
	r.until("both to be gone", func() bool { return r.Stats().Open == 0 })
}

func TestJoinEndsWithTheLoop(t *testing.T) {
	r := start(t, loop.Options{})
	lost := make(chan error, 2)
	r.do(func() {
		accept := func(*loop.Conn) loop.Peer { return &peer{lost: lostTo(lost)} }
		r.Pipe(accept, accept)
	})
	r.end()
	for range 2 {
		if err := wait(t, lost, "Lost"); !errors.Is(err, loop.ErrStopped) {
			t.Errorf("Lost(%v)", err)
		}
	}
}

// A panic of one end closes the pair and nothing else.
func TestJoinPanic(t *testing.T) {
	panics := make(chan *loop.PanicError, 1)
	r := start(t, loop.Options{OnPanic: func(e *loop.PanicError) { panics <- e }})
	lost := make(chan error, 1)
	r.do(func() {
		r.Pipe(func(*loop.Conn) loop.Peer { return &peer{out: []byte("x"), lost: lostTo(lost)} },
			func(*loop.Conn) loop.Peer {
				return &peer{feed: func(*peer, []byte) (int, error) { panic("on purpose") }}
			})
	})
	wait(t, panics, "the report")
	if err := wait(t, lost, "Lost"); err != nil {
		t.Errorf("Lost(%v)", err)
	}
}

// Two peers that both have more to say than the mark are stuck, unless one of them is read all the
// same.
func TestJoinKeepReading(t *testing.T) {
	const size = 4 << 20
	r := start(t, loop.Options{HighWater: 64 << 10})
	var a, b *peer
	r.do(func() {
		r.Pipe(func(c *loop.Conn) loop.Peer {
			c.KeepReading()
			a = &peer{conn: c, out: make([]byte, size)}
			return a
		}, func(c *loop.Conn) loop.Peer {
			b = &peer{conn: c, out: make([]byte, size)}
			return b
		})
	})
	r.until("all to arrive", func() bool { return a.fed == size && b.fed == size })
}
