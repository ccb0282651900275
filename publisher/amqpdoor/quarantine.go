package amqpdoor

import (
	"errors"
	"time"

	"zamqp/publisher"
)

// diverted decides about a message that may end the process each time, because it was
// delivered again or is in the quarantine. It returns true if the message is not to be
// handled now.
func (sub *subscription) diverted(c *publisher.Call) bool {
	sub.recall(c)
	m := c.Message()
	switch next := m.History.Next(&sub.k.declared); next.Step {
	case publisher.StepDead:
		sub.k.note(c, "a message has ended the process each time that it was handled: it is given up")
		c.Outcome().Err = errCrashed
		sub.giveUp(c, next.Reason)
		return true
	case publisher.StepQuarantine:
		return sub.isolate(c)
	}
	return false
}

var errCrashed = errors.New("the process ended each time while it had this message in hand")

func (k *consumer) note(c *publisher.Call, text string) {
	h := &c.Message().History
	k.link.door.log.Warn().Str("consumer", k.name).Str("message_id", string(c.Request().MessageID())).
		Int("crashes", h.Crashes+h.Ends).Msg(text)
}

// isolate moves the message to the quarantine, or to the end of the quarantine if it is
// there already. It returns false if the message cannot be moved; then it is tried where it
// is.
func (sub *subscription) isolate(c *publisher.Call) bool {
	k, m := sub.k, c.Message()
	p := copyOf(m)
	if len(p.UserID) > 0 { // the broker would refuse the id of another user
		return false
	}
	p.headers[publisher.TraceCrashes] = int64(m.History.Crashes + m.History.Ends)
	p.headers[publisher.TraceAttempt] = int64(m.History.Failed + m.History.Untold)
	p.failed(c, "")
	queue := publisher.QuarantineQueue(m.Queue)
	if err := sub.move(c, p, queue); err != nil {
		k.complain(err, queue, "a message could not be moved to the quarantine; it is tried where it is")
		return false
	}
	k.isolated++
	k.note(c, "a message was being handled when a process ended: it moves to the quarantine")
	return true
}

// A move to the quarantine is over when the original cannot come again: its ack was
// written, and the broker has answered a request that was sent after the ack. Until then no
// handler begins. If the copy or another message ended the process before, the original
// would come again beside its copy, and each such end would add one more.

// isMoving reports whether a move is not over.
func (k *consumer) isMoving() bool {
	for _, sub := range k.subscriptions() {
		if len(sub.moves) > 0 {
			return true
		}
	}
	return false
}

// settle acks the original of a copy that was confirmed.
func (mv *move) settle() {
	sub := mv.sub
	sub.ack(mv.epoch, mv.tag)
	switch _, moving := sub.moves[mv]; {
	case !moving:
	case sub.k.stopped: // the connection is closed cleanly, which sends the ack
		mv.end()
	default:
		mv.prove()
	}
}

func (mv *move) prove() {
	sub := mv.sub
	if _, moving := sub.moves[mv]; !moving {
		return
	}
	if !sub.machine.Sync(mv.end) {
		sub.k.link.door.runtime.After(proveAgain, mv.prove)
	}
}

// proveAgain is for a consumer that is paused or is about to lose its channel.
const proveAgain = time.Second

// end is called when the original is gone.
func (mv *move) end() {
	if _, moving := mv.sub.moves[mv]; !moving {
		return
	}
	mv.over()
	mv.sub.k.link.door.free(mv.slot)
}

// abandon is called when the original is going to come again.
func (mv *move) abandon() {
	if _, moving := mv.sub.moves[mv]; !moving {
		return
	}
	mv.over()
	if mv.slot != 0 {
		mv.sub.k.link.door.hand.Unclaim(mv.slot)
	}
}

// over continues what waited for the end of the move.
func (mv *move) over() {
	delete(mv.sub.moves, mv)
	mv.endQuiet()
	mv.sub.k.trials.soon()
}
