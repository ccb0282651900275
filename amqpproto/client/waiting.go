package client

import (
	"fmt"

	"zamqp/amqpproto/endpoint"
)

// parked is a publish that could not be sent at once.
type parked struct {
	producer *Producer
	done     Confirm
	deadline int64 // 0 until the next Tick
	out      Outgoing
	size     int    // counts against PublishMax
	turn     uint64 // the turn in which it was published
}

// park keeps a publish. It makes a copy if the caller may take lent content back.
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

// waiting is the list of publishes that cannot be sent yet, in the order of Publish.
// They are sent in that order, but they may overtake those of a producer whose
// topology is not declared yet.
type waiting struct {
	list    []parked
	head    int // list[:head] has left
	stamped int // list[:stamped] has a deadline
	woken   bool
}

// wake says that some of them may be sent now.
func (w *waiting) wake() { w.woken = true }

func (w *waiting) len() int { return len(w.list) - w.head }

// moving reports whether the next flush may send some of them. New publishes must not
// overtake those.
func (w *waiting) moving() bool { return w.woken && w.len() > 0 }

func (w *waiting) push(p parked) {
	w.list = append(w.list, p)
	w.woken = w.woken || p.producer.ready
}

// stamp sets the deadline of those that came since the last call, and reports whether
// there were any.
func (w *waiting) stamp(at int64) (any bool) {
	for w.stamped = max(w.stamped, w.head); w.stamped < len(w.list); w.stamped++ {
		if p := &w.list[w.stamped]; p.deadline == 0 {
			p.deadline, any = at, true
		}
	}
	return any
}

// remove calls cut for each publish from the head on, and removes those for which it
// returns out, until it returns stop. The rest keep their order. cut must not push.
func (w *waiting) remove(cut func(p *parked) (out, stop bool)) {
	keep, i := w.head, w.head
	fresh := -1 // the first of the rest that has no deadline
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
			clear(w.list[keep:i]) // the usual case: all checked ones are removed
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

// tidy frees the space of those that were removed.
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

// flushWaiting encodes the publishes that may be sent, until the output is full.
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

// borrowed removes and returns the publishes of Lenders. A Lender keeps its own order,
// so at the end of a connection all its publishes end.
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

// expireWaiting removes the publishes that have waited too long and appends their
// outcomes to out. It lowers *next to the next deadline.
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

// whyWaiting adds to the error late what the publish or request has waited for.
// channel is why it has no channel, or nil.
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
