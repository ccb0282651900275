package client

import (
	"slices"
	"time"

	"zamqp/amqpproto/endpoint"
)

// resendList holds publishes that are sent a second time over a new channel. They
// had no outcome when the broker closed the old channel because of another publish.
// New publishes wait until the list is empty, so that the order is kept.
//
// The list is sent in windows. A window is sent when all publishes of the last one
// have an outcome. This is because one of them may end the channel again, and then
// those before it in the window are sent once more.
type resendList struct {
	list   []entry
	head   int      // list[:head] has been sent
	window int      // how many may be under way; 0 = nothing is being resent
	sent   int      // how many of this window have been sent
	group  any      // of the last one sent: a transaction is never split over windows
	pace   deadline // when the next window is sent even without all outcomes
}

const (
	// windowNamed is the size of the first window when the error named the failed
	// publish.
	windowNamed = 8
	// paceMax is how long the next window waits for a publish that gets no outcome,
	// for example because its queue cannot confirm now.
	paceMax = time.Second
)

// put inserts publishes before those that already wait to be resent.
func (g *resendList) put(list []entry, window int) {
	if len(list) == 0 {
		return
	}
	g.list = slices.Concat(list, g.list[g.head:])
	g.head, g.sent, g.window = 0, 0, max(1, window)
	g.pace.stop()
}

// take removes and returns all publishes that were not resent yet.
func (g *resendList) take() []entry {
	list := g.list[g.head:]
	*g = resendList{}
	return list
}

// ready reports whether the next one may be sent.
func (g *resendList) ready() bool {
	return g.head < len(g.list) && (g.sent < g.window || g.joined(&g.list[g.head]))
}

func (g *resendList) joined(e *entry) bool { return e.out.Group != nil && e.out.Group == g.group }

// sendAgain encodes the publishes of the list that may leave now.
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
	if p.confirms.unsettled == 0 && !g.ready() { // no publish of the window could be sent
		p.proceed()
	}
}

// sendOnce resends one publish, or settles it if it cannot be resent.
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
			c.undecided++ // its timeout has counted it down already, and tellLater does so again
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

// proceed opens the next window. It is called when the last window has all its
// outcomes, or has waited long enough for them.
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

// stamp sets the deadline of entries that have none: those from the current turn.
func (g *resendList) stamp(at int64) (any bool) {
	for i := g.head; i < len(g.list); i++ {
		if g.list[i].deadline == 0 {
			g.list[i].deadline, any = at, true
		}
	}
	return any
}

// expire removes the publishes that have waited too long, and appends their
// outcomes to out. A LateConfirm keeps waiting, because the broker may have the
// first copy.
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
