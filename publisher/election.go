package publisher

import "time"

// An Election decides which of several processes makes the ticks of a clock. A door to a
// broker implements it. Loop thread only.
type Election interface {
	// Stand makes this process a candidate. c hears what becomes of that, never from
	// within a method of the Election.
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

// LastTick is what is known of the ticks that other processes have made of a clock, or this
// process before it was dismissed.
type LastTick struct {
	// At is the scheduled time of the last tick. All earlier ticks have been made. Without
	// any tick it is the time of the first election.
	At time.Time
	// Begun says that this tick has begun, and not that it has ended: its process may have
	// been killed in the middle.
	Begun bool
}
