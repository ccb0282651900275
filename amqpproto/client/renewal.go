package client

import (
	"errors"
	"slices"

	"zamqp/amqpproto/endpoint"
)

// renewal replaces a publish channel that is open but that the broker no longer
// serves. After the failover of a cluster node, RabbitMQ may nack every publish on
// an old channel, or never confirm it, while a new channel works. The old channel
// keeps the publishes that have no outcome yet.
//
// A full queue nacks every publish too. So each publish is resent at most once, and
// the time between two renewals grows while renewals do not help. In that time
// nacks are reported at once.
type renewal struct {
	backoff     backoff
	limit       deadline          // no further renewal before this time
	acked       uint64            // the highest acked number of a publish on this channel
	successor   *publishChannel   // the channel that has replaced this one
	predecessor *publishChannel   // the channel that this one has replaced, and whose outcomes it waits for
	wait        deadline          // the longest wait for the predecessor
	nacked      []entry           // nacked on this channel; the successor resends them
	acks        map[uint64]uint64 // by path, the last number acked after a nack
}

var (
	errRefuses = errors.New("the channel refuses publishes (basic.nack): another may be served, as after a failover of the broker")
	errStalled = errors.New("confirms of the channel do not come, while those of later publishes do: another may be served")
)

// renew opens a new channel to replace this one. It returns false if that is not
// possible now.
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

// keepsNacked keeps a nacked publish to resend it, and reports whether it did. It
// does not if a later publish was acked, because resending would change the order.
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

// path identifies what a publish must keep its order in: a queue for the default
// exchange, otherwise an exchange. §4.7.
func (p *publishChannel) path(o *Outgoing) uint64 {
	if o.Exchange == "" {
		return p.client.hash.route("", o.RoutingKey)
	}
	return p.client.hash.route(o.Exchange, "")
}

// noteAck records an ack that came after nacks.
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

// successor returns the channel that new publishes use.
func (p *publishChannel) successor() *publishChannel {
	for p.renewal.successor != nil {
		p = p.renewal.successor
	}
	return p
}

// moveNacked moves the publishes that were nacked on this channel to the channel
// that new publishes use.
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

// retire moves the nacked publishes of a replaced channel on when it is time, and
// closes the channel when no publish on it waits for an outcome.
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

// retired is called when a replaced channel is closed, by the broker or by us.
func (p *publishChannel) retired(cause error) {
	c := p.client
	if !c.isOpen() {
		return // the end of the connection settles all publishes
	}
	c.retiring = slices.DeleteFunc(c.retiring, func(other *publishChannel) bool { return other == p })
	var failed, gone []entry
	if cause == nil {
		cause = ErrConfirmTimeout
		failed = p.take()
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

// sweep checks the deadlines of the channel.
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
	if p.rest.due(now, next) {
		p.confirms.rest()
		p.restLater()
	}
}

// watch renews the channel if a publish has no confirm while later ones have theirs.
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

// take removes and returns the nacked publishes, at the end of the connection.
func (r *renewal) take() []entry {
	list := r.nacked
	*r = renewal{backoff: r.backoff}
	return list
}
