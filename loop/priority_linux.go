package loop

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// lowest is the priority of threads that compute, as a nice value. If another thread wants the same
// processor, the kernel gives such a thread 1/68 of the other's time, and stops it at once when the
// other wakes.
const lowest = 19

// lowThreads says that a thread can have a priority of its own.
const lowThreads = true

// enterLow locks the calling goroutine to its thread and gives the thread the lowest priority. The
// thread ends with the goroutine, because raising the priority again would need a privilege. With
// spare, the thread leaves one processor free.
func enterLow(spare bool) {
	runtime.LockOSThread()
	if spare {
		leaveOne()
	}
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowest) // if this fails, the work is still done
}

// leaveOne keeps the calling thread from the first of the processors that it may use, if there are
// several. Though the kernel should stop a thread of the lowest priority at once when the loop's
// thread wakes, it often does so only at its next tick, up to 4 ms later.
func leaveOne() {
	var set unix.CPUSet
	if unix.SchedGetaffinity(0, &set) != nil || set.Count() < 2 {
		return
	}
	first := 0
	for !set.IsSet(first) {
		first++
	}
	set.Clear(first)
	_ = unix.SchedSetaffinity(0, &set) // if this fails, the work is still done
}

// threadTime is the CPU time that the calling thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // cannot fail
	return time.Duration(t.Nano())
}
