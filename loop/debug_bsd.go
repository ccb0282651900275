//go:build loopdebug && !linux

package loop

// threadID is the same everywhere where the system does not tell it cheaply: the check passes.
func threadID() int64 { return 1 }
