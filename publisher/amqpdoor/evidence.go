package amqpdoor

import (
	"zamqp/publisher"
	"zamqp/publisher/inhand"
)

// InHand gives the door, before Link, the journal of what is being handled. The
// door closes it.
func (d *Door) InHand(j *inhand.Journal) { d.hand = j }

// isExact reports whether it is known what ended processes were handling: what is
// not in the journal was not.
func (d *Door) isExact() bool { return d.hand != nil && d.hand.Kept() }

// guessMax is how many redelivered messages are taken for those that a process ended
// with, at the start of a consumer without a prefetch, if nothing is known.
const guessMax = 100

// recall adds to the history of a message what its headers do not tell. That a
// message comes again is no evidence: brokers flag whatever was on its way when a
// connection ended, and RabbitMQ flags the whole of a classic queue after a crash
// of its own.
func (sub *subscription) recall(c *publisher.Call) {
	k, m := sub.k, c.Message()
	h := &m.History
	// A copy is new in the quarantine, but may be there by another process, which
	// knew nothing of the ends of ours with the copy before it.
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

// counts reports whether the consumer's messages can end processes again and
// again, and are to be given up for it.
func (k *consumer) counts() bool {
	c := &k.declared
	return !c.NoAck && !c.AutoAck && c.Retry.Crashes >= 0 && c.Type() != publisher.QueueStream
}

// guess is for messages that the journal does not know: those of other
// processes, and all where the journal is not kept.
//
// A quorum queue counts how often a message came back. Where that is a count of
// failures it is evidence, except for one time if this process knows its own past.
// Where it also counts what a drain gave back, it says no more than the flag of
// other queues. Of those nothing can be known: the first that come after a start, at
// most a prefetch of them, may have been in the hands of the process before.
func (sub *subscription) guess(c *publisher.Call) {
	k := sub.k
	h := &c.Message().History
	exact := k.link.door.isExact()
	count := c.DeliveryCount() - sub.losses // each of them may have added one
	failures := sub.countsFailures(c)
	if exact {
		count--
	}
	switch {
	case count > 0 && failures:
		h.Ends, h.Alone = count, h.Quarantined
		if !exact && !k.declared.Quarantines() && !k.condemned && k.declared.Retry.IsCrashed(count) {
			// In place, others were counted along with it. The first one is what was
			// tried when the last process ended.
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

// countsFailures reports whether the message's count leaves out what a drain gives
// back. The only consumer of a queue gives it back by closing its channel, which
// every version counts.
func (sub *subscription) countsFailures(c *publisher.Call) bool {
	return c.CountsFailures() && !(sub == sub.k.main && sub.machine.IsSole())
}

// unclaim gives back the evidence of a message that is not handled now.
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

// dispatch calls the handler. The journal knows of it before: the process may not
// be there any more after.
func (k *consumer) dispatch(c delivery, alone bool) {
	d, m := k.link.door, c.Message()
	if d.hand != nil && k.counts() {
		m.Slot = d.hand.Start(m.Slot, c.Fingerprint(), m.History.Ends, alone, m.History.Quarantined)
	}
	d.running++
	d.server.Dispatch(c.Call, c.sub)
}

// over is called when a handler has ended, whatever it did: it is not what ends
// the process.
func (k *consumer) over(c delivery) {
	d, m := k.link.door, c.Message()
	d.running--
	d.free(m.Slot)
	m.Slot = 0
	k.trials.over(c)
	d.quiet.ended()
}
