package websocket_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/websocket"
	"zamqp/tests/kit/wiretest"
)

// TestHeldBack: if nobody takes the messages, the machine stops reading at a bound. It answers
// the pings that came before.
func TestHeldBack(t *testing.T) {
	k := newTaker(&limits)
	k.lazy = true
	in := []byte(strings.Repeat(frame(0x89, "p")+frame(0x81, "m"), 20))
	n, _ := k.conn.Feed(in)
	if n == len(in) || strings.Count(k.sent(), "pong") != 9 {
		t.Errorf("took %d of %d", n, len(in))
	}
	if more := k.conn.EOF(); !more {
		t.Error("the end of the input ended messages that wait")
	}
	before := k.wire.Woken
	for taken := 0; n < len(in); {
		got := k.take()
		if taken += got; got == 0 || k.wire.Woken == before {
			t.Fatalf("%d messages, then none, or no wake", taken)
		}
		m, _ := k.conn.Feed(in[n:])
		n += m
	}
	k.take()
	if got := strings.Count(k.log.String(), `text "m"`); got != 20 || !strings.HasSuffix(k.log.String(), "closed 1006 \"\" own=false\ntext \"m\"\ntext \"m\"\ntext \"m\"\ntext \"m\"\n") {
		t.Errorf("%d messages, and then the end:\n%s", got, &k.log)
	}
}

// TestPingsWithoutReading: a peer that sends pings and reads nothing does not fill the
// memory.
func TestPingsWithoutReading(t *testing.T) {
	cfg := websocket.Config{OutMax: 1000}.WithDefaults()
	k := newTaker(&cfg)
	in := []byte(strings.Repeat(frame(0x89, strings.Repeat("p", 125)), 1000))
	n, _ := k.conn.Feed(in)
	if n == len(in) || k.conn.OutLen() > 8<<10 {
		t.Errorf("took %d of %d, and %d octets wait", n, len(in), k.conn.OutLen())
	}
	k.sent()
	if m, _ := k.conn.Feed(in[n:]); m == 0 || k.wire.Woken == 0 {
		t.Error("it does not go on")
	}
}

// TestFull: the writer is told when there is room again.
func TestFull(t *testing.T) {
	k := newTaker(&limits)
	for i := 0; !k.conn.Full(); i++ {
		if i > 100 || !k.conn.Write(false, true, true, make([]byte, 10_000)) {
			t.Fatal("it is never full")
		}
	}
	k.conn.Sent(20_000)
	if k.rooms != 0 {
		t.Error("room too early")
	}
	k.conn.Sent(20_000)
	if k.rooms != 1 || k.conn.Full() {
		t.Errorf("told %d times of room, full %t", k.rooms, k.conn.Full())
	}
}

// TestMemoryIsBounded: a large message counts as long as it is held, and is refused if there is
// no room for it. There is always room for a small one.
func TestMemoryIsBounded(t *testing.T) {
	cfg := websocket.Config{MessageMax: 1 << 20}.WithDefaults()
	k := newTaker(&cfg)
	k.lazy = true
	in := []byte(frame(0x82, strings.Repeat("*", 300<<10)))
	_, _ = k.conn.Feed(in)
	if k.wire.held < 300<<10 || k.wire.held > 700<<10 {
		t.Errorf("%d octets are counted", k.wire.held)
	}
	if k.take(); k.wire.held != 0 {
		t.Errorf("%d octets stay counted", k.wire.held)
	}
	k.wire.max = 100 << 10
	_, _ = k.conn.Feed([]byte(frame(0x82, strings.Repeat("*", 2000))))
	if k.take(); !strings.HasSuffix(k.log.String(), "binary 2000 octets\n") {
		t.Error(k.log.String())
	}
	_, _ = k.conn.Feed(in)
	if sent := k.sent(); sent != "close 1013 \"too many messages at once\"\n" {
		t.Error(sent)
	}
	k.conn.Release()
	if k.wire.held != 0 {
		t.Errorf("%d octets stay counted", k.wire.held)
	}
}

// TestViewsStay: a message that was taken stays as it is until the next is asked for,
// whatever comes meanwhile.
func TestViewsStay(t *testing.T) {
	cfg := websocket.Config{MessageMax: 1 << 20}.WithDefaults()
	k := newTaker(&cfg)
	k.lazy = true
	for _, first := range []int{10, 3000, 5000, 70_000} {
		long := strings.Repeat("a", first)
		in := []byte(frame(0x81, long) + frame(0x81, "next"))
		n, _ := k.conn.Feed(in)
		_, p, ok := k.conn.Next()
		for _, more := range []string{string(in[n:]), frame(0x02, strings.Repeat("b", 9000)), frame(0x80, strings.Repeat("c", 100_000))} {
			if n, _ := k.conn.Feed([]byte(more)); n != len(more) {
				t.Fatalf("took %d of %d", n, len(more))
			}
		}
		if !ok || string(p) != long {
			t.Errorf("%d octets: changed", first)
		}
		if _, p, _ := k.conn.Next(); string(p) != "next" {
			t.Errorf("%.40q", p)
		}
		if _, p, _ := k.conn.Next(); len(p) != 109_000 || p[0] != 'b' || p[108_999] != 'c' {
			t.Errorf("%d octets", len(p))
		}
		if _, _, ok := k.conn.Next(); ok || k.wire.held != 0 {
			t.Error("more than was sent, or memory is held")
		}
	}
}

// TestDiscard: messages that are dropped use no memory, and pings and close frames still work.
func TestDiscard(t *testing.T) {
	k := newTaker(&limits)
	k.lazy = true
	_, _ = k.conn.Feed([]byte(frame(0x81, "before") + frame(0x01, "half")))
	k.conn.Discard()
	in := []byte(frame(0x80, "whole") + strings.Repeat(frame(0x82, "x"), 100) + frame(0x89, "") + frame(0x88, closing(1000, "")))
	if n, _ := k.conn.Feed(in); n != len(in) {
		t.Errorf("took %d of %d", n, len(in))
	}
	if k.take(); k.log.String() != "closed 1000 \"\" own=false\n" || k.sent() != "pong \"\"\nclose 1000 \"\"\n" {
		t.Error(k.log.String())
	}
}

// TestShut: after our close frame the machine waits for the peer's, for a while, and drops
// messages.
func TestShut(t *testing.T) {
	for _, answers := range []bool{true, false} {
		k := newTaker(&limits)
		_, _ = k.conn.Feed([]byte(frame(0x01, "half")))
		k.conn.Shut(1000, strings.Repeat("é", 100))
		if sent := k.sent(); !strings.HasPrefix(sent, "close 1000") && !strings.HasPrefix(sent, "close 125 octets") || k.wire.Closed != 0 {
			t.Error(sent, k.wire.Closed)
		}
		if k.conn.Write(true, true, true, []byte("late")) {
			t.Error("written after close")
		}
		if answers {
			_, _ = k.conn.Feed([]byte(frame(0x80, "late") + frame(0x81, "later") + frame(0x88, closing(1000, ""))))
		} else {
			due := k.conn.Tick(wiretest.Epoch.Add(time.Second))
			if due.Sub(wiretest.Epoch) != 6*time.Second || k.wire.Closed != 0 {
				t.Errorf("due in %s", due.Sub(wiretest.Epoch))
			}
			k.conn.Tick(due)
		}
		if k.wire.Closed != 1 || k.log.Len() > 0 || k.sent() != "" {
			t.Errorf("answers %t: closed %d times, told %q", answers, k.wire.Closed, &k.log)
		}
	}
}

// TestPings: a silent peer gets a ping, and is given up if it stays silent. Any whole frame
// is an answer.
func TestPings(t *testing.T) {
	cfg := websocket.Config{PingInterval: 10 * time.Second, PongTimeout: 3 * time.Second}.WithDefaults()
	k := newTaker(&cfg)
	due := k.conn.Tick(wiretest.Epoch)
	for range 3 {
		asked := k.conn.Tick(due)
		if k.sent() != "ping \"\"\n" || asked.Sub(due) != 3*time.Second {
			t.Fatalf("no ping, or an answer is due in %s", asked.Sub(due))
		}
		_, _ = k.conn.Feed([]byte(frame(0x8a, "")))
		heard := asked.Add(-time.Second)
		if due = k.conn.Tick(heard); due.Sub(heard) != 10*time.Second {
			t.Fatalf("the next ping is due in %s", due.Sub(heard))
		}
	}
	due = k.conn.Tick(due)
	k.sent()
	k.conn.Tick(due)
	if k.wire.Aborted != 1 || !errors.Is(k.wire.Cause(), websocket.ErrSilent) || k.log.String() != "closed 1006 \"\" own=false\n" {
		t.Errorf("aborted %d times: %v, %s", k.wire.Aborted, k.wire.Cause(), &k.log)
	}
}

// TestALongFrameIsNoSilence: a peer cannot answer a ping inside a frame. It is given up only
// if the frame comes too slowly.
func TestALongFrameIsNoSilence(t *testing.T) {
	cfg := websocket.Config{PingInterval: 10 * time.Second, PongTimeout: 3 * time.Second, RateMin: 100}.WithDefaults()
	for octets, alive := range map[int]bool{200: true, 20: false} { // in a second
		k := newTaker(&cfg)
		now := wiretest.Epoch
		in := []byte(frame(0x82, strings.Repeat("*", 100_000)))
		for range 100 {
			now = now.Add(time.Second)
			_, _ = k.conn.Feed(in[:octets])
			in = in[octets:]
			k.conn.Tick(now)
			k.sent()
		}
		if (k.wire.Aborted == 0) != alive {
			t.Errorf("%d octets a second: aborted %d times", octets, k.wire.Aborted)
		}
	}
}

// TestSilenceOfTheHeld: while nothing is read from a peer, it does not count as silent.
func TestSilenceOfTheHeld(t *testing.T) {
	cfg := websocket.Config{PingInterval: 10 * time.Second, PongTimeout: 3 * time.Second}.WithDefaults()
	k := newTaker(&cfg)
	k.lazy = true
	_, _ = k.conn.Feed([]byte(strings.Repeat(frame(0x81, "m"), 20)))
	now := wiretest.Epoch
	for range 100 {
		now = now.Add(time.Second)
		k.conn.Tick(now)
	}
	if k.wire.Aborted != 0 {
		t.Error(k.wire.Cause())
	}
}

// TestSlowReader: a peer that takes nothing, or too little, is given up.
func TestSlowReader(t *testing.T) {
	cfg := websocket.Config{WriteTimeout: 10 * time.Second, RateMin: 100}.WithDefaults()
	for octets, alive := range map[int]bool{0: false, 20: false, 150: true} { // in a second
		k := newTaker(&cfg)
		k.conn.Write(false, true, true, make([]byte, 60_000))
		now := wiretest.Epoch
		for range 100 {
			k.conn.Sent(octets)
			k.conn.Tick(now)
			now = now.Add(time.Second)
		}
		if alive != (k.wire.Aborted == 0) || !alive && !errors.Is(k.wire.Cause(), websocket.ErrSlow) {
			t.Errorf("%d octets a second: aborted %d times: %v", octets, k.wire.Aborted, k.wire.Cause())
		}
	}
}

// TestLost: the handler is told once.
func TestLost(t *testing.T) {
	k := newTaker(&limits)
	_, _ = k.conn.Feed([]byte(frame(0x01, "half")))
	k.conn.Lost(errTest)
	k.conn.Lost(nil)
	if k.log.String() != "closed 1006 \"\" own=false\n" || k.conn.Write(true, true, true, nil) {
		t.Error(k.log.String())
	}
}

// TestBothEnds: a client's machine and a server's understand each other under any chunking.
func TestBothEnds(t *testing.T) {
	wiretest.Seeds(t, 20, func(t *testing.T, seed int64) {
		s := websocket.NewServer()
		cfg := websocket.Config{}.WithDefaults()
		server, client := newTakerOn(s, &cfg), &taker{wire: &wire{Wire: wiretest.NewWire()}}
		client.conn = s.NewClient(&cfg, client.wire, client)
		link := wiretest.Pump(t, server.wire.Bind(server.conn), client.wire.Bind(client.conn), seed)
		for _, n := range []int{0, 1, 125, 126, 65535, 65536, 200_000} {
			client.conn.Write(true, true, false, []byte(strings.Repeat("é", n/2)))
			client.conn.Write(true, false, true, []byte(strings.Repeat("e", n&1)))
			server.conn.Write(false, true, true, make([]byte, n))
			link.Run()
		}
		client.conn.Shut(4001, "done")
		link.Run()
		if got := server.log.String(); strings.Count(got, "text") != 7 || !strings.HasSuffix(got, "closed 4001 \"done\" own=false\n") {
			t.Error(got)
		}
		if got := client.log.String(); strings.Count(got, "binary") != 7 || !strings.Contains(got, "binary 200000 octets") || !link.Over() {
			t.Error(got)
		}
	})
}
