//go:build !loopdebug

package http1

// poison does nothing; see poison_debug.go.
func poison([]byte) {}
