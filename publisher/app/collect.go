package app

import (
	"runtime"
	"time"
)

// collectAfter is how long the memory of a large body may stay after its call. Others that
// end meanwhile are collected with it.
const collectAfter = time.Second

// collectLater makes Go's collector run soon. By itself it would run when as much again
// has been allocated, which after a burst of large bodies may take two minutes. The memory
// goes back to the system in the seconds that follow, in the background.
func (a *application) collectLater() {
	if a.collecting {
		return
	}
	a.collecting = true
	a.loop.After(collectAfter, func() {
		a.collecting = false
		go func() {
			runtime.GC()
			runtime.GC() // the collection before decides how much memory may stay
		}()
	})
}
