package loop_test

import (
	"sync"
	"sync/atomic"
	"testing"

	"zamqp/loop"
)

func TestPostFromManyGoroutines(t *testing.T) {
	const goroutines, each = 16, 2000
	r := start(t, loop.Options{PostTurnMax: 50})
	var last [goroutines]int
	total := 0
	var wg sync.WaitGroup
	for g := range goroutines {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for i := range each {
				if !r.Post(func() {
					if last[g] != i {
						t.Errorf("goroutine %d: %d out of order", g, i)
					}
					last[g]++
					total++
				}) {
					t.Error("Post refused")
				}
			}
		}()
	}
	wg.Wait()
	r.until("all posts", func() bool { return total == goroutines*each })
}

// Whatever Post accepted has run when Run returns; after that it refuses.
func TestPostAroundStop(t *testing.T) {
	r := start(t, loop.Options{})
	var accepted, ran atomic.Int64
	var wg sync.WaitGroup
	for range 4 {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for r.Post(func() { ran.Add(1) }) {
				accepted.Add(1)
			}
		}()
	}
	r.until("some posts", func() bool { return ran.Load() > 1000 })
	r.end()
	wg.Wait()
	if accepted.Load() > ran.Load() {
		t.Errorf("%d accepted, %d run", accepted.Load(), ran.Load())
	}
	if r.Post(func() {}) {
		t.Error("Post accepted after the end")
	}
}

func TestPostBeforeRun(t *testing.T) {
	l, err := loop.New(loop.Options{})
	if err != nil {
		t.Fatal(err)
	}
	var order []string
	l.Post(func() { order = append(order, "post"); l.Stop() })
	l.OnStart(func() { order = append(order, "start") })
	l.OnEnd(func() { order = append(order, "end") })
	if err := l.Run(); err != nil {
		t.Fatal(err)
	}
	if len(order) != 3 || order[0] != "start" || order[1] != "post" || order[2] != "end" {
		t.Errorf("%v", order)
	}
	if l.Run() == nil {
		t.Error("Run twice is no error")
	}
}

func TestPostPanic(t *testing.T) {
	reports := make(chan *loop.PanicError, 2)
	r := start(t, loop.Options{OnPanic: func(e *loop.PanicError) { reports <- e }})
	r.Post(func() { panic("boom") })
	r.do(func() {})
	if e := wait(t, reports, "the report"); e.Doing != "post" || e.Value != "boom" {
		t.Error(e)
	}
}

func TestOffload(t *testing.T) {
	const workers, jobs = 4, 200
	reports := make(chan *loop.PanicError, 2)
	r := start(t, loop.Options{OffloadWorkers: workers, OnPanic: func(e *loop.PanicError) { reports <- e }})
	var now, most atomic.Int64
	done := 0
	full := make(chan struct{}) // closed when all workers are at work at once
	r.do(func() {
		for i := range jobs {
			r.Offload(func() {
				if n := now.Add(1); n == workers && most.Swap(workers) < workers {
					close(full)
				} else if n > workers {
					t.Errorf("%d at once", n)
				}
				if i < workers {
					wait(t, full, "all workers")
				}
				now.Add(-1)
			}, func() { done++ })
		}
		r.Offload(func() { panic("boom") }, func() { done++ })
	})
	r.until("all work", func() bool { return done == jobs+1 })
	if e := wait(t, reports, "the report"); e.Doing != "offload" {
		t.Error(e)
	}
}

// Writes on which everybody depends do not wait in line behind the work of calls.
func TestOffloadDiskHasItsOwnLine(t *testing.T) {
	r := start(t, loop.Options{OffloadWorkers: 1})
	release := make(chan struct{})
	done := make(chan struct{})
	r.do(func() {
		for range 3 {
			r.Offload(func() { <-release }, nil)
		}
		r.OffloadDisk(func() {}, func() { close(done) })
	})
	wait(t, done, "the disk's work")
	close(release)
}
