package broker

import (
	"slices"

	"zamqp/amqpproto"
)

// transaction is what a channel in tx mode has put off.
type transaction struct {
	publishes []txPublish
	settles   []txSettle
	need      uint64 // a commit waits for the store to sync this; 0 = none does
	failed    bool   // a queue refused a message of this commit
	busy      bool   // commit-ok has not gone out, and nothing else may come
	held      bool   // the same, and the connection is not read
}

// txPublish is a publish with the queues that it was routed to when it came. They
// are names, as in RabbitMQ: who has the name at the commit gets the message. It
// holds a reference of its message.
type txPublish struct {
	message   *message
	queues    []*queue
	mandatory bool
}

// txSettle is one ack, nack or reject.
type txSettle struct {
	deliveries []delivery
	how        settlement
}

func (tx *transaction) publish(m *message, queues []*queue, mandatory bool) {
	tx.publishes = append(tx.publishes, txPublish{m, slices.Clone(queues), mandatory})
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

// onTxCommit does what was put off. commit-ok goes out when the store has it on
// disk, and not before the end of the turn if anything went to a queue: until
// then RabbitMQ takes nothing more on the channel, and a client that goes on
// without commit-ok is to find out here.
func (ch *channel) onTxCommit(args []byte) error {
	var m amqpproto.TxCommit
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if ch.mode != modeTx {
		return precondition("channel is not transactional")
	}
	c := ch.conn
	s := c.server
	before := s.stored()
	routed := false
	for _, p := range ch.tx.publishes {
		routed = ch.commitPublish(p) || routed
	}
	settles := ch.tx.settles
	ch.tx.publishes, ch.tx.settles = nil, nil
	for _, t := range settles {
		ch.settle(t.deliveries, t.how)
	}
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
	case waits: // acks, after which RabbitMQ takes what comes: it comes later
		ch.tx.held = true
		c.commits++
		ch.awaitStore()
	default:
		return ch.commitOk()
	}
	return nil
}

// committing is the error for whatever comes while a commit goes on.
func committing(id amqpproto.MethodID) error {
	return connectionError(amqpproto.ChannelErrorCode, id, "unexpected command while processing 'tx.commit'")
}

// commitPublish hands a publish to its queues that are there now. routed says that
// there was one when it came, or is.
func (ch *channel) commitPublish(p txPublish) (routed bool) {
	s := ch.conn.server
	v := s.view(p.message)
	queues := ch.named(&p, v.exchange, v.key)
	if len(queues) == 0 {
		s.stats.Unroutable++
		if p.mandatory {
			ch.sendReturn(v)
		}
	} else if _, refused := s.spread(p.message, queues); refused {
		ch.tx.failed = true
	}
	s.release(p.message)
	return len(p.queues) > 0 || len(queues) > 0
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

// commitOk ends a commit. One that lost a message is an error, as RabbitMQ has it.
func (ch *channel) commitOk() error {
	failed := ch.tx.failed || ch.tx.need > ch.conn.server.synced()
	ch.tx.failed, ch.tx.need, ch.tx.busy = false, 0, false
	if failed {
		return precondition("partial tx completion")
	}
	ch.conn.send(ch.number, &amqpproto.TxCommitOk{})
	return nil
}

// finishCommit is called when the store has moved, or the turn ends.
func (ch *channel) finishCommit() {
	c := ch.conn
	s := c.server
	if !ch.tx.busy && !ch.tx.held || ch.state != channelOpen {
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
	// commitOk's only error closes the channel.
	_ = ch.fault(amqpproto.IDTxCommit, ch.commitOk())
	c.wakeKept()
}

// onTxRollback forgets what was put off. Deliveries whose acks are forgotten are
// unacked again.
func (ch *channel) onTxRollback(args []byte) error {
	var m amqpproto.TxRollback
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if ch.mode != modeTx {
		return precondition("channel is not transactional")
	}
	ch.dropTx()
	ch.conn.send(ch.number, &amqpproto.TxRollbackOk{})
	return nil
}

// dropTx is a rollback.
func (ch *channel) dropTx() {
	s := ch.conn.server
	for _, p := range ch.tx.publishes {
		s.release(p.message)
	}
	var back []delivery
	for _, t := range ch.tx.settles {
		back = append(back, t.deliveries...)
	}
	if len(back) > 0 {
		slices.SortFunc(back, func(a, b delivery) int {
			if a.tag < b.tag {
				return -1
			}
			return 1
		})
		ch.unacked.restore(back)
	}
	if ch.tx.held {
		ch.conn.commits--
	}
	ch.tx = transaction{}
}
