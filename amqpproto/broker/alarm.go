package broker

import "zamqp/amqpproto"

// weigh compares memory with its limit. Over it, each connection gets one more
// publish, and then is not read from the next one on. RabbitMQ stops reading
// after the first; here acks and closes that come before another publish are
// still taken, so that who also consumes makes room.
func (s *Server) weigh() {
	used := s.memoryUsed() + s.behind()
	over := used > s.opts.MemoryMax || s.opts.MessagesMax > 0 && s.messages > s.opts.MessagesMax
	if over == s.heavy {
		return
	}
	s.heavy = over
	kind := MemoryUnblocked
	if over {
		kind = MemoryBlocked
	}
	s.host.Note(Event{Kind: kind, Octets: used})
	s.ring()
}

// DiskLow says whether the disk of the data directory is almost full. While it
// is, publishers wait as they do for memory.
func (s *Server) DiskLow(low bool) {
	s.diskLow = low
	s.ring()
}

// ring begins or ends the alarm.
func (s *Server) ring() {
	on := s.heavy || s.diskLow
	if on == s.alarm {
		return
	}
	s.alarm = on
	if on {
		return // publishers are told when they publish
	}
	for c := s.conns.first; c != nil; c = c.next {
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
		reason := "low on memory"
		if !c.server.heavy {
			reason = "low on disk"
		}
		c.send(0, &amqpproto.ConnectionBlocked{Reason: []byte(reason)})
	}
}
