package loop_test

import (
	"os"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"zamqp/loop"
)

// nice is the nice value of the calling thread.
func nice(t *testing.T) int {
	n, err := unix.Getpriority(unix.PRIO_PROCESS, unix.Gettid())
	if err != nil {
		t.Error(err)
	}
	return 20 - n // the system call itself gives 1 to 40
}

// compute takes a processor for more than computeMin.
func compute() {
	x := uint64(1)
	for range 40_000_000 {
		x = x*6364136223846793005 + 1442695040888963407
	}
	if x == 0 {
		panic("cannot be")
	}
}

// Work that computes runs on threads of the lowest priority from its third piece on. Work that only
// takes long does not, and work that stops computing comes back.
func TestKindsOfOffloadedWork(t *testing.T) {
	usual := nice(t)
	if usual == 19 {
		t.Skip("this process has the lowest priority itself")
	}
	r := start(t, loop.Options{})
	on := func(kind uintptr, fn func()) (is int) {
		done := make(chan struct{})
		r.do(func() { r.OffloadKind(kind, func() { fn(); is = nice(t) }, func() { close(done) }) })
		wait(t, done, "the work")
		return is
	}
	expect := func(what string, kind uintptr, fn func(), want ...int) {
		t.Helper()
		for i, w := range want {
			if got := on(kind, fn); got != w {
				t.Errorf("%s, piece %d: nice %d, want %d", what, i+1, got, w)
			}
		}
	}
	expect("computes", 1, compute, usual, 19, 19, 19)
	expect("waits", 2, func() { time.Sleep(10 * time.Millisecond) }, usual, 19, usual, usual, usual)
	expect("computes, of no kind", 0, compute, usual, usual, usual)
	for range 16 { // computes no more
		expect("short", 1, func() {}, 19)
	}
	expect("short", 1, func() {}, usual)
	if os.Getpid() == unix.Gettid() && nice(t) != usual {
		t.Error("the priority of the whole process has changed")
	}
}

// A panic, or the end of its goroutine, does not stop the loop from learning about a kind of work,
// nor from making threads.
func TestWorkOnLowThreadsFails(t *testing.T) {
	reports := make(chan *loop.PanicError, 100)
	r := start(t, loop.Options{OffloadWorkers: 1, OnPanic: func(e *loop.PanicError) { reports <- e }})
	left := 4
	for range 4 {
		r.do(func() { r.OffloadKind(1, func() { compute(); panic("boom") }, func() { left-- }) })
	}
	for range 4 {
		wait(t, reports, "the report")
	}
	r.until("all work", func() bool { return left == 0 })
}

// Work that computes leaves one processor free if the loop is told so. All other work may use any.
func TestSpareProcessor(t *testing.T) {
	var all unix.CPUSet
	if err := unix.SchedGetaffinity(0, &all); err != nil || all.Count() < 2 {
		t.Skip("needs two processors", err)
	}
	for _, spare := range []bool{true, false} {
		r := start(t, loop.Options{SpareProcessor: spare})
		for i, low := range []bool{false, true, true} {
			var may unix.CPUSet
			done := make(chan struct{})
			r.do(func() {
				r.OffloadKind(1, func() { compute(); _ = unix.SchedGetaffinity(0, &may) }, func() { close(done) })
			})
			wait(t, done, "the work")
			want := all.Count()
			if low && spare {
				want--
			}
			if may.Count() != want {
				t.Errorf("spare %v, piece %d: may use %d processors, want %d", spare, i+1, may.Count(), want)
			}
		}
	}
}
