package broker

// consumer is a basic.consume. The channel fills in the fields down to prefetch
// before queue.consume.
type consumer struct {
	tag       string
	ch        *channel
	conn      *Conn
	queue     *queue
	noAck     bool
	exclusive bool
	priority  int32  // x-priority
	prefetch  uint16 // the channel's prefetch at basic.consume; 0 = no limit
	unacked   int    // the channel's count
	active    bool   // false while another consumer is the single active one

	to recipient // ch, except in tests

	// The queue's rotation. A consumer that is not ready at its turn leaves the rotation, and
	// comes back when it is woken.
	level  *level
	turn   node[consumer] // its place in level
	listed bool           // for wakeEach
	leftAt uint64         // its number among all consumers that ever left a rotation

	rest node[consumer] // its place in channel.retired

	inQueue, inChannel int // its places in the rosters
}

// recipient is what a queue knows about a channel.
type recipient interface {
	ready(c *consumer) bool
	deliver(c *consumer, e entry)
	cancelled(c *consumer)
}

// level has the consumers of one priority that wait for their turn.
type level struct {
	priority int32
	list[consumer]
}

// consuming has the consumers of a queue.
type consuming struct {
	all    roster    // in the order of basic.consume
	levels []*level  // the highest priority first
	single *consumer // the active one, if x-single-active-consumer
	alone  *consumer // the exclusive one
	had    bool      // there has been a consumer: auto-delete counts from then on
}

// consumers returns how many consumers there are, the count of queue.declare-ok.
func (q *queue) consumers() int { return q.all.n }

// consume adds c. The error is a ChannelError 403: another consumer is exclusive, or c wants
// to be exclusive and is not the first. Deliveries begin with wake, so consume-ok is sent
// before them.
func (q *queue) consume(c *consumer) error {
	if q.typ.exclusiveConsumers && (q.alone != nil || c.exclusive && (q.sac || q.all.n > 0)) {
		return refused("%s in exclusive use", q)
	}
	if c.to == nil {
		c.to = c.ch
	}
	c.queue, c.active, c.level = q, true, q.levelOf(c.priority)
	if c.exclusive && q.typ.exclusiveConsumers {
		q.alone = c
	}
	q.all.add(c)
	q.had = true
	q.wait(c)
	if q.sac {
		c.active = q.single == nil
		if c.active {
			q.single = c
		}
	}
	return nil
}

// cancel removes c. Its unacked messages stay with the channel. When the last consumer of an
// auto-delete queue is cancelled, the queue is deleted. When a channel ends, all of its
// consumers must be unready before the first one is cancelled.
func (q *queue) cancel(c *consumer) {
	if q.gone || !q.all.remove(c) {
		return
	}
	c.turn.remove()
	c.unretire()
	c.active, c.level = false, nil
	if q.alone == c {
		q.alone = nil
	}
	if q.autoDelete && q.all.n == 0 {
		q.deleteWhenQuiet()
		q.server().drain()
		return
	}
	if q.all.n == 0 {
		q.touch()
	}
	if q.single == c {
		q.succeed()
		q.run()
	}
	q.server().drain()
}

// succeed makes another consumer the single active one: the first of those that wait.
func (q *queue) succeed() {
	q.single = nil
	for _, l := range q.levels {
		if q.single = l.head(); q.single != nil {
			break
		}
	}
	if q.single == nil {
		q.single = q.all.first()
	}
	if q.single != nil {
		q.single.active = true
	}
}

// wait puts c at the end of its level.
func (q *queue) wait(c *consumer) {
	c.unretire()
	c.level.push(&c.turn, c)
}

// waiting reports whether c is in the rotation.
func (c *consumer) waiting() bool { return c.turn.in != nil }

// retire removes a consumer that is not ready from the rotation until it is woken.
func (q *queue) retire(c *consumer) {
	c.turn.remove()
	s := q.server()
	s.left++
	c.leftAt = s.left
	if c.ch != nil {
		c.ch.retire(c)
	}
}

// levelOf returns the level of a priority, and makes it if necessary. Levels are never
// removed: there are as many as priorities have been used.
func (q *queue) levelOf(priority int32) *level {
	i := 0
	for ; i < len(q.levels) && q.levels[i].priority >= priority; i++ {
		if q.levels[i].priority == priority {
			return q.levels[i]
		}
	}
	l := &level{priority: priority}
	q.levels = append(q.levels, nil)
	copy(q.levels[i+1:], q.levels[i:])
	q.levels[i] = l
	return l
}

// retiredMost is how many consumers leave a rotation in one turn; then the queue continues in
// the next turn.
const retiredMost = 1024

// nextReady returns the consumer whose turn it is; nil if none can take a message. Consumers
// that cannot take one leave the rotation until they are woken.
func (q *queue) nextReady() *consumer {
	if q.sac {
		if c := q.single; c != nil && c.waiting() {
			if c.to.ready(c) {
				return c
			}
			q.retire(c)
		}
		return nil
	}
	retired := 0
	for _, l := range q.levels {
		for l.n > 0 {
			c := l.head()
			if !c.to.ready(c) {
				q.retire(c)
				if retired++; retired >= retiredMost {
					q.running = true
					q.soon()
					return nil
				}
				continue
			}
			if l.n > 1 {
				c.turn.remove()
				q.wait(c)
			}
			return c
		}
	}
	return nil
}

// hand gives a message to a consumer.
func (q *queue) hand(c *consumer, e entry) {
	if !c.noAck {
		q.server().storeDelivery(q, e)
	}
	q.out(1)
	c.to.deliver(c, e)
	if q.typ.retiresAtOnce && c.waiting() && !c.to.ready(c) {
		q.retire(c)
	}
}

// wake says that c may be ready again (credit came back, output was sent, flow was turned
// on), and delivers what can be delivered. It does nothing for a cancelled consumer.
func (q *queue) wake(c *consumer) {
	if q.gone || c.level == nil {
		return
	}
	q.rejoin(c)
	if c.waiting() && q.backlog.Len() > 0 {
		q.run()
		q.server().drain()
	}
}

// rejoin is wake without delivering. It is for several consumers that become ready
// together.
func (q *queue) rejoin(c *consumer) {
	if !q.gone && c.level != nil && !c.waiting() && c.to.ready(c) {
		q.wait(c)
	}
}

// run delivers while there are messages, and consumers that take them.
func (q *queue) run() {
	s := q.server()
	for n := 0; q.backlog.Len() > 0; n++ {
		q.expire()
		if q.backlog.Len() == 0 || q.busy() {
			return
		}
		c := q.nextReady()
		if c == nil {
			return
		}
		if n >= freeUnits && !s.charge(deliverUnits, s.slabs.at(q.backlog.First().ID).copied()) {
			q.running = true
			q.soon()
			return
		}
		q.hand(c, q.next())
	}
}
