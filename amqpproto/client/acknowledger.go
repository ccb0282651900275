package client

import (
	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// An Acknowledger acks, rejects and nacks the deliveries of one channel: that of a
// consumer, or of the gets from one queue. A delivery is identified by its tag and
// its epoch, which counts the incarnations of the channel.
type Acknowledger struct {
	of       *Client
	on       *channel
	noAck    bool
	prefetch uint16
	epoch    uint32 // epoch of the channel that is open, or was open last
	live     bool   // deliveries of epoch can be settled
	eager    bool   // acks are not delayed
	leaving  bool   // deliveries that are given back are kept until the channel ends: see leave.go
	// givesBackByClosing is set for streams, which take no basic.reject and basic.nack: a
	// delivery that is given back is kept at any time, and one that is refused is acked.
	givesBackByClosing bool
	queued             bool // the acknowledger is in Conn.acking
	settled            window
	after              func() // called when something has been settled
}

// begin starts the epoch of a new channel.
func (s *Acknowledger) begin(ch *channel) {
	s.on = ch
	s.epoch++
	s.live = true
	s.settled.reset()
}

// end is called when the channel has ended. Tags of its epoch are invalid from now on.
func (s *Acknowledger) end() {
	s.on = nil
	s.live, s.queued, s.leaving = false, false, false
	s.settled.reset()
}

// clean reports whether all deliveries are settled and all acks are encoded.
func (s *Acknowledger) clean() bool { return s.settled.outstanding == 0 && len(s.settled.acked) == 0 }

// Ack settles a delivery. The ack is sent at the end of the turn or, with
// Config.AckDelay, together with later ones.
func (s *Acknowledger) Ack(epoch uint32, tag uint64) {
	if !s.settle(epoch, tag, tagAcked) {
		return
	}
	c := s.of
	c.stats.Acked++
	conn := s.on.conn
	if !s.queued {
		s.queued = true
		conn.acking = append(conn.acking, s)
	}
	if c.cfg.AckDelay > 0 && !conn.ackDue.armed() {
		conn.ackDue.set(c.cfg.AckDelay)
	}
	conn.wake()
}

// Reject refuses a delivery: it goes back to its queue, or to the dead letter
// exchange. It counts towards the delivery limit of a queue.
func (s *Acknowledger) Reject(epoch uint32, tag uint64, requeue bool) {
	if s.givesBackByClosing {
		s.settleInStream(epoch, tag, requeue)
		return
	}
	if s.settle(epoch, tag, tagFinal) {
		out := s.refuse()
		out.Buf = amqpproto.AppendBasicReject(out.Buf, s.on.number, tag, requeue)
		s.after()
	}
}

// Nack does the same for a reason that has nothing to do with the message, such as a
// shutdown.
func (s *Acknowledger) Nack(epoch uint32, tag uint64, requeue bool) {
	if s.givesBackByClosing {
		s.settleInStream(epoch, tag, requeue)
		return
	}
	if s.leaving && requeue {
		s.keep(epoch, tag)
		return
	}
	if s.settle(epoch, tag, tagFinal) {
		out := s.refuse()
		out.Buf = s.of.has.appendGiveBack(out.Buf, s.on.number, tag, requeue)
		s.after()
	}
}

// settleInStream does for a stream what Reject and Nack do for a queue: the next channel
// starts with what was given back, and what was refused is passed over.
func (s *Acknowledger) settleInStream(epoch uint32, tag uint64, requeue bool) {
	if requeue {
		s.keep(epoch, tag)
	} else {
		s.Ack(epoch, tag)
	}
}

// settle moves a tag to its new state, and reports whether the broker is to be told.
// It drops and counts a tag of an earlier epoch, which may be the tag of another
// message on the current channel.
func (s *Acknowledger) settle(epoch uint32, tag uint64, to tagState) bool {
	if s.noAck {
		return false
	}
	if epoch != s.epoch || !s.live || s.on == nil || s.on.state != channelOpen || s.on.conn.state != connOpen {
		s.of.stats.OldEpoch++
		return false
	}
	if !s.settled.settle(tag, to) {
		s.of.stats.DoubleSettled++
		return false
	}
	return true
}

// refuse returns the output for a reject or nack. It is encoded at once, before the
// acks of the turn, because a multiple ack may include its tag.
func (s *Acknowledger) refuse() *endpoint.Output {
	s.of.stats.Rejected++
	conn := s.on.conn
	conn.out.Room()
	conn.wake()
	return &conn.out
}

// flushAcks encodes the acks that are due, or all of them.
func (c *Conn) flushAcks(all bool) {
	held := c.acking[:0]
	for _, s := range c.acking {
		if s.on == nil || s.on.conn != c || s.on.state != channelOpen {
			s.queued = false
			continue
		}
		if !all && s.holdsAcks() {
			held = append(held, s)
			continue
		}
		s.queued = false
		c.out.Room()
		var frames int
		c.out.Buf, frames = s.settled.flush(c.out.Buf, s.on.number)
		c.client.stats.AckFrames += uint64(frames)
		s.after()
	}
	clear(c.acking[len(held):])
	c.acking = held
	if len(held) == 0 {
		c.ackDue.stop()
	}
}

// ackBatchMax is how many acks wait for others at most, whatever the prefetch is.
const ackBatchMax = 256

// holdsAcks reports whether its acks may wait: nothing else is to be sent now, and
// enough of the prefetch is left for the broker to keep delivering. Config.AckDelay
// bounds the wait.
func (s *Acknowledger) holdsAcks() bool {
	batch := ackBatchMax
	if s.prefetch > 0 {
		batch = min(batch, int(s.prefetch)/4)
	}
	return s.of.cfg.AckDelay > 0 && !s.eager && !s.of.closing &&
		len(s.settled.acked) < batch && s.on.conn.out.Len() == 0
}
