package broker

import (
	"slices"
	"strings"

	"zamqp/amqpproto"
)

// outcome is what a client does with a delivery.
type outcome uint8

const (
	acked outcome = iota
	requeued
	rejected
)

// most returns the highest cost of settling one.
var most = [...]int{acked: ackUnits, requeued: requeueUnits, rejected: letterUnits}

func requeuedIf(requeue bool) outcome {
	if requeue {
		return requeued
	}
	return rejected
}

func (ch *channel) onAck(args []byte) error {
	var m amqpproto.BasicAck
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	return ch.settleTag(m.DeliveryTag, m.Multiple, acked)
}

func (ch *channel) onNack(args []byte) error {
	var m amqpproto.BasicNack
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	return ch.settleTag(m.DeliveryTag, m.Multiple, requeuedIf(m.Requeue))
}

func (ch *channel) onReject(args []byte) error {
	var m amqpproto.BasicReject
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	return ch.settleTag(m.DeliveryTag, false, requeuedIf(m.Requeue))
}

// settleTag settles by delivery tag; in tx mode this happens at the commit.
func (ch *channel) settleTag(tag uint64, multiple bool, how outcome) error {
	s := ch.conn.server
	if multiple {
		units := most[how]
		if ch.mode == modeTx {
			units = requeueUnits // it is only recorded for the commit
		}
		if n := ch.unacked.upTo(tag); !s.afford(n * units) {
			if tag == 0 {
				tag = ch.tag
			}
			ch.settleLater(tag, how).putOff = ch.mode == modeTx
			return nil
		}
	}
	taken, ok := ch.unacked.take(s.settled[:0], tag, multiple)
	if !ok {
		return precondition("unknown delivery tag %d", tag)
	}
	if ch.mode == modeTx {
		for i, d := range taken {
			ch.tx.settle(d, how, i == len(taken)-1)
		}
	} else {
		ch.settle(taken, how)
	}
	clear(taken)
	s.settled = taken[:0]
	if cap(s.settled) > 4096 {
		s.settled = nil
	}
	return nil
}

// settle tells the queues, and lets consumers continue that have credit again.
func (ch *channel) settle(ds []delivery, how outcome) {
	s := ch.conn.server
	wasFull := ch.limit > 0 && ch.held >= ch.limit
	var only *consumer
	n, several := 0, false
	for i := range ds {
		if k := ds[i].consumer; k != nil {
			k.unacked--
			n++
			several = several || only != nil && only != k
			only = k
		}
	}
	if ch.held != 0 {
		ch.held -= n
	}
	switch how {
	case acked:
		s.stats.Acked += uint64(len(ds))
		for i := range ds {
			ds[i].queue.settle(ds[i].entry)
		}
	case rejected:
		s.stats.Rejected += uint64(len(ds))
		for i := range ds {
			ds[i].queue.reject(ds[i].entry)
		}
	case requeued:
		s.stats.Rejected += uint64(len(ds))
		requeueByConsumer(ds)
	}
	switch {
	case wasFull:
		ch.wakeConsumers()
	case several:
		s.wakeEach(ds)
	case only != nil:
		only.queue.wake(only)
	}
}

// wakeEach lets the consumers of deliveries continue, one by one in the order of their tags.
// RabbitMQ tells its queues in this order.
func (s *Server) wakeEach(ds []delivery) {
	all := s.rejoining[:0]
	for i := range ds {
		if k := ds[i].consumer; k != nil && !k.listed {
			k.listed = true
			all = append(all, k)
		}
	}
	slices.SortStableFunc(all, func(a, b *consumer) int { return strings.Compare(a.tag, b.tag) })
	for _, k := range all {
		k.listed = false
		k.queue.wake(k)
	}
	clear(all)
	s.rejoining = all[:0]
}

// requeueByConsumer returns deliveries in RabbitMQ's order when a client asks for it: by
// queue, and for each queue first the messages of basic.get, one by one, then those of each
// consumer. The order matters if a queue is full or a consumer waits.
func requeueByConsumer(ds []delivery) {
	sort := func(a, b delivery) int {
		if a.queue != b.queue {
			return strings.Compare(a.queue.name, b.queue.name)
		}
		switch {
		case a.consumer == b.consumer:
			return 0
		case a.consumer == nil:
			return -1
		case b.consumer == nil:
			return 1
		}
		return strings.Compare(a.consumer.tag, b.consumer.tag)
	}
	if !slices.IsSortedFunc(ds, sort) {
		slices.SortStableFunc(ds, sort)
	}
	for len(ds) > 0 {
		n := 1
		for ds[0].consumer != nil && n < len(ds) && ds[n].queue == ds[0].queue && ds[n].consumer == ds[0].consumer {
			n++
		}
		requeueEach(ds[:n], false)
		ds = ds[n:]
	}
}

// requeueEach returns deliveries, those of each queue together. ended says that the channel
// has ended.
func requeueEach(ds []delivery, ended bool) {
	if len(ds) == 0 {
		return
	}
	one := make([]entry, 0, len(ds))
	q := ds[0].queue
	for i := range ds {
		if ds[i].queue != q {
			requeueMany(ds, ended)
			return
		}
		one = append(one, ds[i].entry)
	}
	q.takeBack(one, ended)
}

// requeueMany is requeueEach for more than one queue.
func requeueMany(ds []delivery, ended bool) {
	byQueue := map[*queue][]entry{}
	var order []*queue
	for i := range ds {
		q := ds[i].queue
		if byQueue[q] == nil {
			order = append(order, q)
		}
		byQueue[q] = append(byQueue[q], ds[i].entry)
	}
	for _, q := range order {
		q.takeBack(byQueue[q], ended)
	}
}

// onRecover returns all unacked messages to their queues. RabbitMQ does not implement
// redelivery to the same consumer either.
func (ch *channel) onRecover(args []byte) error {
	var m amqpproto.BasicRecover
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if !m.Requeue {
		return unsupported("requeue=false")
	}
	ch.conn.send(ch.number, &amqpproto.BasicRecoverOk{}) // before the messages are delivered again
	ch.requeueAll()
	return nil
}

func (ch *channel) onRecoverAsync(args []byte) error {
	var m amqpproto.BasicRecoverAsync
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if !m.Requeue {
		return unsupported("requeue=false")
	}
	ch.requeueAll()
	return nil
}

// requeueAll returns all unacked messages.
func (ch *channel) requeueAll() {
	if !ch.conn.server.afford(ch.unacked.len() * requeueUnits) {
		ch.settleLater(ch.tag, requeued)
		return
	}
	if taken, _ := ch.unacked.take(nil, 0, true); len(taken) > 0 {
		ch.settle(taken, requeued)
	}
}
