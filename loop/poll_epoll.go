//go:build linux

package loop

import (
	"os"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is epoll, level-triggered: a short read or a pause needs no bookkeeping of what the kernel will not tell
// again. It is kept this narrow so that a completion-based engine can stand in its place.
type poller struct {
	fd     int
	bell   int // eventfd
	events [PollMax]unix.EpollEvent
}

func (p *poller) open() error {
	var err error
	if p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if p.bell, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		closeFD(p.fd)
		return os.NewSyscallError("eventfd", err)
	}
	// Edge-triggered, so that the bell need not be read: each write is an edge, and 2^64 of them are enough.
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(p.bell)}
	if err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, p.bell, &ev); err != nil {
		p.close()
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

func (p *poller) close() {
	closeFD(p.fd)
	closeFD(p.bell)
}

// wake ends a wait in progress, or the next. Any goroutine may call it while the poller is open.
func (p *poller) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(p.bell, one[:])
}

func (p *poller) add(fd int, gen uint32, want readiness) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, gen, want)
}

func (p *poller) change(fd int, gen uint32, want readiness) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, gen, want)
}

// remove is called before a close, too: a descriptor that a child process has inherited stays in the poller otherwise.
func (p *poller) remove(fd int) { _ = p.control(unix.EPOLL_CTL_DEL, fd, 0, 0) }

func (p *poller) control(op, fd int, gen uint32, want readiness) error {
	ev := unix.EpollEvent{Fd: int32(fd), Pad: int32(gen)}
	if want&readable != 0 {
		ev.Events |= unix.EPOLLIN
	}
	if want&writable != 0 {
		ev.Events |= unix.EPOLLOUT
	}
	_, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_CTL, uintptr(p.fd), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(&ev)), 0, 0)
	if errno != 0 {
		return errno
	}
	return nil
}

// look polls without waiting, which is the only way in which this may be a raw system call. The generation is for
// engines whose events carry none.
func (p *poller) look(uint32) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), PollMax, 0, 0, 0)
	return polled(int(n), errno)
}

// wait polls for up to timeout ms; -1 is for ever.
func (p *poller) wait(timeout int, _ uint32) (int, error) {
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), PollMax, uintptr(timeout), 0, 0)
	return polled(int(n), errno)
}

func polled(n int, errno syscall.Errno) (int, error) {
	switch errno {
	case 0:
		return n, nil
	case syscall.EINTR:
		return 0, nil
	}
	return 0, os.NewSyscallError("epoll_pwait", errno)
}

// event is the i-th of the last poll; fd is -1 for the bell.
func (p *poller) event(i int) (fd int, gen uint32, ev readiness) {
	e := &p.events[i]
	if e.Events&unix.EPOLLIN != 0 {
		ev = readable
	}
	if e.Events&unix.EPOLLOUT != 0 {
		ev |= writable
	}
	if e.Events&(unix.EPOLLERR|unix.EPOLLHUP) != 0 {
		ev |= hungUp
	}
	if int(e.Fd) == p.bell {
		return -1, 0, 0
	}
	return int(e.Fd), uint32(e.Pad), ev
}

// current says whether an event of generation gen is for what the slot holds now.
func (s *slot) current(gen uint32) bool { return s.gen == gen }
