package broker

import (
	"slices"

	"zamqp/amqpproto"
)

// transaction is what a channel in tx mode will do at its commit.
type transaction struct {
	publishes fifo[txPublish]
	settles   fifo[txSettle]
	units     int    // the cost of the commit
	routed    bool   // a publish had a queue
	need      uint64 // a commit waits until the store has synced this; 0 = none waits
	failed    bool   // a queue refused a message of this commit
	busy      bool   // commit-ok was not sent yet, and nothing else may come
	held      bool   // the same, and the connection is not read
}

// txPublish is a publish with the queues to which it was routed when it came. As in RabbitMQ,
// the names of the queues count: the queue that has the name at the commit gets the message.
// It has a reference to its message.
type txPublish struct {
	message   *message
	queues    []*queue
	mandatory bool
}

// txSettle is a delivery of an ack, nack or reject.
type txSettle struct {
	delivery
	how outcome
	end bool // the last of those that are settled together
}

func (tx *transaction) publish(m *message, queues []*queue, mandatory bool) {
	tx.publishes.push(txPublish{m, slices.Clone(queues), mandatory})
	tx.units += publishUnits + len(queues)*takeUnits
	tx.routed = tx.routed || len(queues) > 0
}

// settle records the outcome of a delivery for the commit.
func (tx *transaction) settle(d delivery, how outcome, end bool) {
	tx.settles.push(txSettle{d, how, end})
	tx.units += most[how]
}

// onTxSelect turns tx mode on.
func (ch *channel) onTxSelect(args []byte) error {
	var m amqpproto.TxSelect
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if ch.mode == modeConfirm {
		return precondition("cannot switch from confirm to tx mode")
	}
	ch.mode = modeTx
	ch.conn.send(ch.number, &amqpproto.TxSelectOk{})
	return nil
}

// onTxCommit commits. commit-ok is sent when everything is on disk, and not before the end of
// the turn if a queue has got a message. RabbitMQ accepts nothing on the channel until
// commit-ok, and a client that sends something should get the error here as well.
func (ch *channel) onTxCommit(args []byte) error {
	var m amqpproto.TxCommit
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if ch.mode != modeTx {
		return precondition("channel is not transactional")
	}
	s := ch.conn.server
	if !s.afford(ch.tx.units) {
		ch.commitLater()
		return nil
	}
	tx := ch.tx
	ch.tx = transaction{}
	before := s.stored()
	routed := false
	for tx.publishes.n > 0 {
		routed = ch.commitPublish(tx.publishes.shift()) || routed
	}
	for tx.settles.n > 0 {
		ch.commitSettles(&tx.settles)
	}
	return ch.committed(before, routed)
}

// committed ends a commit, at once or when the store has it. before is the number of the
// store's last record before it.
func (ch *channel) committed(before uint64, routed bool) error {
	c := ch.conn
	s := c.server
	ch.tx.need = 0
	if s.stored() != before {
		ch.tx.need = s.stored()
	}
	waits := ch.tx.need > s.synced() && s.storeErr() == nil
	switch {
	case routed && waits:
		ch.tx.busy = true
		ch.awaitStore()
	case routed:
		ch.tx.busy = true
		s.host.Post(ch.finishCommit)
	case waits: // only acks: RabbitMQ reads on at once, but here input is read later
		ch.tx.held = true
		c.commits++
		ch.awaitStore()
	default:
		return ch.commitOk()
	}
	return nil
}

// committing returns the error for a method that comes before commit-ok.
func committing(id amqpproto.MethodID) error {
	return connectionError(amqpproto.ChannelErrorCode, id, "unexpected command while processing 'tx.commit'")
}

// commitPublish gives a publish to those of its queues that exist now. routed says that there
// was a queue when it came, or is one now.
func (ch *channel) commitPublish(p txPublish) (routed bool) {
	s := ch.conn.server
	queues := ch.commitQueues(&p)
	if len(queues) > 0 {
		if _, refused := s.spread(p.message, queues); refused {
			ch.tx.failed = true
		}
	}
	s.release(p.message)
	return len(p.queues) > 0 || len(queues) > 0
}

// commitQueues returns the queues that a publish goes to. If there is none, it is returned to
// the publisher, if it is mandatory.
func (ch *channel) commitQueues(p *txPublish) (queues []*queue) {
	s := ch.conn.server
	v := s.view(p.message)
	queues = ch.named(p, v.exchange, v.key)
	if len(queues) == 0 {
		ch.unroutable(p.message, p.mandatory)
	}
	return queues
}

// unroutable handles a message that no queue takes.
func (ch *channel) unroutable(m *message, mandatory bool) {
	s := ch.conn.server
	s.stats.Unroutable++
	if mandatory && ch.state == channelOpen {
		ch.sendReturn(s.view(m))
	}
}

// named returns the queues that have the names to which a publish was routed. The
// default exchange routes to its key, whether a queue had that name or not.
func (ch *channel) named(p *txPublish, exchange, key []byte) (queues []*queue) {
	now := ch.conn.vhost.queues
	for _, q := range p.queues {
		if q = now[q.name]; q != nil {
			queues = append(queues, q)
		}
	}
	if q := now[string(key)]; len(exchange) == 0 && q != nil && !slices.Contains(queues, q) {
		queues = append(queues, q)
	}
	return queues
}

// commitSettles settles deliveries that were settled together.
func (ch *channel) commitSettles(settles *fifo[txSettle]) {
	s := ch.conn.server
	ds := s.settled[:0]
	for {
		t := settles.shift()
		if ds = append(ds, t.delivery); t.end {
			ch.settle(ds, t.how)
			break
		}
	}
	clear(ds)
	s.settled = ds[:0]
}

// commitOk ends a commit. As in RabbitMQ, a commit that lost a message is an error.
func (ch *channel) commitOk() error {
	failed := ch.tx.failed || ch.tx.need > ch.conn.server.synced()
	ch.tx.failed, ch.tx.need, ch.tx.busy = false, 0, false
	if failed {
		return precondition("partial tx completion")
	}
	ch.conn.send(ch.number, &amqpproto.TxCommitOk{})
	return nil
}

// finishCommit is called when the store has synced more, or when the turn ends.
func (ch *channel) finishCommit() {
	c := ch.conn
	s := c.server
	if !ch.tx.busy && !ch.tx.held || ch.chore != nil || ch.state != channelOpen {
		return
	}
	if ch.tx.need > s.synced() && s.storeErr() == nil {
		ch.awaitStore()
		return
	}
	if ch.tx.held {
		ch.tx.held = false
		c.commits--
	}
	// The only possible error of commitOk closes the channel.
	_ = ch.fault(amqpproto.IDTxCommit, ch.commitOk())
	c.wakeKept()
}

// onTxRollback drops publishes and acks. Deliveries whose acks are dropped are unacked again.
func (ch *channel) onTxRollback(args []byte) error {
	var m amqpproto.TxRollback
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if ch.mode != modeTx {
		return precondition("channel is not transactional")
	}
	ch.rollback(func() {
		if ch.state == channelOpen && ch.conn.state == connOpen {
			ch.conn.send(ch.number, &amqpproto.TxRollbackOk{})
		}
	})
	return nil
}
