package client

import "fmt"

// parked is a publish that could not leave at once: a copy of everything.
type parked struct {
	producer  *Producer
	done      Confirm
	deadline  int64 // 0 until the next Tick
	data      []byte
	exchange  int // data is exchange, routing key, properties, body; these are lengths
	key       int
	props     int
	mandatory bool
	size      int    // counts against PublishMax
	turn      uint64 // that it was published in
}

// park copies a publish.
func park(p *Producer, o *Outgoing, size int, done Confirm) parked {
	data := make([]byte, 0, len(o.Exchange)+len(o.RoutingKey)+len(o.RawProperties)+len(o.Body))
	data = append(data, o.Exchange...)
	data = append(data, o.RoutingKey...)
	data = append(data, o.RawProperties...)
	data = append(data, o.Body...)
	return parked{producer: p, done: done, data: data, exchange: len(o.Exchange), key: len(o.RoutingKey),
		props: len(o.RawProperties), mandatory: o.Mandatory, size: size, turn: p.client.turn}
}

// outgoing is the publish again; its byte slices are views of the copy.
func (w *parked) outgoing() Outgoing {
	b := w.data
	o := Outgoing{Mandatory: w.mandatory}
	o.Exchange, b = string(b[:w.exchange]), b[w.exchange:]
	o.RoutingKey, b = string(b[:w.key]), b[w.key:]
	o.RawProperties, o.Body = b[:w.props], b[w.props:]
	return o
}

// waiting is the queue of publishes that cannot leave, in the order of Publish.
// They leave in that order, but those of a producer whose topology is not declared
// are overtaken.
type waiting struct {
	list    []parked
	head    int // list[:head] has left
	stamped int // list[:stamped] has a deadline
	stirred bool
}

// stir says that something may be able to leave now.
func (w *waiting) stir() { w.stirred = true }

func (w *waiting) len() int { return len(w.list) - w.head }

// moving tells that some of it may leave at the next flush, and is not to be
// overtaken.
func (w *waiting) moving() bool { return w.stirred && w.len() > 0 }

func (w *waiting) push(p parked) {
	w.list = append(w.list, p)
	w.stirred = w.stirred || p.producer.ready
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
		if cap(w.list) > ledgerKeep {
			w.list = nil
		}
	case w.head >= ledgerKeep && w.head >= len(w.list)/2:
		n := copy(w.list, w.list[w.head:])
		clear(w.list[n:])
		w.list, w.stamped, w.head = w.list[:n], max(w.stamped-w.head, 0), 0
	}
}

// flushWaiting encodes what may leave, until the output is full.
func (c *Client) flushWaiting() {
	w := &c.waiting
	if !w.moving() || !c.pub.clear() {
		return
	}
	w.stirred = false
	w.remove(func(p *parked) (out, stop bool) {
		if c.pub.full(p.turn) {
			w.stirred = true // for the next Pending
			return false, true
		}
		if !p.producer.ready {
			return false, false
		}
		o := p.outgoing()
		if err := c.pub.check(&o, c.conn.frameMax); err != nil {
			// It was made for a larger frame_max than this broker has.
			c.settleLater(outcome{p.done, err}, p.size)
			return true, false
		}
		c.pub.tx.turn = p.turn
		c.pub.send(&o, p.size, p.done).deadline = p.deadline
		return true, false
	})
}

// expireWaiting appends the outcomes of what has waited too long, and lowers
// *next to the next deadline.
func (c *Client) expireWaiting(now int64, next *int64, out []outcome) []outcome {
	c.waiting.remove(func(p *parked) (bool, bool) {
		if p.deadline == 0 || p.deadline > now {
			sooner(next, p.deadline)
			return false, false
		}
		out = append(out, outcome{p.done, c.whyWaiting(ErrConfirmTimeout, p.producer, nil)})
		c.unhold(p.size)
		c.undecided--
		return true, false
	})
	return out
}

// whyWaiting is late with what the publish or call has waited for; channel is why
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
