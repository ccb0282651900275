package client

// copied is the copy of a request that was sent at once, kept while it may have to be
// resent. The next request of the slot reuses its memory.
type copied struct {
	data                []byte // exchange, routing key, properties, body
	exchange, key, head int    // where exchange, routing key and properties end
	mandatory           bool
}

// copiedMax bounds the memory that a free slot keeps.
const copiedMax = 4096

// keep keeps the sent message until we know that the broker has it.
func (k *request) keep(o *Outgoing) {
	if o.Lent {
		k.request.out = *o
		return
	}
	c := &k.copied
	c.data = append(append(c.data[:0], o.Exchange...), o.RoutingKey...)
	c.data = append(append(append(c.data, o.RawProperties...), o.Prefix...), o.Body...)
	c.exchange = len(o.Exchange)
	c.key = c.exchange + len(o.RoutingKey)
	c.head = c.key + len(o.RawProperties)
	c.mandatory = o.Mandatory
}

// outgoing returns the message of a request that has no outcome and that the broker
// may not have.
func (k *request) outgoing() Outgoing {
	if k.request.out.Lent {
		return k.request.out
	}
	c := &k.copied
	return Outgoing{Exchange: string(c.data[:c.exchange]), RoutingKey: string(c.data[c.exchange:c.key]), Mandatory: c.mandatory,
		RawProperties: c.data[c.key:c.head], Body: c.data[c.head:]}
}

// emptied returns the memory for the next request, or nothing if it is too large.
func (c *copied) emptied() copied {
	if cap(c.data) > copiedMax {
		return copied{}
	}
	return copied{data: c.data[:0]}
}

// lane returns the channel for a request. Requests to exchanges that are not trusted,
// or with a foreign user id, use the isolated channel, because a failed one ends its
// channel. Those that are like one that the broker has refused use the failing
// channel.
func (t *requests) lane(k *request) *requestChannel {
	return t.laneOf(k.request.out.Exchange, k.foreign)
}

func (t *requests) laneOf(exchange string, foreign bool) *requestChannel {
	switch {
	case !foreign && t.client.trust.has(exchange):
		return t.common
	case t.refused[exchange] || foreign && t.foreignRefused:
		return t.failing
	}
	return t.isolated
}

// each visits the channels.
func (t *requests) each(do func(lane *requestChannel)) {
	do(t.common)
	do(t.isolated)
	do(t.failing)
}

// opened is called when there is a new connection.
func (t *requests) opened() {
	t.refused, t.foreignRefused = nil, false
	t.start()
}

// start opens the channels that requests wait for.
func (t *requests) start() {
	for _, id := range t.waiting[t.left:] {
		if k := t.find(id); k != nil {
			t.lane(k).start()
		}
	}
}

// sweep opens channels again whose backoff is over.
func (t *requests) sweep(now int64, next *int64) {
	t.each(func(lane *requestChannel) {
		if lane.retry.due(now, next) {
			lane.state = requestIdle
			t.start()
		}
	})
}

// lost is called when the connection is over.
func (t *requests) lost(err error) { t.each(func(lane *requestChannel) { lane.lost(err) }) }

// moving reports whether the next flush may send some requests.
func (t *requests) moving() bool {
	return t.woken && len(t.waiting) > t.left && (t.common.clear() || t.isolated.clear() || t.failing.clear())
}

// flush encodes the requests that may be sent, until the output is full.
func (t *requests) flush() {
	if !t.moving() {
		return
	}
	t.woken = false
	keep := t.left
	i := t.left
	for ; i < len(t.waiting); i++ {
		id := t.waiting[i]
		k := t.find(id)
		if k == nil {
			continue
		}
		if t.client.conn.out.Len() >= outMark {
			t.woken = true // for the next Pending
			break
		}
		lane := t.lane(k)
		if !k.request.producer.ready || !lane.clear() {
			lane.start()
			t.waiting[keep] = id
			keep++
			continue
		}
		o := k.request.out
		if err := t.client.check(&o, t.client.conn.frameMax-requestRoom); err != nil {
			t.client.soon(func() { t.end(id, nil, err) })
			continue
		}
		lane.send(id, &o)
	}
	switch {
	case keep == t.left:
		t.left = i
	default:
		t.waiting = t.waiting[:keep+copy(t.waiting[keep:], t.waiting[i:])]
	}
	if t.left == len(t.waiting) {
		t.waiting, t.left = t.waiting[:0], 0
	}
}
