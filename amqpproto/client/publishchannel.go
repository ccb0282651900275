package client

import (
	"errors"

	"zamqp/amqpproto"
)

// publishChannelState is named for what the publish channel waits for.
type publishChannelState uint8

const (
	publishAwaitConnection publishChannelState = iota
	publishAwaitChannel
	publishAwaitSelectOk
	publishReady
	publishAwaitRetry
)

var publishChannelStateNames = [...]string{"awaitConnection", "awaitChannel", "awaitSelectOk", "ready", "awaitRetry"}

// publishChannel is a channel that publishes share, so that they keep their order
// and their confirms are one sequence. A client has two: see lane.
type publishChannel struct {
	client   *Client
	state    publishChannelState
	ch       *channel
	confirms confirms
	partly   partly
	tx       txState
	stopped  bool // by channel.flow
	live     bool // it has been ready on this connection, and has not failed since
	backoff  backoff
	retry    deadline
	resend   resendList
	renewal  renewal
	rest     deadline // when the ring of the confirms is looked at; set while it is long
	returned amqpproto.BasicReturn
}

func newPublishChannel(c *Client) *publishChannel {
	p := &publishChannel{client: c}
	p.backoff = backoff{min: c.cfg.BackoffMin, max: c.cfg.BackoffMax}
	p.renewal.backoff = p.backoff
	p.confirms.reset()
	return p
}

// String names the state, for errors.
func (p *publishChannel) String() string {
	return "publish channel " + publishChannelStateNames[p.state]
}

// clear reports whether new publishes may be sent.
func (p *publishChannel) clear() bool { return p.resend.window == 0 && p.usable() }

// usable reports whether publishes may be sent, new or resent. None may be sent
// during a tx.commit, because RabbitMQ closes the connection for it.
func (p *publishChannel) usable() bool {
	return p.state == publishReady && p.ch != nil && p.ch.state == channelOpen && p.ch.await == 0 && p.renewal.predecessor == nil &&
		!p.client.blocked && !p.stopped && p.client.replay.open && p.client.isOpen()
}

// start opens the channel.
func (p *publishChannel) start() {
	p.retry.stop()
	p.stopped = false
	ch, err := p.client.conn.openChannel(p)
	if err != nil {
		p.fail(err)
		return
	}
	p.ch, p.state = ch, publishAwaitChannel
}

func (p *publishChannel) opened() error {
	p.confirms.reset()
	p.renewal.acked = 0
	p.tx = txState{end: p.confirms.Next()}
	if p.client.cfg.TxSelect {
		p.state = publishAwaitSelectOk
		return p.ch.request(&amqpproto.TxSelect{}, amqpproto.IDTxSelectOk)
	}
	if p.client.cfg.NoConfirms {
		p.ready()
		return nil
	}
	p.state = publishAwaitSelectOk
	return p.ch.request(&amqpproto.ConfirmSelect{}, amqpproto.IDConfirmSelectOk)
}

func (p *publishChannel) answered(id amqpproto.MethodID, _ []byte) error {
	switch {
	case p.state == publishAwaitSelectOk:
		p.ready()
		return nil
	case p.state == publishReady && id == amqpproto.IDTxCommitOk:
		return p.committed()
	}
	return unexpected(p, id)
}

func (p *publishChannel) ready() {
	p.state, p.live = publishReady, true
	p.backoff.up(p.client.clock.now)
	p.renewal.backoff.up(p.client.clock.now)
	p.client.wakeWaiting()
	p.client.noteReady()
}

// onMethod handles the broker's acks and nacks.
func (p *publishChannel) onMethod(id amqpproto.MethodID, args []byte) error {
	switch {
	case p.state != publishReady || p.client.cfg.NoConfirms || p.client.cfg.TxSelect:
	case id == amqpproto.IDBasicAck:
		m := &p.client.conn.ack
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		return p.settle(id, m.DeliveryTag, m.Multiple, nil)
	case id == amqpproto.IDBasicNack:
		var m amqpproto.BasicNack
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		return p.settle(id, m.DeliveryTag, m.Multiple, ErrNacked)
	}
	return unexpected(p, id)
}

// settle reports the outcome of one publish, or with multiple of all up to tag. Tag
// 0 with multiple means all. §1.8.3.13. If these are very many, it returns errAgain.
func (p *publishChannel) settle(id amqpproto.MethodID, tag uint64, multiple bool, result error) error {
	l := &p.confirms
	first := l.Base()
	if p.partly.tag != 0 {
		tag = p.partly.tag
	} else {
		var ok bool
		first, tag, ok = l.Range(tag, multiple)
		if !ok || !multiple && !l.holds(tag) {
			return connectionError(amqpproto.CommandInvalid, id, "publish %d was never sent or is settled already; %d to %d are not",
				tag, l.Base(), l.Next()-1)
		}
	}
	if result == nil {
		p.renewal.acked = max(p.renewal.acked, tag)
	}
	p.partly = partly{tag, result}
	last := min(tag, first+settleMax-1)
	for seq := first; seq <= last; seq++ {
		if !l.holds(seq) {
			continue
		}
		e := l.settle(seq)
		p.client.times.add(e.at)
		switch {
		case result == nil:
			p.noteAck(&e, seq)
		case p.keepsNacked(&e, seq):
			continue
		}
		p.client.settled(p, &e, result)
		if p.state != publishReady {
			return nil // the channel ended during a callback
		}
	}
	if last < tag {
		return errAgain
	}
	p.partly = partly{}
	p.settledSome()
	return nil
}

// settleMax is how many publishes are settled at a time.
const settleMax = 1024

// partly is an answer of the broker to many publishes of which only some were settled.
type partly struct {
	tag    uint64 // the last of them; 0 = there is no such answer
	result error
}

// errAgain says that the rest of a frame is handled in the next turn. Feed leaves the frame in
// its input, so it is fed again.
var errAgain = errors.New("the frame has to be fed again")

// take removes and returns the publishes without outcome, at the end of the channel.
func (p *publishChannel) take() []entry {
	p.finishPartly()
	return p.confirms.take()
}

// finishPartly gives publishes that the broker has answered its answer, at the next Tick.
func (p *publishChannel) finishPartly() {
	l, c := &p.confirms, p.client
	for seq := l.Base(); seq <= p.partly.tag; seq++ {
		if !l.holds(seq) {
			continue
		}
		e := l.settle(seq)
		err := p.partly.result
		if err == nil && e.returned != nil {
			err = e.returned
		}
		if e.expired {
			c.undecided++ // its timeout has counted it down already, and tellLater does so again
		}
		if p.partly.result == nil {
			c.stats.Confirmed++
		} else {
			c.stats.Nacked++
		}
		c.settleLater(outcome{e.done, err}, e.size)
	}
	p.partly = partly{}
}

// settledSome is called after one or more outcomes.
func (p *publishChannel) settledSome() {
	p.confirms.shrink()
	p.restLater()
	if p.confirms.unsettled == 0 {
		p.proceed()
	}
	if p.renewal.successor != nil {
		p.retire()
	}
}

// settled counts one answer of the broker and reports it to the caller. The broker
// acks a returned message like any other.
func (c *Client) settled(p *publishChannel, e *entry, err error) {
	c.unhold(e.size)
	if !e.expired {
		c.undecided--
	}
	switch {
	case err == nil && e.returned != nil:
		err = e.returned
		c.stats.Confirmed++
	case err == nil:
		c.stats.Confirmed++
	default:
		c.stats.Nacked++
	}
	if p == c.isolated && err == nil {
		c.trustConfirmed(e.out.Exchange)
	}
	outcome{e.done, err}.tell()
}

// onChannelOver is called when the channel has ended. If the broker closed it because
// of one publish, the others are resent over a new channel.
func (p *publishChannel) onChannelOver(cause error) {
	p.ch = nil
	if p.renewal.successor != nil {
		p.retired(cause)
		return
	}
	if cause == nil || !p.client.isOpen() {
		return
	}
	cause = explainUse(cause)
	if p.state != publishReady {
		p.fail(cause) // it could not be opened, so the next try has to wait
		return
	}
	p.client.note(Event{Kind: EventPublishChannelClosed, Err: cause})
	failed, gone := p.resendAfter(cause, p)
	p.start()
	p.client.endAll(failed, cause)
	p.client.endAll(gone, &LostError{Connection: p.client.cfg.Name, Cause: cause})
}

func (p *publishChannel) fail(cause error) {
	p.state, p.live = publishAwaitRetry, false
	after := p.backoff.next(p.client.rnd, p.client.clock.now)
	p.retry.set(after)
	p.client.rearm = true
	p.client.note(Event{Kind: EventPublishChannelClosed, Err: cause, After: after})
}

// lost forgets the channel, and ends the publishes without outcome. They are not told yet.
func (p *publishChannel) lost(err error) {
	p.ch, p.state, p.stopped, p.live = nil, publishAwaitConnection, false, false
	p.retry.stop()
	c, l := p.client, &p.confirms
	p.finishPartly()
	c.endLater(p.renewal.take(), err)
	for seq := l.Base(); seq < l.Next(); seq++ { // without a copy: they may be very many
		if e := l.At(seq); !e.settled {
			c.endOne(e, err)
		}
	}
	l.reset()
	c.endLater(p.resend.take(), err)
}

// endAll reports the same error to all entries: to the first of them at once, to more at the
// next Tick.
func (c *Client) endAll(held []entry, err error) {
	c.endLater(held, err)
	c.tellLater()
}

// endLater is endAll from a place that must not call back.
func (c *Client) endLater(held []entry, err error) {
	for i := range held {
		c.endOne(&held[i], err)
	}
}

func (c *Client) endOne(e *entry, err error) {
	if e.expired {
		c.undecided++ // its timeout has counted it down already, and tellLater does so again
	} else {
		c.stats.Unconfirmed++
	}
	c.settleLater(outcome{e.done, err}, e.size)
}

// settleSent settles publishes when confirms are off: those whose octets were sent.
func (p *publishChannel) settleSent() {
	l := &p.confirms
	sent := p.client.conn.out.Sent()
	for l.Base() < l.Next() && l.At(l.Base()).end <= sent {
		e := l.settle(l.Base())
		p.client.unhold(e.size)
		if !e.expired {
			p.client.undecided--
		}
		outcome{e.done, nil}.tell()
	}
	l.shrink()
	p.restLater()
}

// restLater has the ring of the confirms looked at after a while, if it is long.
func (p *publishChannel) restLater() {
	if p.confirms.mayRest() && !p.rest.armed() {
		p.rest.set(restAfter)
		p.client.rearm = true
	}
}

// isChannelError reports whether the broker closed the channel with an error. If we
// closed it ourselves, because an answer did not come, it is false.
func isChannelError(err error) (*amqpproto.ChannelError, bool) {
	var ce *amqpproto.ChannelError
	return ce, errors.As(err, &ce)
}
