//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package loop

import (
	"errors"
	"syscall"

	"golang.org/x/sys/unix"
)

func read(fd int, b []byte) (int, syscall.Errno) {
	if len(b) == 0 {
		return 0, syscall.EAGAIN
	}
	n, err := unix.Read(fd, b)
	return n, errnoOf(err)
}

func write(fd int, b []byte) (int, syscall.Errno) {
	n, err := unix.Write(fd, b)
	return n, errnoOf(err)
}

func errnoOf(err error) syscall.Errno {
	if err == nil {
		return 0
	}
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return syscall.EIO
}

// accept takes one connection. Not all of these systems have accept4; the fork lock keeps a child from inheriting the
// socket in between.
func accept(fd int) (int, endpoint, syscall.Errno) {
	syscall.ForkLock.RLock()
	n, sa, err := unix.Accept(fd)
	if err == nil {
		unix.CloseOnExec(n)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, endpoint{}, errnoOf(err)
	}
	if err := unix.SetNonblock(n, true); err != nil {
		closeFD(n)
		return -1, endpoint{}, syscall.ECONNABORTED
	}
	return n, endpointOf(sa), 0
}

// socket makes a stream socket that does not block.
func socket(family int) (int, error) {
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return -1, err
	}
	if err := unix.SetNonblock(fd, true); err != nil {
		closeFD(fd)
		return -1, err
	}
	return fd, nil
}

// boundUnsent is for Linux.
func boundUnsent(int) {}
