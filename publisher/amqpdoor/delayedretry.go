package amqpdoor

import (
	"slices"
	"time"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// A delayedRetry is a failed message that waits in this process for its next attempt.
// It is unacked and so counts for the prefetch: a consumer whose handler always fails
// slows down by itself. The slices are copies. The broker closes the channel of a
// message that stays unacked for longer than consumer_timeout (RabbitMQ: 30 minutes).
type delayedRetry struct {
	sub     *subscription
	message publisher.Message
	lane    []byte // which it still holds
	hash    uint64
	untold  int // attempts that failed without a trace in the message
	stop    func() bool
}

// delay keeps the message for the delay of its outcome, and then tries it again.
func (sub *subscription) delay(c *publisher.Call) {
	k := sub.k
	w := &delayedRetry{sub: sub, message: *c.Message(), untold: c.Message().History.Untold + 1, hash: k.known.hash(c)}
	m := &w.message
	m.Exchange, m.RoutingKey = slices.Clone(m.Exchange), slices.Clone(m.RoutingKey)
	m.Properties, m.Body = slices.Clone(m.Properties), c.Request().Body()
	if m.Owned = len(m.Body) > amqpproto.LargeBody; !m.Owned { // the memory of a large body is not reused for another request
		m.Body = slices.Clone(m.Body)
	}
	if k.throttle.lane != nil {
		w.lane = slices.Clone(k.throttle.lane(c))
	}
	delay := c.Outcome().Delay
	if k.stopped || delay <= 0 || k.leaves() {
		if k.leaves() {
			k.known.put(w.hash, w.untold)
		}
		sub.handBack(m.Epoch, m.DeliveryTag)
		k.throttle.release(w.lane, sub, m)
		return
	}
	if k.delayed == nil {
		k.delayed = map[*delayedRetry]struct{}{}
	}
	k.delayed[w] = struct{}{}
	w.stop = k.link.door.runtime.After(delay, w.again)
}

// again makes another call of the message. Exchange and routing key are already the
// original ones. The rest of its history is read from its headers again.
func (w *delayedRetry) again() {
	k := w.sub.k
	if k.link.door.quiet.isOn() {
		w.stop = k.link.door.runtime.After(quietAgain, w.again)
		return
	}
	delete(k.delayed, w)
	m := w.message
	m.History.Untold, m.History.Failure = w.untold, publisher.FailureNone // SetMessage adds what the headers tell
	c := k.link.door.server.NewCall()
	if err := c.SetMessage(&m); err != nil {
		w.sub.unread(c, err) // impossible: it was read before
		return
	}
	k.begin(delivery{c, w.sub})
}

// quietAgain is the interval at which a message that waits here checks whether handlers may
// begin again.
const quietAgain = 50 * time.Millisecond

func (w *delayedRetry) drop() {
	w.stop()
	delete(w.sub.k.delayed, w)
}
