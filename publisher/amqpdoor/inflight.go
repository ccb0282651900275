package amqpdoor

import (
	"errors"
	"fmt"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher/spool"
)

// A flight is a publish on its way through a spooler to the broker: of a call
// that waits, or of the store. It is the client's LateConfirm and Lender, so
// that it hears what becomes of it however long that takes, and takes back what
// it has lent when the publish is on disk.
type flight struct {
	x          *spooler
	state      flightState
	waiting                // of a call
	entry      spool.Entry // on disk; without its octets if a call has sent it
	octets     int         // that count for the window
	late       bool        // confirm_timeout is over: it does not count for the window any more
	alone      bool        // it was sent by itself, to see whether it closes the channel
	prev, next *flight     // in the list of those that are sent, in their order
}

func (x *spooler) flight() *flight {
	if n := len(x.free); n > 0 {
		f := x.free[n-1]
		x.free = x.free[:n-1]
		return f
	}
	return &flight{x: x}
}

// flightsKept bounds the unused ones.
const flightsKept = 4096

func (x *spooler) release(f *flight) {
	*f = flight{x: x}
	if len(x.free) < flightsKept {
		x.free = append(x.free, f)
	}
}

// took is called when the client has taken the flight's publish.
func (f *flight) took(state flightState, octets int) {
	x := f.x
	f.state, f.octets = state, octets
	x.fresh++
	x.octets += octets
	if state == flightSent {
		x.sent.push(f)
	}
}

// landed takes the flight out of the window, once.
func (f *flight) landed() {
	if !f.late {
		f.x.fresh--
		f.x.octets -= f.octets
	}
}

// Lends tells whether the octets of the publish are still there. Those of a call
// are not when it has been told, as when the publish is on disk.
func (f *flight) Lends() bool {
	return f.done != nil || f.entry.RawProperties != nil || f.entry.Body != nil
}

// Late is the client's word that there is no outcome in time, and that it will
// come.
func (f *flight) Late() {
	f.landed()
	f.late = true
	f.x.fire(spoolLate)
	f.hear(flightLate, nil)
	f.x.soon()
}

// Confirmed takes the broker's word, or that there was none.
func (f *flight) Confirmed(err error) {
	x := f.x
	f.landed()
	if x.state == spoolClosed {
		f.tell(err)
		x.release(f)
		return
	}
	event := f.eventOf(err)
	switch {
	case errors.Is(err, client.ErrConfirmTimeout): // it has never left
	case event == flightConfirmed, event == flightRefused:
		x.fire(spoolWord)
	default:
		x.fire(spoolChannelEnded)
	}
	if event == flightGuilty && f.entry.Number != 0 {
		x.careful = max(x.careful, x.highest)
	}
	f.hear(event, err)
	x.soon()
}

// eventOf says what an outcome means. An error of the channel is said to the guilty
// one alone, save that of a tx.commit, which is said to all of its transaction: so it
// refuses one that was alone. A publish whose producer's
// declarations fail waits for something that is this call's error.
func (f *flight) eventOf(err error) flightEvent {
	var lost *client.LostError
	var closed *amqpproto.ChannelError
	switch {
	case err == nil:
		return flightConfirmed
	case errors.As(err, &lost), errors.Is(err, client.ErrClosed):
		return flightUnanswered
	case errors.Is(err, client.ErrConfirmTimeout):
		if f.producer != nil && f.producer.Err() != nil {
			return flightRefused
		}
		return flightUnanswered
	case errors.As(err, &closed) && !(f.alone && len(f.x.air) == 1):
		return flightGuilty
	}
	return flightRefused
}

// hear makes the flight's step.
func (f *flight) hear(event flightEvent, err error) {
	x, was := f.x, f.state
	step := flightTransitions[was][event]
	if step.deed == deedIllegal {
		x.link.door.log.Error().Str("connection", x.link.name).Err(illegal(was, event)).Msg("the spool goes on without it")
		return
	}
	if was == flightSent && step.to != flightSent {
		x.sent.remove(f)
		if f.late {
			x.overdue--
		}
	}
	f.state = step.to
	x.do(f, step.deed, err)
	if step.to == flightFree {
		x.release(f)
	}
}

// do does what a flight's step asks for.
func (x *spooler) do(f *flight, deed flightDeed, err error) {
	switch deed {
	case deedNothing:
	case deedTell:
		f.tell(err)
	case deedTellGone:
		f.tell(err)
		if err == nil {
			x.gone(f.entry.Number)
		} else { // it must not come back: the call was told that it failed
			x.drop(f.entry.Number)
		}
	case deedTellMaybe:
		f.tell(f.unknown(err))
	case deedStore:
		x.overdue++
	case deedLost:
		f.cause = err
		x.lost = append(x.lost, f.waiting)
	case deedRelist:
		delete(x.air, f.entry.Number)
		f.entry = spool.Entry{}
		x.sent.push(f)
		if f.late {
			x.overdue++
		}
	case deedGone:
		x.gone(f.entry.Number)
	case deedAside:
		x.refused(f, err)
	case deedAgain:
		f.cause = err
		x.again(f.entry.Number)
	}
}

// tell ends the wait of the flight's call.
func (f *flight) tell(err error) {
	done := f.done
	f.waiting = waiting{}
	if done != nil {
		done.Confirmed(err)
	}
}

// unknown is what a call hears whose publish was sent, has no outcome, and cannot
// be kept: it may have been done.
func (w *waiting) unknown(err error) error {
	if err == nil {
		return nil
	}
	cause := w.cause
	if cause == nil {
		cause = client.ErrConfirmTimeout
	}
	return fmt.Errorf("%w; whether the broker has the message is not known, and it could not be kept: %w", cause, err)
}

// refused puts a message of the store aside. Of one that a call had sent there
// are no octets in memory any more: it is sent again for that, as the broker has
// said that it has not taken it.
func (x *spooler) refused(f *flight, err error) {
	if f.entry.RawProperties == nil && f.entry.Body == nil {
		x.again(f.entry.Number)
		return
	}
	x.aside(&f.entry, err.Error())
}

// flights is a list of flights, the first sent first.
type flights struct {
	first, last *flight
	count       int
}

func (l *flights) push(f *flight) {
	f.prev, f.next = l.last, nil
	if l.last == nil {
		l.first = f
	} else {
		l.last.next = f
	}
	l.last = f
	l.count++
}

func (l *flights) remove(f *flight) {
	if f.prev == nil {
		l.first = f.next
	} else {
		f.prev.next = f.next
	}
	if f.next == nil {
		l.last = f.prev
	} else {
		f.next.prev = f.prev
	}
	f.prev, f.next = nil, nil
	l.count--
}
