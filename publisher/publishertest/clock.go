package publishertest

import (
	"time"

	"zamqp/publisher"
	"zamqp/publisher/clockdoor"
)

// Advance moves time forward and does everything that becomes due, in order: ticks of clocks,
// the ends of sleeps, deadlines. Time stands still meanwhile, so a test of a clock takes only
// as long as its handler.
//
//	s.Advance(time.Hour) // a clock with a period of ten minutes ticks six times
//
// A clock ticks at the multiples of its period, or when its line of cron says. With
// [Server.SetNow] a test can set the time, and so know when that is.
func (s *Server) Advance(d time.Duration) {
	s.t.Helper()
	until := s.now.Add(d)
	s.runUntil(until, true)
	s.now = until
}

// runUntil does everything that becomes due until a time. With all, that includes the timers for
// which no call waits.
func (s *Server) runUntil(until time.Time, all bool) {
	for s.settle(); ; s.settle() {
		next := s.earliest(all)
		if next == nil || next.at.After(until) {
			return
		}
		s.fire(next)
	}
}

// SetNow sets the time. Call it before any clock has ticked: the clocks plan their next ticks
// from this time.
func (s *Server) SetNow(now time.Time) {
	s.now = now
	s.startClocks()
}

// Now returns the time of the server.
func (s *Server) Now() time.Time { return s.now }

// Tick makes a clock tick once, now, whatever its schedule says and even if it is disabled. It
// returns when the call has ended.
func (s *Server) Tick(clock string) publisher.Outcome {
	s.t.Helper()
	declared, ok := s.registry.Clocks()[clock]
	if !ok {
		s.t.Fatalf("publishertest: no clock %q is registered", clock)
	}
	c := s.server.NewCall()
	c.SetClock(s.server.ClockSource(clock, declared), s.now.Round(0))
	w := &waiter{}
	s.run(c, w)
	return w.outcome
}

// startClocks starts the registry's clocks, or starts them again.
func (s *Server) startClocks() {
	if s.clocks != nil {
		s.clocks.Stop()
	}
	s.clocks.Start(func(turn func()) clockdoor.Timer {
		t := &timer{s: s, at: s.now, fn: turn, apart: true}
		s.timers = append(s.timers, t)
		return t
	})
}

// settle does everything that can be done without moving time forward.
func (s *Server) settle() {
	s.t.Helper()
	for {
		s.runReady()
		if !s.doNext() && !s.outside() {
			return
		}
	}
}

// earliest returns the timer that is due first, or nil. Timers for which no call waits are
// included if all is set.
func (s *Server) earliest(all bool) *timer {
	var next *timer
	for _, t := range s.timers {
		if !t.done && (all || !t.apart) && (next == nil || t.at.Before(next.at)) {
			next = t
		}
	}
	return next
}

// fire moves time to that of a timer and runs it.
func (s *Server) fire(t *timer) {
	if t.at.After(s.now) {
		s.now = t.at
	}
	t.done = true
	t.fn()
}

// Reset sets the timer again, also after it has run.
func (t *timer) Reset(d time.Duration) bool {
	was := t.Stop()
	t.at, t.done = t.s.now.Add(d), false
	return was
}

// Stop ends the timer.
func (t *timer) Stop() bool {
	was := !t.done
	t.done = true
	return was
}
