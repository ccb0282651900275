package loop_test

import (
	"testing"
	"time"

	"zamqp/loop"
)

// TestManyDirtyConnections: when very many connections have something to send at once, a turn
// serves so many of them, each of them is served, and one that comes meanwhile does not wait for
// them.
func TestManyDirtyConnections(t *testing.T) {
	const n, most = 20_000, 1024 + 1024/4
	r := start(t, loop.Options{})
	var crowd []*loop.Conn
	var fresh *loop.Conn
	var turn, asked, answered time.Time
	served, inTurn, before := 0, 0, 0
	count := func(_ *peer, now time.Time) time.Time {
		if now != turn {
			turn, inTurn = now, 0
		}
		if inTurn++; inTurn == most+1 {
			t.Errorf("more than %d connections in one turn", most)
		}
		served++
		return time.Time{}
	}
	nobody := func(*loop.Conn) loop.Peer { return &peer{} }
	open := func(tick func(*peer, time.Time) time.Time) (c *loop.Conn) {
		r.Pipe(func(conn *loop.Conn) loop.Peer {
			c = conn
			return &peer{tick: tick, out: []byte("x")}
		}, nobody)
		return c
	}
	r.do(func() {
		for range n {
			crowd = append(crowd, open(count))
		}
		fresh = open(func(_ *peer, now time.Time) time.Time { answered = now; return time.Time{} })
	})
	r.until("the crowd to be there", func() bool { return served == n && !answered.IsZero() })
	served = 0
	r.do(func() {
		for _, c := range crowd {
			c.Wake()
		}
		r.After(0, func() { // in the next turn
			asked, before = r.Now(), served
			fresh.Wake()
		})
	})
	r.until("the crowd to be served", func() bool { return served == n })
	if before == 0 || before > most || answered != asked {
		t.Errorf("it was served %v after its turn; %d of the crowd came before", answered.Sub(asked), before)
	}
}
