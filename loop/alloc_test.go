package loop_test

import (
	"io"
	"testing"
	"time"

	"zamqp/loop"
	"zamqp/tests/kit/racing"
)

// answerer answers each request of four bytes with four bytes from a buffer that it keeps, and
// moves its deadline each time.
type answerer struct {
	conn *loop.Conn
	out  []byte
	keep []byte
}

func (a *answerer) Feed(in []byte) (int, error) {
	n := len(in) &^ 3
	a.out = append(a.out, in[:n]...)
	a.conn.Wake()
	return n, nil
}
func (a *answerer) Pending() []byte { return a.out }
func (a *answerer) Sent(n int) {
	if a.out = a.out[n:]; len(a.out) == 0 {
		a.out = a.keep[:0]
	}
}
func (a *answerer) Tick(now time.Time) time.Time { return now.Add(time.Minute) }
func (a *answerer) Lost(error)                   {}

// The test runs with everything on: deadlines, a watchdog without anything to report, input
// in two pieces so that the first is kept, timers and posts.
func TestATurnAllocatesNothing(t *testing.T) {
	if debugging || racing.Enabled {
		t.Skip("the checks allocate")
	}
	r := start(t, loop.Options{StallWarning: time.Minute, Tasks: func() bool { return false }})
	at := r.listen("tcp", "127.0.0.1:0", func(c *loop.Conn) loop.Peer {
		return &answerer{conn: c, keep: make([]byte, 0, 64)}
	})
	c := dial(t, at)
	var timer *loop.Timer
	ticked, posted := make(chan struct{}, 1), make(chan struct{}, 1)
	r.do(func() { timer = r.After(0, func() { ticked <- struct{}{} }) })
	<-ticked
	post := func() { timer.Reset(0); posted <- struct{}{} }
	out, in := []byte("piece"), make([]byte, 8)
	if n := testing.AllocsPerRun(100, func() {
		_, _ = c.Write(out[:5])
		_, _ = io.ReadFull(c, in[:4])
		_, _ = c.Write(out[:3])
		_, _ = io.ReadFull(c, in[:4])
		r.Post(post)
		<-posted
		<-ticked
	}); n != 0 {
		t.Errorf("%v allocations for two requests, a post and a timer", n)
	}
}
