package client

import "zamqp/amqpproto"

// contentMethod accepts deliveries while basic.consume is in force. §1.8.3.3.
func (k *Consumer) contentMethod(id amqpproto.MethodID) amqpproto.Method {
	if !k.flowing || id != amqpproto.IDBasicDeliver {
		return nil
	}
	return &k.ch.conn.deliver
}

// onContent is called by the channel with a delivery that arrived in several pieces.
func (k *Consumer) onContent(ct *content) error {
	m := &k.ch.conn.deliver
	if err := m.DecodeArgs(ct.Args()); err != nil {
		return err
	}
	c := ct.Content()
	k.delivery.Owned = c.Owned
	err := k.deliver(m, c.RawProperties, c.Body, ct.fault)
	k.delivery.Owned = false
	return err
}

// deliver checks a delivery and gives it to the sink. All slices are views. fault is
// an error of this message only.
func (k *Consumer) deliver(m *amqpproto.BasicDeliver, properties, body []byte, fault error) error {
	if string(m.ConsumerTag) != k.tag {
		return connectionError(amqpproto.CommandInvalid, amqpproto.IDBasicDeliver,
			"%s: delivery for consumer tag %q, ours is %q", k, m.ConsumerTag, k.tag)
	}
	if !k.settled.take(m.DeliveryTag) {
		return connectionError(amqpproto.CommandInvalid, amqpproto.IDBasicDeliver,
			"%s: delivery tag %d, expected %d", k, m.DeliveryTag, k.settled.tags.Next())
	}
	c := k.client
	if k.spec.NoAck {
		// These are final at once: the window only counts.
		k.settled.settle(m.DeliveryTag, tagFinal)
		k.settled.tags.Pass()
	}
	if k.leaving || k.givesBackByClosing && k.state != Up || c.closing && k.state == Up && !k.noAck {
		// It returns to its queue when the channel closes; after a nack it would come again.
		if k.place.stream {
			k.place.came(&k.settled, m.DeliveryTag, properties)
		}
		k.keep(k.epoch, m.DeliveryTag)
		return nil
	}
	if (k.state != Up || c.closing) && !(k.noAck && k.state == AwaitPauseOk) {
		k.handBack(m.DeliveryTag)
		return nil
	}
	if k.place.stream {
		k.place.came(&k.settled, m.DeliveryTag, properties)
	}
	c.stats.Delivered++
	if m.Redelivered {
		c.stats.Redelivered++
	}
	d := &k.delivery
	d.Epoch, d.Tag, d.Redelivered = k.epoch, m.DeliveryTag, m.Redelivered
	d.Exchange, d.RoutingKey, d.RawProperties, d.Body = m.Exchange, m.RoutingKey, properties, body
	d.Fault = fault
	k.sink.Deliver(d)
	d.Exchange, d.RoutingKey, d.RawProperties, d.Body, d.Fault = nil, nil, nil, nil, nil
	return nil
}

// handBack returns a delivery that is no longer wanted, so that another consumer gets
// it now and not when our channel closes. It uses basic.nack, because a reject counts
// towards RabbitMQ's delivery limit.
func (k *Consumer) handBack(tag uint64) {
	if !k.settled.settle(tag, tagFinal) {
		return
	}
	k.client.stats.HandedBack++
	out := &k.ch.conn.out
	out.Room()
	out.Buf = k.client.has.appendGiveBack(out.Buf, k.ch.number, tag, true)
}

// onTooLarge refuses a message over BodyMax. Only this consumer is affected: its
// channel is closed, and it tries again with its backoff. A reject would lose the
// message if the queue has no dead letter exchange. So the message stays in the queue
// and Err reports it, until somebody raises the limit or moves the message.
func (k *Consumer) onTooLarge(cause *amqpproto.ChannelError) error {
	k.ch.close(cause)
	return nil
}
