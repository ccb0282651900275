//go:build !amd64 && !arm64

package coro

// Self is 0 on this platform, where goroutines cannot be told apart cheaply.
func Self() uintptr { return 0 }
