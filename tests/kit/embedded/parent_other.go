//go:build !linux

package embedded

import "syscall"

// withParent can do nothing here: a broker outlives a test binary that is killed.
func withParent() *syscall.SysProcAttr { return nil }
