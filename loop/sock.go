package loop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// openReserve opens the descriptor that is given up when there is no other.
func openReserve() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// closeFD closes fd. There is nobody to tell of an error, and nothing to do about it: the descriptor is gone anyway.
func closeFD(fd int) { _ = unix.Close(fd) }

func shutdownWrite(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) }

// socketError takes the error that waits at a socket.
func socketError(fd int) error {
	n, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err != nil {
		return err
	}
	if n != 0 {
		return syscall.Errno(n)
	}
	return nil
}

// noDelay turns Nagle's algorithm off: a turn's output leaves in one write, so there is nothing to wait for. On a
// socket of another family it fails, and that is all right.
func noDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }
