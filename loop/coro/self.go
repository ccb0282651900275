//go:build amd64 || arm64

package coro

// Self identifies the calling goroutine, or the coroutine of a task, among all that live. It stays
// the same through parks and wakes, and is never 0. It costs about a nanosecond. Nobody may
// dereference the address.
func Self() uintptr
