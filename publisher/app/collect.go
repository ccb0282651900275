package app

import (
	"runtime"
	"time"
)

// collectAfter is how long the memory of a large body may stay after its call. Bodies of
// other calls that end in that time are collected with it.
const collectAfter = time.Second

// collectLater makes Go's collector run soon. By itself it would run only after as much
// memory again has been allocated, which may take two minutes after a burst of large bodies.
// The memory goes back to the system in the seconds after that, in the background.
func (a *application) collectLater() {
	if a.collecting {
		return
	}
	a.collecting = true
	a.loop.After(collectAfter, func() {
		a.collecting = false
		go func() {
			runtime.GC()
			runtime.GC() // the previous collection decides how much memory may stay
		}()
	})
}
