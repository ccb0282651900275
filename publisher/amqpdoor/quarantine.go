package amqpdoor

import (
	"errors"
	"time"

	"zamqp/publisher"
)

// diverted looks at a message that may be one that ends the process each time: it
// was delivered again, or is in the quarantine. It reports whether it is not to be
// handled now.
func (in *intake) diverted(c *publisher.Call) bool {
	in.recall(c)
	m := c.Message()
	switch next := m.History.Next(&in.k.declared); next.Step {
	case publisher.StepDead:
		in.k.note(c, "a message has ended the process each time that it was handled: it is given up")
		c.Outcome().Err = errCrashed
		in.giveUp(c, next.Reason)
		return true
	case publisher.StepQuarantine:
		return in.isolate(c)
	}
	return false
}

var errCrashed = errors.New("the process ended each time while it had this message in hand")

func (k *consumer) note(c *publisher.Call, text string) {
	h := &c.Message().History
	k.link.door.log.Warn().Str("consumer", k.name).Str("message_id", string(c.Request().MessageID())).
		Int("crashes", h.Crashes+h.Ends).Msg(text)
}

// isolate moves the message to the quarantine, to its end if it is there already.
// What cannot move is tried where it is: isolate returns false.
func (in *intake) isolate(c *publisher.Call) bool {
	k, m := in.k, c.Message()
	p := copyOf(m)
	if len(p.UserID) > 0 { // another user's would be refused
		return false
	}
	p.headers[publisher.TraceCrashes] = int64(m.History.Crashes + m.History.Ends)
	p.headers[publisher.TraceAttempt] = int64(m.History.Failed + m.History.Untold)
	p.failed(c, "")
	queue := publisher.QuarantineQueue(m.Queue)
	if err := in.move(c, p, queue); err != nil {
		k.complain(err, queue, "a message could not be moved to the quarantine; it is tried where it is")
		return false
	}
	k.isolated++
	k.note(c, "a message was being handled when a process ended: it moves to the quarantine")
	return true
}

// A move to the quarantine is over when the original cannot come again: its ack
// was written, and the broker has answered something behind it. Until then no
// handler begins: if the copy, or another message, ended the process while the
// original was there still, each end would make one more of it.

// isMoving reports whether a move is not over.
func (k *consumer) isMoving() bool {
	for _, in := range k.intakes() {
		if len(in.moves) > 0 {
			return true
		}
	}
	return false
}

// settle acks the original of a copy that was confirmed.
func (h *handover) settle() {
	in := h.in
	in.ack(h.epoch, h.tag)
	switch _, moving := in.moves[h]; {
	case !moving:
	case in.k.stopped: // the connection is closed in good order, and the ack with it
		h.end()
	default:
		h.prove()
	}
}

func (h *handover) prove() {
	in := h.in
	if _, moving := in.moves[h]; !moving {
		return
	}
	if !in.machine.Sync(h.end) {
		in.k.link.door.runtime.After(proveAgain, h.prove)
	}
}

// proveAgain is for a consumer that is paused, or about to lose its channel.
const proveAgain = time.Second

// end takes note that the original is gone.
func (h *handover) end() {
	if _, moving := h.in.moves[h]; !moving {
		return
	}
	h.over()
	h.in.k.link.door.free(h.slot)
}

// abandon takes note that the original is going to come again.
func (h *handover) abandon() {
	if _, moving := h.in.moves[h]; !moving {
		return
	}
	h.over()
	if h.slot != 0 {
		h.in.k.link.door.hand.Unclaim(h.slot)
	}
}

// over lets go on what waited for the end of the move.
func (h *handover) over() {
	delete(h.in.moves, h)
	h.loud()
	h.in.k.trials.soon()
}
