package spool

import "math"

// Gone says that a message has left, or is not wanted any more.
func (s *Spool) Gone(number uint64) {
	if number < s.out || number >= s.next {
		return
	}
	s.gone[number] = struct{}{}
	s.counters.Left++
	s.forgetGone()
}

// forgetMax is how many messages are forgotten in one turn. One that has stayed for
// long may have any number of others behind it that have left.
const forgetMax = 4096

// stepsMax is forgetMax, or no bound without a loop, where nothing waits.
func (s *Spool) stepsMax() int {
	if s.o.Offload == nil {
		return math.MaxInt
	}
	return forgetMax
}

// forgetGone forgets messages from the oldest on that have left, as many as this
// turn may.
func (s *Spool) forgetGone() {
	for ; s.steps > 0 && s.Lags(); s.steps-- {
		s.leaveUpTo(s.out + 1)
	}
}

// Lags reports whether messages that have left are still to be forgotten: the next
// Flush goes on with it.
func (s *Spool) Lags() bool {
	_, gone := s.gone[s.out]
	return gone
}
