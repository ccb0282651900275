package broker

import "zamqp/amqpproto"

// confirms are the unconfirmed publishes of a channel. They are confirmed in order, and those
// of one turn with one ack. Publishes after one that is not on disk wait with it.
type confirms struct {
	last uint64 // number of the last publish; numbers begin at 1
	told uint64 // the client has got answers up to here
	runs []confirmRun
	head int // index of the first run
}

// confirmRun is consecutive publishes that are confirmed together.
type confirmRun struct {
	last   uint64   // number of its last publish
	need   uint64   // the store must have synced this; 0 = nothing
	nacks  []uint64 // numbers of those that a queue refused
	sealed bool     // a later publish begins a new run, because this one waits for the store
}

// onConfirmSelect turns confirms on.
func (ch *channel) onConfirmSelect(args []byte) error {
	var m amqpproto.ConfirmSelect
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if ch.mode == modeTx {
		return precondition("cannot switch from tx to confirm mode")
	}
	ch.mode = modeConfirm
	if !m.NoWait {
		ch.conn.send(ch.number, &amqpproto.ConfirmSelectOk{})
	}
	return nil
}

// confirm counts a publish that has been handed to its queues.
func (ch *channel) confirm(need uint64, refused bool) {
	if ch.mode != modeConfirm {
		return
	}
	f := &ch.confirms
	f.last++
	if n := len(f.runs); n == f.head || f.runs[n-1].sealed {
		f.runs = append(f.runs, confirmRun{})
	}
	r := &f.runs[len(f.runs)-1]
	r.last = f.last
	r.need = max(r.need, need)
	if refused {
		r.nacks = append(r.nacks, f.last)
	}
	ch.confirmSoon()
}

// confirmSoon makes sure that flushConfirms is called in this turn.
func (ch *channel) confirmSoon() {
	if !ch.due {
		ch.due = true
		ch.conn.confirming = append(ch.conn.confirming, ch)
	}
	ch.conn.wake()
}

// flushConfirms answers what can be answered.
func (ch *channel) flushConfirms() {
	if ch.state != channelOpen {
		return
	}
	c := ch.conn
	f := &ch.confirms
	c.out.Room()
	upTo := uint64(0) // acks that are delayed, to be sent together with those of the next run
	for f.head < len(f.runs) {
		r := &f.runs[f.head]
		failed := false
		if r.need > c.server.synced() {
			if failed = c.server.storeErr() != nil; !failed {
				r.sealed = true
				ch.awaitStore()
				break
			}
		}
		if failed || len(r.nacks) > 0 {
			ch.ackTo(upTo)
			ch.answer(r, failed)
		}
		upTo = r.last
		*r = confirmRun{}
		f.head++
	}
	ch.ackTo(upTo)
	if f.head == len(f.runs) {
		f.runs, f.head = f.runs[:0], 0
	}
}

// answer sends the confirms of a run that has nacks, or for which the store has failed.
func (ch *channel) answer(r *confirmRun, failed bool) {
	if failed {
		ch.nack(r.last)
		return
	}
	for _, n := range r.nacks {
		ch.ackTo(n - 1)
		ch.nack(n)
	}
}

// ackTo acks all up to n that have not been answered.
func (ch *channel) ackTo(n uint64) {
	f := &ch.confirms
	if n <= f.told {
		return
	}
	c := ch.conn
	c.out.Buf = amqpproto.AppendBasicAck(c.out.Buf, ch.number, n, n > f.told+1)
	c.server.stats.Confirmed += n - f.told
	f.told = n
}

// nack refuses all up to n that have not been answered.
func (ch *channel) nack(n uint64) {
	f := &ch.confirms
	if n <= f.told {
		return
	}
	c := ch.conn
	c.out.Buf = amqpproto.AppendBasicNack(c.out.Buf, ch.number, n, n > f.told+1, true) // the last bit has no meaning here; RabbitMQ sets it
	c.server.stats.Nacked += n - f.told
	f.told = n
}

// awaitStore makes sure that the channel is called when the store has synced more.
func (ch *channel) awaitStore() {
	if !ch.syncs {
		ch.syncs = true
		ch.conn.server.syncing = append(ch.conn.server.syncing, ch)
	}
}
