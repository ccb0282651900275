package client

import "zamqp/amqpproto"

// txState is the state of the transactions of a publish channel with Config.TxSelect.
// One commit is in flight at a time; publishes in that time wait for the next one.
type txState struct {
	end  uint64 // the commit in flight covers publishes before it
	turn uint64 // the turn in which the last sent publish was published
}

// commitTx commits the transaction of the turn, at the end of the turn.
func (p *publishChannel) commitTx() {
	if !p.client.cfg.TxSelect || p.state != publishReady || p.ch.await != 0 || p.confirms.Next() == p.tx.end {
		return
	}
	p.tx.end = p.confirms.Next()
	_ = p.ch.request(&amqpproto.TxCommit{}, amqpproto.IDTxCommitOk) // it has no fields, so encoding cannot fail
}

// committed settles all publishes before the commit. A message that no queue took has
// been returned by now.
func (p *publishChannel) committed() error {
	l := &p.confirms
	for seq := l.Base(); seq < p.tx.end; seq++ {
		if !l.holds(seq) {
			continue
		}
		e := l.settle(seq)
		p.client.times.add(e.at)
		p.client.settled(p, &e, nil)
		if p.state != publishReady {
			return nil
		}
	}
	p.client.wakeWaiting()
	p.settledSome()
	return nil
}

// full reports whether no more publishes may be encoded now. With transactions it lets
// all publishes of one turn through, so that a transaction stays whole.
func (c *Client) full(turn uint64) bool {
	return c.conn.out.Len() >= outMark && !(c.cfg.TxSelect && c.pub.tx.turn == turn)
}
