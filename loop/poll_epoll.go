//go:build linux

package loop

import (
	"errors"
	"os"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// poller is epoll, level-triggered: after a short read or a pause the kernel reports the same
// readiness again, so we need not remember it. Its interface is small, so that a completion-based
// engine can replace it.
type poller struct {
	fd     int
	wakeFD int // eventfd
	events [PollMax]unix.EpollEvent

	// For park: the same epoll descriptor, registered in Go's own poller.
	file  *os.File
	raw   syscall.RawConn
	found func(uintptr) bool
	n     int
	err   error
	timed bool // file has a deadline
}

func (p *poller) open() error {
	var err error
	if p.fd, err = unix.EpollCreate1(unix.EPOLL_CLOEXEC); err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	if p.wakeFD, err = unix.Eventfd(0, unix.EFD_NONBLOCK|unix.EFD_CLOEXEC); err != nil {
		closeFD(p.fd)
		return os.NewSyscallError("eventfd", err)
	}
	// Edge-triggered, so that it need not be read: each write is an edge, and 2^64 of them are
	// enough.
	ev := unix.EpollEvent{Events: unix.EPOLLIN | unix.EPOLLET, Fd: int32(p.wakeFD)}
	if err = unix.EpollCtl(p.fd, unix.EPOLL_CTL_ADD, p.wakeFD, &ev); err != nil {
		p.close()
		return os.NewSyscallError("epoll_ctl", err)
	}
	return nil
}

func (p *poller) close() {
	if p.file != nil {
		_ = p.file.Close()
	}
	closeFD(p.fd)
	closeFD(p.wakeFD)
}

// wake ends a wait in progress, or the next. Any goroutine may call it while the poller is open.
func (p *poller) wake() {
	one := [8]byte{1}
	_, _ = unix.Write(p.wakeFD, one[:])
}

func (p *poller) add(fd int, gen uint32, want readiness) error {
	return p.control(unix.EPOLL_CTL_ADD, fd, gen, want)
}

func (p *poller) change(fd int, gen uint32, want readiness) error {
	return p.control(unix.EPOLL_CTL_MOD, fd, gen, want)
}

// remove is also called before a close, because otherwise a descriptor that a child process has
// inherited would stay in the poller.
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

// look polls without waiting. The generation is for pollers whose events carry none.
func (p *poller) look(uint32) (int, error) { return p.unseen(0) }

// unseen polls for up to timeout ms without telling Go's scheduler. The timeout must be short.
func (p *poller) unseen(timeout int) (int, error) {
	n, _, errno := unix.RawSyscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), PollMax, uintptr(timeout), 0, 0)
	return polled(int(n), errno)
}

// unseenMax is how long the first part of a wait is not announced to Go's scheduler, in ms. An
// announced wait over 20 µs costs the loop its Go processor, and keeps the runtime's monitor awake.
// The garbage collector is not delayed: its signal ends the wait, and with one processor it does
// not run while the loop has it. With one processor, other goroutines may wait for unseenMax,
// unless the loop knows of them (see generous).
const unseenMax = 2

// wait polls for up to timeout ms; -1 is for ever.
func (p *poller) wait(timeout int, _ uint32) (int, error) {
	first := unseenMax
	if timeout >= 0 {
		first = min(first, timeout)
	}
	if n, err := p.unseen(first); n > 0 || err != nil || first == timeout {
		return n, err
	}
	n, _, errno := unix.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(p.fd), uintptr(unsafe.Pointer(&p.events[0])), PollMax, uintptr(timeout), 0, 0)
	return polled(int(n), errno)
}

// park waits like wait, but as a goroutine that releases its Go processor at once.
func (p *poller) park(timeout int, _ uint32) (int, error) {
	if p.file == nil {
		fd, err := unix.FcntlInt(uintptr(p.fd), unix.F_DUPFD_CLOEXEC, 0)
		if err != nil { // out of descriptors: try again later
			return p.wait(timeout, 0)
		}
		_ = unix.SetNonblock(fd, true) // tells NewFile that this one can be waited for
		p.file = os.NewFile(uintptr(fd), "epoll")
		if p.raw, err = p.file.SyscallConn(); err != nil {
			return 0, err
		}
		p.found = func(uintptr) bool {
			p.n, p.err = p.look(0)
			return p.n > 0 || p.err != nil
		}
	}
	if timeout >= 0 || p.timed {
		var until time.Time
		if p.timed = timeout >= 0; p.timed {
			until = time.Now().Add(time.Duration(timeout) * time.Millisecond)
		}
		if err := p.file.SetReadDeadline(until); err != nil {
			return 0, err
		}
	}
	if err := p.raw.Read(p.found); err != nil {
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, nil
		}
		return 0, err
	}
	return p.n, p.err
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

// event returns the i-th event of the last poll; fd is -1 for the wake descriptor.
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
	if int(e.Fd) == p.wakeFD {
		return -1, 0, 0
	}
	return int(e.Fd), uint32(e.Pad), ev
}

// current reports whether an event of generation gen belongs to the present owner of the
// slot.
func (s *slot) current(gen uint32) bool { return s.gen == gen }
