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
	if !r.live || r.cancelled != nil && r.cancelled != ErrDraining { // a stream may be told that first, and be cut later
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
	for !p.over && !p.r.interrupted() {
		p.r.park()
	}
	if !p.over {
		p.over, p.err = true, p.r.cancelled
		p.r.told = p.err == ErrDraining
	}
	p.r = nil
	return p.err
}

// interrupted reports whether a wait of the call has to end. A drain ends one
// wait of a stream: a stream that goes on all the same waits as before, and
// does not turn in a circle until it is cut.
func (r *Request) interrupted() bool {
	return r.cancelled != nil && !(r.cancelled == ErrDraining && r.told)
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

// Offload runs fn on another goroutine and waits for it without holding the
// loop. It is for all that blocks: SQL, files, any library. fn must not use the
// request but for its Context and Body. A panic in fn is the error
// [PanicError]. The wait cannot be cut short once fn runs: hand fn the
// [Request.Context].
//
// It is [Request.OffloadTo] the [DefaultPool].
func (r *Request) Offload(fn func() error) error { return r.OffloadTo(DefaultPool, fn) }

// OffloadTo is [Request.Offload] to a pool that [Pool] has declared. Work that
// is slow, or that many calls do, has a pool of its own, so that no other work
// waits for it.
//
// A call that has joined no participant waits for a worker of the pool. The
// wait ends early when the call is cancelled. When too many wait, an HTTP call
// gets an error that is a 503 with the pool's name; a message waits. The work of
// a call that has joined a participant starts at once, and a Commit or Abort has
// workers of its own: what holds a lock never waits for those that want it.
func (r *Request) OffloadTo(pool string, fn func() error) error {
	if err := r.usable(); err != nil {
		return fmt.Errorf("offload: %w", err)
	}
	p := r.server.pools[pool]
	if p == nil {
		return fmt.Errorf("offload: no such pool: register it by publisher.Pool(%q, …)", pool)
	}
	r.Context() // made here: fn may ask for it on its own goroutine
	w := &offloaded{r: r, fn: fn, rank: r.rank()}
	if err := p.start(w); err != nil {
		return err
	}
	before := r.cancelled
	for !w.over {
		r.park()
		if w.rank == rankFree && w.waiting() && r.cancelled != before {
			p.leave(w)
			return r.cancelled
		}
	}
	return w.err
}

// rank says what the call's offloaded work may wait for.
func (r *Request) rank() workRank {
	switch {
	case r.tx.ending:
		return rankEnd
	case len(r.tx.participants) > 0:
		return rankHeld
	}
	return rankFree
}
