package publishertest

import (
	"time"

	"zamqp/publisher"
)

// An election takes the place of the queue that decides which process makes the ticks of a clock.
// The test's process is the leader unless [Server.SetLeader] says otherwise.
type election struct {
	s         *Server
	clock     string
	candidate publisher.Candidate
	away      bool // another process is the leader
	last      publisher.LastTick
}

// SetLeader decides whether the test's process is the leader of a clock. At first it is. While it
// is not, no process ticks. When it is the leader again, it makes up for the missed ticks, as a
// new leader does.
func (s *Server) SetLeader(clock string, leads bool) {
	s.t.Helper()
	e := s.elections[clock]
	if e == nil {
		s.t.Fatalf("publishertest: no clock %q with a leader is registered", clock)
	}
	s.settle()
	switch was := !e.away; {
	case was == leads:
	case leads:
		e.away = false
		e.elect()
	default:
		e.away = true
		e.candidate.Dismissed()
	}
	s.settle()
}

// Stand makes this process the leader, unless SetLeader has said otherwise.
func (e *election) Stand(c publisher.Candidate) {
	e.candidate, e.last = c, publisher.LastTick{At: e.s.now.Round(0)}
	if !e.away {
		e.elect()
	}
}

func (e *election) elect() { e.s.todo = append(e.s.todo, func() { e.candidate.Elected(e.last) }) }

// Claim grants a tick, later and not at once, as with a broker.
func (e *election) Claim(at time.Time) {
	e.s.todo = append(e.s.todo, func() {
		if !e.away {
			e.last = publisher.LastTick{At: at, Begun: true}
			e.candidate.Granted(at)
		}
	})
}

// Over notes that a tick is over, unless the process is no longer the leader.
func (e *election) Over(at time.Time, ran bool) {
	if ran && !e.away && e.last.At.Equal(at) {
		e.last.Begun = false
	}
}

// Queue is the name of the queue.
func (e *election) Queue() string { return publisher.ClockQueue(e.clock, "") }

// Trouble returns "", because nothing can fail.
func (e *election) Trouble() string { return "" }

// elect gives each clock with a leader its election.
func (s *Server) elect() {
	s.elections = map[string]*election{}
	if err := s.clocks.Elect(func(clock, _ string) (publisher.Election, error) {
		s.elections[clock] = &election{s: s, clock: clock}
		return s.elections[clock], nil
	}); err != nil {
		s.t.Fatal(err)
	}
}
