package loop

import "time"

// Timer is a function to be called once, later, on the loop's thread.
type Timer struct {
	loop   *Loop
	fn     func()
	heapAt int32 // place in the heap plus one; 0 when not waiting
}

// After calls fn once, d after the beginning of this turn or as soon as possible after that. Timers of equal time run
// in the order of their making. One made with d <= 0 runs in the next turn.
func (l *Loop) After(d time.Duration, fn func()) *Timer {
	l.debug.onThread(l, "Loop.After")
	t := &Timer{loop: l, fn: fn}
	l.heap.push(entry{when: l.at + int64(max(d, 0)), t: t})
	return t
}

// Stop takes the timer back. It reports whether it was still waiting.
func (t *Timer) Stop() bool {
	t.loop.debug.onThread(t.loop, "Timer.Stop")
	if t.heapAt == 0 {
		return false
	}
	t.loop.heap.remove(int(t.heapAt) - 1)
	return true
}

// Reset makes the timer wait anew, d from the beginning of this turn, whether it was waiting, stopped or has run. It
// allocates nothing, so that a timer which is needed often is made once. It reports whether it was still waiting.
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

// runTimers is phase 3. What it adds to the heap itself waits for the next turn, so that a timer that makes another
// one for now cannot hold the turn.
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
			// A deadline that has moved later since it was put here is armed again; only a real one counts.
			if c.deadline > l.at {
				l.heap.move(0, c.deadline)
				continue
			}
			l.heap.remove(0)
			if c.deadline != 0 {
				l.count.Timers++
				c.expired()
			}
			continue
		}
		l.heap.remove(0)
		l.count.Timers++
		e.t.fn()
	}
}

// arm sets the connection's deadline, in ns after base; 0 for none. Moving it later, what a busy connection does all
// the time, touches only the field: the heap learns of it when the earlier time has come.
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
