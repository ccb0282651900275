package broker

import (
	"strings"
	"time"

	"zamqp/amqpproto"
)

// alarmTime is the shortest time that publishers wait once memory is over its limit.
const alarmTime = time.Second

// lowMark returns the mark below which an alarm ends that began at most. An alarm that ended
// at the limit itself would end with each message that leaves, and begin with each that
// arrives.
func lowMark(most int64) int64 { return most - most/8 }

// checkMemory compares memory with its limit. Above the limit, a connection is read until it
// wants to publish, as in RabbitMQ: clients that only consume free memory.
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
	s.updateAlarm()
}

// over reports whether publishers have to wait. They have to from the limit on, until memory
// is below the lower mark.
func (s *Server) over(used int64) bool {
	memory, messages := s.opts.MemoryMax, int64(s.opts.MessagesMax)
	if s.heavy {
		memory, messages = lowMark(memory), lowMark(messages)
	}
	return used > memory || messages > 0 && int64(s.messages) > messages
}

// updateAlarm starts or ends the alarm.
func (s *Server) updateAlarm() {
	on := s.heavy || s.disk.holds()
	if on == s.alarm {
		if on {
			s.tellBlocked()
		}
		return
	}
	s.alarm = on
	if on {
		return // publishers are told when they next want to publish
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

// Blocked returns why publishers wait; "" if they do not. Connections are told this text.
// They are not told when the store is only some octets behind its disk, which slows
// publishers down for a moment.
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

// shorten cuts a text to at most that number of octets.
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

// tellBlocked tells the connections that were only slowed down so far.
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
