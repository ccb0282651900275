package app

import (
	"time"

	"zamqp/loop"
	"zamqp/publisher/config"
)

// loopRuntime makes the loop a publisher.Runtime.
type loopRuntime struct{ *loop.Loop }

// After calls the loop's After. It returns a function that stops the timer.
func (r *loopRuntime) After(d time.Duration, fn func()) func() bool { return r.Loop.After(d, fn).Stop }

// Offload calls the loop's OffloadKind.
func (r *loopRuntime) Offload(kind uintptr, fn, done func()) { r.Loop.OffloadKind(kind, fn, done) }

// inputMax is how much input of a connection may wait for more input. A frame from a client
// of the embedded broker, and the head of an HTTP request, are only accepted whole.
func inputMax(s *config.Settings) int {
	return max(256<<10, int(s.Broker.FrameMax), int(s.HTTP.HeadMax)+64<<10)
}
