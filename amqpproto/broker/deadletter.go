package broker

import "zamqp/amqpproto"

// The reasons for which a message died: the values of x-death's reason.
type deathReason string

const (
	deathExpired       deathReason = "expired"
	deathRejected      deathReason = "rejected"
	deathMaxLen        deathReason = "maxlen"
	deathDeliveryLimit deathReason = "delivery_limit"
)

// death is a message that died in a queue. It has the reference of the queue, which is
// released when the dead letter has been sent.
type death struct {
	queue  *queue
	msg    *message
	reason deathReason
	hops   int // number of letters that led to it in this drain
}

// bury ends an entry that expired, did not fit or was rejected. The message goes to the
// dead-letter exchange if the queue has one, else it is dropped. It is sent when the current
// queue has finished its work, so no queue is changed in the middle of another queue's work,
// however long the chain of queues is.
func (q *queue) bury(e entry, reason deathReason) {
	if !q.deadLetters || q.vhost.exchanges[q.deadExchange] == nil {
		q.forget(e)
		return
	}
	s := q.server()
	s.deaths = append(s.deaths, death{q, e.msg, reason, s.hops})
}

// drain sends dead letters until none are left, including those that die in the meantime. It
// always ends. A letter that comes back to a queue in which it died without a client's reject
// is dropped, see dropCycles. A letter that clients reject may go in circles for ever, but
// each circle needs a client's reject. Sometimes the order of x-death hides a circle, and
// RabbitMQ never leaves it; here the number of queues is the limit.
func (s *Server) drain() {
	if s.dying || len(s.deaths) == 0 {
		return
	}
	s.dying = true
	for i := 0; i < len(s.deaths); i++ {
		d := s.deaths[i]
		if s.hops = d.hops + 1; d.hops <= len(d.queue.vhost.queues) {
			s.sendLetter(d)
		}
		if !d.queue.gone {
			s.forgetEntry(d.queue, d.msg)
		}
		s.release(d.msg)
		if i >= 1024 { // a long drain must not keep the letters that it has sent
			s.deaths = s.deaths[:copy(s.deaths, s.deaths[i+1:])]
			i = -1
		}
	}
	s.deaths = s.deaths[:0]
	s.dying, s.hops = false, 0
}

// sendLetter publishes a dead message to its queue's dead-letter exchange.
func (s *Server) sendLetter(d death) {
	v := d.queue.vhost
	x := v.exchanges[d.queue.deadExchange]
	if x == nil {
		return
	}
	l := &s.letter
	l.write(d, s.view(d.msg), s.now()/1e9)
	l.queues = v.route(x, &l.publishing, l.queues[:0])
	if d.reason != deathRejected {
		l.queues = l.dropCycles(l.queues)
	}
	if len(l.queues) == 0 {
		return
	}
	m := s.newMessage(&l.publishing)
	s.storeMessage(m, l.queues)
	for _, q := range l.queues {
		q.take(m)
	}
	s.release(m)
}

// letter is the scratch memory of sendLetter: a dead letter that is being made.
type letter struct {
	publishing
	queues  []*queue
	pairs   []tablePair // the pairs of the headers
	deaths  []deathRow  // x-death
	table   []byte      // the encoded headers
	values  []byte      // values of new pairs
	encoded []byte      // the properties
}

// write makes the dead letter of a message. Three things differ from the message: the
// exchange, the key if the queue has a dead-letter routing key, and the headers, which have
// its history. It has no expiration, because it would die again at once.
func (l *letter) write(d death, p parts, seconds int64) {
	l.exchange = append(l.exchange[:0], d.queue.deadExchange...)
	l.body, l.large = p.body, p.large
	l.props = p.props
	l.traced = d.msg.traced
	// It was checked when it was published.
	_ = l.parse()
	_ = l.check()
	l.pairs = l.pairs[:0]
	_ = l.properties.Headers.Each(func(key []byte, v amqpproto.Field) bool {
		l.pairs = append(l.pairs, tablePair{key, v})
		return true
	})
	l.values = l.values[:0]
	l.remember(d, p, seconds)
	if d.queue.hasDeadKey {
		l.key = append(l.key[:0], d.queue.deadKey...)
		l.drop("CC")
		l.more, l.bcc = l.more[:0], nil
	} else {
		l.key = append(l.key[:0], p.key...)
		at := len(l.more)
		l.more = append(l.more, p.bcc...)
		l.bcc = l.more[at:]
	}
	sortPairs(l.pairs)
	l.table = l.table[:0]
	for _, pair := range l.pairs {
		l.table = appendPair(l.table, pair.key, pair.value)
	}
	l.properties.Headers = l.table
	l.properties.Flags |= amqpproto.FlagHeaders
	l.properties.Flags &^= amqpproto.FlagExpiration
	l.expiration = -1
	l.encoded, _ = l.properties.Append(l.encoded[:0])
	l.props = l.encoded
}

func (l *letter) find(name string) int {
	for i := range l.pairs {
		if string(l.pairs[i].key) == name {
			return i
		}
	}
	return -1
}

func (l *letter) drop(name string) {
	if i := l.find(name); i >= 0 {
		l.pairs = append(l.pairs[:i], l.pairs[i+1:]...)
	}
}

// set replaces or adds a header.
func (l *letter) set(name string, v amqpproto.Field) {
	if i := l.find(name); i >= 0 {
		l.pairs[i].value = v
		return
	}
	l.pairs = append(l.pairs, tablePair{[]byte(name), v})
}

// dropCycles removes the queues in which the letter has died before without a client's reject
// since: it would only go in circles.
func (l *letter) dropCycles(queues []*queue) []*queue {
	kept := queues[:0]
	for _, q := range queues {
		if !l.cycles(q.name) {
			kept = append(kept, q)
		}
	}
	return kept
}

func (l *letter) cycles(queue string) bool {
	for i := range l.deaths {
		d := &l.deaths[i]
		if d.other.Type != 0 || string(d.reason) == string(deathRejected) {
			return false
		}
		if d.queueIsString && string(d.queue) == queue {
			return true
		}
	}
	return false
}
