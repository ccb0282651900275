package broker

import "zamqp/amqpproto"

// weigh compares memory with its limit. Over it, each connection gets one more
// publish, and then is not read from the next one on. RabbitMQ stops reading
// after the first; here acks and closes that come before another publish are
// still taken, so that who also consumes makes room.
func (s *Server) weigh() {
	over := s.memoryUsed() > s.opts.MemoryMax || s.opts.MessagesMax > 0 && s.messages > s.opts.MessagesMax
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

// throttle stops the publishes of a connection that has published while memory
// is over its limit.
func (c *Conn) throttle() {
	if !c.server.alarm || c.blocked {
		return
	}
	c.blocked = true
	if c.blockedNotify {
		c.send(0, &amqpproto.ConnectionBlocked{Reason: []byte("low on memory")})
	}
}
