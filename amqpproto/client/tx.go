package client

import "zamqp/amqpproto"

// txState is what a publish channel with Config.TxSelect knows of its
// transactions. One commit is in flight at a time; what is published meanwhile
// waits for the next.
type txState struct {
	end  uint64 // the commit in flight covers publishes before it
	turn uint64 // in which the last publish left the caller or the waiting list
}

// commitTx ends the transaction of the turn, at the end of it.
func (p *publishChannel) commitTx() {
	if !p.client.cfg.TxSelect || p.state != publishReady || p.ch.await != 0 || p.confirms.Next() == p.tx.end {
		return
	}
	p.tx.end = p.confirms.Next()
	_ = p.ch.request(&amqpproto.TxCommit{}, amqpproto.IDTxCommitOk) // it has no field that could not be encoded
}

// committed is the outcome of all publishes before the commit. A message that no
// queue took has been returned by now.
func (p *publishChannel) committed() error {
	l := &p.confirms
	for seq := l.Base(); seq < p.tx.end; seq++ {
		if !l.holds(seq) {
			continue
		}
		e := l.settle(seq)
		p.client.settled(p, &e, nil)
		if p.state != publishReady {
			return nil
		}
	}
	p.client.wakeWaiting()
	p.settledSome()
	return nil
}

// full tells that no more publishes are to be encoded now. One transaction is not
// torn apart: what is published in one turn stays together.
func (c *Client) full(turn uint64) bool {
	return c.conn.out.Len() >= outMark && !(c.cfg.TxSelect && c.pub.tx.turn == turn)
}
