package coro

import "testing"

// TestGoroutineNumber: what stands in for Self elsewhere tells goroutines apart.
func TestGoroutineNumber(t *testing.T) {
	other := make(chan uintptr)
	go func() { other <- goroutineNumber() }()
	here, there := goroutineNumber(), <-other
	if here == 0 || there == 0 || here == there || here != goroutineNumber() {
		t.Errorf("%d here, %d on another goroutine", here, there)
	}
}
