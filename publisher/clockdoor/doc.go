// Package clockdoor makes calls by time: one at each tick of a clock. It has one timer,
// and no goroutine.
package clockdoor
