package broker

import "zamqp/amqpproto"

// weigh compares memory with its limit. Over it, a connection is not read any
// more after its next publish, as in RabbitMQ: who only consumes goes on, and
// makes room.
func (s *Server) weigh() {
	over := s.memoryUsed() > s.opts.MemoryMax
	if over == s.alarm {
		return
	}
	s.alarm = over
	if over {
		s.host.Note(Event{Kind: MemoryBlocked, Octets: s.memoryUsed()})
		return
	}
	s.host.Note(Event{Kind: MemoryUnblocked, Octets: s.memoryUsed()})
	for c := s.conns; c != nil; c = c.next {
		if c.blocked {
			c.blocked = false
			if c.blockedNotify {
				c.send(0, &amqpproto.ConnectionUnblocked{})
			}
			c.wakeKept()
		}
	}
}

// throttle stops the reading of a connection that has published while memory is
// over its limit.
func (c *Conn) throttle() {
	if !c.server.alarm || c.blocked {
		return
	}
	c.blocked = true
	if c.blockedNotify {
		c.send(0, &amqpproto.ConnectionBlocked{Reason: []byte("low on memory")})
	}
}
