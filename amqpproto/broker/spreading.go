package broker

import "zamqp/amqpproto/broker/store"

// spreading gives a message to more queues than fit into one slice. First it is stored for
// all of them, then each takes it. Code that makes a spreading must have a reference of the
// message.
type spreading struct {
	msg     *message
	queues  []*queue // queues that it goes to
	names   *vhost   // where they are looked up by name again; nil = they are known
	named   int      // number of names that were looked up
	known   int      // those of them that exist
	noted   int      // how many of them were recorded for the store
	wide    store.Wide
	stored  bool
	taken   int    // how many of them have taken it
	need    uint64 // the store must have synced this before a confirm
	refused bool   // a queue has refused it
}

// step continues, and returns true when all queues have the message.
func (p *spreading) step(s *Server) (done bool) {
	if p.names != nil && !p.lookUp(s) || !p.stored && !p.store(s) {
		return false
	}
	defer s.drain() // messages that died because of it come after it
	for p.taken < len(p.queues) {
		q, octets := p.queues[p.taken], 0
		if q.all.n > 0 {
			octets = p.msg.copied() // it may be sent at once
		}
		if !s.charge(takeUnits, octets) {
			return false
		}
		p.queues[p.taken] = nil
		p.taken++
		if !q.take(p.msg) {
			p.refused = true
		}
	}
	return true
}

// lookUp finds the queues that have the names now.
func (p *spreading) lookUp(s *Server) (done bool) {
	for p.named < len(p.queues) {
		if !s.charge(noteUnits, 0) {
			return false
		}
		if q := p.names.queues[p.queues[p.named].name]; q != nil {
			p.queues[p.known] = q
			p.known++
		}
		p.named++
	}
	clear(p.queues[p.known:])
	p.queues, p.names = p.queues[:p.known], nil
	return true
}

// store is storeMessage.
func (p *spreading) store(s *Server) (done bool) {
	m := p.msg
	if p.stored = s.store == nil || !m.persistent; p.stored {
		return true
	}
	for p.noted < len(p.queues) {
		if !s.charge(noteUnits, 0) {
			return false
		}
		q := p.queues[p.noted]
		p.noted++
		if q.inStore() {
			s.store.AddTo(&p.wide, m.id, q.storeID)
		}
	}
	p.stored = true
	if seq := s.store.Finish(&p.wide, s.storeForm(m)); seq != 0 {
		s.wasStored(m, seq)
		p.need = seq
	}
	return true
}

// broadcast is a publish that is routed or given to its queues in later turns. Its connection
// is not read in that time, so publishes keep their order.
type broadcast struct {
	ch        *channel
	routing   *routing // nil = done
	spreading spreading
	mandatory bool
	over      bool
}

func (b *broadcast) step(s *Server) (done bool) {
	if b.over {
		return true
	}
	p := &b.spreading
	if b.routing != nil {
		if !b.routing.step(s) {
			return false
		}
		p.queues, b.routing = b.routing.queues, nil
	}
	if b.ch.mode == modeTx {
		return b.putOff(s)
	}
	if !p.step(s) {
		return false
	}
	b.over = true
	ch := b.ch
	ch.chore = nil
	if len(p.queues) == 0 {
		ch.unroutable(p.msg, b.mandatory)
	}
	s.release(p.msg)
	if ch.state == channelOpen {
		ch.confirm(p.need, p.refused)
	}
	ch.conn.worked()
	return true
}

// putOff leaves the publish for the commit.
func (b *broadcast) putOff(s *Server) (done bool) {
	b.over = true
	ch, p := b.ch, &b.spreading
	ch.chore = nil
	ch.tx.publishes.push(txPublish{p.msg, p.queues, b.mandatory})
	ch.tx.units += publishUnits + len(p.queues)*takeUnits
	ch.tx.routed = ch.tx.routed || len(p.queues) > 0
	ch.conn.worked()
	return true
}

// handLater gives a publish to its queues in later turns. With more, its queues are also
// found then.
func (ch *channel) handLater(p *publishing, queues []*queue, more *routing, mandatory bool) {
	s := ch.conn.server
	b := &broadcast{ch: ch, routing: more, mandatory: mandatory}
	b.spreading.msg = s.newMessage(p)
	if more == nil {
		b.spreading.queues = append([]*queue(nil), queues...)
	}
	ch.chore = b
	ch.conn.works++
	s.later(b)
}
