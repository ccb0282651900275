package coro

import (
	"errors"
	"fmt"
	"runtime/debug"
)

// Runner is what a task runs: for example one call of a handler.
type Runner interface {
	Run(t *Task)
}

// ErrClosed is what Park returns once the pool has been closed.
var ErrClosed = errors.New("coro: the task pool is closed")

// ErrGoexit is the Value of the PanicError of a run that called runtime.Goexit.
var ErrGoexit = errors.New("coro: runtime.Goexit called in a task")

// PanicError says how a run ended that did not return.
type PanicError struct {
	Value any    // the value of the panic, or ErrGoexit
	Stack []byte // the task's stack at the panic, as debug.Stack prints it
}

// Error contains only the value; the stack is for the log.
func (e *PanicError) Error() string { return fmt.Sprintf("panic: %v", e.Value) }

// Unwrap returns the value if it is an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// state of a task, named for what it waits for.
type state uint8

const (
	stateIdle    state = iota // in the pool, waits for a Runner
	stateRunning              // on the thread, or has started another task that is
	stateParked               // inside Park, waits for Wake
	stateQueued               // inside Park, woken, waits for RunReady
	stateDead                 // its coroutine has ended or was abandoned
)

// Task is one run of a Runner, and the coroutine under it. See the package's rules on how long it
// is valid.
type Task struct {
	pool   *Pool
	runner Runner
	resume func() (struct{}, bool) // next of iter.Pull: switches to the coroutine
	yield  func(struct{}) bool     // switches back

	epoch  uint64      // rises with each run and each end of a Park; a Ref compares it
	at     int         // index in Pool.all
	next   *Task       // in the idle stack or the ready queue
	answer error       // what the Park in progress returns
	cancel error       // what the next Park returns at once
	failed *PanicError // how the run ended, for Pool.settle

	state state
	woken bool // a Ref's Wake came before the Park
}

// Park gives the thread back until Wake or Cancel. Only code of the task's own Run may call it. It
// returns nil after Wake, the cause after Cancel, and ErrClosed without waiting once the pool is
// closed.
func (t *Task) Park() error {
	p := t.pool
	if p.current != t {
		panic("coro: Park called outside the task's own run")
	}
	switch {
	case t.cancel != nil:
		err := t.cancel
		t.cancel = nil
		return t.leave(err)
	case p.closed:
		return t.leave(ErrClosed)
	case t.woken:
		return t.leave(nil)
	}
	t.state = stateParked
	p.stats.Parked++
	t.yield(struct{}{})
	err := t.answer
	t.answer = nil
	return t.leave(err)
}

// leave ends a wait: Refs that were made for it do nothing from here on.
func (t *Task) leave(err error) error {
	t.epoch++
	t.woken = false
	return err
}

// Wake queues the parked task for the next RunReady. It does nothing to a task that is not parked;
// for a task that may be woken before it parks, use a Ref.
func (t *Task) Wake() {
	if t.state == stateParked {
		t.enqueue(nil)
	}
}

// Cancel is like Wake, but Park returns cause, which must not be nil. If the task is not parked,
// its next Park returns cause at once. Of several causes the first one counts.
func (t *Task) Cancel(cause error) {
	switch t.state {
	case stateParked:
		t.enqueue(cause)
	case stateRunning, stateQueued:
		if t.cancel == nil {
			t.cancel = cause
		}
	}
}

func (t *Task) enqueue(answer error) {
	p := t.pool
	t.state = stateQueued
	t.answer = answer
	t.next = nil
	if p.readyTail == nil {
		p.readyHead = t
	} else {
		p.readyTail.next = t
	}
	p.readyTail = t
	p.ready++
}

// Ref stands for one wait of a task: the Park in progress or, made before it, the next one. Once
// that Park has returned, or the run has ended, its methods do nothing. The zero Ref does nothing
// either.
type Ref struct {
	task  *Task
	epoch uint64
}

// Ref makes a handle for the current or next Park.
func (t *Task) Ref() Ref { return Ref{task: t, epoch: t.epoch} }

// Valid reports whether the wait that the Ref was made for has not ended yet.
func (r Ref) Valid() bool { return r.task != nil && r.task.epoch == r.epoch }

// Wake ends the wait. If it comes before the Park, that Park returns nil at once. So code that
// answers immediately works like code that answers later.
func (r Ref) Wake() {
	if !r.Valid() {
		return
	}
	if r.task.state == stateRunning {
		r.task.woken = true
		return
	}
	r.task.Wake()
}

// Cancel ends the wait with cause, before or during the Park.
func (r Ref) Cancel(cause error) {
	if r.Valid() && r.task.state != stateQueued {
		r.task.Cancel(cause)
	}
}

// loop is the body of the coroutine: one run after another until the pool does not need it any more.
func (t *Task) loop(yield func(struct{}) bool) {
	t.yield = yield
	defer t.pool.enter()()
	for {
		t.once()
		if p := t.pool; p.closed || p.stats.Idle >= p.idleMax {
			t.state = stateDead
			return
		}
		t.state = stateIdle
		yield(struct{}{})
		if t.runner == nil { // Close
			t.state = stateDead
			return
		}
	}
}

// once runs the Runner and turns a panic into t.failed. It takes the stack while the frames of the
// panic are still there.
func (t *Task) once() {
	finished := false
	defer func() {
		if finished {
			return
		}
		v := recover()
		if v != nil {
			t.failed = &PanicError{Value: v, Stack: debug.Stack()}
			return
		}
		// Nobody can recover from Goexit. If this function returned, iter.Pull would repeat the
		// Goexit in whatever resumed the task, in the end in the loop itself. So the coroutine
		// stops here for good.
		t.failed = &PanicError{Value: ErrGoexit, Stack: debug.Stack()}
		t.state = stateDead
		for {
			t.yield(struct{}{})
		}
	}()
	t.runner.Run(t)
	finished = true
}
