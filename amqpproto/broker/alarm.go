package broker

import (
	"time"

	"zamqp/amqpproto"
)

// alarmTime is how long publishers wait at least once memory is over its limit.
const alarmTime = time.Second

// lowMark is where an alarm for what may be at most most ends: at the limit
// itself, each message that goes and each that comes would end and begin it.
func lowMark(most int64) int64 { return most - most/8 }

// weigh compares memory with its limit. Over it, a connection is read until it
// comes to a publish, as in RabbitMQ: who only consumes makes room.
func (s *Server) weigh() {
	used := s.memoryUsed() + s.behind()
	if s.heavy == s.over(used) {
		return
	}
	now := s.now()
	if s.heavy && now < s.heavyUntil {
		s.wakeAt(s.heavyUntil)
		return
	}
	s.heavy = !s.heavy
	kind := MemoryUnblocked
	if s.heavy {
		kind = MemoryBlocked
		s.heavyUntil = now + int64(alarmTime)
	}
	s.host.Note(Event{Kind: kind, Octets: used})
	s.ring()
}

// over says whether publishers are to wait, from a limit on until the lower mark.
func (s *Server) over(used int64) bool {
	memory, messages := s.opts.MemoryMax, int64(s.opts.MessagesMax)
	if s.heavy {
		memory, messages = lowMark(memory), lowMark(messages)
	}
	return used > memory || messages > 0 && int64(s.messages) > messages
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
		return // publishers are told when they want to publish
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

// throttle stops the reading of a connection that wants to publish while memory
// or disk is short.
func (c *Conn) throttle() {
	if c.blocked {
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
