package client

import (
	"time"

	"zamqp/amqpproto/endpoint"
)

// Confirm gets the outcome of a publish: exactly once for each that Publish accepted, after
// Publish has returned. nil is the broker's ack. Otherwise err is a *ReturnError, ErrNacked,
// ErrConfirmTimeout, a *LostError, ErrClosed, or the *amqpproto.ChannelError that closed the
// publish channel.
type Confirm interface{ Confirmed(err error) }

// LateConfirm is a Confirm for which ErrConfirmTimeout is no outcome. If a publish
// was sent and has no outcome in time, Late is called. Confirmed still follows, once,
// with the broker's answer or with the error that ended the channel. Until then the
// publish counts against PublishMax, because the broker may have it. A publish that
// was not sent in time gets ErrConfirmTimeout as usual.
type LateConfirm interface {
	Confirm
	Late()
}

// Lender is a Confirm that may take lent content back before the outcome. While Lends
// returns false, the publish is not resent: it ends with a *LostError when its
// channel ends. A publish that was not sent yet ends in the same way with its
// connection and does not wait for the next one: the Lender can publish it again.
type Lender interface {
	Confirm
	Lends() bool
}

// isGone reports whether the lent content was taken back.
func isGone(done Confirm) bool {
	l, is := done.(Lender)
	return is && !l.Lends()
}

// outcome is a Confirm and the error to call it with.
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
	content       uint64 // hashes to match a basic.return with; mandatory only
	returned      *ReturnError
	size          int    // counts against PublishMax
	end           uint64 // position of its end in the output; NoConfirms only
	at            int64  // when it was sent; set at the next Tick
	out           Outgoing
	id            uint64 // number of the message id that it got from us; 0 = none
	seq           uint64 // its number on the channel that refused it
	settled       bool   // the broker answered; done has been told
	expired       bool   // done has been told of the timeout; a LateConfirm still waits for the answer
	over          bool   // done has been told, and is told nothing more
	watched       bool   // mandatory: it may be returned
	indeterminate bool   // it is resent, and the broker may have the first copy
	nacked        bool   // it is resent because it was nacked
}

// confirms holds the publishes of one channel that have no outcome, by number.
type confirms struct {
	endpoint.Sequence[entry]        // the first entry is never settled
	stamped                  uint64 // entries before it have a deadline
	unsettled                int
	over                     int    // how many of those have been told already
	scan                     uint64 // where the search for a returned publish starts
	peak                     int    // the most numbers that it spanned since the last rest
}

const (
	// confirmsKeep is the length of ring that empty confirms keep at first.
	confirmsKeep = 64 << 10
	// restAfter is how often confirms with a long ring are looked at: a ring that is
	// much too long for what was needed in that time is made shorter.
	restAfter = 10 * time.Second
	// restKeep is the length of ring that confirms always keep.
	restKeep = 1024
	// restMax is how many numbers the sequence may have spanned. It bounds the work of
	// one rest.
	restMax = 4096
)

func (l *confirms) reset() {
	l.Reset()
	l.stamped, l.scan, l.unsettled, l.over, l.peak = 1, 1, 0, 0, 0
	l.Shrink(restKeep)
}

// mayRest reports whether the ring may be too long.
func (l *confirms) mayRest() bool { return l.Cap() > restKeep && l.Len() <= restMax }

// rest makes the ring shorter if an eighth of it was enough since the last rest. The
// new ring is four times as long as what was needed, so that steady traffic neither
// shrinks nor grows it.
func (l *confirms) rest() {
	needed := max(l.peak, l.Len())
	if l.peak = l.Len(); needed <= restMax && needed <= l.Cap()/8 {
		l.Fit(max(4*needed, restKeep))
	}
}

// push appends an entry. The pointer is valid until the next push.
func (l *confirms) push() *entry {
	l.unsettled++
	return l.Push()
}

// holds reports whether seq waits for the broker's answer.
func (l *confirms) holds(seq uint64) bool { return l.Has(seq) && !l.At(seq).settled }

// settle records the broker's answer to seq, which must be held, and returns its entry.
func (l *confirms) settle(seq uint64) (e entry) {
	l.peak = max(l.peak, l.Len())
	p := l.At(seq)
	e = *p
	// Let the garbage collector free what it refers to.
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

// take removes and returns all entries without outcome, in order, for a new channel.
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

// shrink frees the memory of a large burst at once; rest does so for others.
func (l *confirms) shrink() { l.Shrink(confirmsKeep) }

// stamp sets the deadline of the entries since the last call, and reports whether
// there were any without one.
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

// expire appends the outcomes of entries whose deadline has passed, and lowers *next
// to the first deadline that has not. The entries stay, because the broker may still
// answer them.
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
		e.out = Outgoing{} // the caller may reuse lent memory from now on
		l.over++
	}
	return out
}
