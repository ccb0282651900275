package client

import (
	"slices"
	"time"

	"zamqp/amqpproto/endpoint"
)

// again is what is sent a second time over a new channel: publishes that had no
// outcome when the broker closed the one before for another of them. New ones
// wait for it, so that the order stays.
//
// It is sent by windows, each when the one before has its outcomes: one of them
// may end the channel as well, and what is ahead of that one then comes a further
// time.
type resendList struct {
	list   []entry
	head   int      // list[:head] has been sent
	window int      // how many may be under way; 0 = there is nothing, and was nothing
	sent   int      // of this window
	group  any      // of the last one sent; a transaction is not torn apart
	pace   deadline // when the next window goes on all the same
}

const (
	// windowNamed is the first window when the guilty one was found by its name.
	windowNamed = 8
	// paceMax is how long a window waits for one of it that stays without outcome,
	// as of a queue that cannot confirm now.
	paceMax = time.Second
)

// put places publishes in front of those that wait to be sent again.
func (g *resendList) put(list []entry, window int) {
	if len(list) == 0 {
		return
	}
	g.list = slices.Concat(list, g.list[g.head:])
	g.head, g.sent, g.window = 0, 0, max(1, window)
	g.pace.stop()
}

// take empties it.
func (g *resendList) take() []entry {
	list := g.list[g.head:]
	*g = resendList{}
	return list
}

// ready tells that some of it may be sent.
func (g *resendList) ready() bool {
	return g.head < len(g.list) && (g.sent < g.window || g.joined(&g.list[g.head]))
}

func (g *resendList) joined(e *entry) bool { return e.out.Group != nil && e.out.Group == g.group }

// sendAgain encodes what may leave now.
func (p *publishChannel) sendAgain() {
	g := &p.resend
	if g.window == 0 || !p.usable() {
		return
	}
	before := g.sent
	for g.ready() && p.client.conn.out.Len() < outMark {
		e := &g.list[g.head]
		g.head++
		g.sent++
		g.group = e.out.Group
		p.sendOnce(e)
		*e = entry{}
	}
	if g.sent != before {
		g.pace.set(paceMax)
		p.client.rearm = true
	}
	if p.confirms.unsettled == 0 && !g.ready() { // none of the window could be sent
		p.proceed()
	}
}

// sendOnce sends one of them.
func (p *publishChannel) sendOnce(old *entry) {
	c := p.client
	var err error
	if isGone(old.done) {
		err = &LostError{Connection: c.cfg.Name, Cause: c.lastErr}
	} else {
		err = c.check(&old.out, c.conn.frameMax)
	}
	if err != nil {
		if old.expired {
			c.undecided++ // it is not any more, but the next line takes it for that
		}
		c.settleLater(outcome{old.done, err}, old.size)
		return
	}
	e := p.send(&old.out, old.size, old.done, old.id)
	e.deadline, e.expired, e.nacked = old.deadline, old.expired, old.nacked
	c.stats.Resent++
	if old.indeterminate {
		c.stats.ResentIndeterminate++
	}
}

// proceed opens the next window, when the last one has its outcomes or has waited
// for them long enough.
func (p *publishChannel) proceed() {
	g := &p.resend
	if g.window == 0 {
		return
	}
	g.pace.stop()
	if g.head == len(g.list) {
		*g = resendList{}
		p.client.wakeWaiting()
	} else {
		g.window = min(2*g.window, 1<<20)
		g.sent, g.group = 0, nil
	}
	p.client.wake()
}

// stamp gives a deadline to those that have none, which came in this very turn.
func (g *resendList) stamp(at int64) (any bool) {
	for i := g.head; i < len(g.list); i++ {
		if g.list[i].deadline == 0 {
			g.list[i].deadline, any = at, true
		}
	}
	return any
}

// expire takes out what has waited too long, and appends its outcomes. A
// LateConfirm waits on: the broker may have the first copy.
func (g *resendList) expire(c *Client, now int64, next *int64, out []outcome) []outcome {
	keep := g.list[:g.head]
	for _, e := range g.list[g.head:] {
		if !e.expired && (e.deadline == 0 || e.deadline > now) {
			endpoint.Sooner(next, e.deadline)
		} else if late, is := e.done.(LateConfirm); !e.expired && is {
			e.expired = true
			out = append(out, outcome{done: soonFunc(late.Late)})
		} else if !e.expired {
			c.unhold(e.size)
			out = append(out, outcome{e.done, c.unanswered(ErrConfirmTimeout)})
			continue
		}
		keep = append(keep, e)
	}
	clear(g.list[len(keep):])
	g.list = keep
	return out
}
