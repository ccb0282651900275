package httpdoor_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/http1"
	"zamqp/publisher/httpdoor"
	"zamqp/tests/kit/wiretest"
)

// client is a connection that a test feeds by hand, as the loop would.
type client struct {
	h      *host
	peer   wiretest.Peer
	wire   *wiretest.Wire
	paused *bool
	closed bool
	got    strings.Builder
}

func (h *host) dial(t testing.TB) *client {
	t.Helper()
	c := &client{h: h, wire: wiretest.NewWire(), paused: new(bool)}
	x := h.door.Accept(wire{c.wire, c.paused})
	if x == nil {
		t.Fatal("refused")
	}
	c.peer = x
	c.turn()
	return c
}

// say feeds text, if the connection is read at all, and returns the answer.
func (c *client) say(text string) {
	if *c.paused || c.closed {
		return
	}
	in := []byte(text)
	for len(in) > 0 {
		n, err := c.peer.Feed(in)
		in = in[n:]
		if err != nil {
			c.closed = true
		}
		if n == 0 || err != nil {
			break
		}
	}
	c.turn()
}

func (c *client) turn() {
	c.h.run()
	c.peer.Tick(c.h.Now())
	out := c.peer.Pending()
	c.got.Write(out)
	c.peer.Sent(len(out))
	c.closed = c.closed || c.wire.Closed > 0
}

// take returns what was answered since the last take.
func (c *client) take() string {
	got := c.got.String()
	c.got.Reset()
	return got
}

// TestRefusedAtTheHead: a request that no handler gets is answered before its
// body, and before 100 Continue, and its body is not kept.
func TestRefusedAtTheHead(t *testing.T) {
	h := newBoundHost(t, httpdoor.Limits{}, publisher.Options{CallsMax: 1}, http1.Config{BodyMax: 8 << 20}, func(g *publisher.Registry) { register(t, g) })
	sleeper := h.dial(t)
	for _, row := range []struct {
		name, head, status string
		busy               bool
		keeps              bool // the connection
	}{
		{"no route", "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 8388608\r\n\r\n", "404", false, false},
		{"no route, asked", "POST /nowhere HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 8\r\n\r\n", "404", false, false},
		{"no route, small", "POST /nowhere HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n", "404", false, true},
		{"no route, small, the last", "POST /nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 8\r\n\r\n", "404", false, false},
		{"another method", "PUT /hello HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n", "405", false, true},
		{"another path", "POST /./echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n", "307", false, true},
		{"too many calls", "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 8\r\n\r\n", "503", true, true},
		{"too many calls, asked", "POST /echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 8388608\r\n\r\n", "503", true, false},
	} {
		if row.busy && h.server.Live() == 0 {
			sleeper.say("GET /sleep HTTP/1.1\r\nHost: x\r\n\r\n")
		}
		c := h.dial(t)
		c.say(row.head)
		got := c.take()
		if !strings.HasPrefix(got, "HTTP/1.1 "+row.status+" ") || strings.Contains(got, "100 Continue") || c.closed == row.keeps || strings.Contains(got, "Connection: close") == row.keeps {
			t.Errorf("%s: closed %t after %q", row.name, c.closed, got)
		}
		if held := h.metric(t, "http_body_bytes"); held != 0 {
			t.Errorf("%s: %v octets are held", row.name, held)
		}
		if row.keeps {
			h.wake()
			c.say("12345")
			c.say("678" + hello)
			if got := c.take(); !strings.Contains(got, "hello 1") || strings.Count(got, "HTTP/1.1 ") != 1 || !strings.HasPrefix(got, "HTTP/1.1 200 ") {
				t.Errorf("%s: the next request is answered by %q", row.name, got)
			}
		}
	}
}

// metric is a number that the door tells.
func (h *host) metric(t testing.TB, name string) float64 {
	t.Helper()
	for _, m := range h.door.Measure(nil) {
		if m.Name == name {
			return m.Value
		}
	}
	t.Fatalf("no metric %s", name)
	return 0
}

func newBodyHost(t testing.TB, rate int64) *host {
	t.Helper()
	return newBoundHost(t, httpdoor.Limits{Bodies: 1000}, publisher.Options{}, http1.Config{BodyMax: 600, BodyRateMin: rate, IdleTimeout: -1},
		func(g *publisher.Registry) { register(t, g) })
}

const echo600 = "POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 600\r\n\r\n"

// TestHalfReadBodiesDoNotDeadlock: when the limit is reached, the oldest body is still read,
// the others when there is space, and all are answered. All bodies together stay within the
// limit plus one body, whatever comes, and a new body is refused.
func TestHalfReadBodiesDoNotDeadlock(t *testing.T) {
	h := newBodyHost(t, 1)
	var clients []*client
	for range 10 {
		c := h.dial(t)
		c.say(echo600)
		c.say(strings.Repeat("b", 60))
		clients = append(clients, c)
	}
	left := make([]int, len(clients))
	for i := range left {
		left[i] = 540
	}
	most := 0.0
	for range 10_000 {
		for i, c := range clients {
			if n := min(left[i], 30); n > 0 && !*c.paused {
				c.say(strings.Repeat("b", n))
				left[i] -= n
			}
			held := h.metric(t, "http_body_bytes")
			if held >= 1000 { // a new one gets 503, and no 100 Continue
				c := h.dial(t)
				c.say(strings.Replace(echo600, "\r\n\r\n", "\r\nExpect: 100-continue\r\n\r\n", 1))
				if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 503 ") || !c.closed {
					t.Fatalf("%v octets are held, and a new body gets %q", held, got)
				}
				c.peer.Lost(nil)
			}
			most = max(most, held)
		}
	}
	for i, c := range clients {
		if got := c.take(); !strings.HasPrefix(got, "HTTP/1.1 201 ") || strings.Count(got, "b") < 600 {
			t.Errorf("body %d, with %d octets left, got %q", i, left[i], got)
		}
	}
	if held, waiting := h.metric(t, "http_body_bytes"), h.metric(t, "http_bodies_waiting"); held != 0 || waiting != 0 || most > 1000+600+10*30 || most <= 1000 {
		t.Errorf("%v octets are held at last, %v at most, %v wait", held, most, waiting)
	}
}

// TestAWaitingBodyIsNotReadForEver: if no space becomes free, a body is refused after a
// minute.
func TestAWaitingBodyIsNotReadForEver(t *testing.T) {
	h := newBodyHost(t, 1)
	oldest, other := h.dial(t), h.dial(t)
	oldest.say(echo600)
	other.say(echo600)
	oldest.say(strings.Repeat("b", 590))
	other.say(strings.Repeat("b", 590))
	if *oldest.paused || !*other.paused {
		t.Fatalf("paused: the oldest %t, the other %t", *oldest.paused, *other.paused)
	}
	h.passed = 59 * time.Second
	oldest.say("b") // at the rate that is asked for
	if other.turn(); other.closed {
		t.Fatal("cut before its time")
	}
	h.passed = 61 * time.Second
	other.turn()
	if got := other.take(); !other.closed || !strings.HasPrefix(got, "HTTP/1.1 503 ") || h.metric(t, "http_body_bytes") != 591 {
		t.Fatalf("%v octets are held, closed %t, %q", h.metric(t, "http_body_bytes"), other.closed, got)
	}
	oldest.say(strings.Repeat("b", 9))
	if got := oldest.take(); !strings.HasPrefix(got, "HTTP/1.1 201 ") {
		t.Fatalf("the oldest got %q", got)
	}
}

// TestStalledBodiesAreCut: bodies without a minimum rate do not keep others out for ever by
// not arriving.
func TestStalledBodiesAreCut(t *testing.T) {
	h := newBodyHost(t, -1)
	var stalled []*client
	for range 3 {
		c := h.dial(t)
		c.say(echo600)
		c.say(strings.Repeat("b", 400))
		stalled = append(stalled, c)
	}
	h.passed = 30 * time.Second
	late := h.dial(t)
	late.say(echo600)
	if got := late.take(); !strings.HasPrefix(got, "HTTP/1.1 503 ") || stalled[0].closed {
		t.Fatalf("%t %q", stalled[0].closed, got)
	}
	h.passed = 61 * time.Second
	late = h.dial(t)
	late.say(echo600)
	for i, c := range stalled[:2] {
		if c.turn(); !strings.HasPrefix(c.take(), "HTTP/1.1 408 ") || !c.closed {
			t.Errorf("body %d is not cut", i)
		}
	}
	late = h.dial(t)
	late.say(echo600)
	late.say(strings.Repeat("b", 600))
	if got := late.take(); !strings.HasPrefix(got, "HTTP/1.1 201 ") {
		t.Errorf("there is no room still: %q", got)
	}
}

// TestABodyIsCountedUntilItsCallIsOver: the body of a waiting call counts.
func TestABodyIsCountedUntilItsCallIsOver(t *testing.T) {
	h := newBoundHost(t, httpdoor.Limits{Bodies: 1000}, publisher.Options{}, http1.Config{}, func(g *publisher.Registry) {
		g.Handle("POST /sleep", func(r *publisher.Request) error { return r.Sleep(time.Second) })
	})
	for _, end := range []func(c *client){
		func(*client) { h.wake() },
		func(c *client) { c.peer.Lost(nil); h.run() },
	} {
		c := h.dial(t)
		c.say(fmt.Sprintf("POST /sleep HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", 700, strings.Repeat("b", 700)))
		if held := h.metric(t, "http_body_bytes"); held != 700 || h.server.Live() != 1 {
			t.Fatalf("%v octets are held by %d calls", held, h.server.Live())
		}
		end(c)
		if held := h.metric(t, "http_body_bytes"); held != 0 {
			t.Fatalf("%v octets are held", held)
		}
	}
}

// TestWaitingBodiesResumeInSlices: when the limit is not reached any more, so many bodies are
// read again in one turn, and all of them in the end.
func TestWaitingBodiesResumeInSlices(t *testing.T) {
	const most, size, waiting, turnMax = 64 << 20, 65 << 20, 600, 256
	h := newBoundHost(t, httpdoor.Limits{Bodies: most}, publisher.Options{}, http1.Config{BodyMax: size}, func(g *publisher.Registry) { register(t, g) })
	large := h.dial(t)
	large.say(fmt.Sprintf("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", size)) // the oldest: it may exceed the limit
	var others []*client
	for range waiting {
		c := h.dial(t)
		c.say("POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n1")
		others = append(others, c)
	}
	piece := strings.Repeat("x", 1<<20)
	for range size>>20 - 1 {
		large.say(piece)
	}
	for _, c := range others {
		c.say("2")
	}
	paused := func() (n int) {
		for _, c := range others {
			if *c.paused {
				n++
			}
		}
		return n
	}
	if n := paused(); n != waiting {
		t.Fatalf("%d bodies wait", n)
	}
	large.say(piece)
	for left, turns := waiting, 0; left > 0; turns++ {
		now := paused()
		if left-now > turnMax || turns > 100 {
			t.Fatalf("%d bodies are read again after one turn; %d wait after %d", left-now, now, turns)
		}
		left = now
		large.turn()
		h.wake()
	}
	for i, c := range others {
		c.say("3")
		if got := c.take(); !strings.HasSuffix(got, "123") {
			t.Fatalf("body %d: %q", i, got)
		}
	}
}
