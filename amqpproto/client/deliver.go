package client

import "zamqp/amqpproto"

// carrier lets deliveries in while a consume is in force. §1.8.3.3.
func (k *Consumer) carrier() amqpproto.Method {
	if !k.flowing {
		return nil
	}
	return &k.ch.conn.deliver
}

// onContent is called by the channel with a delivery that came in pieces.
func (k *Consumer) onContent(ct *content) error {
	m := &k.ch.conn.deliver
	if err := m.DecodeArgs(ct.args); err != nil {
		return err
	}
	return k.deliver(m, ct.properties, ct.body)
}

// deliver checks a delivery and gives it to the sink. All slices are views.
func (k *Consumer) deliver(m *amqpproto.BasicDeliver, properties, body []byte) error {
	if string(m.ConsumerTag) != k.tag {
		return connectionError(amqpproto.CommandInvalid, amqpproto.IDBasicDeliver,
			"%s: delivery for consumer tag %q, ours is %q", k, m.ConsumerTag, k.tag)
	}
	if !k.settled.take(m.DeliveryTag) {
		return connectionError(amqpproto.CommandInvalid, amqpproto.IDBasicDeliver,
			"%s: delivery tag %d, expected %d", k, m.DeliveryTag, k.settled.next)
	}
	c := k.client
	if k.spec.NoAck {
		// Final at once: the window only counts.
		k.settled.settle(m.DeliveryTag, tagFinal)
		k.settled.base = k.settled.next
	}
	if k.state != Up || c.closing {
		k.handBack(m.DeliveryTag)
		return nil
	}
	c.stats.Delivered++
	if m.Redelivered {
		c.stats.Redelivered++
	}
	d := &k.delivery
	d.Epoch, d.Tag, d.Redelivered = k.epoch, m.DeliveryTag, m.Redelivered
	d.Exchange, d.RoutingKey, d.RawProperties, d.Body = m.Exchange, m.RoutingKey, properties, body
	k.sink.Deliver(d)
	d.Exchange, d.RoutingKey, d.RawProperties, d.Body = nil, nil, nil, nil
	return nil
}

// handBack returns a delivery that nobody wants any more, so that another
// consumer gets it now and not when our channel closes. It is a nack: a reject
// would count towards RabbitMQ's delivery limit.
func (k *Consumer) handBack(tag uint64) {
	if !k.settled.settle(tag, tagFinal) {
		return
	}
	k.client.stats.HandedBack++
	out := &k.ch.conn.out
	out.room()
	out.buf = amqpproto.AppendBasicNack(out.buf, k.ch.number, tag, false, true)
}

// onTooLarge refuses a message over BodyMax, at the price of this consumer only:
// its channel is closed, and it tries again with its backoff. Rejecting the
// message would lose it where no dead letter exchange is set. The message stays
// in the queue and Err tells of it, until somebody raises the limit or moves it.
func (k *Consumer) onTooLarge(cause *amqpproto.ChannelError) error {
	k.ch.close(cause)
	return nil
}

// Ack settles a delivery. It leaves with the turn, together with others.
func (k *Consumer) Ack(epoch uint32, tag uint64) {
	if !k.settle(epoch, tag, tagAcked) {
		return
	}
	c := k.client
	c.stats.Acked++
	conn := k.ch.conn
	if !k.queued {
		k.queued = true
		conn.acking = append(conn.acking, k)
	}
	if c.cfg.AckDelay > 0 && !conn.ackDue.armed() {
		conn.ackDue.set(c.cfg.AckDelay)
	}
	conn.wake()
}

// Reject refuses a delivery: back to its queue, or to the dead letter exchange.
// Where a queue has a delivery limit, it counts.
func (k *Consumer) Reject(epoch uint32, tag uint64, requeue bool) {
	if k.settle(epoch, tag, tagFinal) {
		out := k.ch.conn.refuse(k)
		out.buf = amqpproto.AppendBasicReject(out.buf, k.ch.number, tag, requeue)
		k.release()
	}
}

// Nack gives a delivery back for reasons that are not its own, as a shutdown;
// otherwise as Reject.
func (k *Consumer) Nack(epoch uint32, tag uint64, requeue bool) {
	if k.settle(epoch, tag, tagFinal) {
		out := k.ch.conn.refuse(k)
		out.buf = amqpproto.AppendBasicNack(out.buf, k.ch.number, tag, false, requeue)
		k.release()
	}
}

// settle counts and drops what must not be sent: a tag of a channel that is gone
// may be another message's tag on the next one.
func (k *Consumer) settle(epoch uint32, tag uint64, to tagState) bool {
	if k.spec.NoAck {
		return false
	}
	if epoch != k.epoch || !k.live || k.ch == nil || k.ch.state != channelOpen || k.ch.conn.state != connOpen {
		k.client.stats.OldEpoch++
		return false
	}
	if !k.settled.settle(tag, to) {
		k.client.stats.DoubleSettled++
		return false
	}
	return true
}

// refuse makes room for a reject or nack. They leave at once, that is before the
// acks of the turn: a multiple ack may pass over their tags.
func (c *Conn) refuse(k *Consumer) *output {
	k.client.stats.Rejected++
	c.out.room()
	c.wake()
	return &c.out
}

// flushAcks encodes the acks that are due, or all of them.
func (c *Conn) flushAcks(all bool) {
	held := c.acking[:0]
	for _, k := range c.acking {
		if k.ch == nil || k.ch.conn != c || k.ch.state != channelOpen {
			k.queued = false
			continue
		}
		if !all && k.holdsAcks() {
			held = append(held, k)
			continue
		}
		k.queued = false
		c.out.room()
		var frames int
		c.out.buf, frames = k.settled.flush(c.out.buf, k.ch.number)
		c.client.stats.AckFrames += uint64(frames)
		k.release()
	}
	clear(c.acking[len(held):])
	c.acking = held
	if len(held) == 0 {
		c.ackDue.stop()
	}
}

// ackBatchMax is the most acks that wait for others, whatever the prefetch is.
const ackBatchMax = 256

// holdsAcks reports whether its acks may wait: nothing else leaves now, and the
// broker has enough of its prefetch left to go on. Config.AckDelay bounds how
// long.
func (k *Consumer) holdsAcks() bool {
	batch := ackBatchMax
	if k.spec.Prefetch > 0 {
		batch = min(batch, int(k.spec.Prefetch)/4)
	}
	return k.client.cfg.AckDelay > 0 && k.state == Up && !k.client.closing &&
		len(k.settled.acked) < batch && k.ch.conn.out.len() == 0
}
