package publisher

import "time"

// An Election decides which of several processes makes the ticks of a clock. A door to a
// broker implements it. Loop thread only.
type Election interface {
	// Stand makes this process a candidate. The Election calls the methods of c later, never from
	// within one of its own methods.
	Stand(c Candidate)
	// Claim asks for the tick of that time. Only the leader may ask, for one tick at a
	// time. c.Granted or c.Dismissed follows.
	Claim(at time.Time)
	// Over says that the granted tick has ended. If ran is false, its handler was not
	// called, and another process makes the tick.
	Over(at time.Time, ran bool)
	// Queue is the name of the queue that decides.
	Queue() string
	// Trouble says why nobody can be elected through this process; "" if nothing is known.
	Trouble() string
}

// A Candidate is a clock that waits to be the leader.
type Candidate interface {
	// Elected says that this process is the leader from now on.
	Elected(last LastTick)
	// Granted says that the claimed tick may begin: nobody else may begin it.
	Granted(at time.Time)
	// Dismissed says that this process is no longer the leader. A claimed tick must not
	// begin.
	Dismissed()
}

// LastTick is what is known of the last tick of a clock. Another process has made it, or this one
// before it was dismissed.
type LastTick struct {
	// At is the scheduled time of the last tick. All earlier ticks have been made. Without
	// any tick it is the time of the first election.
	At time.Time
	// Begun is true if the tick is known to have begun and not known to have ended: its process
	// may have been killed in the middle.
	Begun bool
}
