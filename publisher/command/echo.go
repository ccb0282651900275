package command

import "golang.org/x/sys/unix"

// noEcho stops a terminal from showing what is typed, until undo is called. If that is
// not possible, the terminal goes on showing it.
func noEcho(fd int) (undo func()) {
	before, err := unix.IoctlGetTermios(fd, termiosGet)
	if err != nil {
		return func() {}
	}
	silent := *before
	silent.Lflag &^= unix.ECHO
	if unix.IoctlSetTermios(fd, termiosSet, &silent) != nil {
		return func() {}
	}
	return func() { _ = unix.IoctlSetTermios(fd, termiosSet, before) }
}
