package client

import (
	"fmt"
	"slices"
	"time"
)

// expiryGrain is how long after its deadline a publish may be told of it. Each check
// of the deadlines is a pass over all publishes, so they are not checked more often.
const expiryGrain = 10 * time.Millisecond

// Publish sends a message. While there is no connection, the connection is blocked,
// or p's topology is not declared yet, it keeps the message until it can be sent. p
// may be nil. done may be nil, and is called later with the outcome. If Publish
// returns an error (ErrPublishMax, ErrClosed, or what is wrong with o), nothing was
// kept and done is not called.
func (c *Client) Publish(p *Producer, o *Outgoing, done Confirm) error {
	if c.closing {
		return ErrClosed
	}
	frameMax := c.cfg.FrameMax
	if c.isOpen() {
		frameMax = c.conn.frameMax
	}
	if err := c.check(o, frameMax); err != nil {
		return err
	}
	if p == nil {
		p = &c.noProducer
	} else if p.client != c {
		return fmt.Errorf("amqp connection %q: producer %q belongs to another connection", c.cfg.Name, p.name)
	}
	size := entryCost + len(o.Exchange) + len(o.RoutingKey) + len(o.RawProperties) + o.bodySize()
	if size > c.cfg.PublishMax-c.held {
		return ErrPublishMax
	}
	c.held += size
	c.heldCount++
	c.undecided++
	c.stats.Published++
	if lane := c.lane(o); p.ready && !c.waiting.moving() && lane.clear() && !c.full(c.turn) {
		lane.tx.turn = c.turn
		lane.send(o, size, done, 0)
	} else {
		c.waiting.push(park(p, o, size, done))
	}
	c.wake()
	return nil
}

// Unconfirmed returns how many publishes wait or have no outcome yet, and how many
// octets of PublishMax they use.
func (c *Client) Unconfirmed() (n int, bytes int) { return c.heldCount, c.held }

// settleLater reports an outcome at the next Tick, from a place that must not call
// back.
func (c *Client) settleLater(o outcome, size int) {
	c.unhold(size)
	c.later = append(c.later, o)
}

// soon calls fn at the next Tick. It is for results that are known while the caller
// is still inside its own call.
func (c *Client) soon(fn func()) {
	c.later = append(c.later, outcome{done: soonFunc(fn)})
	c.undecided++
	c.wake()
}

type soonFunc func()

func (fn soonFunc) Confirmed(error) { fn() }

// unhold releases the part of PublishMax that one publish held.
func (c *Client) unhold(size int) {
	c.held -= size
	c.heldCount--
}

// tellLater reports outcomes that are known, so many at a time. The next Tick reports more.
func (c *Client) tellLater() {
	n := min(len(c.later), settleMax)
	list := c.later[:n:n]
	if c.later = c.later[n:]; len(c.later) == 0 {
		c.later = nil
	}
	c.undecided -= n
	for i := range list {
		o := list[i]
		list[i] = outcome{}
		o.tell() // may publish
	}
}

// stamp sets the deadlines of the publishes since the last call.
func (c *Client) stamp(now int64) {
	at := now + int64(c.cfg.ConfirmTimeout)
	fresh := c.waiting.stamp(at)
	c.eachPublishChannel(func(p *publishChannel) {
		fresh = p.confirms.stamp(now, at) || fresh
		fresh = p.resend.stamp(at) || fresh
	})
	if fresh && c.expiry == 0 {
		c.expiry = at
	}
}

// tickPublishes sets the deadlines of new publishes and ends the expired ones.
func (c *Client) tickPublishes(now int64) {
	if c.heldCount == 0 {
		c.expiry = 0
		return
	}
	if c.cfg.NoConfirms && c.conn != nil {
		c.eachPublishChannel((*publishChannel).settleSent)
	}
	c.stamp(now)
	if c.expiry == 0 || now < c.expiry {
		return
	}
	var next int64
	var late []outcome
	c.eachPublishChannel(func(p *publishChannel) {
		late = p.confirms.expire(c, now, &next, late)
		late = p.resend.expire(c, now, &next, late)
	})
	c.undecided -= len(late)
	late = c.expireWaiting(now, &next, late)
	if next != 0 {
		next = max(next, now+int64(expiryGrain))
	}
	c.expiry = next
	c.stats.Expired += uint64(len(late))
	for _, o := range late {
		o.tell()
	}
	for _, p := range slices.Clone(c.retiring) {
		p.retire()
	}
}
