package loop

import "time"

const (
	// computeMin is the time from which on a piece of work may be one that computes. Most that wait for a database or a
	// file take less.
	computeMin = 5 * time.Millisecond

	// computeStay is how many pieces in a row must compute less before their kind is no longer one that computes.
	computeStay = 16

	// trialRest is how many long pieces pass after a trial that has shown that they wait and do not compute.
	trialRest = 256
)

// kinds is what the loop has learned of offloaded work, by its kind. Go does not tell how much a goroutine computes, and
// the kernel knows threads only. So work that takes long is tried once on a thread of its own: if it computes, the next
// ones of its kind go to such threads, too, which have the lowest priority. The others are spared the switches of threads
// that this costs: 15 µs of CPU a piece of work become 50.
type kinds struct {
	seen    map[uintptr]*kind // as many as the program has functions that it offloads
	threads offload           // goroutines that are locked to threads of the lowest priority
}

// kind is guarded by the mutex of the pool that it belongs to.
type kind struct {
	low  int // pieces that go to the threads before it must have shown again that it computes
	rest int // long pieces until the next trial
}

// of finds a kind; nil if it is not known what the work is.
func (k *kinds) of(id uintptr) *kind {
	if id == 0 || !lowThreads {
		return nil
	}
	w := k.seen[id]
	if w == nil {
		w = &kind{}
		if k.seen == nil {
			k.seen = make(map[uintptr]*kind)
		}
		k.seen[id] = w
	}
	return w
}

// took learns of a piece of work that was done by any thread, in so much time.
func (w *kind) took(d time.Duration) {
	switch {
	case d < computeMin:
	case w.rest > 0:
		w.rest--
	case w.low == 0:
		w.low = 1
	}
}

// used learns of one that was done by a thread of the lowest priority, in so much time of a processor.
func (w *kind) used(d time.Duration) {
	if d >= computeMin {
		w.low, w.rest = computeStay, 0
	} else if w.low > 0 {
		if w.low--; w.low == 0 {
			w.rest = trialRest
		}
	}
}
