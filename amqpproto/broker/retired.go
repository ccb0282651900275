package broker

// retired is the consumers of a channel that are out of their queues' rotations,
// in the order in which they left.
type retired struct {
	first, last *consumer
	n           int
}

func (r *retired) push(c *consumer) {
	c.retired, c.earlier, c.later = true, r.last, nil
	if r.last != nil {
		r.last.later = c
	} else {
		r.first = c
	}
	r.last = c
	r.n++
}

func (r *retired) remove(c *consumer) {
	if k := c.ch.waking; k != nil && k.next == c {
		k.next = c.later
	}
	if c.earlier != nil {
		c.earlier.later = c.later
	} else {
		r.first = c.later
	}
	if c.later != nil {
		c.later.earlier = c.earlier
	} else {
		r.last = c.earlier
	}
	c.retired, c.earlier, c.later = false, nil, nil
	r.n--
}

// wakeChore is wakeConsumers for more consumers than one slice has room for. Those that
// left their rotation first come back first.
type wakeChore struct {
	ch    *channel
	next  *consumer // that is to be woken
	upTo  uint64    // leftAt of the last one
	again bool      // wakeConsumers was called meanwhile
}

func (ch *channel) wakeConsumersLater() {
	if ch.waking != nil {
		ch.waking.again = true
		return
	}
	s := ch.conn.server
	ch.waking = &wakeChore{ch: ch, next: ch.retired.first, upTo: s.left}
	s.later(ch.waking)
}

func (k *wakeChore) step(s *Server) (done bool) {
	ch := k.ch
	for ch.state == channelOpen {
		c := k.next
		if c == nil || c.leftAt > k.upTo {
			if !k.again {
				break
			}
			k.next, k.upTo, k.again = ch.retired.first, s.left, false
			continue
		}
		if !s.charge(wakeUnits, 0) {
			return false
		}
		k.next = c.later
		c.queue.wake(c)
	}
	ch.waking = nil
	return true
}
