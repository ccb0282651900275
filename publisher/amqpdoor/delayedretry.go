package amqpdoor

import (
	"slices"
	"time"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// held is a failed message that waits in this process for its next attempt,
// unacked: it fills the prefetch, so a consumer whose handler always fails slows
// down by itself. Its slices are copies. The broker ends the channel of who holds
// a message for longer than its consumer_timeout (RabbitMQ: 30 minutes).
type held struct {
	in      *intake
	message publisher.Message
	lane    []byte // that it goes on to hold
	hash    uint64
	untold  int // attempts that failed without a trace in the message
	stop    func() bool
}

// hold keeps the message for the delay of its outcome and then tries again.
func (in *intake) hold(c *publisher.Call) {
	k := in.k
	w := &held{in: in, message: *c.Message(), untold: c.Message().History.Untold + 1, hash: k.known.hash(c)}
	m := &w.message
	m.Exchange, m.RoutingKey = slices.Clone(m.Exchange), slices.Clone(m.RoutingKey)
	m.Properties, m.Body = slices.Clone(m.Properties), c.Request().Body()
	if m.Owned = len(m.Body) > amqpproto.LargeBody; !m.Owned { // no request uses the memory of a large one again
		m.Body = slices.Clone(m.Body)
	}
	if k.gate.lane != nil {
		w.lane = slices.Clone(k.gate.lane(c))
	}
	delay := c.Outcome().Delay
	if k.stopped || delay <= 0 || k.leaves() {
		if k.leaves() {
			k.known.put(w.hash, w.untold)
		}
		in.handBack(m.Epoch, m.DeliveryTag)
		k.gate.free(w.lane, in, m)
		return
	}
	if k.held == nil {
		k.held = map[*held]struct{}{}
	}
	k.held[w] = struct{}{}
	w.stop = k.link.door.runtime.After(delay, w.again)
}

// again makes another call of the message. Exchange and key are already those
// that it had at first; the rest of its story is counted anew from its headers.
func (w *held) again() {
	k := w.in.k
	if k.link.door.quiet.isOn() {
		w.stop = k.link.door.runtime.After(quietAgain, w.again)
		return
	}
	delete(k.held, w)
	m := w.message
	m.History.Untold, m.History.Failure = w.untold, publisher.FailureNone // SetMessage adds what the headers tell
	c := k.link.door.server.NewCall()
	if err := c.SetMessage(&m); err != nil {
		w.in.unread(c, err) // cannot be: it was read once
		return
	}
	k.begin(delivery{c, w.in})
}

// quietAgain is how often a message that waits here looks whether handlers may
// begin again.
const quietAgain = 50 * time.Millisecond

func (w *held) drop() {
	w.stop()
	delete(w.in.k.held, w)
}
