package clockdoor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/schedule"
)

// clock is one declared clock: it knows when the next tick is, and has the call of the last
// tick while that runs. At most one call runs at a time.
type clock struct {
	door     *Door
	name     string
	declared publisher.Clock
	times    schedule.Schedule
	source   *publisher.ClockSource

	next    time.Time // the next tick by the schedule
	due     time.Time // next plus the jitter
	atStart bool      // a tick at the start is due
	waiting time.Time // the scheduled time of a tick that waits for the end of the call; zero is none

	election publisher.Election // says whether this process ticks; nil: it does
	leads    bool               // it is the leader; true without an election
	elected  time.Time
	last     time.Time // the last tick of all processes; zero without an election
	claimed  time.Time // the tick that the election is asked for; zero is none

	call    *publisher.Call // nil while none runs
	running time.Time       // the scheduled time of the call
	began   time.Time
	expired bool // the timeout has ended the waits of the call

	ticks, failures, missed, skipped, late, timeouts, changes, unfinished uint64
	took                                                                  time.Duration
	succeeded                                                             time.Time
	failed                                                                string // the error of the last call; "" is none
	missing, skipping                                                     repeated
}

// never is the wait of a schedule that has ended.
const never = 1 << 62

// plan finds the first tick after now, which no process has made.
func (c *clock) plan(now time.Time) {
	from := now
	if c.last.After(now) && c.last.Sub(now) < setBackMax {
		from = c.last // by the clock of another machine, or before ours was set back
	}
	c.next = c.times.Next(from)
	c.delay()
}

// delay sets when the next tick is due.
func (c *clock) delay() {
	c.due = c.next
	if c.declared.Jitter > 0 {
		c.due = c.due.Add(rand.N(c.declared.Jitter))
	}
}

// wait returns how long nothing has to be done for this clock.
func (c *clock) wait(now time.Time) time.Duration {
	wait := time.Duration(never)
	if c.call != nil && c.declared.Timeout > 0 && !c.expired {
		wait = c.began.Add(c.declared.Timeout).Sub(now)
	}
	switch {
	case c.door.server.Draining() || !c.leads:
		return wait
	case c.atStart || !c.busy() && !c.waiting.IsZero():
		return 0
	case c.next.IsZero():
		return wait
	}
	return min(wait, c.due.Sub(now))
}

// expire ends the waits of a call that has taken longer than the timeout.
func (c *clock) expire(now time.Time) {
	if limit := c.declared.Timeout; c.call != nil && limit > 0 && !c.expired && now.Sub(c.began) >= limit {
		c.expired = true
		c.timeouts++
		c.call.Cancel(fmt.Errorf("clock.%s.timeout (%s): %w", c.name, limit, context.DeadlineExceeded))
	}
}

// turn makes the ticks that are due.
func (c *clock) turn(now time.Time) {
	if c.door.server.Draining() || !c.leads {
		return
	}
	if at := c.waiting; !c.busy() && !at.IsZero() {
		c.waiting = time.Time{}
		c.claim(at, now)
	}
	if c.atStart {
		c.atStart = false
		c.tick(now.Round(0), now)
	}
	if c.next.IsZero() || now.Before(c.due) {
		return
	}
	if now.Sub(c.due) > lateAfter {
		c.late++
	}
	missed, at := c.times.Passed(c.next, now, missedMax)
	if missed == missedMax {
		c.plan(now)
	} else {
		c.plan(at)
	}
	if missed > 0 {
		c.missed += uint64(missed)
		text := "a clock has missed ticks: the loop was held, the process was suspended or the machine's clock was set; the last of them runs now"
		if c.election != nil {
			text = "a clock has missed ticks: no process was the leader, or the leader was held; the last of them runs now"
		}
		c.warn(&c.missing, now, missed, text)
	}
	c.tick(at, now)
}

// lateAfter is the delay above which a tick counts as late.
const lateAfter = time.Second

// missedMax is how many missed ticks of a line of cron are counted, each in a fraction of a
// microsecond. A clock that ticks each minute misses about so many in a week.
const missedMax = 10_000

// tick makes a call for a scheduled time, unless the call of an earlier tick still runs.
func (c *clock) tick(at, now time.Time) {
	switch {
	case !c.busy():
		c.claim(at, now)
	case c.declared.Overlap == publisher.OverlapQueue && c.waiting.IsZero():
		c.waiting = at
	default:
		c.skipped++
		if c.call == nil {
			c.warn(&c.skipping, now, 1, "a clock has skipped ticks: the broker has not answered about an earlier one; look at the connection that its leader names")
			return
		}
		c.warn(&c.skipping, now, 1, "a clock has skipped ticks: the call of an earlier one still runs; give it a longer period, or make it faster")
	}
}

// busy reports whether a tick runs, or is about to.
func (c *clock) busy() bool { return c.call != nil || !c.claimed.IsZero() }

// claim makes sure that no other process makes the tick, and begins it.
func (c *clock) claim(at, now time.Time) {
	if c.election == nil {
		c.begin(at, now)
		return
	}
	c.claimed = at
	c.election.Claim(at)
}

func (c *clock) begin(at, now time.Time) {
	c.ticks++
	c.running, c.began, c.expired = at, now, false
	c.call = c.door.server.NewCall()
	c.call.SetClock(c.source, at)
	c.door.server.Dispatch(c.call, c) // it may call Done at once
}

// Done is called when the call of a tick is over.
func (c *clock) Done(call *publisher.Call) {
	now := c.door.server.Now()
	c.call, c.took = nil, now.Sub(c.began)
	if err := call.Outcome().Err; err != nil {
		c.failures++
		c.failed = err.Error()
	} else {
		c.failed, c.succeeded = "", now
	}
	if c.election != nil {
		c.election.Over(c.running, true)
	}
	if c.waiting.IsZero() {
		return
	}
	if c.door.server.Draining() && c.election != nil {
		c.waiting = time.Time{} // the next leader makes it
		return
	}
	if c.door.server.Draining() {
		c.skipped++
		c.door.log.Info().Str("clock", c.name).Time("scheduled", c.waiting).Msg("a tick that waited for the one before is dropped: the server drains")
		c.waiting = time.Time{}
		return
	}
	c.door.arm()
}

// repeated is a warning that may come often.
type repeated struct {
	at   time.Time // when it was last logged
	more int       // how many ticks it was not logged for
}

// repeatedEvery is the shortest time between two lines of a warning that repeats.
const repeatedEvery = 30 * time.Second

func (c *clock) warn(r *repeated, now time.Time, ticks int, text string) {
	if !r.at.IsZero() && now.Sub(r.at) < repeatedEvery {
		r.more += ticks
		return
	}
	c.door.log.Warn().Str("clock", c.name).Int("ticks", ticks+r.more).Msg(text)
	r.at, r.more = now, 0
}
