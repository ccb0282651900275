//go:build loopdebug && !linux

package loop

// threadID always returns the same number, because the system has no cheap way to find it. So
// the check always passes.
func threadID() int64 { return 1 }
