package clockdoor

import (
	"time"

	"zamqp/publisher"
)

// Elected makes the clock tick in this process. All ticks that were missed since the previous
// leader's last one become one tick, as after a pause of this process.
func (c *clock) Elected(last publisher.LastTick) {
	now := c.door.server.Now()
	if !c.leads {
		c.leads, c.elected = true, now
		c.changes++
	}
	c.claimed, c.last = time.Time{}, last.At
	if last.At.Sub(now) >= setBackMax {
		c.door.log.Warn().Str("clock", c.name).Time("last_tick", last.At).Msg("the last tick of a clock is far in the future: another machine's clock was wrong; it is not counted")
		c.last = time.Time{}
	}
	from := c.last
	if from.IsZero() {
		from = now
	}
	c.next = c.times.Next(from)
	if c.due = c.next; c.next.After(now) {
		c.delay()
	} // otherwise it is due now
	if last.Begun {
		c.unfinish(last.At, now)
	}
	if !c.waiting.IsZero() || !c.next.IsZero() && !c.next.After(now) {
		c.atStart = false // there is a tick anyway
	}
	c.door.arm()
}

// unfinish decides about a tick that began in a process that is no longer the leader. If later
// ticks were missed, the last of those replaces it.
func (c *clock) unfinish(at, now time.Time) {
	c.unfinished++
	repeat := !c.declared.Dedupe && (c.next.IsZero() || c.next.After(now))
	if repeat {
		c.waiting = c.times.In(at)
	}
	c.door.log.Warn().Str("clock", c.name).Time("scheduled", at).Bool("repeated", repeat).
		Msg("the previous leader of a clock began a tick, and it is not known whether that has ended")
}

// Granted begins the claimed tick.
func (c *clock) Granted(at time.Time) {
	c.claimed, c.last = time.Time{}, at
	if c.door.server.Draining() {
		c.election.Over(at, false)
		return
	}
	c.begin(at, c.door.server.Now())
}

// Dismissed stops the ticks in this process. The next leader makes up for those that wait, and
// counts the missed ones.
func (c *clock) Dismissed() {
	c.leads = false
	c.changes++
	c.claimed, c.waiting, c.due = time.Time{}, time.Time{}, time.Time{}
	c.door.arm()
}

// state describes the clock for people.
func (c *clock) state() (state, detail string) {
	state = "waiting"
	switch {
	case c.call != nil:
		state = "running"
	case c.failed != "":
		state = "failed"
	case !c.leads:
		state = "not the leader"
	}
	if c.failed != "" {
		detail = "the last tick failed: " + c.failed + "; "
	}
	if c.election != nil && c.leads {
		detail += "this process is the leader since " + c.elected.Format(time.RFC3339) + "; "
	}
	if c.leads {
		return state, detail + "next tick at " + c.due.Format(time.RFC3339)
	}
	if trouble := c.election.Trouble(); trouble != "" {
		return state, detail + "it cannot be elected: " + trouble
	}
	return state, detail + "another process is the leader, or will be, by the queue " + c.election.Queue()
}
