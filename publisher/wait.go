package publisher

import (
	"fmt"
	"time"

	"zamqp/loop/coro"
)

// cancel ends the waits of a call with cause, and its [Request.Context]. What
// has begun to commit goes on. Doors and the drain call it.
func (r *Request) cancel(cause error) {
	if !r.live || r.cancelled != nil && r.cancelled != ErrDraining { // a stream may get ErrDraining first, and be cut later
		return
	}
	r.cancelled = cause
	if r.cancelCtx != nil {
		r.cancelCtx(cause)
	}
	if r.bridge != nil {
		r.bridge.cancel(cause)
	}
	if r.children != nil {
		r.children.cancelled(cause)
	}
	if r.incoming != nil {
		r.incoming.cancel(cause)
	}
	r.wake()
}

// A pause is one wait, of the call's own task or of a goroutine of a mounted handler. It may
// outlive the call: if it is ended late, nobody waits any more. Only the loop's thread uses
// its fields, except done, and err after done is closed.
type pause struct {
	r      *Request      // the call of the strand; nil for a goroutine
	strand *strand       // the strand that waits
	bridge *bridge       // the bridge of the goroutine; nil for a task
	done   chan struct{} // closed at the end, for a goroutine
	stop   func()        // cancels what the pause waits for; may be nil
	firm   bool          // a cancelled call does not end it
	writes bool          // it waits until a client takes octets
	reads  bool          // it waits for octets of the body
	over   bool
	err    error
}

func (p *pause) end(err error) {
	if p.over {
		return
	}
	p.over, p.err = true, err
	switch {
	case p.bridge != nil:
		p.bridge.resume(p)
	case p.done != nil:
		close(p.done)
	case p.r != nil:
		p.strand.wake()
	}
}

// waitApart waits for the end of a pause on a goroutine that has no bridge.
func (s *Server) waitApart(p *pause) error {
	if turner, ok := s.runtime.(Turner); ok && coro.Identity() == s.detached.thread {
		turner.Turn(func() bool {
			select {
			case <-p.done:
				return true
			default:
				return false
			}
		})
	}
	select {
	case <-p.done:
		return p.err
	case <-s.ended:
		return ErrShutdown
	}
}

// ignores reports whether cancelling the call leaves the pause as it is. A Write learns from
// its door that a client has gone, because only the door knows whether the client has just
// closed its sending side. An answer continues when the server begins to drain, and so does a
// body.
func (p *pause) ignores(cause error) bool {
	return p.firm || p.writes && (cause == ErrGone || cause == ErrDraining) || p.reads && cause == ErrDraining
}

// cut ends the pause early.
func (p *pause) cut(err error) {
	if p.over {
		return
	}
	if p.stop != nil {
		p.stop()
	}
	p.end(err)
}

// wait parks until the pause is over, or the call is cancelled.
func (p *pause) wait() error {
	for !p.over && !p.r.interrupted() {
		p.r.park()
	}
	r := p.r
	p.r = nil
	if !p.over {
		r.told = r.cancelled == ErrDraining
		p.cut(r.cause())
	}
	return p.err
}

// interrupted reports whether a wait of the running strand has to end. A drain ends only one
// wait of a stream. If the stream goes on, its next waits work as before. Otherwise it would
// loop without waiting until it is cut.
func (r *Request) interrupted() bool {
	if r.cancelled != nil {
		return !(r.cancelled == ErrDraining && r.told)
	}
	return r.cause() != nil
}

// cause returns the error with which the waits of the running strand end, or nil if they do
// not end.
func (r *Request) cause() error {
	if r.cancelled == nil && r.children != nil && r.children.err != nil && r.isChild() {
		return ErrSibling
	}
	return r.cancelled
}

// await begins something on the loop's thread and waits until its pause is over,
// or the call is cancelled. The request that start gets is the call's own.
func (r *Request) await(start func(r *Request, p *pause) error) error {
	if r.toCall != nil {
		return r.toCall.await(start)
	}
	if err := r.own(); err != nil {
		return err
	}
	p := &pause{r: r, strand: r.running}
	if err := start(r, p); err != nil {
		return err
	}
	return p.wait()
}

// Sleep waits without holding the loop. An error says that the call was cancelled during the
// wait.
func (r *Request) Sleep(d time.Duration) error {
	if err := r.usable(); err != nil {
		return fmt.Errorf("sleep: %w", err)
	}
	return r.await(func(r *Request, p *pause) error {
		stop := r.server.runtime.After(d, func() { p.end(nil) })
		p.stop = func() { stop() }
		return nil
	})
}

// Await calls start, and waits until done is called, on any goroutine. It returns the error
// that done got, or an error if the call was cancelled during the wait. Later calls of done
// do nothing.
func (r *Request) Await(start func(done func(error))) error {
	if err := r.usable(); err != nil {
		return fmt.Errorf("await: %w", err)
	}
	rt := r.server.runtime
	if b := r.toCall; b != nil { // start is the handler's code: it runs on the handler's goroutine
		p, err := b.hold()
		if err != nil {
			return fmt.Errorf("await: %w", err)
		}
		start(func(err error) { rt.Post(func() { p.end(err) }) })
		return b.wait(p)
	}
	p := &pause{r: r, strand: r.running}
	start(func(err error) { rt.Post(func() { p.end(err) }) })
	return p.wait()
}

// Offload runs fn on another goroutine and waits for it without holding the loop. Use it for
// everything that blocks: SQL, files, any library. fn must not use the request, except its
// Context and Body. A panic in fn becomes a [PanicError], which has the stack. Once fn runs,
// nothing ends the wait before fn returns: give fn the [Request.Context].
//
// It is [Request.OffloadTo] the [DefaultPool].
func (r *Request) Offload(fn func() error) error { return r.OffloadTo(DefaultPool, fn) }

// OffloadTo is [Request.Offload] with a pool that [Pool] has declared. Give slow work, and work
// that many calls do, a pool of its own, so that no other work waits for it.
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
	if r.toCall != nil {
		return r.toCall.offload(pool, fn)
	}
	p, err := r.server.poolOf(pool)
	if err != nil {
		return err
	}
	return r.offload(p, fn)
}

// offload runs fn in a pool while the call's own task waits.
func (r *Request) offload(p *pool, fn func() error) error {
	r.Context() // made here, because fn may ask for it on its own goroutine
	return r.awaitWork(p, &offloaded{r: r, strand: r.running, fn: fn, rank: r.rank()})
}

// awaitWork starts work and waits for its end.
func (r *Request) awaitWork(p *pool, w *offloaded) error {
	if err := p.start(w); err != nil {
		return err
	}
	before := r.cause()
	for !w.over {
		r.park()
		if w.rank == rankFree && w.waiting() && r.cause() != before {
			p.leave(w)
			return r.cause()
		}
	}
	return w.err
}

// rank returns what the call's offloaded work may wait for.
func (r *Request) rank() workRank {
	switch {
	case r.tx.ending:
		return rankEnd
	case len(r.tx.participants) > 0 && r.tx.holds():
		return rankHeld
	}
	return rankFree
}
