package publisher

import "time"

// A Runtime is what the server needs of the loop under it.
type Runtime interface {
	// Now is the time of the loop's turn.
	Now() time.Time
	// After runs fn on the loop's thread; stop reports whether it came in time.
	After(d time.Duration, fn func()) (stop func() bool)
	// Post runs fn on the loop's thread; false when the loop has ended. It may
	// be called from any goroutine.
	Post(fn func()) bool
	// Offload runs fn on another goroutine, then done on the loop's thread. What
	// the runtime learns of work of one kind, as that it computes for long, it
	// holds for the next of this kind; 0 is none.
	Offload(kind uintptr, fn, done func())
	// Enter tells the watchdog what holds the thread; nil means nothing.
	Enter(name *string)
}

// A Turner is a Runtime of a test, whose loop is turned by whoever waits for
// something on the loop's own goroutine.
type Turner interface {
	// Turn lets the loop go on until over reports true.
	Turn(over func() bool)
}
