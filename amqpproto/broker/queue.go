package broker

import "zamqp/amqpproto/broker/backlog"

// queue is a queue: its ready messages, its consumers, and the rules of its arguments.
// Unacked messages are with their channels.
type queue struct {
	vhost *vhost
	queueSpec
	queueRules
	owner *Conn // the connection of an exclusive queue

	backlog   backlog.Backlog
	bytes     int64  // octets of the bodies in backlog
	nextOrder uint64 // order of the next new message
	unacked   int    // number of entries that channels hold

	storeID  uint32 // the store's number for it, 0 = not stored
	unstored bool   // the store has been told that it is deleted

	consuming
	bindings []*binding // bindings that end here
	mark     uint64     // for route
	gone     bool       // deleted
	doomed   bool       // delete the queue when it is not busy any more

	queued  bool // the queue is among the chores, for one of these reasons:
	tidying bool // tidy must continue
	running bool // run must continue
	holds   int  // number of chores that bring messages back

	due      int64 // when timeout must be called; 0 = never
	timer    int   // place in the heap of timers, if due is set
	deadHead int64 // when the head of backlog must be checked; 0 = never
	unusedAt int64 // when x-expires deletes the queue; 0 = never
}

// entry is a message in one queue, and what a channel remembers about a delivery. Code that
// has taken an entry from a queue returns it with exactly one of settle, requeue or reject,
// even if the queue has been deleted.
type entry struct {
	msg         *message
	order       uint64 // place in the queue
	expires     int64  // nanoseconds since 1970, 0 = never
	deliveries  uint32 // failed deliveries before this one, if the queue counts them
	redelivered bool
}

func (q *queue) server() *Server { return q.vhost.server }

// messages returns how many are ready, the count of queue.declare-ok.
func (q *queue) messages() int { return q.backlog.Len() }

// push adds a message, and a reference for the queue. ok is false if the queue is full
// and refuses it (x-overflow): the publisher gets a nack.
func (q *queue) push(m *message) (ok bool) {
	ok = q.take(m)
	q.server().drain()
	return ok
}

// take is push without sending the dead letters that it causes.
func (q *queue) take(m *message) (ok bool) {
	if q.gone {
		return true
	}
	if q.refuses(m) {
		m.retain()
		if e := (entry{msg: m}); q.overflow == rejectPublishDLX {
			q.bury(e, deathMaxLen)
		} else {
			q.forget(e)
		}
		return false
	}
	s := q.server()
	e := entry{msg: m, order: q.nextOrder}
	q.nextOrder++
	m.retain()
	ttl := q.lifetime(m)
	if ttl >= 0 {
		e.expires = s.now() + ttl*1e6
	}
	if q.backlog.Len() == 0 && !q.busy() {
		if c := q.nextReady(); c != nil {
			q.hand(c, e)
			return true
		}
	}
	q.add(q.typ.laneOf(q, m, 0), e, false)
	dropped := q.dropOver()
	if dropped || e.expires != 0 {
		q.expire()
	}
	return true
}

// refuses reports whether m does not fit, and the queue does not make room.
func (q *queue) refuses(m *message) bool {
	return q.overflow != dropHead && q.typ.refuses(q, m)
}

func (q *queue) over() bool {
	return q.maxLength >= 0 && int64(q.backlog.Len()) > q.maxLength || q.maxBytes >= 0 && q.bytes > q.maxBytes
}

// dropOver makes room by dropping messages from the head.
func (q *queue) dropOver() (dropped bool) {
	if q.overflow != dropHead || q.holds > 0 {
		return false
	}
	for n := 0; q.backlog.Len() > 0 && q.over(); n++ {
		if n >= freeUnits && !q.chargeDeath() {
			q.tidyLater()
			return true
		}
		q.bury(q.next(), deathMaxLen)
		dropped = true
	}
	return dropped
}

// chargeDeath charges what it costs to bury the head.
func (q *queue) chargeDeath() bool {
	units := forgetUnits
	if q.deadLetters {
		units = letterUnits
	}
	s := q.server()
	return s.charge(units, s.slabs.at(q.backlog.First().ID).copied())
}

// add puts an entry into the backlog: at the end of a lane, or at its place.
func (q *queue) add(lane int, e entry, back bool) {
	c := backlog.Cell{ID: e.msg.id, Deliveries: e.deliveries, Order: e.order, Expires: e.expires}
	if e.redelivered {
		c.Deliveries |= backlog.Redelivered
	}
	s := q.server()
	if back {
		q.backlog.Put(lane, c)
	} else {
		q.backlog.Append(lane, c, &s.blocks)
	}
	q.bytes += int64(e.msg.bodyLen)
	s.memory += backlog.CellSize
	s.messages++
}

// next removes the head of the backlog, which must not be empty.
func (q *queue) next() entry {
	s := q.server()
	e := s.entryOf(q.backlog.Pop(&s.blocks))
	q.bytes -= int64(e.msg.bodyLen)
	s.memory -= backlog.CellSize
	s.messages--
	return e
}

func (s *Server) entryOf(c backlog.Cell) entry {
	return entry{msg: s.slabs.at(c.ID), order: c.Order, expires: c.Expires,
		deliveries: c.Deliveries &^ backlog.Redelivered, redelivered: c.Deliveries&backlog.Redelivered != 0}
}

// get removes the first message, and returns how many are left.
func (q *queue) get() (e entry, left int, ok bool) {
	s := q.server()
	q.touch()
	q.expire()
	if ok = q.backlog.Len() > 0; ok {
		e = q.next()
		s.storeDelivery(q, e)
		q.out(1)
		q.expire()
	}
	left = q.backlog.Len()
	s.drain()
	return e, left, ok
}

// out counts n entries that go to channels, or with a negative n, entries that come back.
func (q *queue) out(n int) {
	q.unacked += n
	s := q.server()
	s.unacked += n
	s.memory += int64(n) * deliverySize
}

// settle is an ack: the message is gone for good.
func (q *queue) settle(e entry) {
	q.out(-1)
	q.forget(e)
}

// forget releases an entry that is in no queue and no channel any more.
func (q *queue) forget(e entry) {
	s := q.server()
	s.forgetEntry(q, e.msg)
	s.release(e.msg)
}

// requeue puts messages back into their places, in the order of delivery, because a client
// has asked for it.
func (q *queue) requeue(es []entry) { q.takeBack(es, false) }

// takeBack is requeue for two reasons: with ended the channel has ended, otherwise a client
// has asked.
func (q *queue) takeBack(es []entry, ended bool) {
	q.out(-len(es))
	s := q.server()
	if q.gone {
		for _, e := range es {
			s.release(e.msg)
		}
		return
	}
	for _, e := range es {
		q.bringBack(e, ended)
	}
	if q.typ.returnsFirst {
		q.run()
	}
	q.dropOver()
	q.expire()
	q.run()
	s.drain()
}

// bringBack puts an entry back into its place.
func (q *queue) bringBack(e entry, ended bool) {
	e.redelivered = true
	q.typ.bringBack(q, e, ended)
}

// reject is reject or nack without requeue: it dead-letters or drops the message.
func (q *queue) reject(e entry) {
	q.out(-1)
	if q.gone {
		q.server().release(e.msg)
		return
	}
	q.bury(e, deathRejected)
	q.server().drain()
}

// purge drops the ready messages and returns how many there were.
func (q *queue) purge() int {
	n := q.backlog.Len()
	if s := q.server(); !s.afford(n * forgetUnits) {
		s.removeLater(q.detach())
		return n
	}
	for q.backlog.Len() > 0 {
		q.forget(q.next())
	}
	return n
}

// detach takes all ready messages away from the queue.
func (q *queue) detach() *removal {
	q.server().messages -= q.backlog.Len()
	q.bytes = 0
	return &removal{vhost: q.vhost, queue: q, backlog: q.backlog.Take()}
}

// deliveryCount returns x-delivery-count, for the headers of deliveries of a queue that
// counts them: how often the message came back before.
func (q *queue) deliveryCount(e entry) (n uint32, ok bool) {
	return e.deliveries, q.typ.countsDeliveries
}

// each calls fn with the ready entries, for the store's snapshots: fn must not
// use the queue.
func (q *queue) each(fn func(e entry)) {
	s := q.server()
	q.backlog.Each(func(c backlog.Cell) { fn(s.entryOf(c)) })
}

// restore is push for a message of the store. It was in the queue before, so no limit is
// checked and no consumer gets it yet. published is when it came to the queue, in nanoseconds
// since 1970: its TTL counts from that time.
func (q *queue) restore(m *message, published int64, deliveries uint32, redelivered bool) {
	e := entry{msg: m, order: q.nextOrder, deliveries: deliveries, redelivered: redelivered}
	q.nextOrder++
	m.retain()
	if ttl := q.lifetime(m); ttl >= 0 {
		e.expires = published + ttl*1e6
	}
	q.add(q.typ.laneOf(q, m, deliveries), e, false)
	if e.expires != 0 {
		q.watchHead()
	}
}
