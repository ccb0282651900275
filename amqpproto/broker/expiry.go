package broker

// lifetime returns how long m may wait in q, in milliseconds; -1 = for ever.
func (q *queue) lifetime(m *message) int64 {
	switch {
	case m.expiration < 0:
		return q.ttl
	case q.ttl < 0:
		return m.expiration
	}
	return min(q.ttl, m.expiration)
}

// expire drops the messages at the head whose time is over. Expired messages behind
// one that is not expired stay: nobody can get them yet, and RabbitMQ's classic queues
// do the same.
func (q *queue) expire() {
	if q.deadHead == 0 && q.ttl < 0 && !q.mortal() {
		return
	}
	if q.holds > 0 {
		return // some messages that belong before the head are missing
	}
	now := q.server().now()
	for n := 0; q.mortal() && q.backlog.First().Expires <= now; n++ {
		if n >= freeUnits && !q.chargeDeath() {
			q.tidyLater()
			return
		}
		q.bury(q.next(), deathExpired)
	}
	q.watchHead()
}

// mortal reports whether the head will expire.
func (q *queue) mortal() bool { return q.backlog.Len() > 0 && q.backlog.First().Expires != 0 }

// watchHead makes sure that timeout is called when the head expires. The deadline of a head
// that was taken in the meantime stays: it only costs one check of the new head.
func (q *queue) watchHead() {
	if !q.mortal() {
		return
	}
	if at := q.backlog.First().Expires; q.deadHead == 0 || at < q.deadHead {
		q.deadHead = at
		q.schedule()
	}
}

// touch starts x-expires again: the queue was declared, a client has asked it for a message,
// or its last consumer has gone.
func (q *queue) touch() {
	if q.expires == 0 || q.gone {
		return
	}
	q.unusedAt = q.server().now() + q.expires*1e6
	q.schedule()
}

// schedule puts the queue at its place among the timers.
func (q *queue) schedule() {
	due := q.deadHead
	if q.unusedAt != 0 && (due == 0 || q.unusedAt < due) {
		due = q.unusedAt
	}
	q.server().setDue(q, due)
}

// timeout does what is due.
func (q *queue) timeout(now int64) {
	if q.unusedAt != 0 && q.unusedAt <= now {
		q.unusedAt = 0
		if q.all.n == 0 {
			if q.deleteWhenQuiet(); q.gone {
				return
			}
		}
	}
	if q.deadHead != 0 && q.deadHead <= now {
		q.deadHead = 0
		q.expire()
	}
	q.schedule()
}
