package websocket_test

import (
	"testing"
	"time"

	"zamqp/publisher/websocket"
	"zamqp/tests/kit/racing"
	"zamqp/tests/kit/wiretest"
)

// TestNoAllocation: a message is read and answered without an allocation.
func TestNoAllocation(t *testing.T) {
	if racing.Enabled || debugging {
		t.Skip("the race detector and loopdebug allocate")
	}
	cfg := websocket.Config{PingInterval: time.Second}.WithDefaults()
	k := newTaker(&cfg)
	k.lazy = true
	in := []byte(frame(0x81, "Hello, World!") + frame(0x89, "ping"))
	got := testing.AllocsPerRun(1000, func() { echo(k, in) })
	if got != 0 {
		t.Errorf("%v allocations a message", got)
	}
}

// echo is what one turn of the loop does.
func echo(k *taker, in []byte) {
	_, _ = k.conn.Feed(in)
	for {
		text, p, ok := k.conn.Next()
		if !ok {
			break
		}
		k.conn.Write(text, true, true, p)
	}
	k.conn.Tick(wiretest.Epoch)
	k.conn.Sent(len(k.conn.Pending()))
}

func BenchmarkEcho(b *testing.B) {
	cfg := websocket.Config{PingInterval: time.Second}.WithDefaults()
	k := newTaker(&cfg)
	k.lazy = true
	in := []byte(frame(0x81, "Hello, World!"))
	b.ReportAllocs()
	for b.Loop() {
		echo(k, in)
	}
}

func BenchmarkUnmask(b *testing.B) {
	cfg := websocket.Config{}.WithDefaults()
	k := newTaker(&cfg)
	k.lazy = true
	in := []byte(frame(0x82, string(make([]byte, 60<<10))))
	b.SetBytes(int64(len(in)))
	for b.Loop() {
		_, _ = k.conn.Feed(in)
		k.conn.Next()
		k.conn.Next()
	}
}
