package loop_test

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"zamqp/loop"
)

// patience is how long a test waits for something that must come. No test asserts that something
// takes time.
const patience = time.Minute

// running is a loop on its own goroutine, ended with the test.
type running struct {
	*loop.Loop
	t    testing.TB
	done chan struct{}
	once sync.Once
}

func start(t testing.TB, opt loop.Options) *running {
	t.Helper()
	if opt.OnPanic == nil {
		opt.OnPanic = func(e *loop.PanicError) { t.Errorf("%v\n%s", e, e.Stack) }
	}
	l, err := loop.New(opt)
	if err != nil {
		t.Fatal(err)
	}
	r := &running{Loop: l, t: t, done: make(chan struct{})}
	go func() {
		defer close(r.done)
		if err := l.Run(); err != nil {
			t.Errorf("Run: %v", err)
		}
	}()
	t.Cleanup(r.end)
	return r
}

// end stops the loop and waits for Run to return.
func (r *running) end() {
	r.once.Do(func() {
		r.Stop()
		wait(r.t, r.done, "Run to return")
	})
}

// do runs fn on the loop and waits for it.
func (r *running) do(fn func()) {
	r.t.Helper()
	done := make(chan struct{})
	if !r.Post(func() { defer close(done); fn() }) {
		r.t.Fatal("Post: the loop has ended")
	}
	wait(r.t, done, "a posted function")
}

// listen opens a listener and returns its address.
func (r *running) listen(network, addr string, accept func(*loop.Conn) loop.Peer) net.Addr {
	r.t.Helper()
	var ln *loop.Listener
	var err error
	r.do(func() { ln, err = r.Listen(network, addr, accept) })
	if err != nil {
		r.t.Fatal(err)
	}
	return ln.Addr()
}

// until waits until cond, asked on the loop, holds.
func (r *running) until(what string, cond func() bool) {
	r.t.Helper()
	deadline := time.Now().Add(patience)
	for ok := false; !ok; {
		if time.Now().After(deadline) {
			r.t.Fatalf("waited too long for %s", what)
		}
		r.do(func() { ok = cond() })
	}
}

func wait[T any](t testing.TB, c <-chan T, what string) T {
	t.Helper()
	select {
	case v := <-c:
		return v
	case <-time.After(patience):
		t.Fatalf("waited too long for %s", what)
		panic("unreachable")
	}
}

func dial(t testing.TB, addr net.Addr) net.Conn {
	t.Helper()
	c, err := net.DialTimeout(addr.Network(), addr.String(), patience)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(patience))
	return c
}

// ask makes one round trip with an echo.
func ask(t testing.TB, c net.Conn) {
	t.Helper()
	if _, err := c.Write([]byte("ping")); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, make([]byte, 4)); err != nil {
		t.Fatal(err)
	}
}

// peer is a scriptable Peer: what a test does not set does nothing.
type peer struct {
	conn  *loop.Conn
	feed  func(p *peer, in []byte) (int, error)
	eof   func(p *peer) bool
	tick  func(p *peer, now time.Time) time.Time
	sent  func(p *peer)
	lost  func(cause error)
	later func(func())
	out   []byte
	fed   int
	ticks int
}

func (p *peer) Feed(in []byte) (int, error) {
	p.fed += len(in)
	if p.feed == nil {
		return len(in), nil
	}
	return p.feed(p, in)
}
func (p *peer) Pending() []byte { return p.out }
func (p *peer) Sent(n int) {
	p.out = p.out[n:]
	if p.sent != nil {
		p.sent(p)
	}
}
func (p *peer) Tick(now time.Time) time.Time {
	p.ticks++
	if p.tick == nil {
		return time.Time{}
	}
	return p.tick(p, now)
}
func (p *peer) Lost(cause error) {
	if p.lost != nil {
		p.lost(cause)
	}
}
func (p *peer) EOF() bool { return p.eof != nil && p.eof(p) }

// echo is a peer that sends back what it gets.
func echo(c *loop.Conn) loop.Peer {
	return &peer{conn: c, feed: func(p *peer, in []byte) (int, error) {
		p.out = append(p.out, in...)
		return len(in), nil
	}}
}
