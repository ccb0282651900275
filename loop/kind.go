package loop

import "time"

const (
	// computeMin is how long a piece of work must take before it is tried whether it computes. Most
	// work that waits for a database or a file takes less.
	computeMin = 5 * time.Millisecond

	// computeStay is how many pieces in a row must compute less before their kind is no longer one
	// that computes.
	computeStay = 16

	// trialRest is how many long pieces are not tried after a trial has shown that they wait and do
	// not compute.
	trialRest = 256
)

// kinds is what the loop has learned about offloaded work, by its kind. Go does not report
// how much CPU time a goroutine uses, and the kernel measures only threads. So work that
// takes long is tried once on a separate thread. If it computes, later work of its kind also
// goes to such threads, which have the lowest priority. Other work does not, because the
// thread switches are expensive: a piece of work of 15 µs of CPU would need 50.
type kinds struct {
	seen    map[uintptr]*kind // one for each function that the program offloads
	threads offload           // goroutines that are locked to threads of the lowest priority
}

// kind is guarded by the mutex of the pool that it belongs to.
type kind struct {
	low  int // how many more pieces go to the threads; a piece that computes resets it
	rest int // long pieces until the next trial
}

// of returns a kind; nil if the kind of the work is not known.
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

// took records how long a piece of work took on any thread.
func (w *kind) took(d time.Duration) {
	switch {
	case d < computeMin:
	case w.rest > 0:
		w.rest--
	case w.low == 0:
		w.low = 1
	}
}

// used records how much CPU time a piece of work used on a thread of the lowest priority.
func (w *kind) used(d time.Duration) {
	if d >= computeMin {
		w.low, w.rest = computeStay, 0
	} else if w.low > 0 {
		if w.low--; w.low == 0 {
			w.rest = trialRest
		}
	}
}
