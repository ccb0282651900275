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
