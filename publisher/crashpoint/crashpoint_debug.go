//go:build loopdebug

package crashpoint

import (
	"os"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
)

// CRASH_AT is the name of a moment and how often it passes before the process is killed, as
// "committed:3".
var (
	crashAt = os.Getenv("CRASH_AT")
	name    string
	left    atomic.Int64
)

func init() {
	var count string
	name, count, _ = strings.Cut(crashAt, ":")
	n, _ := strconv.Atoi(count)
	left.Store(int64(n))
}

// At ends the process as kill -9 does, if this is the moment.
func At(moment string) {
	if moment == name && left.Add(-1) == 0 {
		_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		select {} // the signal comes at any moment
	}
}
