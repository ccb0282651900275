package amqpdoor

import (
	"zamqp/publisher"
	"zamqp/publisher/inhand"
)

// InHand gives the door the journal of the messages that are being handled. Call it
// before Link. The door closes the journal.
func (d *Door) InHand(j *inhand.Journal) { d.hand = j }

// isExact reports whether the journal is complete: a message that is not in it was not
// being handled when a process ended.
func (d *Door) isExact() bool { return d.hand != nil && d.hand.Kept() }

// guessMax is for the start of a consumer without a prefetch, if nothing is known: this many
// redelivered messages may have been in the hands of a process that ended.
const guessMax = 100

// recall adds to the history of a message what its headers do not tell. The flag
// "redelivered" is no evidence: brokers set it for every message that was on its way when a
// connection ended, and RabbitMQ sets it for all messages of a classic queue after a crash
// of its own.
func (sub *subscription) recall(c *publisher.Call) {
	k, m := sub.k, c.Message()
	h := &m.History
	// A copy in the quarantine is new, but another process may have put it there. That
	// process did not know how often ours ended with the copy before.
	known := !m.Redelivered
	if m.Redelivered {
		var failed int
		failed, known = k.known.take(c)
		h.Untold += failed
		if sub.owed > 0 {
			sub.owed--
			known = true
		}
	}
	if !k.counts() {
		return
	}
	d := k.link.door
	if d.hand != nil && d.hand.Any() {
		slot, e := d.hand.Claim(c.Fingerprint(), h.Quarantined)
		if slot != 0 {
			m.Slot, h.Ends, h.Alone = slot, e.Ends, e.Alone
			return
		}
	}
	if !known {
		sub.guess(c)
	}
}

// counts reports whether the consumer gives a message up after it has ended processes
// several times.
func (k *consumer) counts() bool {
	c := &k.declared
	return !c.NoAck && !c.AutoAck && c.Retry.Crashes >= 0 && c.Type() != publisher.QueueStream
}

// guess is for messages that the journal does not know: messages of other processes, and
// all messages if there is no journal.
//
// A quorum queue counts how often a message came back. If it counts failures only, the count
// is evidence; one return is subtracted if this process knows its own past. If it also counts
// what a drain gave back, the count tells no more than the flag "redelivered". The flag tells
// little: the first messages after a start, at most as many as the prefetch, may have been
// in the hands of the process before.
func (sub *subscription) guess(c *publisher.Call) {
	k := sub.k
	h := &c.Message().History
	exact := k.link.door.isExact()
	count := c.DeliveryCount() - sub.losses // each lost connection may have added one
	failures := sub.countsFailures(c)
	if exact {
		count--
	}
	switch {
	case count > 0 && failures:
		h.Ends, h.Alone = count, h.Quarantined
		if !exact && !k.declared.Quarantines() && !k.condemned && k.declared.Retry.IsCrashed(count) {
			// Messages that are tried in place are counted together. The first of them
			// was being tried when the last process ended.
			h.Alone, k.condemned = true, true
		}
	case exact || !k.declared.Quarantines():
	case count > 0:
		h.Ends, h.Alone = 1, h.Quarantined
	case sub.guesses > 0:
		sub.guesses--
		h.Ends, h.Alone = 1, h.Quarantined
	}
}

// countsFailures reports whether the broker's count of the message leaves out what a drain
// gives back. The only consumer of a queue gives back by closing its channel, and every
// version counts that.
func (sub *subscription) countsFailures(c *publisher.Call) bool {
	return c.CountsFailures() && !(sub == sub.k.main && sub.machine.IsSole())
}

// unclaim frees the evidence of a message that is not being handled any more.
func (d *Door) unclaim(m *publisher.Message) {
	if m.Slot != 0 {
		d.hand.Unclaim(m.Slot)
		m.Slot = 0
	}
}

func (d *Door) free(slot uint32) {
	if slot != 0 {
		d.hand.Free(slot)
	}
}

// dispatch calls the handler. It writes to the journal first, because the process may not
// survive the handler.
func (k *consumer) dispatch(c delivery, alone bool) {
	d, m := k.link.door, c.Message()
	if k.dedupe != nil && k.dedupe.stops(c) {
		return
	}
	if d.hand != nil && k.counts() {
		m.Slot = d.hand.Start(m.Slot, c.Fingerprint(), m.History.Ends, alone, m.History.Quarantined)
	}
	d.running++
	d.server.Dispatch(c.Call, c.sub)
}

// over is called when a handler has ended. Whatever its result is, it did not end the
// process.
func (k *consumer) over(c delivery) {
	d, m := k.link.door, c.Message()
	d.running--
	d.free(m.Slot)
	m.Slot = 0
	k.trials.over(c)
	d.quiet.ended()
}
