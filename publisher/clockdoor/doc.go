// Package clockdoor makes calls by time: one call at each tick of a clock. It needs one timer
// and no goroutine.
package clockdoor
