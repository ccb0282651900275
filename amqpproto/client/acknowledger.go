package client

import (
	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// An Acknowledger acks, rejects and nacks what came on one channel: a consumer's, or that of the gets
// from one queue. Deliveries are told apart by the epoch, the incarnation of the
// channel, and their tag.
type Acknowledger struct {
	of       *Client
	on       *channel
	noAck    bool
	prefetch uint16
	epoch    uint32 // of the channel that is open, or was last
	live     bool   // deliveries of epoch can be settled
	eager    bool   // acks wait for no others
	leaving  bool   // what is given back stays until the channel ends: see leave.go
	queued   bool   // it is in Conn.acking
	settled  window
	after    func() // something has been settled
}

// begin starts the epoch of a new channel.
func (s *Acknowledger) begin(ch *channel) {
	s.on = ch
	s.epoch++
	s.live = true
	s.settled.reset()
}

// end is called when the channel is gone: no tag of its epoch means anything any
// more.
func (s *Acknowledger) end() {
	s.on = nil
	s.live, s.queued, s.leaving = false, false, false
	s.settled.reset()
}

// Outstanding is the number of deliveries that are not settled.
func (s *Acknowledger) Outstanding() int { return s.settled.outstanding }

// clean tells that all that came is settled, and the broker has been told.
func (s *Acknowledger) clean() bool { return s.settled.outstanding == 0 && len(s.settled.acked) == 0 }

// Ack settles a delivery. It leaves with the turn, together with others.
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

// Reject refuses a delivery: back to its queue, or to the dead letter exchange.
// Where a queue has a delivery limit, it counts.
func (s *Acknowledger) Reject(epoch uint32, tag uint64, requeue bool) {
	if s.settle(epoch, tag, tagFinal) {
		out := s.refuse()
		out.Buf = amqpproto.AppendBasicReject(out.Buf, s.on.number, tag, requeue)
		s.after()
	}
}

// Nack gives a delivery back for reasons that are not its own, as a shutdown;
// otherwise as Reject.
func (s *Acknowledger) Nack(epoch uint32, tag uint64, requeue bool) {
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

// settle counts and drops what must not be sent: a tag of a channel that is gone
// may be another message's tag on the next one.
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

// refuse makes room for a reject or nack. They leave at once, that is before the
// acks of the turn: a multiple ack may pass over their tags.
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

// ackBatchMax is the most acks that wait for others, whatever the prefetch is.
const ackBatchMax = 256

// holdsAcks reports whether its acks may wait: nothing else leaves now, and the
// broker has enough of its prefetch left to go on. Config.AckDelay bounds how
// long.
func (s *Acknowledger) holdsAcks() bool {
	batch := ackBatchMax
	if s.prefetch > 0 {
		batch = min(batch, int(s.prefetch)/4)
	}
	return s.of.cfg.AckDelay > 0 && !s.eager && !s.of.closing &&
		len(s.settled.acked) < batch && s.on.conn.out.Len() == 0
}
