package broker

import (
	"cmp"
	"encoding/binary"
	"slices"

	"zamqp/amqpproto"
)

// ready reports whether k may get a message now. The prefetch of consumer and channel and the
// connection's unsent output decide. After false, the queue's wake is called when that may
// have changed.
func (ch *channel) ready(k *consumer) bool {
	if ch.state != channelOpen || !k.noAck && k.prefetch > 0 && k.unacked >= int(k.prefetch) {
		return false
	}
	if ch.limit > 0 && ch.held >= ch.limit && k.queue.typ.channelPrefetch {
		return false // as in RabbitMQ, a consumer without acks waits for the acks of others
	}
	c := ch.conn
	if c.out.Len() >= c.server.opts.OutputMax {
		c.stalled = true
		return false
	}
	return true
}

// deliver sends an entry that the queue has taken out for k. Unless k.noAck is set, the
// channel returns it with settle, requeue or reject; with noAck, the channel settles it at
// once.
func (ch *channel) deliver(k *consumer, e entry) {
	c := ch.conn
	s := c.server
	ch.tag++
	p := s.view(e.msg)
	c.out.Room()
	b := c.out.Buf
	before := c.out.Len()
	size := 4 + 1 + len(k.tag) + 8 + 1 + 1 + len(p.exchange) + 1 + len(p.key)
	b = append(b, amqpproto.FrameMethod, byte(ch.number>>8), byte(ch.number), 0, 0, byte(size>>8), byte(size),
		0, byte(amqpproto.ClassBasic), 0, byte(amqpproto.IDBasicDeliver&0xff), byte(len(k.tag)))
	b = append(b, k.tag...)
	b = binary.BigEndian.AppendUint64(b, ch.tag)
	b = append(b, flag(e.redelivered), byte(len(p.exchange)))
	b = append(b, p.exchange...)
	b = append(b, byte(len(p.key)))
	b = append(b, p.key...)
	b = append(b, amqpproto.FrameEnd)
	p.props = k.queue.shown(e, p.props, false)
	c.out.Buf = b
	c.appendContent(ch.number, p)
	c.out.delivered += c.out.Len() - before
	c.countOutput()
	s.stats.Delivered++
	if e.redelivered {
		s.stats.Redelivered++
	}
	c.wake()
	if !k.noAck {
		k.unacked++
		if k.queue.typ.channelPrefetch {
			ch.held++
		}
		ch.unacked.push(delivery{entry: e, tag: ch.tag, queue: k.queue, consumer: k})
	}
	if c.vhost.traces() && !e.msg.traced {
		ch.traceDelivery(k.queue, e.redelivered, p)
	}
	if k.noAck {
		k.queue.settle(e)
	}
}

func flag(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// appendContent appends header and bodies of a message to the output.
func (c *Conn) appendContent(channel uint16, p parts) {
	if p.large == 0 {
		c.out.Grow(amqpproto.ContentHeaderOverhead+len(p.props), p.body, c.frameMax)
	}
	c.out.Buf = amqpproto.AppendContentHeader(c.out.Buf, channel, amqpproto.ClassBasic, uint64(len(p.body)), p.props)
	if p.large == 0 {
		c.out.Body(channel, p.body, c.frameMax)
		return
	}
	s := c.server
	s.holdBody(p.large)
	c.out.Lend(channel, p.body, c.frameMax, func() { s.dropBody(p.large) })
}

// shown returns the properties with which q delivers a message. A queue that counts
// deliveries adds x-delivery-count, as in RabbitMQ: always to basic.get-ok, and to
// basic.deliver from the second delivery on.
func (q *queue) shown(e entry, props []byte, got bool) []byte {
	if n, ok := q.deliveryCount(e); ok && (n > 0 || got) {
		return withDeliveryCount(props, n)
	}
	return props
}

// withDeliveryCount returns a copy of props with the header x-delivery-count.
func withDeliveryCount(props []byte, n uint32) []byte {
	var p amqpproto.Properties
	if _, err := p.Decode(props); err != nil {
		return props // it was decoded when it was published
	}
	p.Flags |= amqpproto.FlagHeaders
	const key = "x-delivery-count"
	headers := make([]byte, 0, len(p.Headers)+len(key)+10)
	_ = p.Headers.Each(func(k []byte, v amqpproto.Field) bool {
		if string(k) != key {
			headers = appendPair(headers, k, v)
		}
		return true
	})
	headers, _ = amqpproto.AppendTableField(headers, key, int64(n))
	p.Headers = headers
	out, err := p.Append(nil)
	if err != nil {
		return props
	}
	return out
}

// cancelled is called when the queue of k was deleted. The queue has already removed k.
func (ch *channel) cancelled(k *consumer) {
	c := ch.conn
	if ch.consumers[k.tag] != k {
		return
	}
	ch.remove(k)
	if c.cancelNotify && ch.state == channelOpen && c.state == connOpen {
		c.server.ended = append(c.server.ended, k)
	}
}

// tellEnded sends the cancels of consumers whose queues have ended. As in RabbitMQ, they come
// after the answer to the method that ended the queue.
func (s *Server) tellEnded() {
	for len(s.ended) > 0 {
		ended := s.ended
		s.ended = nil
		for _, k := range ended {
			s.tellEnd(k)
		}
	}
}

func (s *Server) tellEnd(k *consumer) {
	if ch := k.ch; ch.state == channelOpen && ch.conn.state == connOpen {
		ch.conn.sendAfterAnswer(ch.number, &amqpproto.BasicCancel{ConsumerTag: []byte(k.tag), NoWait: true})
	}
}

// remove removes a consumer. Its unacked messages stay.
func (ch *channel) remove(k *consumer) {
	delete(ch.consumers, k.tag)
	k.unretire()
	ch.conn.server.stats.Consumers--
	ch.order.remove(k)
}

// wakeConsumers lets the queues of all the channel's consumers deliver again. All
// consumers come back into the rotation before the first queue delivers, so that
// priorities count. They come back in the order in which they left, so that each has
// its turn.
func (ch *channel) wakeConsumers() {
	if ch.state != channelOpen {
		return
	}
	if ch.order.n == 1 {
		k := ch.order.first()
		k.queue.wake(k)
		return
	}
	s := ch.conn.server
	if !s.afford(ch.order.n * wakeUnits) {
		ch.wakeConsumersLater()
		return
	}
	back := s.rejoining[:0]
	ch.order.walk(func(k *consumer) { back = append(back, k) })
	slices.SortStableFunc(back, func(a, b *consumer) int { return cmp.Compare(a.leftAt, b.leftAt) })
	for _, k := range back {
		k.queue.rejoin(k)
	}
	clear(back)
	s.rejoining = back[:0]
	ch.order.walk(func(k *consumer) { k.queue.wake(k) }) // a queue may end while it is woken
}
