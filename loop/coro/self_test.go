package coro_test

import (
	"runtime"
	"testing"

	"zamqp/loop/coro"
)

func TestSelf(t *testing.T) {
	if runtime.GOARCH != "amd64" && runtime.GOARCH != "arm64" {
		t.Skip("goroutines are not told apart here")
	}
	onThread(t, func() {
		p := coro.NewPool(8, nil)
		defer p.Close()
		loop := coro.Self()
		var seen []uintptr
		var tasks []*coro.Task
		for range 2 {
			p.Start(runFunc(func(task *coro.Task) {
				tasks = append(tasks, task)
				before := coro.Self()
				_ = task.Park()
				grow(1000) // its stack moves
				if after := coro.Self(); after != before {
					t.Errorf("%#x before it was parked, %#x after", before, after)
				}
				seen = append(seen, before)
			}))
		}
		elsewhere := make(chan uintptr)
		go func() { elsewhere <- coro.Self() }()
		seen = append(seen, loop, <-elsewhere)
		for _, task := range tasks {
			task.Wake()
		}
		p.RunReady()
		distinct := map[uintptr]bool{0: true}
		for _, self := range seen {
			distinct[self] = true
		}
		if len(seen) != 4 || len(distinct) != 5 {
			t.Errorf("two tasks, the loop and another goroutine: %#x", seen)
		}
	})
}

//go:noinline
func grow(n int) int {
	var room [128]int
	if n == 0 {
		return 0
	}
	room[n%len(room)] = grow(n - 1)
	return room[n%len(room)] + 1
}

func BenchmarkSelf(b *testing.B) {
	for b.Loop() {
		if coro.Self() == 1 {
			b.Fatal("no goroutine has this address")
		}
	}
}
