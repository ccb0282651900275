package embedded

import "syscall"

// withParent ends a broker when the process that started it has ended, however
// that ends.
func withParent() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
