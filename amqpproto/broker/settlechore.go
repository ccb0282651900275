package broker

// settleChore is an ack, nack, reject or recover of too many deliveries for one slice. The
// connection is not read in that time. New deliveries have higher tags.
type settleChore struct {
	ch      *channel
	upTo    uint64 // delivery tag
	how     outcome
	putOff  bool // kept until the commit
	holding holding
	over    bool
}

// settleLater settles all up to a tag in later turns.
func (ch *channel) settleLater(upTo uint64, how outcome) *settleChore {
	t := &settleChore{ch: ch, upTo: upTo, how: how}
	ch.chore = t
	ch.conn.works++
	ch.conn.server.later(t)
	return t
}

func (t *settleChore) step(s *Server) (done bool) {
	ch := t.ch
	for !t.over {
		if ch.unacked.len() == 0 || ch.unacked.first().tag > t.upTo {
			if !t.holding.release(s) {
				return false
			}
			t.end(s)
			break
		}
		d := ch.unacked.first()
		units, octets := settleCost(t.how, d)
		if t.putOff {
			units, octets = requeueUnits, 0
		}
		if !s.charge(units, octets) {
			return false
		}
		t.settle(ch.unacked.shift())
	}
	return true
}

// settleCost returns the cost of settling a delivery.
func settleCost(how outcome, d *delivery) (units, octets int) {
	if how != rejected {
		return most[how], 0
	}
	if !d.queue.deadLetters {
		return forgetUnits, 0
	}
	return letterUnits, d.msg.copied() // a dead letter is a copy
}

func (t *settleChore) settle(d delivery) {
	ch := t.ch
	if t.putOff {
		ch.tx.settle(d, t.how, ch.unacked.len() == 0 || ch.unacked.first().tag > t.upTo)
		return
	}
	ch.settleOne(d, t.how, &t.holding)
}

// settleOne settles a delivery of a channel whose consumers continue later.
func (ch *channel) settleOne(d delivery, how outcome, h *holding) {
	s := ch.conn.server
	if k := d.consumer; k != nil {
		k.unacked--
		if ch.held != 0 {
			ch.held--
		}
	}
	switch how {
	case acked:
		s.stats.Acked++
		d.queue.settle(d.entry)
	case rejected:
		s.stats.Rejected++
		d.queue.reject(d.entry)
	case requeued:
		s.stats.Rejected++
		h.bringBack(d, false)
	}
}

// end lets the consumers continue.
func (t *settleChore) end(s *Server) {
	ch := t.ch
	t.over, ch.chore = true, nil
	if ch.state == channelOpen {
		ch.wakeConsumers()
	}
	ch.conn.worked()
	s.wakeWaiting()
}

// holding has queues to which messages come back in several turns. They deliver nothing in
// that time, so that the next consumer gets the messages in order.
type holding struct {
	queues []*queue
	known  map[*queue]struct{}
	last   *queue
}

// bringBack puts a delivery back into its queue. ended says that its channel has ended.
func (h *holding) bringBack(d delivery, ended bool) {
	q := d.queue
	q.out(-1)
	if q.gone {
		q.server().release(d.msg)
		return
	}
	if q != h.last {
		h.last = q
		if _, known := h.known[q]; !known {
			if h.known == nil {
				h.known = map[*queue]struct{}{}
			}
			h.known[q] = struct{}{}
			h.queues = append(h.queues, q)
			q.holds++
		}
	}
	q.bringBack(d.entry, ended)
}

// release lets the queues continue, in the order in which the first message came back to
// each.
func (h *holding) release(s *Server) (done bool) {
	for len(h.queues) > 0 {
		if !s.charge(endUnits, 0) {
			return false
		}
		q := h.queues[0]
		h.queues = h.queues[1:]
		if q.holds--; q.gone || q.busy() {
			continue
		}
		if q.typ.returnsFirst {
			q.run()
		}
		q.tidy()
	}
	*h = holding{}
	return true
}
