package loop

import (
	"errors"
	"fmt"
	"net"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// ErrNotDetachable is the error of Detach for a connection that is not a plain socket or is being
// closed.
var ErrNotDetachable = errors.New("loop: only an open socket can be detached")

// keepAlive is what package net sets on the connections of its own listeners.
const keepAlive = 15 * time.Second

// Detach gives the socket to the caller, as a connection of package net that Go's own poller
// watches; or the stream over it, if AdoptOver was given one. rest is input that was read but not
// taken by the peer. The peer is not called again, not even its Lost; the caller must send what it
// has pending. On an error nothing has changed. Do not call it inside a method of the peer.
func (c *Conn) Detach() (nc net.Conn, rest []byte, err error) {
	l := c.loop
	l.debug.onThread(l, "Conn.Detach")
	if c.stage != stageOpen || c.stream != nil || c.flags&fUnwriting != 0 {
		return nil, nil, ErrNotDetachable
	}
	if nc, err = netConn(int(c.fd)); err != nil {
		return nil, nil, fmt.Errorf("loop: detach: %w", err)
	}
	if c.layer != nil {
		nc = c.layer.detach(nc)
	}
	if k := c.input; k != nil {
		rest = append([]byte(nil), k.b[k.r:k.w]...)
	}
	c.stage = stageClosed // from now on the connection does nothing
	c.peer = nil
	c.releaseInput()
	c.disarm()
	l.debug.forget(c)
	l.count.Open--
	l.poll.remove(int(c.fd)) // the copy keeps the socket open, and an open socket in the poller
	l.release(int(c.fd))
	return nc, rest, nil
}

// netConn makes a net.Conn of a copy of a socket's descriptor.
func netConn(fd int) (net.Conn, error) {
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	f := os.NewFile(uintptr(dup), "socket")
	defer f.Close()
	nc, err := net.FileConn(f) // this makes a copy of its own, and watches that
	if err != nil {
		return nil, err
	}
	if tcp, ok := nc.(*net.TCPConn); ok {
		_ = tcp.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: keepAlive, Interval: keepAlive})
	}
	return nc, nil
}
