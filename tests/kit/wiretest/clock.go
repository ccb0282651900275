package wiretest

import (
	"sort"
	"time"
)

// Epoch is where every clock starts. It has no monotonic reading, so that equal
// times print the same everywhere.
var Epoch = time.Date(2026, time.January, 2, 3, 4, 5, 0, time.UTC)

// Clock is time that moves only when a test moves it. It owns the links that are
// joined on it and the timers that are set on it. Advance runs each of them at its
// due instant, in order.
type Clock struct {
	now    time.Time
	seq    int
	timers []*Timer
	links  []*Link
}

// Timer is a function waiting on a Clock.
type Timer struct {
	at   time.Time
	seq  int // timers due at one instant fire in the order they were set
	fn   func()
	done bool
}

// NewClock returns a clock at Epoch.
func NewClock() *Clock { return &Clock{now: Epoch} }

// Now is the clock's time.
func (c *Clock) Now() time.Time { return c.now }

// After runs fn once d has passed, inside Advance. The host of a machine uses it
// instead of the loop's timers, for example to dial again after a pause.
func (c *Clock) After(d time.Duration, fn func()) *Timer {
	c.seq++
	t := &Timer{at: c.now.Add(max(d, 0)), seq: c.seq, fn: fn}
	c.timers = append(c.timers, t)
	return t
}

// Stop takes the timer back; false means that it has fired or was stopped.
func (t *Timer) Stop() bool {
	was := !t.done
	t.done = true
	return was
}

// Advance moves time forward by d. On the way it stops at every deadline and timer
// in order of time, ticks what is due, and runs all links until they are quiet. So
// nothing happens late, and nothing early.
func (c *Clock) Advance(d time.Duration) {
	target := c.now.Add(d)
	c.run()
	for spins := 0; ; {
		next := c.Next()
		if next.IsZero() || next.After(target) {
			break
		}
		// A deadline in the past is due now, because time never goes back.
		if next.After(c.now) {
			c.now, spins = next, 0
		} else if spins++; spins > 1000 {
			c.stuck(next)
			return
		}
		c.fire()
		c.run()
	}
	c.now = target
}

// Next is the earliest instant at which something is due; zero if nothing is.
func (c *Clock) Next() time.Time {
	var next time.Time
	earlier := func(t time.Time) {
		if !t.IsZero() && (next.IsZero() || t.Before(next)) {
			next = t
		}
	}
	for _, t := range c.timers {
		if !t.done {
			earlier(t.at)
		}
	}
	for _, l := range c.links {
		earlier(l.next())
	}
	return next
}

// fire runs the timers that are due, and ticks the peers that are due.
func (c *Clock) fire() {
	var due []*Timer
	kept := c.timers[:0]
	for _, t := range c.timers {
		switch {
		case t.done:
		case t.at.After(c.now):
			kept = append(kept, t)
		default:
			due = append(due, t)
		}
	}
	c.timers = kept
	sort.Slice(due, func(i, j int) bool {
		if !due[i].at.Equal(due[j].at) {
			return due[i].at.Before(due[j].at)
		}
		return due[i].seq < due[j].seq
	})
	for _, t := range due {
		if !t.done { // an earlier timer may have stopped it
			t.done = true
			t.fn()
		}
	}
	for _, l := range c.links {
		l.tickDue()
	}
}

// run serves all links until none has anything to do. One link's traffic may
// wake a machine on another, hence the outer loop.
func (c *Clock) run() {
	for again := true; again; {
		again = false
		open := c.links[:0]
		for _, l := range c.links {
			if !l.Over() {
				open = append(open, l)
			}
		}
		c.links = open
		for _, l := range append([]*Link(nil), c.links...) {
			if l.Run() > 0 {
				again = true
			}
		}
	}
}

func (c *Clock) stuck(at time.Time) {
	for _, l := range c.links {
		l.t.Helper()
		l.t.Fatalf("wiretest: a deadline at %s (now %s) was answered 1000 times and stays due; Tick must move or clear what it has served (seed %d)",
			at.Sub(Epoch), c.now.Sub(Epoch), l.seed)
	}
	panic("wiretest: a timer sets itself again for the same instant without end")
}
