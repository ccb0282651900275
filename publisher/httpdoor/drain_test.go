package httpdoor_test

import (
	"context"
	"errors"
	"io"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/http1"
)

const feed = "GET /feed HTTP/1.1\r\nHost: x\r\n\r\n"

// newFeed is a server with one route, a stream that writes, waits by wait and
// ends with its error, or cleanly after a goodbye when a drain ended the wait.
func newFeed(t *testing.T, wait func(r *publisher.Request) error, options ...publisher.RouteOption) *host {
	return newHostOf(t, 0, http1.Config{}, func(g *publisher.Registry) {
		g.Handle("GET /hello", func(r *publisher.Request) error { return r.Text(200, "hello") })
		g.Handle("GET /feed", func(r *publisher.Request) error {
			return r.Stream(200, "text/plain", -1, func(w *publisher.Stream) error {
				_, _ = io.WriteString(w, "first.")
				err := wait(r)
				if errors.Is(err, publisher.ErrDraining) {
					if cause := context.Cause(r.Context()); cause != publisher.ErrDraining {
						t.Errorf("the context's cause is %v", cause)
					}
					_, err = io.WriteString(w, "bye.")
				}
				return err
			})
		}, options...)
	})
}

func sleep(r *publisher.Request) error { return r.Sleep(time.Hour) }

// TestStreamHearsOfTheDrain: a feed does not delay a drain, and can end in its own way.
func TestStreamHearsOfTheDrain(t *testing.T) {
	h := newFeed(t, sleep)
	link, client := h.connect(t, 1)
	client.SayString(feed)
	link.Run()
	h.server.BeginDrain()
	h.run()
	link.Run()
	if got := string(client.Take()); !strings.Contains(got, "bye.") || !strings.HasSuffix(got, "\r\n0\r\n\r\n") || h.server.Live() != 0 {
		t.Errorf("%d calls live: %q", h.server.Live(), got)
	}
	client.SayString(feed) // one that begins in the drain
	link.Run()
	h.run()
	link.Run()
	if got := string(client.Take()); !strings.HasSuffix(got, "\r\n0\r\n\r\n") {
		t.Errorf("begun in the drain: %q", got)
	}
}

// TestStreamThatDoesNotListen continues to wait as before, without a busy loop; the end of
// the drain cuts it.
func TestStreamThatDoesNotListen(t *testing.T) {
	waits := 0
	h := newFeed(t, func(r *publisher.Request) error {
		for {
			waits++
			if err := r.Sleep(time.Hour); err != nil && err != publisher.ErrDraining {
				return err
			}
		}
	})
	link, client := h.connect(t, 1)
	client.SayString(feed)
	link.Run()
	h.server.BeginDrain()
	h.run()
	if waits != 2 || h.server.Live() != 1 {
		t.Fatalf("%d waits, %d live", waits, h.server.Live())
	}
	h.server.CancelAll(publisher.ErrShutdown)
	h.run()
	link.Run()
	if h.server.Live() != 0 || strings.HasSuffix(string(client.Take()), "0\r\n\r\n") {
		t.Error("it was not cut")
	}
}

// TestCallTimeoutIsNotForStreams, StreamTimeout is.
func TestCallTimeoutIsNotForStreams(t *testing.T) {
	var timers *host
	h := newFeed(t, func(r *publisher.Request) error {
		timers.wakes = timers.wakes[:1] // that of the StreamTimeout, which comes first
		return r.Await(func(func(error)) {})
	}, publisher.StreamTimeout(time.Minute))
	timers = h
	link, client := h.connect(t, 1)
	client.SayString(feed)
	link.Run()
	h.server.CancelOlder(time.Unix(1e9, 0), context.DeadlineExceeded)
	h.run()
	if h.server.Live() != 1 {
		t.Fatal("the call's timeout ended the stream")
	}
	h.wake()
	link.Run()
	if h.server.Live() != 0 || !strings.Contains(h.log.String(), "publisher.StreamTimeout (1m0s)") {
		t.Errorf("%d live: %s", h.server.Live(), h.log.String())
	}
	client.Take()
}

// TestRetire: every connection is served on, once.
func TestRetire(t *testing.T) {
	h := newFeed(t, sleep)
	old, client := h.connect(t, 1)
	client.SayString("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
	old.Run()
	if got := string(client.Take()); strings.Contains(got, "Connection: close") {
		t.Fatalf("before: %q", got)
	}
	h.door.Retire()
	old.Run()
	if h.door.Open() != 1 {
		t.Fatal("an idle connection was closed")
	}
	fresh, other := h.connect(t, 2)
	client.SayString("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
	other.SayString("GET /hello HTTP/1.1\r\nHost: x\r\n\r\n")
	old.Run()
	fresh.Run()
	for _, got := range []string{string(client.Take()), string(other.Take())} {
		if !strings.Contains(got, "Connection: close\r\n") || !strings.Contains(got, "hello") {
			t.Errorf("%q", got)
		}
	}
	if h.door.Open() != 0 {
		t.Errorf("%d are open after their last answers", h.door.Open())
	}
}

// closer is a wire that counts the connections that are closed.
type closer struct {
	wire
	closed *int
}

func (w closer) Close() { *w.closed++ }
func (w closer) Wake()  {}

// TestDrainInSlices: the drain of very many idle connections closes so many a turn, and each
// of them, although others end by themselves meanwhile.
func TestDrainInSlices(t *testing.T) {
	const n, most = 100_000, 256
	h := newHost(t, 0)
	closed, over := 0, false
	var last func() // ends the connection that comes next in the drain
	for i := range n {
		x := h.door.Accept(closer{closed: &closed})
		if i == n-most-1 {
			last = func() { x.Lost(nil) }
		}
	}
	h.door.Drain(func() { over = true })
	if closed != most {
		t.Fatalf("%d connections were closed in the first turn", closed)
	}
	last()
	sum := closed
	for len(h.wakes) > 0 {
		closed = 0
		h.wake()
		if sum += closed; closed > most {
			t.Fatalf("%d connections were closed in one turn", closed)
		}
	}
	if sum != n-1 || over {
		t.Errorf("%d connections were closed of %d, and the drain is over: %v", sum, n-1, over)
	}
}
