package coro_test

import (
	"testing"

	"zamqp/loop/coro"
)

// TestInside: a run is inside its pool before and after its waits, and nobody else
// is: not the loop's own goroutine, no other goroutine, no run of another pool.
func TestInside(t *testing.T) {
	onThread(t, func() {
		p, other := coro.NewPool(1, nil), coro.NewPool(1, nil)
		defer p.Close()
		defer other.Close()
		var tasks []*coro.Task
		for range 3 { // more than the pool keeps
			p.Start(runFunc(func(task *coro.Task) {
				tasks = append(tasks, task)
				before := p.Inside()
				_ = task.Park()
				if after := p.Inside(); !before || !after || other.Inside() {
					t.Errorf("inside %v before the wait and %v after it; inside another pool %v", before, after, other.Inside())
				}
			}))
		}
		outside := func(where string) {
			if p.Inside() {
				t.Errorf("inside the pool: %s", where)
			}
		}
		outside("the loop's goroutine")
		other.Start(runFunc(func(*coro.Task) { outside("a run of another pool") }))
		for _, task := range tasks {
			task.Wake()
		}
		p.RunReady()
		// The ends of the coroutines that the pool did not keep may have left their
		// records to these goroutines.
		done := make(chan struct{})
		for range 100 {
			go func() { outside("another goroutine"); done <- struct{}{} }()
		}
		for range 100 {
			<-done
		}
	})
}

// TestCurrent: the code of a run finds its Runner, before and after its waits and beside
// runs of other pools, and all other code finds none.
func TestCurrent(t *testing.T) {
	onThread(t, func() {
		p, other := coro.NewPool(8, nil), coro.NewPool(8, nil)
		defer p.Close()
		defer other.Close()
		none := func(where string) {
			if r := coro.Current(); r != nil {
				t.Errorf("%s: found %v", where, r)
			}
		}
		var made [2]*currentRunner
		for i := range made {
			made[i] = &currentRunner{t: t}
		}
		made[0].inside = func() { other.Start(made[1]) }
		made[1].inside = func() {
			done := make(chan struct{})
			go func() { none("another goroutine, while a run is on the thread"); close(done) }()
			<-done
		}
		p.Start(made[0])
		none("the loop's own goroutine")
		for _, r := range made {
			r.task.Wake()
		}
		p.RunReady()
		other.RunReady()
		none("the loop's own goroutine, at the end")
	})
}

type currentRunner struct {
	t      *testing.T
	task   *coro.Task
	inside func()
}

func (r *currentRunner) Run(task *coro.Task) {
	r.task = task
	check := func(when string) {
		if got := coro.Current(); got != coro.Runner(r) {
			r.t.Errorf("%s: found %v, want the run itself", when, got)
		}
	}
	check("at first")
	r.inside()
	check("after another run")
	_ = task.Park()
	check("after a wait")
}
