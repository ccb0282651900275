package publisher_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

// TestMaxInFlight: requests over the limit are refused, messages wait in order, and every way
// in which a call can end gives its slot back.
func TestMaxInFlight(t *testing.T) {
	b := newBench(t)
	var do func(r *publisher.Request) error
	h := func(r *publisher.Request) error { return do(r) }
	b.reg.Handle("/limited", h, publisher.RouteTimeout(10*time.Second))
	b.reg.Handle("/free", func(r *publisher.Request) error { return r.Text(200, "free") })
	b.reg.Consume("c", publisher.Consumer{Timeout: 10 * time.Second}, h)
	b.reg.Use(publisher.MaxInFlight(2), "/limited", "consumer c")
	b.start(publisher.Options{ConflictRetries: 3})
	sleeps := func(r *publisher.Request) error { return r.Sleep(time.Second) }
	free := func(what string) {
		t.Helper()
		b.done, do = nil, sleeps
		b.request("GET", "/limited", "", "")
		b.request("GET", "/limited", "", "")
		b.pending()
		b.request("GET", "/limited", "", "")
		if got := b.last(); got.status != 503 || !strings.Contains(got.lines, "Retry-After: 1\r\n") || len(b.done) != 1 {
			t.Errorf("%s: the third request: %+v", what, got)
		}
		b.request("GET", "/free", "", "")
		if got := b.last(); got.body != "free" {
			t.Errorf("%s: %+v", what, got)
		}
		b.advance(2 * time.Second)
		if len(b.done) != 4 {
			t.Errorf("%s: %d calls are over, want 4", what, len(b.done))
		}
		b.done = nil
	}
	free("at first")

	for what, ends := range map[string]func(r *publisher.Request) error{
		"errors":  func(*publisher.Request) error { return errors.New("no") },
		"panics":  func(*publisher.Request) error { panic("no") },
		"clashes": func(*publisher.Request) error { return publisher.ErrConflict },
	} {
		do = ends
		for range 5 {
			b.request("GET", "/limited", "", "")
			b.message("c", 1, publisher.Publishing{})
		}
		free(what)
	}

	var order []int
	n := 0
	do = func(r *publisher.Request) error {
		n++
		order = append(order, n)
		return r.Sleep(time.Second)
	}
	calls := []*publisher.Call{}
	for range 5 {
		calls = append(calls, b.message("c", 1, publisher.Publishing{}))
	}
	if len(order) != 2 {
		t.Errorf("%d of five messages run at once", len(order))
	}
	calls[3].Cancel(publisher.ErrShutdown) // it waits
	b.ready()
	if len(b.done) != 1 || !errors.Is(b.last().Err, publisher.ErrShutdown) {
		t.Errorf("a cancelled wait: %+v", b.done)
	}
	calls[0].Cancel(publisher.ErrShutdown) // it runs
	b.ready()
	for range 3 {
		b.advance(time.Second)
	}
	if len(order) != 4 || len(b.done) != 5 {
		t.Errorf("%d messages ran, %d are over", len(order), len(b.done))
	}
	free("cancelled")

	do = func(r *publisher.Request) error { return r.Sleep(time.Minute) }
	for range 4 {
		b.message("c", 1, publisher.Publishing{})
	}
	b.advance(11 * time.Second)
	if len(b.done) != 4 {
		t.Errorf("%d of four messages are over after their timeout", len(b.done))
	}
	free("out of time")
}

// TestMiddlewareDoesNotAllocate: neither the chain nor the limit does.
func TestMiddlewareDoesNotAllocate(t *testing.T) {
	if debugging {
		t.Skip("each call has a request of its own")
	}
	b := newBench(t)
	b.reg.Handle("GET /{a}/{b}", func(r *publisher.Request) error { return r.Text(200, "Hello, World!") })
	b.reg.Handle("POST /x", func(r *publisher.Request) error { return nil })
	pass := func(next publisher.Handler) publisher.Handler {
		return func(r *publisher.Request) error { return next(r) }
	}
	b.reg.Use(pass)
	b.reg.Use(pass, "/hello/{name}", "POST /")
	b.reg.Use(publisher.MaxInFlight(1))
	b.start(publisher.Options{})
	b.discard = true
	method, target, host := []byte("GET"), []byte("/hello/x"), []byte("localhost")
	if n := testing.AllocsPerRun(1000, func() {
		r := b.server.NewCall()
		r.SetHTTP(method, target, host, nil, nil)
		b.server.Dispatch(r, b)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
