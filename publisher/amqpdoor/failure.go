package amqpdoor

import (
	"errors"
	"fmt"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// A handover is a message that was published to another queue of ours: when the
// broker has confirmed that, its original is acked; not before, so that at no
// time there is none.
type handover struct {
	in     *intake
	epoch  uint32
	tag    uint64
	hash   uint64 // for k.known, if it has to go back after all
	untold int
	queue  string
	slot   uint32 // of its evidence
	death  *death // of a message that is given up
	loud   func() // ends the quiet in which a suspect moves; nil for others
}

// Confirmed takes the broker's word for the copy.
func (h *handover) Confirmed(err error) {
	if err == nil {
		if h.death != nil {
			h.death.moved(h.in.k, h.queue)
		}
		h.settle()
		return
	}
	if h.in.isFinal() {
		h.in.k.complain(err, h.queue, "a message was lost: it could not be moved")
		return
	}
	h.requeueLater(err)
}

// Late makes a handover wait for the broker's word on its copy, however long that
// takes: a broker that has the copy and is slow would have two of the message if
// the original went back.
func (h *handover) Late() {}

// requeueLater gives the original back after a while: the handler has to try it
// again, since no queue of ours took it. A lost connection has done that itself.
func (h *handover) requeueLater(err error) {
	k := h.in.k
	var lost *client.LostError
	if h.in.epoch != h.epoch || errors.As(err, &lost) {
		return
	}
	h.abandon()
	k.complain(err, h.queue, "a message could not be moved; it goes back to its queue in a while")
	k.link.door.runtime.After(requeueDelay, func() {
		if h.in.epoch == h.epoch {
			k.known.put(h.hash, h.untold)
			h.in.reject(h.epoch, h.tag, true)
		}
	})
}

// requeueDelay is how long a message waits that could be moved to no queue of
// ours, before it is tried again.
const requeueDelay = 10 * time.Second

func (k *consumer) complain(err error, queue, text string) {
	k.link.door.log.Error().Err(err).Str("consumer", k.name).Str("queue", queue).Msg(text)
}

// retry lets the message wait for its next attempt: in a queue beside its own,
// or here. held says that it is here.
func (in *intake) retry(c *publisher.Call) (here bool) {
	k, m, outcome := in.k, c.Message(), c.Outcome()
	if errors.Is(outcome.Err, publisher.ErrShutdown) || k.stopped && outcome.Delay <= 0 {
		in.handBack(m.Epoch, m.DeliveryTag)
		return false
	}
	k.retries++
	p := copyOf(m)
	// Another user's id would be refused, and a header in its place proves nothing.
	if !k.declared.RetriesInQueues() || !k.link.client.HasArguments() || len(p.UserID) > 0 {
		in.hold(c)
		return true
	}
	p.headers[publisher.TraceAttempt] = int64(m.History.Failed + m.History.Untold + 1)
	if ends := m.History.Crashes + m.History.Ends; ends > 0 {
		p.headers[publisher.TraceCrashes] = int64(ends)
	}
	p.failed(c, "")
	if err := in.move(c, p, publisher.RetryQueue(m.Queue, outcome.Delay)); err != nil {
		k.complain(err, m.Queue, "a failed message could not be moved to its retry queue; it waits here")
		in.hold(c)
		return true
	}
	return false
}

// unread gives up a message that no handler can get, now or later, though the
// broker let it pass: err says what is wrong with its properties. A queue with a
// dead-letter exchange keeps it as it is; elsewhere it goes into an envelope.
func (in *intake) unread(c *publisher.Call, err error) {
	k, m := in.k, c.Message()
	k.unread++
	dead := k.declared.DeadLetterQueue()
	var broken *amqpproto.ConnectionError
	if errors.As(err, &broken) { // no connection ends for it
		err = fmt.Errorf("its headers cannot be read: %s", broken.Text)
	}
	note := k.link.door.log.Error().Err(err).Str("consumer", k.name).Str("exchange", string(m.Exchange)).
		Str("routing_key", string(m.RoutingKey)).Uint64("delivery_tag", m.DeliveryTag)
	c.Outcome().Err, c.Outcome().Reason = err, publisher.ReasonMalformed
	defer k.link.door.server.Discard(c)
	switch {
	case !in.isFinal() && in.hasDeadLetters():
		note.Msg("no handler can get a message: it is refused, for the dead-letter exchange of its queue")
	case dead == "" && in.isFinal():
		note.Msg("no handler can get a message, and its consumer acks before it looks: it is lost")
	case dead == "":
		note.Msg("no handler can get a message: it is refused, and lost if its queue has no dead-letter exchange")
	default:
		note.Str("queue", dead).Msg("no handler can get a message: it goes to the dead-letter queue, in an envelope")
		in.envelop(c, dead)
		return
	}
	k.count(publisher.ReasonMalformed)
	in.refuse(m)
}

// envelop gives up a message as it came.
func (in *intake) envelop(c *publisher.Call, dead string) {
	p := copyOf(c.Message())
	p.headers[publisher.TraceAttempt] = int64(0)
	p.failed(c, publisher.ReasonMalformed)
	p.DeliveryMode = 2
	p.Flags |= amqpproto.FlagDeliveryMode
	raw, body, err := p.wrap(in.k.link.client.PropertiesMax(), c.Message().Properties, c.Request().Body())
	if err == nil {
		err = in.send(c, raw, body, dead)
	}
	if err != nil {
		in.stays(c, dead, err)
	}
}

// hasDeadLetters tells whether what is refused goes to a dead-letter exchange, as
// far as we know: a policy of the broker may set one as well.
func (in *intake) hasDeadLetters() bool {
	c := &in.k.declared
	if c.NoDeclare || c.NoDeclareQueue || c.Type() == publisher.QueueStream || !in.k.link.client.HasArguments() {
		return false
	}
	_, given := c.Arguments["x-dead-letter-exchange"]
	return given || c.DeadLetterQueue() != ""
}

// stays is for a message that is given up and that the dead-letter queue did not
// take: where refusing it would lose it, it goes back to its queue in a while.
func (in *intake) stays(c *publisher.Call, dead string, err error) {
	m := c.Message()
	passing := errors.Is(err, client.ErrPublishMax) || errors.Is(err, client.ErrClosed)
	if !passing && in.hasDeadLetters() && !in.isFinal() {
		in.k.complain(err, dead, "a message is given up without a word about it")
		in.k.count(c.Outcome().Reason)
		in.refuse(m)
		return
	}
	in.k.link.door.unclaim(m)
	in.handover(c, dead).Confirmed(err)
}

// giveUp moves the message to the queue for dead letters, with its story; where
// there is none, it is refused, for the dead-letter exchange of its queue.
func (in *intake) giveUp(c *publisher.Call, reason string) {
	m := c.Message()
	c.Outcome().Reason = reason
	dead := in.k.declared.DeadLetterQueue()
	if dead == "" {
		deathOf(c).refused(in)
		in.refuse(m)
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
	if err := in.move(c, p, dead); err != nil {
		in.stays(c, dead, err)
	}
}

// refuse leaves the message to the dead-letter exchange of its queue.
func (in *intake) refuse(m *publisher.Message) {
	in.k.link.door.free(m.Slot)
	m.Slot = 0
	in.reject(m.Epoch, m.DeliveryTag, false)
}

// moving keeps the evidence of a message that moves because of it, until the
// original is gone. No handler begins in that time.
func (in *intake) moving(h *handover, c *publisher.Call) {
	m := c.Message()
	if m.History.Ends == 0 || m.History.Failure != publisher.FailureNone {
		return
	}
	if in.moves == nil {
		in.moves = map[*handover]struct{}{}
	}
	in.moves[h] = struct{}{}
	h.slot, m.Slot = m.Slot, 0
	h.loud = in.k.link.door.quiet.move()
}

func (in *intake) handover(c *publisher.Call, queue string) *handover {
	m := c.Message()
	h := &handover{in: in, epoch: m.Epoch, tag: m.DeliveryTag, hash: in.k.known.hash(c), untold: m.History.Untold + 1, queue: queue}
	if c.Outcome().Reason != "" {
		h.death = deathOf(c)
	}
	return h
}
