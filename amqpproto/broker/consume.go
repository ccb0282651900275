package broker

import (
	"encoding/base64"

	"zamqp/amqpproto"
)

// generatedTag returns a tag for a consumer whose client gave none.
func (s *Server) generatedTag() string {
	var b [16]byte
	_, _ = s.rng.Read(b[:])
	return "amq.ctag-" + base64.RawURLEncoding.EncodeToString(b[:])
}

// onQos sets the prefetch of later consumers or, with global, of the channel. RabbitMQ gave
// global that meaning: https://www.rabbitmq.com/consumer-prefetch.
func (ch *channel) onQos(args []byte) error {
	var m amqpproto.BasicQos
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if m.PrefetchSize != 0 {
		return unsupported("prefetch_size!=0 (%d)", m.PrefetchSize)
	}
	// Without global, the channel's own limit ends, as in RabbitMQ. So clients can remove a
	// default.
	before := ch.limit
	ch.limit = 0
	if m.Global {
		ch.limit = int(m.PrefetchCount)
	} else {
		ch.prefetch = m.PrefetchCount
	}
	if before == 0 && ch.limit > 0 {
		// As in RabbitMQ, deliveries of basic.get count from now on, and for ever: only acks
		// of consumers give credit back.
		ch.held = ch.unacked.live
	}
	ch.conn.send(ch.number, &amqpproto.BasicQosOk{})
	return nil
}

func (ch *channel) onConsume(args []byte) error {
	var m amqpproto.BasicConsume
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	s := c.server
	if err := m.Arguments.Validate(); err != nil {
		return err
	}
	if string(m.Queue) == replyQueue {
		return ch.consumeReplies(&m)
	}
	name, err := ch.currentQueue(m.Queue)
	if err != nil {
		return err
	}
	if ch.consumers[string(m.ConsumerTag)] != nil {
		return connectionError(amqpproto.NotAllowed, m.ID(), "attempt to reuse consumer tag '%s'", m.ConsumerTag)
	}
	if err := c.mayRead("queue", name); err != nil {
		return err
	}
	q, err := c.vhost.needQueue(name, c)
	if err != nil {
		return err
	}
	if err := q.quiet(); err != nil {
		return err
	}
	k := &consumer{tag: string(m.ConsumerTag), ch: ch, conn: c, queue: q, noAck: m.NoAck, exclusive: m.Exclusive, prefetch: ch.prefetch}
	if k.priority, err = q.consumerArguments(m.Arguments); err != nil {
		return err
	}
	if k.tag == "" {
		k.tag = s.generatedTag()
	}
	if s.stats.Consumers >= s.opts.ConsumersMax {
		return precondition("cannot consume from %s: consumer limit of the broker (%d) is reached", q, s.opts.ConsumersMax)
	}
	if !q.typ.channelPrefetch && ch.limit > 0 {
		return unsupported("%s does not support global qos", q)
	}
	if err := q.consume(k); err != nil {
		return err
	}
	if ch.consumers == nil {
		ch.consumers = map[string]*consumer{}
	}
	ch.consumers[k.tag] = k
	ch.order.add(k)
	s.stats.Consumers++
	if !m.NoWait {
		c.send(ch.number, &amqpproto.BasicConsumeOk{ConsumerTag: []byte(k.tag)})
	}
	q.wake(k)
	return nil
}

func (ch *channel) onCancel(args []byte) error {
	var m amqpproto.BasicCancel
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if k := ch.consumers[string(m.ConsumerTag)]; k != nil {
		ch.remove(k)
		k.queue.cancel(k)
	} else if ch.reply != nil && ch.reply.tag == string(m.ConsumerTag) {
		ch.dropReply()
	}
	if !m.NoWait {
		ch.conn.send(ch.number, &amqpproto.BasicCancelOk{ConsumerTag: m.ConsumerTag})
	}
	return nil
}

// onGet takes one message.
func (ch *channel) onGet(args []byte) error {
	var m amqpproto.BasicGet
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c := ch.conn
	s := c.server
	q, err := ch.readable(m.Queue)
	if err != nil {
		return err
	}
	q.expire()
	s.drain()
	if err := q.quiet(); err != nil {
		return err
	}
	e, left, ok := q.get()
	if !ok {
		c.send(ch.number, &amqpproto.BasicGetEmpty{})
		return nil
	}
	ch.tag++
	p := s.view(e.msg)
	c.send(ch.number, &amqpproto.BasicGetOk{DeliveryTag: ch.tag, Redelivered: e.redelivered,
		Exchange: p.exchange, RoutingKey: p.key, MessageCount: uint32(left)})
	p.props = q.shown(e, p.props, true)
	c.appendContent(ch.number, p)
	s.stats.Got++
	if !m.NoAck {
		ch.unacked.push(delivery{entry: e, tag: ch.tag, queue: q})
	}
	if c.vhost.traces() && !e.msg.traced {
		ch.traceDelivery(q, e.redelivered, p)
		s.drain()
	}
	if m.NoAck {
		q.settle(e)
	}
	return nil
}
