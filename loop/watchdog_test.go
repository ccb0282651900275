package loop_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"zamqp/loop"
	"zamqp/loop/coro"
)

// sleepy holds the thread in a task.
type sleepy struct{ release chan struct{} }

func (s *sleepy) Run(t *coro.Task) { holdInTask(s.release) }

//go:noinline
func holdInTask(release chan struct{}) { <-release }

//go:noinline
func holdByComputing(told *bool, stop func() bool) {
	for !stop() {
		*told = !*told
	}
}

//go:noinline
func holdBySleeping(stop func() bool) {
	for !stop() {
		time.Sleep(10 * time.Millisecond)
	}
}

// Whatever holds the thread (a busy handler, a sleeping one, or a task that blocks in its
// coroutine) is found with its name and its stack, and reported once.
func TestWatchdogFindsWhoHoldsTheThread(t *testing.T) {
	stalls := make(chan loop.Stall, 16)
	r := start(t, loop.Options{StallWarning: 20 * time.Millisecond, OnStall: func(s loop.Stall) { stalls <- s }})
	var pool *coro.Pool
	r.do(func() { pool = coro.NewPool(4, nil) })
	// Other locked goroutines, among them another loop, must not be taken for this one.
	start(t, loop.Options{})
	name := "orders.create"
	for _, row := range []struct {
		in   string
		hold func(told func() bool)
	}{
		{"holdByComputing", func(told func() bool) { var b bool; holdByComputing(&b, told) }},
		{"holdBySleeping", holdBySleeping},
		{"holdInTask", func(told func() bool) {
			release := make(chan struct{})
			go func() { holdBySleeping(told); close(release) }()
			// Made by a coroutine, as a handler that starts another call does.
			pool.Start(starter(func() { pool.Start(&sleepy{release}) }))
		}},
	} {
		var seen []loop.Stall
		told := func() bool {
			select {
			case s := <-stalls:
				if s.Name != "" { // on a busy machine this thread may be kept from running at any time
					seen = append(seen, s)
				}
			default:
			}
			return len(seen) > 0
		}
		r.do(func() {
			r.Enter(&name)
			row.hold(told)
			r.Enter(nil)
		})
		if len(seen) != 1 {
			t.Fatalf("%s: %d stalls told", row.in, len(seen))
		}
		s := seen[0]
		if s.Name != name || s.Held < 20*time.Millisecond {
			t.Errorf("%s: name %q, held %v", row.in, s.Name, s.Held)
		}
		if !strings.Contains(string(s.Stack), row.in) {
			t.Errorf("%s is not in the stack:\n%s", row.in, s.Stack)
		}
		if row.in != "holdInTask" && (s.Phase != "posted functions" || !strings.Contains(s.Function, "loop_test.")) {
			t.Errorf("%s: phase %q, function %q, in\n%s", row.in, s.Phase, s.Function, s.Stack)
		}
	}
	if n := r.Stats().Stalls; n < 3 {
		t.Errorf("%d stalls counted", n)
	}
	r.do(func() { pool.Close() })
}

// The limit is reported once, with or without a warning before it.
func TestWatchdogTellsOfTheLimit(t *testing.T) {
	for _, warning := range []time.Duration{0, time.Millisecond, time.Hour} {
		limits := make(chan loop.Stall, 16)
		r := start(t, loop.Options{
			StallWarning: warning, OnStall: func(loop.Stall) {},
			StallLimit: 100 * time.Millisecond, OnLimit: func(s loop.Stall) { limits <- s },
		})
		name := "orders.create"
		var s loop.Stall
		r.do(func() {
			r.Enter(&name)
			s = <-limits
			r.Enter(nil)
		})
		if s.Name != name || s.Held < 100*time.Millisecond || !strings.Contains(s.Function, "loop_test.") || len(limits) > 0 {
			t.Errorf("warning %v: %d more, %+v", warning, len(limits), s)
		}
	}
}

// Look works without a watchdog, too.
func TestLook(t *testing.T) {
	r := start(t, loop.Options{})
	looked := make(chan loop.Stall)
	r.do(func() {
		go func() { looked <- r.Look() }()
		holdForLook(looked, t)
	})
}

//go:noinline
func holdForLook(looked chan loop.Stall, t *testing.T) {
	if s := <-looked; s.Phase != "posted functions" || !strings.Contains(s.Function, "holdForLook") {
		t.Errorf("%+v", s)
	}
}

type starter func()

func (s starter) Run(*coro.Task) { s() }

// Tasks that wake each other run through the loop's Tasks phase, and keep it awake only while there
// are any.
func TestTasksPhase(t *testing.T) {
	var pool *coro.Pool
	l, err := loop.New(loop.Options{Tasks: func() bool { return pool.RunReady() }})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 8)
	l.OnStart(func() {
		pool = coro.NewPool(4, nil)
		for range 4 {
			pool.Start(waiter{l, done})
		}
	})
	l.OnEnd(func() { pool.Close() })
	ended := make(chan error)
	go func() { ended <- l.Run() }()
	for range 4 {
		if err := wait(t, done, "a task"); err != nil {
			t.Error(err)
		}
	}
	l.Stop()
	if err := wait(t, ended, "Run"); err != nil {
		t.Error(err)
	}
	// The last Park of each was ended by Close.
	for range 4 {
		if err := wait(t, done, "the end of a task"); err != coro.ErrClosed {
			t.Error(err)
		}
	}
}

// A task that is woken by the loss of a connection, after the tasks' phase, runs without another
// event.
func TestTaskWokenByLost(t *testing.T) {
	var pool *coro.Pool
	l, err := loop.New(loop.Options{Tasks: func() bool { return pool.RunReady() }})
	if err != nil {
		t.Fatal(err)
	}
	l.OnStart(func() { pool = coro.NewPool(4, nil) })
	l.OnEnd(func() { pool.Close() })
	done := make(chan error, 1)
	ours, theirs := net.Pipe()
	l.Post(func() {
		l.Adopt(ours, func(c *loop.Conn) loop.Peer {
			p := &peer{conn: c}
			pool.Start(taskFunc(func(t *coro.Task) {
				p.lost = func(error) { t.Wake() }
				done <- t.Park()
			}))
			return p
		})
	})
	ended := make(chan error)
	go func() { ended <- l.Run() }()
	_ = theirs.Close()
	if err := wait(t, done, "the task"); err != nil {
		t.Error(err)
	}
	l.Stop()
	if err := wait(t, ended, "Run"); err != nil {
		t.Error(err)
	}
}

type taskFunc func(t *coro.Task)

func (f taskFunc) Run(t *coro.Task) { f(t) }

// waiter waits for a timer, for offloaded work, and for something that never comes.
type waiter struct {
	l    *loop.Loop
	done chan error
}

func (w waiter) Run(t *coro.Task) {
	ref := t.Ref()
	w.l.After(time.Millisecond, ref.Wake)
	err := t.Park()
	if err == nil {
		ref = t.Ref()
		w.l.Offload(func() {}, ref.Wake)
		err = t.Park()
	}
	w.done <- err
	w.done <- t.Park()
}
