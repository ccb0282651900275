package histogram_test

import (
	"testing"
	"time"

	"zamqp/loop/histogram"
)

func TestBuckets(t *testing.T) {
	last := len(histogram.Bounds)
	for _, row := range []struct {
		name   string
		d      time.Duration
		bucket int
		sum    time.Duration
	}{
		{"nothing", 0, 0, 0},
		{"a clock that went back", -time.Second, 0, 0},
		{"just within the first", histogram.Bounds[0], 0, histogram.Bounds[0]},
		{"just above the first", histogram.Bounds[0] + 1, 1, histogram.Bounds[0] + 1},
		{"just within the last bound", histogram.Bounds[last-1], last - 1, histogram.Bounds[last-1]},
		{"longer than all bounds", time.Hour, last, time.Hour},
	} {
		t.Run(row.name, func(t *testing.T) {
			var h histogram.Histogram
			h.Observe(row.d)
			if h.Counts[row.bucket] != 1 || h.Count() != 1 || h.Sum != row.sum {
				t.Errorf("%+v", h)
			}
		})
	}
}

func TestBoundsRise(t *testing.T) {
	for i := 1; i < len(histogram.Bounds); i++ {
		if histogram.Bounds[i] <= histogram.Bounds[i-1] {
			t.Errorf("%s after %s", histogram.Bounds[i], histogram.Bounds[i-1])
		}
	}
}

func TestObserveAllocatesNothing(t *testing.T) {
	var h histogram.Histogram
	if n := testing.AllocsPerRun(100, func() { h.ObserveN(time.Millisecond, 3) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
	if h.Count() != 303 || h.Sum != 303*time.Millisecond {
		t.Errorf("%+v", h)
	}
}
