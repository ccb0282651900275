package loop

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// lowest is the priority of threads that compute, as a nice value. The kernel gives such a thread a 68th of what another
// gets that wants the same processor, and takes it away at once when the other wakes.
const lowest = 19

// lowThreads says that a thread may have a priority of its own.
const lowThreads = true

// enterLow locks the calling goroutine to its thread, which ends with it, and gives the thread the lowest priority. That
// needs no privilege; to raise it again would.
func enterLow() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowest) // without it the work is done all the same
}

// threadTime is the CPU time that the calling thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // cannot fail
	return time.Duration(t.Nano())
}
