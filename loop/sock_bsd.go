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

// accept takes one connection. Some of these systems do not have accept4, so accept holds the fork
// lock: otherwise a child process could inherit the socket.
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

// socket makes a non-blocking stream socket.
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

// boundUnsent does something on Linux only.
func boundUnsent(int) {}
