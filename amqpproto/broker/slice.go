package broker

import "time"

// Nothing that a client can make large is done in one turn of the loop. An operation does
// what fits into one slice at once. The rest becomes a chore, and Tick continues it, one
// slice a turn. Everything that depends on the rest waits: see queue.busy and errBusy.

// Work is counted in units of about a hundred nanoseconds.
const (
	sliceUnits  = 8192    // units of one turn
	sliceOctets = 1 << 20 // octets of message bodies of one turn
	freeUnits   = 16      // how much each operation may do without a charge: the method that asked has paid for it

	ackUnits     = 1  // an entry is settled
	forgetUnits  = 2  // an entry is dropped
	deliverUnits = 4  // an entry is delivered
	requeueUnits = 4  // an entry comes back
	letterUnits  = 64 // an entry is dead-lettered
	bindingUnits = 16 // a binding is removed
	endUnits     = 16 // a consumer, or a queue, ends
	publishUnits = 8  // a delayed publish is routed
	takeUnits    = 4  // a queue takes a message
	wakeUnits    = 2  // a consumer may be ready again
	closeUnits   = 64 // a connection is closed
	storeUnits   = 4  // a durable exchange, queue or binding is written again
	noteUnits    = 1  // a queue of a message is looked up, or recorded for the store
	followUnits  = 1  // a binding is followed
	matchUnits   = 4  // a binding of a headers exchange is checked

	sliceTime = int64(time.Millisecond)
	lookUnits = 512 // the clock is read after so many units
)

// chore is work that continues in later turns.
type chore interface {
	// step works until the slice is used up, or all is done.
	step(s *Server) (done bool)
}

// slicing is what is left of this turn's slice, and the work that waits for the next.
type slicing struct {
	size   int   // sliceUnits, except in tests
	turn   int64 // the time of the slice's turn
	units  int
	octets int
	until  int64 // end of the slice on Options.Clock
	look   int   // units until the clock is read

	chores  []chore
	waiting []*Conn // connections that hold a method until a chore is done
}

// refill begins a slice.
func (s *Server) refill(now int64) {
	w := &s.slice
	w.turn, w.units, w.octets, w.look = now, w.size, sliceOctets, lookUnits
	if s.opts.Clock != nil {
		w.until = s.opts.Clock() + sliceTime
	}
}

// afford takes units from the slice, and returns false if it does not have that many.
func (s *Server) afford(units int) bool {
	if units <= freeUnits {
		return true
	}
	w := &s.slice
	if now := s.now(); now != w.turn {
		s.refill(now)
	}
	if w.units < units {
		return false
	}
	w.units -= units
	return true
}

// charge takes the cost of one more item from the slice. It returns false if the slice
// is used up: then the item has to wait. The last item may cost more than is left.
func (s *Server) charge(units, octets int) bool {
	w := &s.slice
	if now := s.now(); now != w.turn {
		s.refill(now)
	}
	if w.units <= 0 || w.octets <= 0 {
		return false
	}
	w.units -= units
	w.octets -= octets
	if w.look -= units; w.look <= 0 && s.opts.Clock != nil {
		w.look = lookUnits
		if s.opts.Clock() >= w.until {
			w.units = 0
		}
	}
	return true
}

// later adds a chore.
func (s *Server) later(c chore) {
	s.slice.chores = append(s.slice.chores, c)
	s.wakeAt(s.now())
}

// runChores continues the chores, one after the other, until the slice is used up.
func (s *Server) runChores() {
	w := &s.slice
	done := false
	for n := len(w.chores); n > 0 && w.units > 0 && w.octets > 0; n-- {
		c := w.chores[0]
		w.chores[0] = nil
		w.chores = w.chores[1:]
		if c.step(s) {
			done = true
		} else {
			w.chores = append(w.chores, c)
		}
	}
	if len(w.chores) == 0 {
		w.chores = nil
	}
	if done {
		s.wakeWaiting()
	}
}

// wakeWaiting lets connections that hold a method try it again.
func (s *Server) wakeWaiting() {
	waiting := s.slice.waiting
	s.slice.waiting = nil
	for _, c := range waiting {
		c.waits = false
		c.wakeKept()
	}
}

// busyError says that a method has to wait until a chore is done. The method is then tried
// again, so it must not have changed anything.
type busyError struct{}

func (busyError) Error() string { return "a chore has to be done first" }

var errBusy error = busyError{}

// wait holds the connection's input, from the frame of the busy method on.
func (c *Conn) wait() {
	c.waits = true
	c.server.slice.waiting = append(c.server.slice.waiting, c)
}

// busy reports whether work on the queue continues in later turns: its head may have expired,
// or messages are coming back. Until then it delivers nothing, and methods that ask for its
// messages wait, in the order in which they came.
func (q *queue) busy() bool { return q.tidying || q.holds > 0 }

// quiet returns errBusy while the queue is busy.
func (q *queue) quiet() error {
	if q.busy() {
		return errBusy
	}
	return nil
}

// tidyLater makes sure that tidy is called in a later turn.
func (q *queue) tidyLater() {
	q.tidying = true
	q.soon()
}

// soon makes sure that step is called in this turn or the next.
func (q *queue) soon() {
	if !q.queued {
		q.queued = true
		q.server().later(q)
	}
}

// step continues tidying, or delivering.
func (q *queue) step(s *Server) (done bool) {
	tidying := q.tidying
	q.tidying, q.running = false, false
	switch {
	case q.gone || q.holds > 0: // release will tidy
	case tidying:
		q.tidy()
	default:
		q.run()
		s.drain()
	}
	q.queued = q.tidying || q.running
	return !q.queued
}

// tidy drops messages that are over a limit or expired, then delivers. The work that does not
// fit into the slice waits for the next step.
func (q *queue) tidy() {
	s := q.server()
	q.dropOver()
	q.expire()
	s.drain()
	if q.busy() {
		return
	}
	if q.doomed {
		q.delete()
		return
	}
	q.run()
	s.drain()
}
