//go:build !linux

package process

import "syscall"

// WithParent can do nothing here: a child outlives a test binary that is killed.
func WithParent() *syscall.SysProcAttr { return nil }
