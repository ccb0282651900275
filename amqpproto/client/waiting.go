package client

import (
	"fmt"

	"zamqp/amqpproto/endpoint"
)

// parked is a publish that could not leave at once.
type parked struct {
	producer *Producer
	done     Confirm
	deadline int64 // 0 until the next Tick
	out      Outgoing
	size     int    // counts against PublishMax
	turn     uint64 // that it was published in
}

// park keeps a publish: a copy if what it lends may be taken back.
func park(p *Producer, o *Outgoing, size int, done Confirm) parked {
	w := parked{producer: p, done: done, out: *o, size: size, turn: p.client.turn}
	if _, is := done.(Lender); is {
		w.out = o.own()
	} else {
		w.out = o.kept()
	}
	return w
}

// waitingKeep is the capacity that a waiting list never gives back.
const waitingKeep = 1024

// waiting is the queue of publishes that cannot leave, in the order of Publish.
// They leave in that order, but those of a producer whose topology is not declared
// are overtaken.
type waiting struct {
	list    []parked
	head    int // list[:head] has left
	stamped int // list[:stamped] has a deadline
	woken   bool
}

// wake says that something may be able to leave now.
func (w *waiting) wake() { w.woken = true }

func (w *waiting) len() int { return len(w.list) - w.head }

// moving tells that some of it may leave at the next flush, and is not to be
// overtaken.
func (w *waiting) moving() bool { return w.woken && w.len() > 0 }

func (w *waiting) push(p parked) {
	w.list = append(w.list, p)
	w.woken = w.woken || p.producer.ready
}

// stamp gives what came since the last call its deadline; false if nothing did.
func (w *waiting) stamp(at int64) (any bool) {
	for w.stamped = max(w.stamped, w.head); w.stamped < len(w.list); w.stamped++ {
		if p := &w.list[w.stamped]; p.deadline == 0 {
			p.deadline, any = at, true
		}
	}
	return any
}

// remove takes out, from the head on, everything that cut says is out, until it
// says stop. The order of the rest stays. cut must not push.
func (w *waiting) remove(cut func(p *parked) (out, stop bool)) {
	keep, i := w.head, w.head
	fresh := -1 // the first without a deadline of those that stay
	for i < len(w.list) {
		out, stop := cut(&w.list[i])
		if stop {
			break
		}
		if !out {
			if keep != i {
				w.list[keep] = w.list[i]
			}
			if fresh < 0 && w.list[keep].deadline == 0 {
				fresh = keep
			}
			keep++
		}
		i++
	}
	if gone := i - keep; gone > 0 {
		unstamped := len(w.list) - max(w.stamped, i)
		if keep == w.head {
			clear(w.list[keep:i]) // the usual case: all that was looked at left
			w.head = i
		} else {
			n := keep + copy(w.list[keep:], w.list[i:])
			clear(w.list[n:])
			w.list = w.list[:n]
		}
		w.stamped = len(w.list) - unstamped
		if fresh >= 0 {
			w.stamped = fresh
		}
	}
	w.tidy()
}

// tidy gives back the space of what has left.
func (w *waiting) tidy() {
	switch {
	case w.head == len(w.list):
		w.list, w.head, w.stamped = w.list[:0], 0, 0
		if cap(w.list) > waitingKeep {
			w.list = nil
		}
	case w.head >= waitingKeep && w.head >= len(w.list)/2:
		n := copy(w.list, w.list[w.head:])
		clear(w.list[n:])
		w.list, w.stamped, w.head = w.list[:n], max(w.stamped-w.head, 0), 0
	}
}

// flushWaiting encodes what may leave, until the output is full.
func (c *Client) flushWaiting() {
	w := &c.waiting
	if !w.moving() || !c.pub.clear() && !c.isolated.clear() {
		return
	}
	w.woken = false
	w.remove(func(p *parked) (out, stop bool) {
		if c.full(p.turn) {
			w.woken = true // for the next Pending
			return false, true
		}
		if !p.producer.ready {
			return false, false
		}
		o := &p.out
		if err := c.check(o, c.conn.frameMax); err != nil {
			// It was made for a larger frame_max than this broker has.
			c.settleLater(outcome{p.done, err}, p.size)
			return true, false
		}
		lane := c.lane(o)
		if !lane.clear() {
			return false, false
		}
		lane.tx.turn = p.turn
		lane.send(o, p.size, p.done, 0).deadline = p.deadline
		return true, false
	})
}

// borrowed takes out the publishes of Lenders, which keep an order of their own: at
// the end of a connection they hear it of all that they have given to the client.
func (w *waiting) borrowed() (held []entry) {
	w.remove(func(p *parked) (out, stop bool) {
		if _, is := p.done.(Lender); !is {
			return false, false
		}
		held = append(held, entry{done: p.done, size: p.size})
		return true, false
	})
	return held
}

// expireWaiting appends the outcomes of what has waited too long, and lowers
// *next to the next deadline.
func (c *Client) expireWaiting(now int64, next *int64, out []outcome) []outcome {
	c.waiting.remove(func(p *parked) (bool, bool) {
		if p.deadline == 0 || p.deadline > now {
			endpoint.Sooner(next, p.deadline)
			return false, false
		}
		out = append(out, outcome{p.done, c.whyWaiting(ErrConfirmTimeout, p.producer, nil)})
		c.unhold(p.size)
		c.undecided--
		return true, false
	})
	return out
}

// whyWaiting is late with what the publish or request has waited for; channel is why
// there is no channel for it, if there is none.
func (c *Client) whyWaiting(late error, p *Producer, channel error) error {
	switch {
	case !c.isOpen() && c.lastErr != nil:
		return fmt.Errorf("%w: not sent: %w", late, c.lastErr)
	case !c.isOpen():
		return fmt.Errorf("%w: not sent: amqp connection %q is not open", late, c.cfg.Name)
	case p.err != nil:
		return fmt.Errorf("%w: not sent: %w", late, p.err)
	case channel != nil:
		return fmt.Errorf("%w: not sent: %w", late, channel)
	case c.blocked:
		return fmt.Errorf("%w: not sent: the broker blocks publishers: %s", late, c.reason)
	}
	return fmt.Errorf("%w: not sent", late)
}
