package client

import "zamqp/amqpproto/endpoint"

// Confirm hears the outcome of a publish: exactly once for each that Publish
// accepted, later than Publish returns. nil is the broker's ack. Otherwise it is
// a *ReturnError, ErrNacked, ErrConfirmTimeout, a *LostError, ErrClosed, or the
// *amqpproto.ChannelError that closed the publish channel.
type Confirm interface{ Confirmed(err error) }

// LateConfirm is a Confirm that does not take ErrConfirmTimeout for an outcome. Of
// a publish that has left, and has none when the time is over, it hears Late; then
// Confirmed still comes, once, with the broker's answer or with what ended the
// channel. Until then the publish counts against PublishMax, as the broker may
// still have it. One that has not left hears ErrConfirmTimeout as usual.
type LateConfirm interface {
	Confirm
	Late()
}

// Lender is a Confirm that may take back what its publish has lent before the
// outcome. While Lends says no, the publish is not sent another time: it ends with
// a *LostError when its channel does. A publish that has not left ends so with its
// connection, and does not wait for the next: the Lender can send it again.
type Lender interface {
	Confirm
	Lends() bool
}

// isGone tells that what was lent was taken back.
func isGone(done Confirm) bool {
	l, is := done.(Lender)
	return is && !l.Lends()
}

// outcome is a Confirm with what it is to hear.
type outcome struct {
	done Confirm
	err  error
}

func (o outcome) tell() {
	if o.done != nil {
		o.done.Confirmed(o.err)
	}
}

// entry is a publish that has been encoded and has no outcome from the broker.
type entry struct {
	done          Confirm
	deadline      int64 // 0 until the next Tick
	route         uint64
	content       uint64 // hashes of what a basic.return of it would show; mandatory only
	returned      *ReturnError
	size          int    // counts against PublishMax
	end           uint64 // where it ends in the output; NoConfirms only
	at            int64  // when it was seen to be on its way: at the next Tick
	out           Outgoing
	id            uint64 // number of the message id that it got from us; 0 = none
	seq           uint64 // its number on the channel that refused it
	settled       bool   // the broker answered; done has been told
	expired       bool   // done has been told of the timeout, and is kept if it wants the answer all the same
	over          bool   // done has been told, and hears nothing more
	watched       bool   // mandatory: it may be returned
	indeterminate bool   // it is sent again, and the broker may have it
	nacked        bool   // it is sent again, as a channel refused it
}

// confirms is the publishes of one channel that have no outcome, by their number.
type confirms struct {
	endpoint.Sequence[entry]        // its first one is not settled
	stamped                  uint64 // entries before it have a deadline
	unsettled                int
	over                     int    // of those, how many wait for nothing but the broker's answer
	scan                     uint64 // where the search for a returned publish begins
}

// confirmsKeep is the length of ring that empty confirms keep.
const confirmsKeep = 64 << 10

func (l *confirms) reset() {
	l.Reset()
	l.stamped, l.scan, l.unsettled, l.over = 1, 1, 0, 0
	l.shrink()
}

// push appends an entry. The pointer is good until the next push.
func (l *confirms) push() *entry {
	l.unsettled++
	return l.Push()
}

// holds tells whether seq awaits the broker's answer.
func (l *confirms) holds(seq uint64) bool { return l.Has(seq) && !l.At(seq).settled }

// settle takes the broker's answer to seq, which is among the confirms.
func (l *confirms) settle(seq uint64) (e entry) {
	p := l.At(seq)
	e = *p
	// Nothing of it is kept alive.
	p.done, p.returned, p.out, p.settled, p.watched = nil, nil, Outgoing{}, true, false
	l.unsettled--
	if e.over {
		l.over--
	}
	for l.Len() > 0 && l.At(l.Base()).settled {
		l.Pass()
	}
	l.stamped, l.scan = max(l.stamped, l.Base()), max(l.scan, l.Base())
	return e
}

// take empties the confirms for a new channel. What they held is returned in order.
func (l *confirms) take() []entry {
	var held []entry
	for s := l.Base(); s < l.Next(); s++ {
		if e := l.At(s); !e.settled {
			held = append(held, *e)
		}
	}
	l.reset()
	return held
}

// shrink gives back the memory of a burst.
func (l *confirms) shrink() { l.Shrink(confirmsKeep) }

// stamp gives the entries since the last call their deadline; false if there
// were none without.
func (l *confirms) stamp(now, at int64) (any bool) {
	for ; l.stamped < l.Next(); l.stamped++ {
		e := l.At(l.stamped)
		e.at = now
		if e.deadline == 0 {
			e.deadline, any = at, true
		}
	}
	return any
}

// expire appends the outcomes of entries whose deadline has passed, and lowers
// *next to the first that has not. They stay, as their numbers do.
func (l *confirms) expire(c *Client, now int64, next *int64, out []outcome) []outcome {
	for s := l.Base(); s < l.Next(); s++ {
		e := l.At(s)
		if e.settled || e.expired {
			continue
		}
		if e.deadline == 0 || e.deadline > now {
			endpoint.Sooner(next, e.deadline)
			continue
		}
		e.expired = true
		if late, ok := e.done.(LateConfirm); ok {
			out = append(out, outcome{done: soonFunc(late.Late)})
			continue
		}
		out = append(out, outcome{e.done, c.unanswered(ErrConfirmTimeout)})
		e.done, e.over = nil, true
		e.out = Outgoing{} // what was lent may be gone from now on
		l.over++
	}
	return out
}
