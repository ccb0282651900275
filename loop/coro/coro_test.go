package coro_test

import (
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
	"time"

	"zamqp/loop/coro"
)

// runFunc lets a test write its Runner in place.
type runFunc func(t *coro.Task)

func (f runFunc) Run(t *coro.Task) { f(t) }

// onThread runs fn as the loop would: on a locked thread that made the pool itself.
func onThread(t *testing.T, fn func()) {
	t.Helper()
	done := make(chan any)
	go func() {
		runtime.LockOSThread()
		defer runtime.UnlockOSThread()
		defer func() { done <- recover() }()
		fn()
	}()
	if v := <-done; v != nil {
		t.Fatalf("panic: %v", v)
	}
}

func TestParkAndWakeKeepOrder(t *testing.T) {
	onThread(t, func() {
		p := coro.NewPool(8, nil)
		defer p.Close()
		var log []string
		tasks := map[string]*coro.Task{}
		for _, name := range []string{"a", "b"} {
			p.Start(runFunc(func(task *coro.Task) {
				tasks[name] = task
				log = append(log, name+"1")
				err := task.Park()
				log = append(log, fmt.Sprint(name, "2 ", err))
			}))
		}
		tasks["b"].Wake()
		tasks["b"].Wake() // idempotent while queued
		tasks["a"].Wake()
		if got := p.Stats(); got.Ready != 2 || got.Parked != 2 || got.Live != 2 {
			t.Errorf("before RunReady: %+v", got)
		}
		if p.RunReady() {
			t.Error("RunReady: more, though nothing was woken meanwhile")
		}
		if got, want := strings.Join(log, ","), "a1,b1,b2 <nil>,a2 <nil>"; got != want {
			t.Errorf("order: %s, want %s", got, want)
		}
		if got := p.Stats(); got.Live != 0 || got.Parked != 0 || got.Ready != 0 || got.Idle != 2 {
			t.Errorf("at the end: %+v", got)
		}
	})
}

func TestRunReadyTakesOnlyWhatWasQueued(t *testing.T) {
	onThread(t, func() {
		p := coro.NewPool(8, nil)
		defer p.Close()
		var second *coro.Task
		p.Start(runFunc(func(task *coro.Task) { second = task; _ = task.Park() }))
		var first *coro.Task
		p.Start(runFunc(func(task *coro.Task) { first = task; _ = task.Park(); second.Wake() }))
		first.Wake()
		if !p.RunReady() {
			t.Error("no more, though the first woke the second")
		}
		if p.RunReady() {
			t.Error("more at the end")
		}
	})
}

// TestRunReadyTakesSoManyAtOnce, in the order of their waking, however many were woken.
func TestRunReadyTakesSoManyAtOnce(t *testing.T) {
	const n = 10_000
	onThread(t, func() {
		p := coro.NewPool(8, nil)
		defer p.Close()
		var tasks []*coro.Task
		ran := 0
		for i := range n {
			p.Start(runFunc(func(task *coro.Task) {
				tasks = append(tasks, task)
				_ = task.Park()
				if ran++; i != n-ran {
					t.Errorf("task %d was the %d-th", i, ran)
				}
			}))
		}
		for i := range tasks {
			tasks[n-1-i].Wake()
		}
		for more, before := true, 0; more; before = ran {
			if more = p.RunReady(); ran-before > coro.ReadyMax {
				t.Fatalf("%d tasks at once", ran-before)
			}
		}
		if ran != n {
			t.Errorf("%d tasks ran of %d", ran, n)
		}
	})
}

func TestCancel(t *testing.T) {
	cause := errors.New("gone")
	onThread(t, func() {
		p := coro.NewPool(8, nil)
		defer p.Close()
		var task *coro.Task
		var got []error
		p.Start(runFunc(func(tk *coro.Task) {
			task = tk
			got = append(got, tk.Park())
			tk.Cancel(cause) // not parked: the next Park returns it at once, the one after waits again
			got = append(got, tk.Park())
			got = append(got, tk.Park())
		}))
		task.Cancel(cause)
		p.RunReady()
		if len(got) != 2 || got[0] != cause || got[1] != cause {
			t.Fatalf("Park returned %v", got)
		}
		// Woken and then cancelled: the result that woke it counts, and the cancel is kept
		// for the next Park.
		task.Wake()
		task.Cancel(cause)
		p.RunReady()
		if len(got) != 3 || got[2] != nil {
			t.Fatalf("Park returned %v", got)
		}
	})
}

func TestRefIsForOneWait(t *testing.T) {
	onThread(t, func() {
		p := coro.NewPool(8, nil)
		defer p.Close()
		var stale, current coro.Ref
		parks := 0
		p.Start(runFunc(func(tk *coro.Task) {
			stale = tk.Ref()
			stale.Wake() // answered before the Park
			_ = tk.Park()
			parks++
			current = tk.Ref()
			_ = tk.Park()
			parks++
		}))
		if parks != 1 {
			t.Fatalf("%d Parks returned, want the first alone", parks)
		}
		stale.Wake()
		stale.Cancel(errors.New("late"))
		if p.RunReady(); parks != 1 {
			t.Fatal("a Ref of an earlier wait ended a later one")
		}
		current.Wake()
		if p.RunReady(); parks != 2 {
			t.Fatal("the Ref of the wait in progress did not end it")
		}
		// The same coroutine serves another run: neither handle may touch it.
		resumed := false
		p.Start(runFunc(func(tk *coro.Task) { _ = tk.Park(); resumed = true }))
		stale.Wake()
		current.Wake()
		if p.RunReady(); resumed {
			t.Fatal("a Ref of an ended run woke the next run of its coroutine")
		}
		coro.Ref{}.Wake()
	})
}

func TestNestedStart(t *testing.T) {
	onThread(t, func() {
		p := coro.NewPool(8, nil)
		defer p.Close()
		var inner *coro.Task
		var log []string
		p.Start(runFunc(func(outer *coro.Task) {
			log = append(log, "outer")
			p.Start(runFunc(func(tk *coro.Task) {
				inner = tk
				log = append(log, "inner")
				_ = tk.Park()
				log = append(log, "inner woken")
				outer.Wake()
			}))
			inner.Wake()
			_ = outer.Park()
			log = append(log, "outer woken")
		}))
		for p.RunReady() {
		}
		if got := strings.Join(log, ","); got != "outer,inner,inner woken,outer woken" {
			t.Error(got)
		}
	})
}

func TestPanicEndsOneRun(t *testing.T) {
	onThread(t, func() {
		var seen []*coro.PanicError
		p := coro.NewPool(8, func(_ coro.Runner, e *coro.PanicError) { seen = append(seen, e) })
		defer p.Close()
		cause := errors.New("no such order")
		p.Start(runFunc(func(tk *coro.Task) { panicHere(cause) }))
		var parked *coro.Task
		p.Start(runFunc(func(tk *coro.Task) { parked = tk; _ = tk.Park(); panicHere("second") }))
		parked.Wake()
		p.RunReady()
		if len(seen) != 2 || !errors.Is(seen[0], cause) || seen[1].Value != "second" {
			t.Fatalf("reported: %v", seen)
		}
		for _, e := range seen {
			if !strings.Contains(string(e.Stack), "panicHere") {
				t.Errorf("the stack does not name the place:\n%s", e.Stack)
			}
		}
		ran := false
		if p.Start(runFunc(func(*coro.Task) { ran = true })); !ran {
			t.Error("the pool does not run after a panic")
		}
		if s := p.Stats(); s.Panics != 2 || s.Live != 0 || s.Abandoned != 0 {
			t.Errorf("%+v", s)
		}
	})
}

//go:noinline
func panicHere(v any) { panic(v) }

func TestGoexitDoesNotEndTheThread(t *testing.T) {
	onThread(t, func() {
		var seen *coro.PanicError
		p := coro.NewPool(8, func(_ coro.Runner, e *coro.PanicError) { seen = e })
		defer p.Close()
		deferred := false
		p.Start(runFunc(func(*coro.Task) { defer func() { deferred = true }(); runtime.Goexit() }))
		if seen == nil || seen.Value != coro.ErrGoexit || !deferred {
			t.Fatalf("reported %v, deferred functions ran: %v", seen, deferred)
		}
		ran := false
		if p.Start(runFunc(func(*coro.Task) { ran = true })); !ran {
			t.Error("the pool does not run after Goexit")
		}
		if s := p.Stats(); s.Abandoned != 1 || s.Live != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestCloseEndsEveryCoroutine(t *testing.T) {
	before := runtime.NumGoroutine()
	onThread(t, func() {
		p := coro.NewPool(2, nil)
		var errs []error
		for range 5 {
			p.Start(runFunc(func(tk *coro.Task) {
				errs = append(errs, tk.Park(), tk.Park()) // the second must not wait
				p.Start(runFunc(func(tk *coro.Task) { errs = append(errs, tk.Park()) }))
			}))
		}
		p.Close()
		if len(errs) != 15 {
			t.Errorf("%d answers", len(errs))
		}
		for _, err := range errs {
			if err != coro.ErrClosed {
				t.Errorf("Park returned %v", err)
			}
		}
		if s := p.Stats(); s.Live != 0 || s.Idle != 0 || s.Parked != 0 {
			t.Errorf("%+v", s)
		}
	})
	// The goroutine of onThread ends a little after it has sent its result.
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		t.Errorf("%d goroutines more than before", n-before)
	}
}

func TestIdleMaxBoundsThePool(t *testing.T) {
	onThread(t, func() {
		p := coro.NewPool(2, nil)
		defer p.Close()
		var tasks []*coro.Task
		for range 5 {
			p.Start(runFunc(func(tk *coro.Task) { tasks = append(tasks, tk); _ = tk.Park() }))
		}
		for _, tk := range tasks {
			tk.Wake()
		}
		p.RunReady()
		if s := p.Stats(); s.Idle != 2 || s.Live != 0 {
			t.Errorf("%+v", s)
		}
	})
}

func TestParkOfAnotherTaskIsRefused(t *testing.T) {
	onThread(t, func() {
		var seen *coro.PanicError
		p := coro.NewPool(8, func(_ coro.Runner, e *coro.PanicError) { seen = e })
		defer p.Close()
		p.Start(runFunc(func(outer *coro.Task) {
			p.Start(runFunc(func(*coro.Task) { _ = outer.Park() }))
		}))
		if seen == nil || !strings.Contains(seen.Error(), "outside the task's own run") {
			t.Errorf("reported %v", seen)
		}
	})
}

// parker parks once per run; it is a pointer so that Start converts nothing.
type parker struct {
	task *coro.Task
	ref  coro.Ref
}

func (r *parker) Run(t *coro.Task) {
	r.task, r.ref = t, t.Ref()
	_ = t.Park()
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	onThread(t, func() {
		p := coro.NewPool(8, nil)
		defer p.Close()
		r := &parker{}
		if n := testing.AllocsPerRun(1000, func() {
			p.Start(r)
			r.task.Wake()
			p.RunReady()
			p.Start(r)
			r.ref.Wake()
			p.RunReady()
		}); n != 0 {
			t.Errorf("%v allocations a run", n)
		}
	})
}

type nothing struct{}

func (*nothing) Run(*coro.Task) {}

func BenchmarkStart(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := coro.NewPool(8, nil)
	defer p.Close()
	r := &nothing{}
	b.ReportAllocs()
	for b.Loop() {
		p.Start(r)
	}
}

func BenchmarkStartParkWake(b *testing.B) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	p := coro.NewPool(8, nil)
	defer p.Close()
	r := &parker{}
	b.ReportAllocs()
	for b.Loop() {
		p.Start(r)
		r.task.Wake()
		p.RunReady()
	}
}
