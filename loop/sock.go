package loop

import (
	"syscall"

	"golang.org/x/sys/unix"
)

// openReserve opens the reserved descriptor, which is closed when no other is free.
func openReserve() int {
	fd, err := unix.Open("/dev/null", unix.O_RDONLY|unix.O_CLOEXEC, 0)
	if err != nil {
		return -1
	}
	return fd
}

// closeFD closes fd. It ignores errors, because the descriptor is closed anyway.
func closeFD(fd int) { _ = unix.Close(fd) }

func shutdownWrite(fd int) { _ = unix.Shutdown(fd, unix.SHUT_WR) }

// socketError returns and clears the pending error of a socket.
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

// noDelay turns Nagle's algorithm off: the output of a turn is one write, so there is nothing to
// wait for. It fails on a socket that is not TCP, which does no harm.
func noDelay(fd int) { _ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1) }
