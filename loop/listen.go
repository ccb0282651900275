package loop

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// Listener accepts connections for a loop. Its methods are for the loop's thread.
type Listener struct {
	loop   *Loop
	accept func(*Conn) Peer
	addr   net.Addr
	path   string // of a unix socket's file, to be removed
	fd     int    // -1 once closed
	rest   *Timer // the timer that ends a pause; nil if there was no pause yet
}

// Listen accepts connections on addr; network is tcp, tcp4, tcp6 or unix. accept makes the Peer of
// a connection and may return nil to refuse it. A unix socket's file that nobody listens on is
// replaced.
func (l *Loop) Listen(network, addr string, accept func(*Conn) Peer) (*Listener, error) {
	l.debug.onThread(l, "Loop.Listen")
	switch network {
	case "tcp", "tcp4", "tcp6":
	case "unix":
		if err := removeStale(addr); err != nil {
			return nil, err
		}
	default:
		return nil, fmt.Errorf("loop: cannot listen on network %q; use tcp, tcp4, tcp6 or unix", network)
	}
	// Package net knows how to bind on each system (both families, address reuse, the longest
	// backlog). We duplicate its socket and close the original.
	var config net.ListenConfig
	config.SetMultipathTCP(false) // MPTCP makes every accept slower, and nothing here can use it
	nl, err := config.Listen(context.Background(), network, addr)
	if err != nil {
		return nil, err
	}
	defer nl.Close()
	if ul, ok := nl.(*net.UnixListener); ok {
		ul.SetUnlinkOnClose(false)
	}
	fd, err := duplicate(nl.(syscall.Conn))
	if err != nil {
		return nil, err
	}
	ln := &Listener{loop: l, accept: accept, addr: nl.Addr(), fd: fd}
	if network == "unix" {
		ln.path = addr
	}
	return ln, ln.begin()
}

// duplicate copies the descriptor of a socket of package net.
func duplicate(sc syscall.Conn) (int, error) {
	raw, err := sc.SyscallConn()
	if err != nil {
		return -1, err
	}
	fd := -1
	var failed error
	err = raw.Control(func(s uintptr) {
		fd, failed = unix.FcntlInt(s, unix.F_DUPFD_CLOEXEC, 0)
	})
	if err == nil {
		err = os.NewSyscallError("fcntl", failed)
	}
	return fd, err
}

// removeStale removes the file of a unix socket if nobody listens on it any more.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if err != nil || info.Mode()&os.ModeSocket == 0 {
		return nil // bind will report the error, if there is one
	}
	c, err := net.Dial("unix", path)
	if err == nil {
		_ = c.Close()
		return fmt.Errorf("loop: listen unix %s: another process listens there; stop it or choose another path", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return nil
	}
	if err := os.Remove(path); err != nil {
		return fmt.Errorf("loop: listen unix: cannot remove the stale socket: %w", err)
	}
	return nil
}

func (ln *Listener) begin() error {
	_ = unix.SetNonblock(ln.fd, true)
	noDelay(ln.fd) // accepted sockets inherit this option and the next one
	boundUnsent(ln.fd)
	if err := ln.loop.register(ln.fd, ln, readable); err != nil {
		closeFD(ln.fd)
		ln.fd = -1
		return os.NewSyscallError("poll", err)
	}
	ln.loop.listeners = append(ln.loop.listeners, ln)
	return nil
}

// Addr returns the listening address, with the port that the system chose if none was given.
func (ln *Listener) Addr() net.Addr { return ln.addr }

// Close stops accepting. Connections that were accepted before stay open. A second call does
// nothing.
func (ln *Listener) Close() {
	ln.loop.debug.onThread(ln.loop, "Listener.Close")
	ln.shut()
	for i, other := range ln.loop.listeners {
		if other == ln {
			ln.loop.listeners = append(ln.loop.listeners[:i], ln.loop.listeners[i+1:]...)
			return
		}
	}
}

func (ln *Listener) shut() {
	if ln.fd < 0 {
		return
	}
	if ln.path != "" {
		_ = os.Remove(ln.path)
	}
	if ln.rest != nil {
		ln.rest.Stop()
	}
	// A child process may have inherited the socket, and then closing it does not remove it
	// from the poller.
	ln.loop.poll.remove(ln.fd)
	ln.loop.release(ln.fd)
	ln.fd = -1
}

// ready accepts what waits, up to the turn's share.
func (ln *Listener) ready(readiness) {
	l := ln.loop
	for range l.opt.AcceptTurnMax {
		if ln.fd < 0 { // closed by an accept function
			return
		}
		fd, remote, errno := accept(ln.fd)
		switch errno {
		case 0:
			ln.accepted(fd, remote)
		case syscall.EAGAIN:
			return
		case syscall.EINTR, syscall.ECONNABORTED:
		case syscall.EMFILE, syscall.ENFILE:
			if !ln.refuse() {
				ln.pause()
				return
			}
		default:
			// Out of memory, or an unknown error. A new try at once would fail too.
			ln.pause()
			return
		}
	}
}

func (ln *Listener) accepted(fd int, remote endpoint) {
	l := ln.loop
	if l.tooMany(fd) {
		closeFD(fd)
		l.count.Refused++
		return
	}
	c := l.newConn(fd, remote)
	c.want = readable
	if err := l.register(fd, c, readable); err != nil {
		closeFD(fd)
		l.count.Refused++
		return
	}
	l.count.Accepted++
	c.open(ln.accept)
}

// refuse closes the reserved descriptor, so that one connection can be accepted and closed.
// Otherwise the connection would wait for ever, and the poller would report it again and again. It
// returns false if even that is not possible.
func (ln *Listener) refuse() bool {
	l := ln.loop
	if l.reserve < 0 {
		return false
	}
	closeFD(l.reserve)
	fd, _, errno := accept(ln.fd)
	if errno == 0 {
		closeFD(fd)
		l.count.Refused++
	}
	l.reserve = openReserve()
	return errno == 0 || errno == syscall.EAGAIN || errno == syscall.ECONNABORTED
}

// pause removes the listener from the poller for some time. Connections wait in its backlog.
func (ln *Listener) pause() {
	l := ln.loop
	l.count.Pauses++
	if err := l.poll.change(ln.fd, l.slots[ln.fd].gen, 0); err != nil {
		return
	}
	if ln.rest == nil {
		ln.rest = l.After(l.opt.AcceptPause, ln.resume)
	} else {
		ln.rest.Reset(l.opt.AcceptPause)
	}
}

func (ln *Listener) resume() {
	l := ln.loop
	if ln.fd < 0 {
		return
	}
	if l.reserve < 0 {
		l.reserve = openReserve()
	}
	if err := l.poll.change(ln.fd, l.slots[ln.fd].gen, readable); err != nil {
		ln.rest.Reset(l.opt.AcceptPause)
	}
}
