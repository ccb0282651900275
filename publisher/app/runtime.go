package app

import (
	"time"

	"zamqp/loop"
)

// loopRuntime is the loop as the publisher wants it.
type loopRuntime struct{ *loop.Loop }

// After is the loop's, with the timer as a function.
func (r *loopRuntime) After(d time.Duration, fn func()) func() bool { return r.Loop.After(d, fn).Stop }
