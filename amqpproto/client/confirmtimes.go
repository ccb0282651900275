package client

import (
	"time"

	"zamqp/loop/histogram"
)

// confirmTimes measures how long the broker takes for its confirms. The client hears the time
// only at a Tick, after the confirms of the same turn. So the times at which the confirmed
// publishes were sent wait here for the next Tick.
type confirmTimes struct {
	sent []sentTogether
}

// sentTogether counts publishes with the same time.
type sentTogether struct {
	at int64 // 0: in this turn
	n  uint64
}

// confirmTimesKeep is the length of the list that is kept for the next turn.
const confirmTimesKeep = 1024

// add notes that a publish that was sent at this time was confirmed.
func (t *confirmTimes) add(at int64) {
	if last := len(t.sent) - 1; last >= 0 && t.sent[last].at == at {
		t.sent[last].n++
		return
	}
	t.sent = append(t.sent, sentTogether{at, 1})
}

// observe counts what was confirmed since the last Tick.
func (t *confirmTimes) observe(now int64, h *histogram.Histogram) {
	for _, s := range t.sent {
		took := time.Duration(now - s.at)
		if s.at == 0 {
			took = 0
		}
		h.ObserveN(took, s.n)
	}
	if t.sent = t.sent[:0]; cap(t.sent) > confirmTimesKeep {
		t.sent = nil
	}
}
