package broker

import "zamqp/tests/kit/racing"

// RaceDetector tells the tests outside of the package.
const RaceDetector = racing.Enabled

// Records is how many the store has been given, ever.
func (s *Server) Records() int { return int(s.stored()) }

// LastQueue is the highest id in the store that a queue ever had: the next one is
// one higher.
func (s *Server) LastQueue() int {
	q, err := s.vhosts["/"].declareQueue(queueSpec{name: "the next one", durable: true}, nil)
	if err != nil {
		panic(err)
	}
	return int(q.storeID) - 1
}

// Unacked is how many deliveries of a connection its client may ack.
func (c *Conn) Unacked() (n int) {
	for _, ch := range c.channels {
		if ch != nil {
			n += ch.unacked.live
			if t, ok := ch.chore.(*rollback); ok {
				n += t.merged.live
			}
		}
	}
	return n
}

// Retired is how many consumers of a connection wait to be woken.
func (c *Conn) Retired() (n int) {
	for _, ch := range c.channels {
		if ch != nil {
			n += ch.retired.n
		}
	}
	return n
}

// SliceUnits sets how much is done in one turn.
func (s *Server) SliceUnits(n int) { s.slice.size = n }
