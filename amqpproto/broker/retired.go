package broker

// retire records that c has left its queue's rotation until it is woken.
func (ch *channel) retire(c *consumer) { ch.retired.push(&c.rest, c) }

// unretire removes c from the retired ones, if it is one of them.
func (c *consumer) unretire() {
	if c.rest.in == nil {
		return
	}
	if k := c.ch.waking; k != nil && k.next == c {
		k.next = c.rest.after()
	}
	c.rest.remove()
}

// wakeChore is wakeConsumers for more consumers than one slice can handle. Those that left
// their rotation first come back first.
type wakeChore struct {
	ch    *channel
	next  *consumer // the consumer to be woken next
	upTo  uint64    // leftAt of the last one to be woken
	again bool      // wakeConsumers was called again in the meantime
}

func (ch *channel) wakeConsumersLater() {
	if ch.waking != nil {
		ch.waking.again = true
		return
	}
	s := ch.conn.server
	ch.waking = &wakeChore{ch: ch, next: ch.retired.head(), upTo: s.left}
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
			k.next, k.upTo, k.again = ch.retired.head(), s.left, false
			continue
		}
		if !s.charge(wakeUnits, 0) {
			return false
		}
		k.next = c.rest.after()
		c.queue.wake(c)
	}
	ch.waking = nil
	return true
}
