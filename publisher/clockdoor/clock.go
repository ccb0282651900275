package clockdoor

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/schedule"
)

// clock is one clock: when it ticks next, and the call of its last tick, if that runs.
// At most one call runs at a time.
type clock struct {
	door     *Door
	name     string
	declared publisher.Clock
	times    schedule.Schedule
	source   *publisher.ClockSource

	next    time.Time // of the schedule
	due     time.Time // the same, with the jitter
	atStart bool      // it ticks at once
	waiting time.Time // the tick that waits for the end of the call; zero is none

	call    *publisher.Call // nil while none runs
	began   time.Time
	expired bool // its timeout has ended the call's waits

	ticks, failures, missed, skipped, late, timeouts uint64
	took                                             time.Duration
	succeeded                                        time.Time
	failed                                           string // the error of the last call; "" is none
	missing, skipping                                repeated
}

// never is a time that does not come, of a schedule that has ended.
const never = 1 << 62

// plan finds the first tick after now.
func (c *clock) plan(now time.Time) {
	c.next = c.times.Next(now)
	c.due = c.next
	if c.declared.Jitter > 0 {
		c.due = c.due.Add(rand.N(c.declared.Jitter))
	}
}

// wait is how long the clock needs nothing.
func (c *clock) wait(now time.Time) time.Duration {
	wait := time.Duration(never)
	if c.call != nil && c.declared.Timeout > 0 && !c.expired {
		wait = c.began.Add(c.declared.Timeout).Sub(now)
	}
	switch {
	case c.door.server.Draining():
		return wait
	case c.atStart || c.call == nil && !c.waiting.IsZero():
		return 0
	case c.next.IsZero():
		return wait
	}
	return min(wait, c.due.Sub(now))
}

// expire ends the waits of a call that takes too long.
func (c *clock) expire(now time.Time) {
	if limit := c.declared.Timeout; c.call != nil && limit > 0 && !c.expired && now.Sub(c.began) >= limit {
		c.expired = true
		c.timeouts++
		c.call.Cancel(fmt.Errorf("clock.%s.timeout (%s): %w", c.name, limit, context.DeadlineExceeded))
	}
}

// turn ticks if it is time.
func (c *clock) turn(now time.Time) {
	if c.door.server.Draining() {
		return
	}
	if at := c.waiting; c.call == nil && !at.IsZero() {
		c.waiting = time.Time{}
		c.begin(at, now)
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
		c.warn(&c.missing, now, missed, "a clock has missed ticks: the loop was held, the process was suspended or the machine's clock was set; the last of them runs now")
	}
	c.tick(at, now)
}

// lateAfter is the delay from which on a tick is counted as late.
const lateAfter = time.Second

// missedMax is how many missed ticks of a line of cron are counted one by one, at a
// fraction of a microsecond each: those of a week, with one each minute.
const missedMax = 10_000

// tick makes a call for a time of the schedule, unless the one before still runs.
func (c *clock) tick(at, now time.Time) {
	switch {
	case c.call == nil:
		c.begin(at, now)
	case c.declared.Overlap == publisher.OverlapQueue && c.waiting.IsZero():
		c.waiting = at
	default:
		c.skipped++
		c.warn(&c.skipping, now, 1, "a clock has skipped ticks: the call of an earlier one still runs; give it a longer period, or make it faster")
	}
}

func (c *clock) begin(at, now time.Time) {
	c.ticks++
	c.began, c.expired = now, false
	c.call = c.door.server.NewCall()
	c.call.SetClock(c.source, at)
	c.door.server.Dispatch(c.call, c) // which may call Done at once
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
	if c.waiting.IsZero() {
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

// repeated is a warning that may come again and again.
type repeated struct {
	at   time.Time // when it was last logged
	more int       // ticks that it was not logged for
}

// repeatedEvery is how often a warning that repeats is logged.
const repeatedEvery = 30 * time.Second

func (c *clock) warn(r *repeated, now time.Time, ticks int, text string) {
	if !r.at.IsZero() && now.Sub(r.at) < repeatedEvery {
		r.more += ticks
		return
	}
	c.door.log.Warn().Str("clock", c.name).Int("ticks", ticks+r.more).Msg(text)
	r.at, r.more = now, 0
}
