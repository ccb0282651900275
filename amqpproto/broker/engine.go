package broker

import (
	"time"

	"zamqp/amqpproto/broker/arena"
	"zamqp/amqpproto/broker/backlog"
)

// serverEngine is the part of a Server that holds messages and queues.
type serverEngine struct {
	arena      arena.Arena
	slabs      slabs
	blocks     backlog.Spare
	memory     int64 // octets of live messages, and of the bookkeeping of queues and channels about them
	messages   int   // number of ready messages in all queues
	unacked    int   // in all queues
	compacting bool  // Tick continues with it

	timers timers
	wake   int64 // the time that the host last got for the next Tick; 0 = never

	router router
	deaths []death // messages to be dead-lettered when the current queue has finished
	hops   int     // hops of messages that die now, see drain
	dying  bool    // drain is running
	letter letter

	slice slicing
}

// initEngine has to be called before anything else.
func (s *Server) initEngine() {
	s.arena.Init(s.opts.Allocate, s.opts.Free)
	s.slice.size = sliceUnits
	s.slabs.allocate, s.slabs.give = s.opts.Allocate, s.opts.Free
}

// tickEngine lets messages and queues expire, and continues with chores. It returns when it
// must be called again, in nanoseconds since 1970; 0 = never. For an earlier deadline that is
// set later it calls Host.WakeAt.
func (s *Server) tickEngine(now int64) (next int64) {
	s.refill(now)
	if s.compacting {
		s.compact()
	}
	s.runChores()
	// Each queue comes once: a queue whose messages are dead-lettered to itself may be due
	// again at once, and waits for the next turn.
	for n := len(s.timers); n > 0 && len(s.timers) > 0 && s.timers[0].due <= now && s.charge(endUnits, 0); n-- {
		s.timers[0].timeout(now)
	}
	s.drain()
	s.wake = 0
	if len(s.timers) > 0 {
		s.wake = s.timers[0].due
	}
	if s.compacting || len(s.slice.chores) > 0 {
		s.wake = now
	}
	return s.wake
}

// wakeAt makes sure that Tick is called by t.
func (s *Server) wakeAt(t int64) {
	if s.wake == 0 || t < s.wake {
		s.wake = t
		s.host.WakeAt(time.Unix(0, t))
	}
}

// memoryUsed returns the octets of messages, of the bookkeeping of queues and channels about
// them, of incomplete bodies and of unsent output. The memory of the arena is larger, by what
// compact leaves.
func (s *Server) memoryUsed() int64 { return s.memory + s.coming.octets + s.unsent }
