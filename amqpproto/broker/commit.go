package broker

import "zamqp/amqpproto"

// commit is a tx.commit that is too large for one slice. commit-ok is sent when all of it is
// done. As in RabbitMQ it is not atomic for others: they may get its first message before the
// last one is in its queue.
type commit struct {
	ch        *channel
	tx        transaction
	before    uint64 // number of the store's last record before it
	routed    bool
	spread    *spreading // the publish that is being worked on
	message   *message   // its message
	mandatory bool
	reserved  bool // the connection is not read
	holding   holding
	over      bool
}

// lookUpAtOnce is how many queues of one publish are looked up by name again in one step;
// those of a publish to more queues are looked up in several steps.
const lookUpAtOnce = 256

// commitLater commits in later turns. The connection is not read in that time if it is not
// known yet whether input before commit-ok is an error.
func (ch *channel) commitLater() {
	s := ch.conn.server
	t := &commit{ch: ch, tx: ch.tx, before: s.stored()}
	ch.tx = transaction{busy: t.tx.routed}
	if !ch.tx.busy {
		t.reserved = true
		ch.conn.works++
	}
	ch.chore = t
	s.later(t)
}

func (t *commit) step(s *Server) (done bool) {
	for !t.over {
		switch {
		case t.spread != nil:
			if !t.spread.step(s) {
				return false
			}
			t.ch.tx.failed = t.ch.tx.failed || t.spread.refused
			if len(t.spread.queues) == 0 {
				t.ch.unroutable(t.message, t.mandatory)
			}
			s.release(t.message)
			t.spread, t.message = nil, nil
		case t.tx.publishes.n > 0:
			if !s.charge(publishUnits+len(t.tx.publishes.first().queues)/16, 0) {
				return false
			}
			t.publish(s)
		case t.tx.settles.n > 0:
			if !t.settle(s) {
				return false
			}
		default:
			if !t.holding.release(s) {
				return false
			}
			t.end(s)
		}
	}
	return true
}

func (t *commit) publish(s *Server) {
	p := t.tx.publishes.shift()
	if v := s.view(p.message); len(p.queues) > lookUpAtOnce && len(v.exchange) > 0 {
		t.routed, t.message, t.mandatory = true, p.message, p.mandatory
		t.spread = &spreading{msg: p.message, queues: p.queues, names: t.ch.conn.vhost}
		return
	}
	queues := t.ch.commitQueues(&p)
	t.routed = t.routed || len(p.queues)+len(queues) > 0
	if len(queues) == 0 {
		s.release(p.message)
		return
	}
	t.spread, t.message = &spreading{msg: p.message, queues: queues}, p.message
}

// settle settles one delivery.
func (t *commit) settle(s *Server) bool {
	d := t.tx.settles.first()
	if !s.charge(settleCost(d.how, &d.delivery)) {
		return false
	}
	one := t.tx.settles.shift()
	t.ch.settleOne(one.delivery, one.how, &t.holding)
	return true
}

func (t *commit) end(s *Server) {
	ch := t.ch
	t.over, ch.chore = true, nil
	if ch.state == channelOpen {
		ch.wakeConsumers()
		ch.tx.busy = false
		// The only possible error closes the channel.
		_ = ch.fault(amqpproto.IDTxCommit, ch.committed(t.before, t.routed))
	}
	if t.reserved {
		ch.conn.works--
	}
	ch.conn.wakeKept()
	s.wakeWaiting()
}
