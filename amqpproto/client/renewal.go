package client

import (
	"errors"
	"slices"

	"zamqp/amqpproto/endpoint"
)

// renewal replaces a publish channel that the broker does not serve any more,
// though it is open: after the failover of a node of a cluster RabbitMQ may nack
// everything that comes over a channel from before, or leave it without confirm,
// while a fresh channel works. The old one keeps what has no outcome yet.
//
// A nack is also the lasting answer of a full queue. So each publish is sent again
// once at most, and the time between two renewals grows as long as they do not
// help; nacks meanwhile are told at once.
type renewal struct {
	backoff     backoff
	limit       deadline        // no other renewal before
	acked       uint64          // the highest number on this channel that was acked
	successor   *publishChannel // the channel that has replaced this one
	predecessor *publishChannel // the one replaced, whose outcomes this one waits for
	wait        deadline        // at most
	nacked      []entry         // nacked here; the successor sends them again
	acks        map[uint64]uint64
}

var (
	errRefuses = errors.New("the channel refuses publishes (basic.nack): another may be served, as after a failover of the broker")
	errStalled = errors.New("confirms of the channel do not come, while those of later publishes do: another may be served")
)

// renew opens another channel in place of this one; false if that cannot be now.
func (p *publishChannel) renew(why error) bool {
	c, r := p.client, &p.renewal
	if r.limit.armed() || r.predecessor != nil || r.successor != nil || p.resend.window != 0 || p.state != publishReady || !c.isOpen() {
		return false
	}
	successor := newPublishChannel(c)
	ch, err := c.conn.openChannel(successor)
	if err != nil {
		return false
	}
	successor.ch, successor.state, successor.live, successor.backoff = ch, publishAwaitChannel, p.live, p.backoff
	after := r.backoff.next(c.rnd, c.clock.now)
	successor.renewal = renewal{backoff: r.backoff, predecessor: p}
	successor.renewal.limit.set(after)
	successor.renewal.wait.set(paceMax)
	r.successor = successor
	if p == c.pub {
		c.pub = successor
	} else {
		c.isolated = successor
	}
	c.retiring = append(c.retiring, p)
	c.rearm = true
	c.stats.Renewed++
	c.note(Event{Kind: EventPublishChannelRenewed, Err: why})
	return true
}

// keepsNacked tells whether a nacked publish is sent again in place of telling so.
// One that was overtaken is not: the order would be another.
func (p *publishChannel) keepsNacked(e *entry, seq uint64) bool {
	r := &p.renewal
	if e.expired || e.nacked || isGone(e.done) {
		return false
	}
	if r.successor == nil && !p.renew(errRefuses) || r.acked > seq {
		return false
	}
	e.nacked, e.seq = true, seq
	r.nacked = append(r.nacked, *e)
	return true
}

// path is what keeps an order: a queue, or an exchange. §4.7.
func (p *publishChannel) path(o *Outgoing) uint64 {
	if o.Exchange == "" {
		return p.client.hash.route("", o.RoutingKey)
	}
	return p.client.hash.route(o.Exchange, "")
}

// noteAck notes an ack that came behind refused ones.
func (p *publishChannel) noteAck(e *entry, seq uint64) {
	r := &p.renewal
	if len(r.nacked) == 0 {
		return
	}
	if r.acks == nil {
		r.acks = map[uint64]uint64{}
	}
	r.acks[p.path(&e.out)] = seq
}

// successor is the channel that new publishes take.
func (p *publishChannel) successor() *publishChannel {
	for p.renewal.successor != nil {
		p = p.renewal.successor
	}
	return p
}

// moveNacked gives the heir what this channel refused.
func (p *publishChannel) moveNacked() {
	r, c := &p.renewal, p.client
	to := p.successor()
	if h := r.successor; h.renewal.predecessor == p {
		h.renewal.predecessor = nil
		h.renewal.wait.stop()
		c.wakeWaiting()
		c.wake()
	}
	if len(r.nacked) == 0 {
		return
	}
	list, acks := r.nacked, r.acks
	r.nacked, r.acks = nil, nil
	keep, told := list[:0], []entry(nil)
	for i := range list {
		if seq := acks[p.path(&list[i].out)]; seq > list[i].seq || isGone(list[i].done) {
			told = append(told, list[i])
		} else {
			keep = append(keep, list[i])
		}
	}
	to.resend.put(keep, len(keep))
	for i := range told {
		c.settled(p, &told[i], ErrNacked)
	}
}

// retire looks what is left of a replaced channel, and closes it when nobody
// waits for it.
func (p *publishChannel) retire() {
	r := &p.renewal
	if r.successor == nil {
		return
	}
	over := p.confirms.unsettled == p.confirms.over
	if over || r.successor.renewal.predecessor != p {
		p.moveNacked()
	}
	if over && p.ch != nil && p.state == publishReady {
		p.ch.close(nil)
	}
}

// retired is called when the broker has closed the channel, or has agreed to.
func (p *publishChannel) retired(cause error) {
	c := p.client
	if !c.isOpen() {
		return // the end of the connection tells all of them
	}
	c.retiring = slices.DeleteFunc(c.retiring, func(other *publishChannel) bool { return other == p })
	var failed, gone []entry
	if cause == nil {
		cause = ErrConfirmTimeout
		failed = p.confirms.take()
	} else {
		cause = explainUse(cause)
		c.note(Event{Kind: EventPublishChannelClosed, Err: cause})
		failed, gone = p.resendAfter(cause, p.successor())
	}
	p.moveNacked()
	p.state = publishAwaitConnection
	c.endAll(failed, cause)
	c.endAll(gone, &LostError{Connection: c.cfg.Name, Cause: cause})
}

// sweep looks at the deadlines of the channel.
func (p *publishChannel) sweep(now int64, next *int64) {
	if p.retry.due(now, next) {
		p.start()
	}
	p.renewal.limit.due(now, next)
	if p.renewal.wait.due(now, next) && p.renewal.predecessor != nil {
		p.renewal.predecessor.moveNacked()
	}
	if p.resend.pace.due(now, next) {
		p.proceed()
	}
}

// watch looks for a publish without confirm while later ones have theirs.
func (p *publishChannel) watch(now int64, next *int64) {
	l := &p.confirms
	if l.Base() == l.Next() || p.renewal.successor != nil || p.client.cfg.NoConfirms || p.client.cfg.TxSelect {
		return
	}
	e := l.At(l.Base())
	if e.at == 0 {
		return
	}
	if due := e.at + int64(p.client.cfg.ConfirmTimeout/3); now < due {
		endpoint.Sooner(next, due)
	} else if p.renewal.acked > l.Base() {
		p.renew(errStalled)
	}
}

// take empties it, at the end of the connection.
func (r *renewal) take() []entry {
	list := r.nacked
	*r = renewal{backoff: r.backoff}
	return list
}
