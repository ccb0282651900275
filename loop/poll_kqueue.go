//go:build darwin || dragonfly || freebsd || netbsd || openbsd

package loop

import (
	"errors"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// poller is kqueue. Its events have no field for a generation that the garbage collector would not
// mistake for a pointer. But it forgets a descriptor when it is closed, so only a descriptor that
// was opened after the poll can get the event of another.
type poller struct {
	fd     int
	wakeFD [2]int // pipe
	events [PollMax]unix.Kevent_t
	wants  []readiness // by descriptor, what is registered
	newest uint32      // the generation at the last poll
}

func (p *poller) open() error {
	var err error
	if p.fd, err = unix.Kqueue(); err != nil {
		return os.NewSyscallError("kqueue", err)
	}
	unix.CloseOnExec(p.fd)
	if err = unix.Pipe(p.wakeFD[:]); err != nil {
		closeFD(p.fd)
		return os.NewSyscallError("pipe", err)
	}
	for _, fd := range p.wakeFD {
		unix.CloseOnExec(fd)
		_ = unix.SetNonblock(fd, true)
	}
	if err = p.add(p.wakeFD[0], 0, readable); err != nil {
		p.close()
		return err
	}
	return nil
}

func (p *poller) close() {
	closeFD(p.fd)
	closeFD(p.wakeFD[0])
	closeFD(p.wakeFD[1])
}

// wake ends a wait in progress, or the next. Any goroutine may call it while the poller is open. A
// full pipe also wakes the poller.
func (p *poller) wake() { _, _ = unix.Write(p.wakeFD[1], []byte{1}) }

func (p *poller) add(fd int, _ uint32, want readiness) error {
	for fd >= len(p.wants) {
		p.wants = append(p.wants, 0)
	}
	p.wants[fd] = 0
	return p.change(fd, 0, want)
}

func (p *poller) change(fd int, _ uint32, want readiness) error {
	var list [2]unix.Kevent_t
	n := 0
	old := p.wants[fd]
	for _, k := range [...]struct {
		bit    readiness
		filter int
	}{{readable, unix.EVFILT_READ}, {writable, unix.EVFILT_WRITE}} {
		switch {
		case want&k.bit != 0 && old&k.bit == 0:
			unix.SetKevent(&list[n], fd, k.filter, unix.EV_ADD)
			n++
		case want&k.bit == 0 && old&k.bit != 0:
			unix.SetKevent(&list[n], fd, k.filter, unix.EV_DELETE)
			n++
		}
	}
	p.wants[fd] = want
	if n == 0 {
		return nil
	}
	_, err := unix.Kevent(p.fd, list[:n], nil, nil)
	return os.NewSyscallError("kevent", err)
}

func (p *poller) remove(fd int) { _ = p.change(fd, 0, 0) }

// look polls without waiting. newest is the generation of the last registration before the poll.
func (p *poller) look(newest uint32) (int, error) { return p.poll(&unix.Timespec{}, newest) }

// wait polls for up to timeout ms; -1 is for ever.
func (p *poller) wait(timeout int, newest uint32) (int, error) {
	if timeout < 0 {
		return p.poll(nil, newest)
	}
	ts := unix.NsecToTimespec(int64(timeout) * int64(time.Millisecond))
	return p.poll(&ts, newest)
}

// park is for systems where a goroutine can wait for a poller.
func (p *poller) park(timeout int, newest uint32) (int, error) { return p.wait(timeout, newest) }

func (p *poller) poll(ts *unix.Timespec, newest uint32) (int, error) {
	p.newest = newest
	n, err := unix.Kevent(p.fd, nil, p.events[:], ts)
	if errors.Is(err, syscall.EINTR) {
		return 0, nil
	}
	return n, os.NewSyscallError("kevent", err)
}

// event returns the i-th event of the last poll; fd is -1 for the wake descriptor.
func (p *poller) event(i int) (fd int, gen uint32, ev readiness) {
	e := &p.events[i]
	fd = int(e.Ident)
	if fd == p.wakeFD[0] {
		var b [128]byte
		_, _ = unix.Read(fd, b[:])
		return -1, 0, 0
	}
	switch e.Filter {
	case unix.EVFILT_READ:
		ev = readable
	case unix.EVFILT_WRITE:
		ev = writable
		if e.Flags&unix.EV_EOF != 0 {
			ev |= hungUp
		}
	}
	return fd, p.newest, ev
}

// current reports whether the slot was taken before the poll at which the generation was gen.
func (s *slot) current(gen uint32) bool { return int32(s.gen-gen) <= 0 }
