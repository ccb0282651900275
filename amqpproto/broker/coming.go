package broker

import (
	"time"

	"zamqp/amqpproto"
)

// Bodies count towards MemoryMax from their first octet. While memory is full, no publish
// begins (see throttle). A body that has begun is still read while the messages in queues are
// below the limit, but from one connection at a time: if many were read together, each could
// hold memory and none could finish.

// coming counts bodies that have arrived only in part.
type coming struct {
	octets  int64   // octets of memory
	reading *Conn   // the connection that is still read while memory is full
	since   int64   // when its turn began, or a frame of it was last read
	halted  []*Conn // connections that are not read, in the order in which they stopped
}

// comingWait is how long a connection that sends nothing keeps its turn.
const comingWait = 5 * time.Second

// countBody counts the memory of the channel's incomplete body.
func (ch *channel) countBody() {
	c := ch.conn
	if n := ch.in.Held(); n != ch.counted {
		d := int64(n - ch.counted)
		ch.counted = n
		c.coming += d
		c.server.coming.octets += d
	}
	if part := ch.in.Busy(); part != ch.part {
		ch.part = part
		c.parts += 2*int(flag(part)) - 1
	}
}

// mayFinish reports whether the connection may continue with an incomplete body while memory
// is full. If a connection holds more than all messages together may take, it can neither
// continue nor wait for others: its error is a ConnectionError 506.
func (c *Conn) mayFinish() (bool, error) {
	s := c.server
	w := &s.coming
	if !s.heavy {
		return true, nil // the disk is short, but incomplete bodies are not on disk
	}
	if c.coming > s.opts.MemoryMax+int64(s.opts.BodyMax) {
		return false, connectionError(amqpproto.ResourceError, amqpproto.IDBasicPublish,
			"incomplete bodies take %d octets of memory on this connection, more than the broker has for all messages (%d): publish fewer large messages at once",
			c.coming, s.opts.MemoryMax)
	}
	if w.reading == nil && !s.fullWithout() {
		w.reading, w.since = c, s.now()
	}
	if w.reading == c && !s.fullWithout() {
		w.since = s.now()
		s.wakeAt(w.since + int64(comingWait))
		return true, nil
	}
	c.throttle()
	if !c.halted {
		c.halted = true
		w.halted = append(w.halted, c)
	}
	return false, nil
}

// fullWithout reports whether memory is full even without the incomplete bodies.
func (s *Server) fullWithout() bool {
	return s.memoryUsed()-s.coming.octets+s.behind() > s.opts.MemoryMax
}

// readOn lets all connections be read again, because memory is no longer full.
func (s *Server) readOn() {
	halted := s.coming.halted
	s.coming.reading, s.coming.halted = nil, nil
	for _, c := range halted {
		c.halted = false
		c.wakeKept()
	}
}

// takeTurns reads the next connection when the current one has no incomplete body any more,
// or does not send.
func (s *Server) takeTurns() {
	w := &s.coming
	if c := w.reading; c != nil && (c.parts == 0 || c.state != connOpen || s.now() >= w.since+int64(comingWait)) {
		w.reading = nil
	}
	for w.reading == nil && len(w.halted) > 0 && !s.fullWithout() {
		c := w.halted[0]
		w.halted[0] = nil
		w.halted = w.halted[1:]
		c.halted = false
		if c.state == connOpen {
			w.reading, w.since = c, s.now()
			s.wakeAt(w.since + int64(comingWait))
			c.wakeKept()
		}
	}
}
