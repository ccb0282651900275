package spool

import "math"

// Gone tells the spool that a message has left or is not wanted any more.
func (s *Spool) Gone(number uint64) {
	if number < s.out || number >= s.next {
		return
	}
	s.gone[number] = struct{}{}
	s.counters.Left++
	s.forgetGone()
}

// forgetMax is how many messages are forgotten in one turn. Behind a message that stayed for
// a long time, any number of other messages may have left.
const forgetMax = 4096

// stepsMax is forgetMax. Without a loop, where nothing else waits, there is no bound.
func (s *Spool) stepsMax() int {
	if s.o.Offload == nil {
		return math.MaxInt
	}
	return forgetMax
}

// forgetGone forgets messages that have left, beginning with the oldest, as many as this turn
// allows.
func (s *Spool) forgetGone() {
	for ; s.steps > 0 && s.Lags(); s.steps-- {
		s.leaveUpTo(s.out + 1)
	}
}

// Lags reports whether there are messages that have left and are not forgotten yet. The next
// Flush continues.
func (s *Spool) Lags() bool {
	_, gone := s.gone[s.out]
	return gone
}
