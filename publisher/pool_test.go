package publisher_test

import (
	"errors"
	"runtime"
	"strings"
	"testing"

	"zamqp/publisher"
)

// holder is a participant whose commit and abort are offloaded.
type holder struct{ pool string }

func (h *holder) Prepare(r *publisher.Request) error { return nil }
func (h *holder) Commit(r *publisher.Request) error {
	return r.OffloadTo(h.pool, func() error { return nil })
}
func (h *holder) Abort(r *publisher.Request) {
	_ = r.OffloadTo(h.pool, func() error { return nil })
}

func (b *bench) metric(name, label string) float64 {
	b.t.Helper()
	for _, m := range b.server.Metrics() {
		if m.Name == name && len(m.Labels) > 0 && m.Labels[0].Value == label {
			return m.Value
		}
	}
	b.t.Fatalf("no metric %s of %s", name, label)
	return 0
}

// one runs the oldest work that is offloaded.
func (b *bench) one() {
	b.t.Helper()
	if len(b.work) == 0 {
		b.t.Fatal("nothing is offloaded")
	}
	w := b.work[0]
	b.work = b.work[1:]
	w.fn()
	w.done()
	b.ready()
}

func poolBench(t *testing.T) *bench {
	b := newBench(t)
	b.reg.Pool("bank", 7)
	bank := func(r *publisher.Request) error {
		return r.OffloadTo("bank", func() error { return nil })
	}
	b.reg.Handle("GET /bank", bank)
	b.reg.Consume("bank", publisher.Consumer{}, bank)
	b.reg.Handle("GET /other", func(r *publisher.Request) error { return r.Offload(func() error { return nil }) })
	b.reg.Handle("GET /nobody", func(r *publisher.Request) error { return r.OffloadTo("bnak", func() error { return nil }) })
	b.reg.Handle("GET /held", func(r *publisher.Request) error {
		if err := r.Join(&holder{"bank"}); err != nil {
			return err
		}
		return r.OffloadTo("bank", func() error { return nil })
	})
	return b.start(publisher.Options{Pools: map[string]publisher.PoolSize{"bank": {Workers: 2, Queue: 1}}})
}

func TestPoolIsBounded(t *testing.T) {
	b := poolBench(t)
	for range 3 {
		b.request("GET", "/bank", "", "") // two at work, one in line
	}
	b.request("GET", "/bank", "", "")
	if o := b.last(); o.status != 503 || o.body != "the pool \"bank\" is full\n" {
		t.Errorf("the fourth: %+v", o)
	}
	if o := b.last(); o.lines != "Retry-After: 1\r\n" {
		t.Errorf("the fourth has the fields %q", o.lines)
	}
	if !strings.Contains(b.log.String(), "pool.bank.queue") {
		t.Errorf("the log does not name the key: %s", b.log.String())
	}
	b.message("bank", 1, publisher.Publishing{}) // waits though the line is full
	b.request("GET", "/other", "", "")
	if len(b.work) != 3 {
		t.Fatalf("%d pieces of work are under way, want 2 of bank and 1 of the other pool", len(b.work))
	}
	for name, want := range map[string]float64{"pool_workers": 2, "pool_busy": 2, "pool_waiting": 2, "pool_queue_max": 1, "pool_refused_total": 1, "pool_started_total": 2} {
		if got := b.metric(name, "bank"); got != want {
			t.Errorf("%s %v, want %v", name, got, want)
		}
	}
	for len(b.work) > 0 {
		b.one()
	}
	if len(b.done) != 6 || b.server.Live() != 0 {
		t.Errorf("%d calls are done, %d live", len(b.done), b.server.Live())
	}
}

func TestPoolOfNobody(t *testing.T) {
	b := poolBench(t)
	b.request("GET", "/nobody", "", "")
	if o := b.last(); o.Err == nil || !strings.Contains(o.Err.Error(), `publisher.Pool("bnak", …)`) {
		t.Errorf("%+v", o)
	}
}

// TestCancelledInLine: a call that is cancelled before its work has started does
// not wait for a worker.
func TestCancelledInLine(t *testing.T) {
	b := poolBench(t)
	b.request("GET", "/bank", "", "")
	b.request("GET", "/bank", "", "")
	r := b.request("GET", "/bank", "", "")
	r.Cancel(publisher.ErrGone)
	b.ready()
	if len(b.done) != 1 || b.last().Err != publisher.ErrGone {
		t.Fatalf("%+v", b.done)
	}
	b.one()
	b.one()
	if len(b.work) != 0 || len(b.done) != 3 || b.metric("pool_waiting", "bank") != 0 {
		t.Errorf("%d pieces of work, %+v", len(b.work), b.done)
	}
}

// TestHoldersDoNotWait: a call that has joined a participant does not wait for a pool that is
// full of work which may wait for the participant's lock, until it has released that.
func TestHoldersDoNotWait(t *testing.T) {
	b := poolBench(t)
	for range 3 {
		b.request("GET", "/bank", "", "")
	}
	full := b.work
	for range 4 {
		b.work = nil
		b.request("GET", "/held", "", "")
		b.one() // its own work
		b.one() // its commit
		if o := b.last(); o.status != 204 {
			t.Fatalf("%+v", o)
		}
	}
	if b.work = full; b.metric("pool_waiting", "bank") != 1 || b.metric("pool_held", "bank") != 0 || b.metric("pool_ending", "bank") != 0 {
		t.Error("the line is not as it was")
	}
	for len(b.work) > 0 {
		b.one()
	}
}

// TestCommitsShareTheirWorkers: commits wait for commits only.
func TestCommitsShareTheirWorkers(t *testing.T) {
	b := poolBench(t)
	for range 5 {
		b.request("GET", "/held", "", "")
	}
	for range 5 {
		b.one()
	}
	if len(b.work) != 2 || b.metric("pool_ending", "bank") != 5 {
		t.Fatalf("%d commits are under way, want 2; %v wait or run", len(b.work), b.metric("pool_ending", "bank"))
	}
	for range 5 {
		b.one()
	}
	if len(b.done) != 5 || b.server.Live() != 0 {
		t.Errorf("%+v", b.done)
	}
}

func TestPoolIsDeclaredOnce(t *testing.T) {
	g := publisher.NewRegistry()
	g.Pool("bank", 1)
	for name, declare := range map[string]func(){
		"twice": func() { g.Pool("bank", 1) }, "default": func() { g.Pool("default", 1) },
		"a name": func() { g.Pool("The Bank", 1) }, "no workers": func() { g.Pool("empty", 0) },
	} {
		func() {
			defer func() {
				if p := recover(); p == nil || !strings.Contains(p.(string), "pool_test.go") {
					t.Errorf("%s: %v", name, p)
				}
			}()
			declare()
		}()
	}
}

// TestOffloadSaysHowItEnded: a panic has its stack, and a goroutine that fn has ended is
// no success.
func TestOffloadSaysHowItEnded(t *testing.T) {
	b := newBench(t)
	var got []error
	b.reg.Handle("GET /", func(r *publisher.Request) error {
		got = append(got, r.Offload(func() error { panic("at the disco") }))
		got = append(got, r.Offload(func() error { runtime.Goexit(); return nil }))
		return got[0]
	})
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	b.offloadedElsewhere()
	b.offloadedElsewhere()
	var p *publisher.PanicError
	if len(got) != 2 || !errors.As(got[0], &p) || !strings.Contains(string(p.Stack), "pool_test.go") || !strings.Contains(p.Error(), "panicked: at the disco") {
		t.Fatalf("%v", got)
	}
	if got[1] == nil || !strings.Contains(got[1].Error(), "Goexit") {
		t.Errorf("Goexit gave %v", got[1])
	}
	if !strings.Contains(b.log.String(), "pool_test.go") {
		t.Errorf("the log has no stack: %s", b.log.String())
	}
}
