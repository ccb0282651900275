package process

import "syscall"

// WithParent ends a child when the thread that started it ends, so also when the
// test binary ends, in whatever way.
func WithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
