package process

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"zamqp/tests/kit/wait"
)

// Freeze sends SIGSTOP and returns when every thread of the process has stopped.
// The signal alone returns earlier: on a busy machine a thread may still answer a
// request that comes after it. Without /proc it only sends the signal.
func Freeze(t testing.TB, pid int) {
	t.Helper()
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, fmt.Sprintf("the threads of process %d stop", pid), func() bool {
		threads, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/stat", pid))
		for _, name := range threads {
			stat, err := os.ReadFile(name)
			if err != nil {
				continue // the thread has ended
			}
			// "PID (NAME) STATE …", and the name may hold anything.
			_, state, _ := bytes.Cut(stat[bytes.LastIndexByte(stat, ')')+1:], []byte(" "))
			if !bytes.HasPrefix(state, []byte("T")) {
				return false
			}
		}
		return true
	})
}
