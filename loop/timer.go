package loop

import "time"

// Timer is a function to be called once, later, on the loop's thread.
type Timer struct {
	loop   *Loop
	fn     func()
	heapAt int32 // place in the heap plus one; 0 when not waiting
}

// After calls fn once, d after the beginning of this turn or as soon as possible after that. Timers
// with the same time run in the order of creation. A timer with d <= 0 runs in the next turn.
func (l *Loop) After(d time.Duration, fn func()) *Timer {
	l.debug.onThread(l, "Loop.After")
	t := &Timer{loop: l, fn: fn}
	l.heap.push(entry{when: l.at + int64(max(d, 0)), t: t})
	return t
}

// Stop cancels the timer. It reports whether it was still waiting.
func (t *Timer) Stop() bool {
	t.loop.debug.onThread(t.loop, "Timer.Stop")
	if t.heapAt == 0 {
		return false
	}
	t.loop.heap.remove(int(t.heapAt) - 1)
	return true
}

// Reset starts the timer again, to run d after the beginning of this turn. It may be waiting or
// stopped, or it may have run. Reset allocates nothing, so a timer that is often needed should be
// created once. It reports whether the timer was still waiting.
func (t *Timer) Reset(d time.Duration) bool {
	l := t.loop
	l.debug.onThread(l, "Timer.Reset")
	when := l.at + int64(max(d, 0))
	if t.heapAt == 0 {
		l.heap.push(entry{when: when, t: t})
		return false
	}
	l.heap.move(int(t.heapAt)-1, when)
	return true
}

// runTimers is phase 3. Timers that are added in this phase wait for the next turn, so that a timer
// that adds another one for now cannot prolong the turn.
func (l *Loop) runTimers() {
	l.cursor = 0
	for last := l.heap.seq; l.cursor < l.opt.TimerTurnMax && l.heap.due(l.at) && l.heap.e[0].seq <= last; {
		l.runTimersTo(last)
	}
}

func (l *Loop) runTimersTo(last uint64) {
	l.doing = "timer"
	defer l.rescue()
	for l.cursor < l.opt.TimerTurnMax && l.heap.due(l.at) {
		e := l.heap.e[0]
		if e.seq > last {
			return
		}
		l.cursor++
		if c := e.c; c != nil {
			// If the connection's deadline has moved to a later time, the entry is armed again and
			// does not count.
			if c.deadline > l.at {
				l.heap.move(0, c.deadline)
				continue
			}
			l.heap.remove(0)
			if c.deadline != 0 {
				l.count.Timers++
				l.count.Lags.Observe(time.Duration(l.at - c.deadline))
				c.expired()
			}
			continue
		}
		l.heap.remove(0)
		l.count.Timers++
		l.count.Lags.Observe(time.Duration(l.at - e.when))
		e.t.fn()
	}
}

// arm sets the connection's deadline, in ns after base; 0 for none. A busy connection moves its
// deadline to a later time very often, so this changes only the field: the heap entry is corrected
// when the earlier time has come.
func (c *Conn) arm(when int64) {
	c.deadline = when
	if when == 0 {
		return
	}
	h := &c.loop.heap
	if c.heapAt == 0 {
		h.push(entry{when: when, c: c})
	} else if i := int(c.heapAt) - 1; h.e[i].when > when {
		h.move(i, when)
	}
}

// disarm takes the connection out of the heap for good.
func (c *Conn) disarm() {
	c.deadline = 0
	if c.heapAt != 0 {
		c.loop.heap.remove(int(c.heapAt) - 1)
	}
}
