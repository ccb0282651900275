package loop

import (
	"runtime"
	"time"

	"golang.org/x/sys/unix"
)

// lowest is the priority of threads that compute, as a nice value. If another thread wants the same processor, the kernel
// gives such a thread 1/68 of the other's time, and stops it at once when the other wakes.
const lowest = 19

// lowThreads says that a thread can have a priority of its own.
const lowThreads = true

// enterLow locks the calling goroutine to its thread and gives the thread the lowest priority. The thread ends with the
// goroutine, because raising the priority again would need a privilege.
func enterLow() {
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), lowest) // if this fails, the work is still done
}

// threadTime is the CPU time that the calling thread has used.
func threadTime() time.Duration {
	var t unix.Timespec
	_ = unix.ClockGettime(unix.CLOCK_THREAD_CPUTIME_ID, &t) // cannot fail
	return time.Duration(t.Nano())
}
