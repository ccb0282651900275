// Package histogram counts durations in buckets, as Prometheus wants them.
package histogram

import "time"

// Bounds are the largest durations of the buckets. One more bucket has what is longer.
var Bounds = [...]time.Duration{
	100 * time.Microsecond, 500 * time.Microsecond,
	time.Millisecond, 2500 * time.Microsecond, 5 * time.Millisecond,
	10 * time.Millisecond, 25 * time.Millisecond, 50 * time.Millisecond,
	100 * time.Millisecond, 250 * time.Millisecond, 500 * time.Millisecond,
	time.Second, 2500 * time.Millisecond, 5 * time.Second,
	10 * time.Second, 30 * time.Second,
}

// A Histogram counts durations. The zero value is empty. A copy is a snapshot. It is for one
// goroutine.
type Histogram struct {
	// Counts has the durations of each bucket alone: those that are longer than the bound
	// before, and not longer than the bucket's own.
	Counts [len(Bounds) + 1]uint64
	Sum    time.Duration // of all durations
}

// Observe counts one duration. One that is negative counts as 0. It allocates nothing.
func (h *Histogram) Observe(d time.Duration) { h.ObserveN(d, 1) }

// ObserveN counts the same duration n times.
func (h *Histogram) ObserveN(d time.Duration, n uint64) {
	d = max(d, 0)
	i := 0
	for i < len(Bounds) && d > Bounds[i] {
		i++
	}
	h.Counts[i] += n
	h.Sum += d * time.Duration(n)
}

// Count returns how many durations were counted.
func (h *Histogram) Count() (n uint64) {
	for _, c := range h.Counts {
		n += c
	}
	return n
}
