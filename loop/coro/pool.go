package coro

import "iter"

// Pool keeps coroutines for reuse and the queue of woken tasks. It belongs to one thread; see the
// package's rules.
type Pool struct {
	idleMax int
	onPanic func(Runner, *PanicError)

	current   *Task // the task whose code runs now; nil outside of tasks
	idle      *Task // stack of coroutines without a run, the warmest on top
	readyHead *Task // woken tasks, oldest first
	readyTail *Task
	ready     int
	all       []*Task // every coroutine that has not ended, for Close
	closed    bool
	stats     Stats
}

// Stats counts a pool's tasks.
type Stats struct {
	Live      int    // runs begun and not ended
	Parked    int    // of those, waiting in Park, woken or not
	Ready     int    // of those, woken and waiting for RunReady
	Idle      int    // coroutines kept for the next Start
	Started   uint64 // runs begun since the pool was made
	Panics    uint64 // runs that ended by a panic or by Goexit
	Abandoned uint64 // coroutines lost to Goexit; each keeps its stack for ever
}

// NewPool makes an empty pool that keeps up to idleMax coroutines without work. onPanic may be nil.
// It is called after a run that panicked, on the thread, outside of any task's stack.
func NewPool(idleMax int, onPanic func(Runner, *PanicError)) *Pool {
	return &Pool{idleMax: idleMax, onPanic: onPanic}
}

// Start runs r.Run on a coroutine at once and returns when it parks or ends. It may be called
// inside another task, which goes on when Start returns. On a closed pool r still runs, but its
// Park does not wait.
func (p *Pool) Start(r Runner) {
	t := p.idle
	if t != nil {
		p.idle = t.next
		t.next = nil
		p.stats.Idle--
	} else {
		t = p.grow()
	}
	t.runner = r
	t.epoch++
	p.stats.Live++
	p.stats.Started++
	p.switchTo(t)
}

func (p *Pool) grow() *Task {
	t := &Task{pool: p, at: len(p.all)}
	p.all = append(p.all, t)
	// stop is not kept: a coroutine is ended by resuming it without a Runner, because stop would
	// have to be called on the same locked thread anyway.
	t.resume, _ = iter.Pull(t.loop)
	return t
}

// switchTo gives the thread to t until t parks or its run ends. If the run has ended, it settles it.
func (p *Pool) switchTo(t *Task) {
	outer := p.current
	p.current = t
	t.state = stateRunning
	t.resume()
	p.current = outer
	if t.state != stateParked && t.state != stateQueued {
		p.settle(t)
	}
}

// settle takes back a coroutine whose run is over. If the run ended by a panic, it reports that.
func (p *Pool) settle(t *Task) {
	r, failed := t.runner, t.failed
	t.runner, t.failed, t.cancel = nil, nil, nil
	t.woken = false
	t.epoch++ // Refs of the ended run do nothing from now on
	p.stats.Live--
	if t.state == stateIdle {
		t.next = p.idle
		p.idle = t
		p.stats.Idle++
	} else {
		p.forget(t)
	}
	if failed == nil {
		return
	}
	p.stats.Panics++
	if failed.Value == ErrGoexit {
		p.stats.Abandoned++
	}
	if p.onPanic != nil {
		p.onPanic(r, failed)
	}
}

func (p *Pool) forget(t *Task) {
	last := p.all[len(p.all)-1]
	p.all[t.at] = last
	last.at = t.at
	p.all[len(p.all)-1] = nil
	p.all = p.all[:len(p.all)-1]
}

// ReadyMax is how many tasks RunReady resumes. One message of a broker may wake very many tasks,
// for example the confirm of all publishes so far.
const ReadyMax = 256

// RunReady resumes the first ReadyMax of the tasks that had been woken before the call, in the
// order of their waking. more reports that others wait for the next call. It is the loop's
// Options.Tasks.
func (p *Pool) RunReady() (more bool) {
	for n := min(p.ready, ReadyMax); n > 0 && p.readyHead != nil; n-- {
		t := p.readyHead
		p.readyHead = t.next
		if p.readyHead == nil {
			p.readyTail = nil
		}
		t.next = nil
		p.ready--
		p.stats.Parked--
		p.switchTo(t)
	}
	return p.ready > 0
}

// Close ends every coroutine: each Park in progress, and each one after, returns ErrClosed at once.
// It is called on the pool's thread, outside of tasks.
func (p *Pool) Close() {
	if p.current != nil {
		panic("coro: Close called inside a task")
	}
	p.closed = true
	// Cancelled runs may start others, which end at once too; so this looks at the list until
	// nothing waits.
	for again := true; again; {
		again = false
		for i := 0; i < len(p.all); i++ {
			if t := p.all[i]; t.state == stateParked {
				t.enqueue(ErrClosed)
			}
		}
		for p.RunReady() {
			again = true
		}
	}
	for p.idle != nil {
		t := p.idle
		p.idle = t.next
		t.next = nil
		p.stats.Idle--
		t.resume() // its runner is nil, so it ends
		p.forget(t)
	}
}

// Stats returns the current counts.
func (p *Pool) Stats() Stats {
	s := p.stats
	s.Ready = p.ready
	return s
}
