package amqpdoor

import (
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// A consumer is the sink of the client's deliveries and the door of the calls
// made of them.
type consumer struct {
	link     *link
	name     string
	noAck    bool
	machine  *client.Consumer
	attempts *attempts
	message  publisher.Message // reused: SetMessage copies it
	delayed  map[*delayed]struct{}
	stopped  bool
}

// delayed is a failed message that waits, unacked, for its requeue.
type delayed struct {
	epoch uint32
	tag   uint64
	stop  func() bool
}

// Deliver makes a call of a delivery.
func (k *consumer) Deliver(d *client.Delivery) {
	if k.stopped && !k.noAck {
		k.machine.Nack(d.Epoch, d.Tag, true)
		return
	}
	s := k.link.door.server
	k.message = publisher.Message{
		Connection: k.link.name, Consumer: k.name, Epoch: d.Epoch, DeliveryTag: d.Tag,
		Redelivered: d.Redelivered, Exchange: d.Exchange, RoutingKey: d.RoutingKey,
		Properties: d.RawProperties, Body: d.Body, Reply: k.link.reply, Attempt: 1,
	}
	r := s.NewRequest()
	if err := r.SetMessage(&k.message); err != nil {
		// The broker let properties pass that are malformed: no handler could
		// read them, now or later.
		k.link.door.log.Warn().Err(err).Str("consumer", k.name).Msg("a message with malformed properties goes to the dead-letter queue")
		s.Discard(r)
		k.reject(d.Epoch, d.Tag)
		return
	}
	if d.Redelivered {
		r.Message().Attempt = k.attempts.take(r)
	}
	s.Dispatch(r, k)
}

// Done settles the message by the outcome of its call.
func (k *consumer) Done(r *publisher.Request) {
	if k.noAck {
		return
	}
	m, outcome := r.Message(), r.Outcome()
	switch outcome.Settlement {
	case publisher.SettleAck:
		k.machine.Ack(m.Epoch, m.DeliveryTag)
	case publisher.SettleDeadLetter:
		k.reject(m.Epoch, m.DeliveryTag)
	case publisher.SettleRetry:
		k.attempts.put(r)
		k.requeue(m.Epoch, m.DeliveryTag, r)
	}
}

// reject gives the message to the queue's dead-letter exchange. It is
// basic.reject, which a quorum queue counts as a failure.
func (k *consumer) reject(epoch uint32, tag uint64) {
	if !k.noAck {
		k.machine.Reject(epoch, tag, false)
	}
}

// requeue holds the message for the delay of its outcome and then gives it
// back. Held messages fill the prefetch window, so a consumer whose handler
// always fails slows down by itself.
func (k *consumer) requeue(epoch uint32, tag uint64, r *publisher.Request) {
	delay := r.Outcome().Delay
	if delay <= 0 || k.stopped {
		k.machine.Nack(epoch, tag, true)
		return
	}
	if k.delayed == nil {
		k.delayed = map[*delayed]struct{}{}
	}
	w := &delayed{epoch: epoch, tag: tag}
	k.delayed[w] = struct{}{}
	w.stop = k.link.door.runtime.After(delay, func() {
		delete(k.delayed, w)
		k.machine.Reject(w.epoch, w.tag, true)
	})
}

// stop cancels the consumer; what waits for another attempt goes back now.
func (k *consumer) stop(done func()) {
	k.stopped = true
	for w := range k.delayed {
		if w.stop() {
			k.machine.Nack(w.epoch, w.tag, true)
		}
	}
	clear(k.delayed)
	k.machine.Cancel(done)
}

func (k *consumer) report() publisher.Status {
	s := publisher.Status{Kind: "consumer", Name: k.name, State: k.machine.State().String(), Ready: k.machine.State() == client.Up}
	if err := k.machine.Err(); err != nil {
		s.Detail = err.Error()
	}
	return s
}
