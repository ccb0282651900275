package broker

import (
	"strings"
	"time"

	"zamqp/amqpproto"
)

// alarmTime is how long publishers wait at least once memory is over its limit.
const alarmTime = time.Second

// lowMark is where an alarm for what may be at most most ends: at the limit
// itself, each message that goes and each that comes would end and begin it.
func lowMark(most int64) int64 { return most - most/8 }

// checkMemory compares memory with its limit. Over it, a connection is read until it
// comes to a publish, as in RabbitMQ: who only consumes makes room.
func (s *Server) checkMemory() {
	used := s.memoryUsed() + s.behind()
	if s.heavy && len(s.coming.halted)+int(flag(s.coming.reading != nil)) > 0 {
		s.takeTurns()
	}
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
	} else {
		s.readOn()
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

// ring begins or ends the alarm.
func (s *Server) ring() {
	on := s.heavy || s.disk.holds()
	if on == s.alarm {
		if on {
			s.tellBlocked()
		}
		return
	}
	s.alarm = on
	if on {
		return // publishers are told when they want to publish
	}
	for c := s.conns.head(); c != nil; c = c.place.after() {
		if c.blocked {
			c.blocked = false
			if c.told {
				c.told = false
				c.send(0, &amqpproto.ConnectionUnblocked{})
			}
			c.wakeKept()
		}
	}
}

// Blocked says why publishers wait; "" if they do not. A connection hears this
// text. A store that is some octets behind its disk is no reason to tell anybody:
// publishers are slowed down.
func (s *Server) Blocked() string {
	switch {
	case s.heavy:
		return "low on memory"
	case s.disk.low, isFull(s.disk.trouble):
		return "low on disk"
	case s.disk.trouble != nil:
		return shorten("disk: "+s.disk.trouble.Error(), 255)
	}
	return ""
}

// shorten cuts a text to what fits a short string.
func shorten(text string, most int) string {
	return strings.ToValidUTF8(text[:min(len(text), most)], "")
}

// throttle stops the reading of a connection that wants to publish while memory
// or disk is short.
func (c *Conn) throttle() {
	if !c.blocked {
		c.blocked = true
		c.tellBlocked(c.server.Blocked())
	}
}

func (c *Conn) tellBlocked(reason string) {
	if c.blockedNotify && !c.told && reason != "" {
		c.told = true
		c.send(0, &amqpproto.ConnectionBlocked{Reason: []byte(reason)})
	}
}

// tellBlocked tells those that were only slowed down as yet.
func (s *Server) tellBlocked() {
	reason := s.Blocked()
	if reason == "" {
		return
	}
	for c := s.conns.head(); c != nil; c = c.place.after() {
		if c.blocked {
			c.tellBlocked(reason)
		}
	}
}
