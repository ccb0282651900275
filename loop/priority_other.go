//go:build !linux

package loop

import "time"

// lowThreads is false: on this system a priority belongs to the whole process.
const lowThreads = false

func enterLow(bool) {}

func threadTime() time.Duration { return 0 }
