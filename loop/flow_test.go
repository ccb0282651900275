package loop_test

import (
	"bytes"
	"io"
	"net"
	"testing"
	"time"

	"zamqp/loop"
)

// An answer longer than the socket's buffers is in progress when a wake adds four bytes: evio
// replaced the answer by them.
func TestWakeWhileALongAnswerIsLeaving(t *testing.T) {
	const long = 32 << 20
	r := start(t, loop.Options{})
	var server *peer
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		server = &peer{conn: c, feed: func(p *peer, in []byte) (int, error) {
			p.out = append(p.out, bytes.Repeat([]byte{'a'}, long)...)
			return len(in), nil
		}}
		return server
	})
	c := dial(t, at)
	_, _ = c.Write([]byte("go"))
	r.until("the first write to be short", func() bool { return server != nil && len(server.out) > 0 && len(server.out) < long })
	r.do(func() {
		server.out = append(server.out, "tail"...)
		server.conn.Wake()
	})
	got := make([]byte, long+4)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	if bytes.Count(got, []byte{'a'}) != long+1 || string(got[long:]) != "tail" {
		t.Error("the answer is not whole")
	}
}

func TestHighWaterPausesReading(t *testing.T) {
	const high = 256 << 10
	r := start(t, loop.Options{HighWater: high, ReadTurnMax: 16 << 10, ReadSize: 16 << 10})
	var server *peer
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		server = echo(c).(*peer)
		return server
	})
	const size = 64 << 20 // more than both sockets' buffers hold
	c := dial(t, at)
	go func() {
		b := make([]byte, 1<<20)
		for i := range b {
			b[i] = byte(i)
		}
		for range size / len(b) {
			if _, err := c.Write(b); err != nil {
				return // the test has failed
			}
		}
	}()
	// Nobody reads the echo: the peer's output stops growing when it is a turn's input above
	// the mark.
	r.until("output above the mark", func() bool { return server != nil && len(server.out) > high })
	before := 0
	r.until("the reading to stop", func() bool {
		same := server.fed == before
		before = server.fed
		if same { // for a turn; leave it more of them
			for range 3 {
				time.Sleep(time.Millisecond)
			}
		}
		return same
	})
	r.do(func() {
		if len(server.out) > high+32<<10 {
			t.Errorf("%d bytes pending, want at most one turn's input above %d", len(server.out), high)
		}
	})
	got := make([]byte, size)
	if _, err := io.ReadFull(c, got); err != nil {
		t.Fatal(err)
	}
	for i := range got {
		if got[i] != byte(i) {
			t.Fatalf("byte %d is wrong", i)
		}
	}
}

// A peer that is busy refuses input. It is kept, up to a bound, and offered when the peer wakes.
func TestRefusedInputIsKeptAndBounded(t *testing.T) {
	const keep = 64 << 10
	r := start(t, loop.Options{InputMax: keep, ReadSize: 16 << 10})
	var server *peer
	busy, most, got := true, 0, 0
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		server = &peer{conn: c, feed: func(p *peer, in []byte) (int, error) {
			if busy {
				most = max(most, len(in))
				return 0, nil
			}
			for _, b := range in {
				if b != byte(got) {
					t.Errorf("byte %d is wrong", got)
				}
				got++
			}
			return len(in), nil
		}}
		return server
	})
	c := dial(t, at)
	const size = 16 << 20
	go func() {
		b := make([]byte, size)
		for i := range b {
			b[i] = byte(i)
		}
		_, _ = c.Write(b)
	}()
	r.until("the bound to be reached", func() bool { return most >= keep })
	r.do(func() {
		if most > keep+16<<10 {
			t.Errorf("offered %d bytes, want at most a read above %d", most, keep)
		}
		busy = false
		server.conn.Wake()
	})
	r.until("all of it", func() bool { return got == size })
	if s := r.Stats(); s.InputHeld != 0 {
		r.until("the input buffers to be given back", func() bool { return r.Stats().InputHeld == 0 })
	}
}

// A peer that takes nothing and still wakes itself must not make the loop turn without a
// pause.
func TestWakeInsideARefusal(t *testing.T) {
	r := start(t, loop.Options{})
	var server *peer
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		server = &peer{conn: c, feed: func(*peer, []byte) (int, error) { c.Wake(); return 0, nil }}
		return server
	})
	_, _ = dial(t, at).Write([]byte("x"))
	r.until("the input", func() bool { return server != nil && server.fed > 0 })
	before := r.exact()
	if after := r.exact(); after.Turns > before.Turns+5 {
		t.Errorf("%d turns while nothing happened", after.Turns-before.Turns)
	}
	r.do(func() {
		n := server.fed
		r.After(0, func() { // from outside, a Wake offers it again
			if server.fed != n+1 {
				t.Errorf("fed %d bytes after %d", server.fed, n)
			}
		})
		server.conn.Wake()
	})
	r.exact()
}

// All output that the events of a turn cause is sent in one write.
func TestOneWriteATurn(t *testing.T) {
	r := start(t, loop.Options{})
	var server *peer
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		server = &peer{conn: c}
		return server
	})
	c := dial(t, at)
	r.until("the connection", func() bool { return server != nil })
	var before loop.Stats
	r.do(func() {})
	before = r.exact()
	r.do(func() {
		for range 100 {
			server.out = append(server.out, 'x')
			server.conn.Wake()
		}
	})
	if _, err := io.ReadFull(c, make([]byte, 100)); err != nil {
		t.Fatal(err)
	}
	if n := r.exact().Writes - before.Writes; n != 1 {
		t.Errorf("%d writes", n)
	}
}

// exact returns Stats that include all turns before the call: the loop shows its counts
// whenever it waits, and each wait is counted.
func (r *running) exact() loop.Stats {
	r.t.Helper()
	var before uint64
	r.do(func() { before = r.Stats().Waits })
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Microsecond) {
		if s := r.Stats(); s.Waits > before {
			return s
		}
	}
	r.t.Fatalf("the loop does not come to rest: %+v", r.Stats())
	return loop.Stats{}
}

func TestTickComesFirstAndAfterEachTurn(t *testing.T) {
	r := start(t, loop.Options{})
	var log []string
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		return &peer{conn: c,
			feed: func(p *peer, in []byte) (int, error) {
				log = append(log, "feed "+string(in))
				p.out = append(p.out, in...)
				return len(in), nil
			},
			tick: func(p *peer, now time.Time) time.Time {
				log = append(log, "tick")
				if !now.Equal(r.Now()) {
					t.Error("Tick's time is not the turn's")
				}
				return time.Time{}
			},
			sent: func(*peer) { log = append(log, "sent") },
		}
	})
	c := dial(t, at)
	r.until("the first tick", func() bool { return len(log) > 0 })
	_, _ = c.Write([]byte("hello"))
	if _, err := io.ReadFull(c, make([]byte, 5)); err != nil {
		t.Fatal(err)
	}
	r.do(func() {
		want := []string{"tick", "feed hello", "tick", "sent"}
		if len(log) != len(want) {
			t.Fatalf("%q", log)
		}
		for i := range want {
			if log[i] != want[i] {
				t.Fatalf("%q", log)
			}
		}
	})
}

func TestDeadlinesMove(t *testing.T) {
	r := start(t, loop.Options{})
	var server *peer
	early, late := 0, 0
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		server = &peer{conn: c, tick: func(p *peer, now time.Time) time.Time {
			switch p.ticks {
			case 1:
				return now.Add(time.Hour)
			case 2: // earlier than what is armed
				early++
				return now.Add(time.Millisecond)
			case 3: // by time; then far away again
				late++
				return now.Add(time.Hour)
			}
			return time.Time{}
		}}
		return server
	})
	dial(t, at)
	r.until("the connection", func() bool { return server != nil && server.ticks == 1 })
	r.do(func() { server.conn.Wake() })
	r.until("the deadline", func() bool { return late == 1 })
	if early != 1 {
		t.Error("no tick after Wake")
	}
}

// Frames of all sizes around the buffers' are fed whole in the end, wherever the reads cut them.
func TestPartialFrames(t *testing.T) {
	r := start(t, loop.Options{ReadSize: 4096})
	sum := 0
	frames := 0
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		return &peer{conn: c, feed: func(p *peer, in []byte) (n int, err error) {
			for len(in) >= 4 {
				size := int(in[0])<<16 | int(in[1])<<8 | int(in[2])
				if len(in) < size+4 {
					break
				}
				for _, b := range in[4 : 4+size] {
					if b != in[3] {
						t.Errorf("frame %d: wrong byte", frames)
					}
				}
				frames++
				sum += size
				in = in[4+size:]
				n += 4 + size
			}
			return n, nil
		}}
	})
	c := dial(t, at)
	var b []byte
	want := 0
	sizes := []int{0, 1, 4091, 4092, 4093, 8192, 12287, 65536, 100_000, 131_072, 3, 200_000, 7}
	for i := range 40 {
		size := sizes[i%len(sizes)]
		b = append(b, byte(size>>16), byte(size>>8), byte(size), byte(i))
		b = append(b, bytes.Repeat([]byte{byte(i)}, size)...)
		want += size
	}
	_, _ = c.Write(b)
	r.until("all frames", func() bool { return frames == 40 })
	if sum != want {
		t.Errorf("%d bytes, want %d", sum, want)
	}
}

func TestAddresses(t *testing.T) {
	r := start(t, loop.Options{})
	var local, remote net.Addr
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		local, remote = c.LocalAddr(), c.RemoteAddr()
		return echo(c)
	})
	c := dial(t, at)
	r.until("the connection", func() bool { return local != nil })
	if local.String() != c.RemoteAddr().String() || remote.String() != c.LocalAddr().String() {
		t.Errorf("local %v, remote %v; the client has %v and %v", local, remote, c.RemoteAddr(), c.LocalAddr())
	}
}
