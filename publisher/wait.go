package publisher

import (
	"fmt"
	"time"
)

// park gives the thread back to the loop until wake. Spurious wakes are
// possible: callers look at what they wait for.
func (r *Request) park() {
	rt := r.server.runtime
	rt.Enter(nil)
	r.parked = true
	_ = r.task.Park()
	r.parked = false
	rt.Enter(r.label)
}

// wake makes a parked call go on in this turn's task phase.
func (r *Request) wake() {
	if r.live && r.parked {
		r.task.Wake()
	}
}

// Cancel ends the waits of a call with cause, and its [Request.Context]. What
// has begun to commit goes on. Doors and the drain call it.
func (r *Request) Cancel(cause error) {
	if !r.live || r.cancelled != nil {
		return
	}
	r.cancelled = cause
	if r.cancelCtx != nil {
		r.cancelCtx(cause)
	}
	r.wake()
}

// A pause is one wait. It outlives the call if it must: what ends it late
// finds that nobody waits.
type pause struct {
	r    *Request
	over bool
	err  error
}

func (p *pause) end(err error) {
	if p.over {
		return
	}
	p.over, p.err = true, err
	if p.r != nil {
		p.r.wake()
	}
}

// wait parks until the pause is over, or the call is cancelled.
func (p *pause) wait() error {
	for !p.over && p.r.cancelled == nil {
		p.r.park()
	}
	if !p.over {
		p.over, p.err = true, p.r.cancelled
	}
	p.r = nil
	return p.err
}

// Sleep waits without holding the loop. An error says that the call was
// cancelled meanwhile.
func (r *Request) Sleep(d time.Duration) error {
	if err := r.usable(); err != nil {
		return fmt.Errorf("sleep: %w", err)
	}
	p := &pause{r: r}
	stop := r.server.runtime.After(d, func() { p.end(nil) })
	err := p.wait()
	stop()
	return err
}

// Await calls start and waits until done is called, from any goroutine; its
// error is Await's. Later calls of done do nothing. An error may also say that
// the call was cancelled meanwhile.
func (r *Request) Await(start func(done func(error))) error {
	if err := r.usable(); err != nil {
		return fmt.Errorf("await: %w", err)
	}
	p := &pause{r: r}
	rt := r.server.runtime
	start(func(err error) { rt.Post(func() { p.end(err) }) })
	return p.wait()
}

// Offload runs fn on another goroutine of a bounded pool and waits for it
// without holding the loop. It is for all that blocks: SQL, files, any
// library. fn must not use the request but for its Context and Body. A panic
// in fn is the error [PanicError]. The wait cannot be cut short: hand fn the
// [Request.Context].
func (r *Request) Offload(fn func() error) error {
	if err := r.usable(); err != nil {
		return fmt.Errorf("offload: %w", err)
	}
	r.Context() // made here: fn may ask for it on its own goroutine
	w := &offloaded{r: r, fn: fn}
	r.server.runtime.Offload(w.run, w.done)
	for !w.over {
		r.park()
	}
	return w.err
}

type offloaded struct {
	r    *Request
	fn   func() error
	over bool
	err  error
}

func (w *offloaded) run() { w.err = guard(w.fn) }

func (w *offloaded) done() {
	w.over = true
	w.r.wake()
}
