//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package command

import "golang.org/x/sys/unix"

const (
	termiosGet = unix.TIOCGETA
	termiosSet = unix.TIOCSETA
)
