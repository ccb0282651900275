package amqpdoor

import (
	"errors"
	"fmt"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// A move publishes a copy of a message to another queue of ours. The original is acked
// only after the broker has confirmed the copy, so the message exists at any time.
type move struct {
	sub      *subscription
	epoch    uint32
	tag      uint64
	hash     uint64 // for k.known, if the message has to go back
	untold   int
	queue    string
	slot     uint32 // of its evidence
	death    *death // of a message that is given up
	endQuiet func() // ends the time without other handlers that a message needs which may have ended a process; nil for others
}

// Confirmed is called when the broker has confirmed or refused the copy.
func (mv *move) Confirmed(err error) {
	if err == nil {
		if mv.death != nil {
			mv.death.moved(mv.sub.k, mv.queue)
		}
		mv.settle()
		return
	}
	if mv.sub.isFinal() {
		mv.sub.k.complain(err, mv.queue, "a message was lost: it could not be moved")
		return
	}
	mv.requeueLater(err)
}

// Late does nothing: a move waits for the broker's answer however long that takes. If the
// original went back while a slow broker has the copy, there would be two messages.
func (mv *move) Late() {}

// requeueLater gives the original back after a delay, because no queue of ours took the
// copy. The handler will try it again. After a lost connection there is nothing to do: the
// broker has taken the original back.
func (mv *move) requeueLater(err error) {
	k := mv.sub.k
	var lost *client.LostError
	if mv.sub.epoch != mv.epoch || errors.As(err, &lost) {
		return
	}
	mv.abandon()
	k.complain(err, mv.queue, "a message could not be moved; it goes back to its queue in a while")
	k.link.door.runtime.After(requeueDelay, func() {
		if mv.sub.epoch == mv.epoch {
			k.known.put(mv.hash, mv.untold)
			mv.sub.reject(mv.epoch, mv.tag, true)
		}
	})
}

// requeueDelay is how long a message waits before it is tried again, if it could not be
// moved to a queue of ours.
const requeueDelay = 10 * time.Second

func (k *consumer) complain(err error, queue, text string) {
	k.link.door.log.Error().Err(err).Str("consumer", k.name).Str("queue", queue).Msg(text)
}

// retry makes the message wait for its next attempt, in a retry queue or in this process.
// It reports whether the message waits in this process.
func (sub *subscription) retry(c *publisher.Call) (here bool) {
	k, m, outcome := sub.k, c.Message(), c.Outcome()
	if errors.Is(outcome.Err, publisher.ErrShutdown) || k.stopped && outcome.Delay <= 0 {
		sub.handBack(m.Epoch, m.DeliveryTag)
		return false
	}
	k.retries++
	p := copyOf(m)
	// The broker would refuse the user id of somebody else, and a header with that id would
	// prove nothing.
	if !k.declared.RetriesInQueues() || !k.link.client.HasArguments() || len(p.UserID) > 0 {
		sub.delay(c)
		return true
	}
	p.headers[publisher.TraceAttempt] = int64(m.History.Failed + m.History.Untold + 1)
	if ends := m.History.Crashes + m.History.Ends; ends > 0 {
		p.headers[publisher.TraceCrashes] = int64(ends)
	}
	p.failed(c, "")
	if err := sub.move(c, p, publisher.RetryQueue(m.Queue, outcome.Delay)); err != nil {
		k.complain(err, m.Queue, "a failed message could not be moved to its retry queue; it waits here")
		sub.delay(c)
		return true
	}
	return false
}

// unread gives up a message that no handler can ever get, although the broker delivered
// it: err says what is wrong with its properties. If the queue has a dead-letter exchange,
// the message goes there unchanged. If not, it goes to the dead-letter queue in an envelope.
func (sub *subscription) unread(c *publisher.Call, err error) {
	k, m := sub.k, c.Message()
	k.unread++
	dead := k.declared.DeadLetterQueue()
	var broken *amqpproto.ConnectionError
	if errors.As(err, &broken) { // the connection goes on
		err = fmt.Errorf("its headers cannot be read: %s", broken.Text)
	}
	note := k.link.door.log.Error().Err(err).Str("consumer", k.name).Str("exchange", string(m.Exchange)).
		Str("routing_key", string(m.RoutingKey)).Uint64("delivery_tag", m.DeliveryTag)
	c.Outcome().Err, c.Outcome().Reason = err, publisher.ReasonMalformed
	defer k.link.door.server.Discard(c)
	switch {
	case !sub.isFinal() && sub.hasDeadLetters():
		note.Msg("no handler can get a message: it is refused, for the dead-letter exchange of its queue")
	case dead == "" && sub.isFinal():
		note.Msg("no handler can get a message, and its consumer acks before it looks: it is lost")
	case dead == "":
		note.Msg("no handler can get a message: it is refused, and lost if its queue has no dead-letter exchange")
	default:
		note.Str("queue", dead).Msg("no handler can get a message: it goes to the dead-letter queue, in an envelope")
		sub.envelop(c, dead)
		return
	}
	k.count(publisher.ReasonMalformed)
	sub.refuse(m)
}

// envelop puts a message, as it came, into an envelope and gives it up.
func (sub *subscription) envelop(c *publisher.Call, dead string) {
	p := copyOf(c.Message())
	p.headers[publisher.TraceAttempt] = int64(0)
	p.failed(c, publisher.ReasonMalformed)
	p.DeliveryMode = 2
	p.Flags |= amqpproto.FlagDeliveryMode
	raw, prefix, err := p.wrap(sub.k.link.client.PropertiesMax(), c.Message().Properties)
	if err == nil {
		err = sub.send(c, raw, prefix, dead)
	}
	if err != nil {
		sub.stays(c, dead, err)
	}
}

// hasDeadLetters reports whether the declaration names a dead-letter exchange for refused
// messages. A policy of the broker, which we do not see, may set one as well.
func (sub *subscription) hasDeadLetters() bool {
	c := &sub.k.declared
	if c.NoDeclare || c.NoDeclareQueue || c.Type() == publisher.QueueStream || !sub.k.link.client.HasArguments() {
		return false
	}
	_, given := c.Arguments["x-dead-letter-exchange"]
	return given || c.DeadLetterQueue() != ""
}

// stays is for a message that is given up, when the dead-letter queue did not take the
// copy. If a refusal would lose the message, it goes back to its queue after a delay.
func (sub *subscription) stays(c *publisher.Call, dead string, err error) {
	m := c.Message()
	passing := errors.Is(err, client.ErrPublishMax) || errors.Is(err, client.ErrClosed)
	if !passing && sub.hasDeadLetters() && !sub.isFinal() {
		sub.k.complain(err, dead, "a message goes to the dead-letter exchange of its queue without the headers that say why: the copy with them could not be published")
		sub.k.count(c.Outcome().Reason)
		sub.refuse(m)
		return
	}
	sub.k.link.door.unclaim(m)
	sub.newMove(c, dead).Confirmed(err)
}

// giveUp moves the message to the dead-letter queue, with headers that say what happened.
// If there is no such queue, it refuses the message, for the dead-letter exchange of its
// queue.
func (sub *subscription) giveUp(c *publisher.Call, reason string) {
	m := c.Message()
	c.Outcome().Reason = reason
	dead := sub.k.declared.DeadLetterQueue()
	if dead == "" {
		deathOf(c).refused(sub)
		sub.refuse(m)
		return
	}
	p := copyOf(m)
	if len(p.UserID) > 0 {
		p.headers[publisher.TraceUserID] = string(p.UserID)
		p.UserID = nil
		p.Flags &^= amqpproto.FlagUserID
	}
	p.headers[publisher.TraceAttempt] = int64(failedAttempts(m, reason))
	if ends := m.History.Crashes + m.History.Ends; ends > 0 {
		p.headers[publisher.TraceCrashes] = int64(ends)
	}
	p.failed(c, reason)
	p.DeliveryMode = 2
	p.Flags |= amqpproto.FlagDeliveryMode
	if err := sub.move(c, p, dead); err != nil {
		sub.stays(c, dead, err)
	}
}

// refuse leaves the message to the dead-letter exchange of its queue.
func (sub *subscription) refuse(m *publisher.Message) {
	sub.k.link.door.free(m.Slot)
	m.Slot = 0
	sub.reject(m.Epoch, m.DeliveryTag, false)
}

// moving is for a message that moves because it may have ended a process. It keeps this
// evidence until the original is gone. No handler begins in that time.
func (sub *subscription) moving(mv *move, c *publisher.Call) {
	m := c.Message()
	if m.History.Ends == 0 || m.History.Failure != publisher.FailureNone {
		return
	}
	if sub.moves == nil {
		sub.moves = map[*move]struct{}{}
	}
	sub.moves[mv] = struct{}{}
	mv.slot, m.Slot = m.Slot, 0
	mv.endQuiet = sub.k.link.door.quiet.move()
}

func (sub *subscription) newMove(c *publisher.Call, queue string) *move {
	m := c.Message()
	mv := &move{sub: sub, epoch: m.Epoch, tag: m.DeliveryTag, hash: sub.k.known.hash(c), untold: m.History.Untold + 1, queue: queue}
	if c.Outcome().Reason != "" {
		mv.death = deathOf(c)
	}
	return mv
}
