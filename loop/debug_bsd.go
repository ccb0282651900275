//go:build loopdebug && !linux

package loop

// threadID is always the same, because the system has no cheap way to tell it: the check passes.
func threadID() int64 { return 1 }
