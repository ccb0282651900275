package amqpdoor

import (
	"errors"
	"fmt"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher/spool"
)

// An inFlight is a publish in flight: a spooler has sent it to the broker, for a call
// that waits or from the disk. It is the client's LateConfirm and Lender: it hears the
// outcome however long that takes, and it takes back the octets that it has lent as soon
// as the publish is on disk.
type inFlight struct {
	x          *spooler
	state      inFlightState
	waiting                // of a call
	entry      spool.Entry // on disk; without its octets if a call has sent it
	octets     int         // that count for the window
	late       bool        // confirm_timeout is over: it does not count for the window any more
	alone      bool        // it was sent alone, to see whether it closes the channel
	prev, next *inFlight   // in the list of those that are sent, in their order
}

func (x *spooler) newInFlight() *inFlight {
	if n := len(x.free); n > 0 {
		f := x.free[n-1]
		x.free = x.free[:n-1]
		return f
	}
	return &inFlight{x: x}
}

// inFlightKept bounds how many unused ones are kept for the next publishes.
const inFlightKept = 4096

func (x *spooler) release(f *inFlight) {
	*f = inFlight{x: x}
	if len(x.free) < inFlightKept {
		x.free = append(x.free, f)
	}
}

// took is called when the client has taken the publish.
func (f *inFlight) took(state inFlightState, octets int) {
	x := f.x
	f.state, f.octets = state, octets
	x.fresh++
	x.octets += octets
	if state == inFlightSent {
		x.sent.push(f)
	}
}

// leaveWindow stops counting the publish for the window, once.
func (f *inFlight) leaveWindow() {
	if !f.late {
		f.x.fresh--
		f.x.octets -= f.octets
	}
}

// Lends reports whether the octets of the publish are still there. The octets of a call
// are gone when the call has been told the outcome, for example because the publish is
// on disk.
func (f *inFlight) Lends() bool {
	return f.done != nil || f.entry.RawProperties != nil || f.entry.Body != nil
}

// Late is called when confirm_timeout is over without an outcome. The outcome will still
// come.
func (f *inFlight) Late() {
	f.leaveWindow()
	f.late = true
	f.x.fire(spoolLate)
	f.hear(inFlightLate, nil)
	f.x.soon()
}

// Confirmed is called with the broker's answer, or with the reason why there is none.
func (f *inFlight) Confirmed(err error) {
	x := f.x
	f.leaveWindow()
	if x.state == spoolClosed {
		f.tell(err)
		x.release(f)
		return
	}
	event := f.eventOf(err)
	switch {
	case errors.Is(err, client.ErrConfirmTimeout): // it has never left
	case event == inFlightConfirmed, event == inFlightRefused:
		x.fire(spoolWord)
	default:
		x.fire(spoolChannelEnded)
	}
	if event == inFlightChannelClosed && f.entry.Number != 0 {
		x.careful = max(x.careful, x.highest)
	}
	f.hear(event, err)
	x.soon()
}

// eventOf says what an outcome means. Only the publish that caused an error of the channel
// gets that error, with one exception: all publishes of a transaction get the error of a
// tx.commit. So such an error refuses a publish that was alone. If the declarations of a
// publish's producer fail, the publish waits for something that is an error of its call.
func (f *inFlight) eventOf(err error) inFlightEvent {
	var lost *client.LostError
	var closed *amqpproto.ChannelError
	switch {
	case err == nil:
		return inFlightConfirmed
	case errors.As(err, &lost), errors.Is(err, client.ErrClosed):
		return inFlightUnanswered
	case errors.Is(err, client.ErrConfirmTimeout):
		if f.producer != nil && f.producer.Err() != nil {
			return inFlightRefused
		}
		return inFlightUnanswered
	case errors.As(err, &closed) && !(f.alone && len(f.x.withChannel) == 1):
		return inFlightChannelClosed
	}
	return inFlightRefused
}

// hear makes the step that an event asks for.
func (f *inFlight) hear(event inFlightEvent, err error) {
	x, was := f.x, f.state
	step := inFlightTransitions[was][event]
	if step.action == actionIllegal {
		x.link.door.log.Error().Str("connection", x.link.name).Err(illegal(was, event)).Msg("the spool goes on without it")
		return
	}
	if was == inFlightSent && step.to != inFlightSent {
		x.sent.remove(f)
		if f.late {
			x.overdue--
		}
	}
	f.state = step.to
	x.do(f, step.action, err)
	if step.to == inFlightFree {
		x.release(f)
	}
}

// do carries out the action of a step.
func (x *spooler) do(f *inFlight, action inFlightAction, err error) {
	switch action {
	case actionNothing:
	case actionTell:
		f.tell(err)
	case actionTellGone:
		f.tell(err)
		if err == nil {
			x.gone(f.entry.Number)
		} else { // it must not come back: the call was told that it failed
			x.drop(f.entry.Number)
		}
	case actionTellMaybe:
		f.tell(f.unknown(err))
	case actionStore:
		x.overdue++
	case actionLost:
		f.cause = err
		x.lost = append(x.lost, f.waiting)
	case actionRelist:
		delete(x.withChannel, f.entry.Number)
		f.entry = spool.Entry{}
		x.sent.push(f)
		if f.late {
			x.overdue++
		}
	case actionGone:
		x.gone(f.entry.Number)
	case actionReject:
		x.refused(f, err)
	case actionAgain:
		f.cause = err
		x.again(f.entry.Number)
	}
}

// tell ends the wait of the publish's call.
func (f *inFlight) tell(err error) {
	done := f.done
	f.waiting = waiting{}
	if done != nil {
		done.Confirmed(err)
	}
}

// unknown is the error of a call whose publish was sent, has no outcome, and cannot be
// kept. The broker may have taken the message or not.
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

// refused moves a message of the store to the rejected ones. If a call had sent the
// message, its octets are no longer in memory. Then the message is sent from the disk once
// more, which is safe because the broker has said that it did not take it.
func (x *spooler) refused(f *inFlight, err error) {
	if f.entry.RawProperties == nil && f.entry.Body == nil {
		x.again(f.entry.Number)
		return
	}
	x.reject(&f.entry, err.Error())
}

// An inFlightList holds publishes in flight, in the order in which they were sent.
type inFlightList struct {
	first, last *inFlight
	count       int
}

func (l *inFlightList) push(f *inFlight) {
	f.prev, f.next = l.last, nil
	if l.last == nil {
		l.first = f
	} else {
		l.last.next = f
	}
	l.last = f
	l.count++
}

func (l *inFlightList) remove(f *inFlight) {
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
