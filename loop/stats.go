package loop

import (
	"sync"
	"sync/atomic"
	"time"

	"zamqp/loop/histogram"
)

// Stats counts what a loop has done since New, and what it holds.
type Stats struct {
	Turns     uint64 // turns made
	Waits     uint64 // turns that waited in the poll
	Events    uint64 // events taken from the poller
	Stale     uint64 // events ignored because their descriptor had been closed
	Reads     uint64 // read calls on sockets
	Writes    uint64 // write calls on sockets
	BytesIn   uint64
	BytesOut  uint64
	TurnOut   uint64 // the most bytes written to sockets in one turn
	Accepted  uint64 // connections accepted
	Dialed    uint64 // dials that succeeded
	DialFail  uint64 // dials that failed
	Refused   uint64 // connections closed at once because no descriptor was free
	Pauses    uint64 // how often a listener paused
	Open      int    // open connections, lingering ones included
	Lingers   int    // how many of those linger without their peer
	Timers    uint64 // timers and deadlines run
	Pending   int    // timers and deadlines waiting
	Posts     uint64 // posted functions run
	InputHeld int    // bytes in input buffers, not taken by peers yet
	Panics    uint64 // panics caught
	Stalls    uint64 // how often the thread was held longer than StallWarning

	TurnTimes histogram.Histogram // how long turns took, without the wait in the poll
	Lags      histogram.Histogram // how late timers and deadlines ran
}

// showEvery is how old the Stats may be while the loop is busy. When it waits, they are exact.
const showEvery = int64(5 * time.Millisecond)

// shownStats is the copy that other goroutines may read. Atomic counters would cost the hot path
// several times as much as this occasional copy.
type shownStats struct {
	mu     sync.Mutex
	stats  Stats
	last   int64
	panics atomic.Uint64 // offloaded functions panic on other goroutines
}

func (l *Loop) show(resting bool) {
	s := &l.shown
	if !resting && l.at-s.last < showEvery {
		return
	}
	s.last = l.at
	l.count.Pending = len(l.heap.e)
	l.count.InputHeld = l.inputs.lent
	s.mu.Lock()
	s.stats = l.count
	s.mu.Unlock()
}

// Stats may be called on any goroutine. While the loop is busy the figures are some milliseconds old.
func (l *Loop) Stats() Stats {
	l.shown.mu.Lock()
	s := l.shown.stats
	l.shown.mu.Unlock()
	s.Panics = l.shown.panics.Load()
	s.Stalls = l.watch.stalls.Load()
	return s
}
