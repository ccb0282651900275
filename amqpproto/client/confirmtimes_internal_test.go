package client

import (
	"testing"
	"time"

	"zamqp/loop/histogram"
)

// TestConfirmTimes: the time until a confirm counts from the turn in which the publish was sent to
// the turn in which the confirm came, though the client hears the time only at the end of that.
func TestConfirmTimes(t *testing.T) {
	var times confirmTimes
	var h histogram.Histogram
	ms := int64(time.Millisecond)
	times.add(10 * ms)
	times.add(10 * ms)
	times.add(12 * ms)
	times.add(0) // sent and confirmed in one turn
	times.observe(14*ms, &h)
	if h.Count() != 4 || h.Sum != 10*time.Millisecond {
		t.Errorf("%d in %s", h.Count(), h.Sum)
	}
	times.observe(20*ms, &h)
	if h.Count() != 4 {
		t.Error("counted twice")
	}
	n := testing.AllocsPerRun(100, func() {
		times.add(30 * ms)
		times.add(31 * ms)
		times.observe(32*ms, &h)
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}
