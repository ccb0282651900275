package app

import (
	"time"

	"zamqp/loop"
)

// runtime is the loop as the publisher wants it.
type runtime struct{ *loop.Loop }

// After is the loop's, with the timer as a function.
func (r *runtime) After(d time.Duration, fn func()) func() bool { return r.Loop.After(d, fn).Stop }
