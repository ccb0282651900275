//go:build !linux

package loop

import "time"

// lowThreads is false: here a priority is that of a whole process.
const lowThreads = false

func enterLow() {}

func threadTime() time.Duration { return 0 }
