package publisher

import "zamqp/loop/coro"

// A strand is one line of execution of a call: its handler, or a function that was
// given to [Request.Go]. Every strand has a coroutine of its own. They all run on
// the loop's thread, one at a time.
type strand struct {
	task   *coro.Task
	self   uintptr // the coroutine, as in Request.owner
	parked bool
}

// wake makes a parked strand continue in this turn's task phase.
func (s *strand) wake() {
	if s.parked {
		s.task.Wake()
	}
}

// enter records which strand of the call has the thread now.
func (r *Request) enter(s *strand) {
	if r.running != s {
		r.running = s
		r.owner.Store(s.self)
	}
	r.server.runtime.Enter(r.label)
}

// park gives the thread back to the loop until the running strand is woken. Spurious wakes
// are possible, so callers check their condition again.
func (r *Request) park() {
	s := r.running
	r.server.runtime.Enter(nil)
	s.parked = true
	_ = s.task.Park()
	s.parked = false
	r.enter(s)
	if r.inner != nil && s == &r.main { // the middleware's goroutines may ask for something meanwhile
		r.bridge.work()
	}
}

// wake makes the call's handler continue, if it is parked.
func (r *Request) wake() {
	if r.live {
		r.main.wake()
	}
}

// isChild reports whether a function given to [Request.Go] is running.
func (r *Request) isChild() bool { return r.running != &r.main }
