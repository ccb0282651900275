package app

import (
	"runtime"
	"time"
)

// collectAfter is how long the memory of a large body may stay when its call is
// over. Others that end meanwhile are collected with it.
const collectAfter = time.Second

// collectLater has Go's collector run soon. By itself it would when as much again was
// allocated, which after a burst of large bodies is never, or after two minutes. What
// it finds goes back to the system in the seconds that follow, in the background.
func (a *application) collectLater() {
	if a.collecting {
		return
	}
	a.collecting = true
	a.loop.After(collectAfter, func() {
		a.collecting = false
		go func() {
			runtime.GC()
			runtime.GC() // how much memory may stay is decided by the collection before
		}()
	})
}
