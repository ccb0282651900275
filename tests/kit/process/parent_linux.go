package process

import "syscall"

// WithParent ends a child when the thread that started it ends, and so with the
// test binary, however that ends.
func WithParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
