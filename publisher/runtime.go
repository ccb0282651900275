package publisher

import "time"

// A Runtime is what the server needs of the loop under it.
type Runtime interface {
	// Now is the time of the loop's turn.
	Now() time.Time
	// Since is the time since t until this moment, not only until the turn began.
	Since(t time.Time) time.Duration
	// After runs fn on the loop's thread after d. stop prevents that, and reports whether it did.
	After(d time.Duration, fn func()) (stop func() bool)
	// Post runs fn on the loop's thread; false when the loop has ended. It may
	// be called from any goroutine.
	Post(fn func()) bool
	// Offload runs fn on another goroutine, and then done on the loop's thread. kind
	// identifies the work: what the runtime learns about work of one kind, for example that
	// it computes for long, it uses for the next work of this kind. 0 is no kind.
	Offload(kind uintptr, fn, done func())
	// Enter tells the watchdog what holds the thread; nil means nothing.
	Enter(name *string)
}

// A Backgrounder is a Runtime for tests. It tells the timers for which a call waits from those
// that run beside the calls, such as heartbeats.
type Backgrounder interface {
	// AfterInBackground is After for a timer for which no call waits.
	AfterInBackground(d time.Duration, fn func()) (stop func() bool)
}

// A Turner is a Runtime for tests. Its loop runs only while the loop's own goroutine waits
// for something.
type Turner interface {
	// Turn runs the loop until over returns true.
	Turn(over func() bool)
}
