package loop

import (
	"net"
	"os"
	"syscall"
)

// stage is the state of a connection, named for what it waits for.
type stage uint8

const (
	stageOpen    stage = iota // bytes in either direction
	stageClosing              // the flush; no more feeding
	stageDoomed               // phase 7: in Loop.doomed
	stageLinger               // the other side's end; the peer is gone
	stageClosed               // nothing
)

// flags of a connection.
type flags uint16

const (
	fWoken     flags = 1 << iota // offer held input again
	fDirty                       // in Loop.dirty
	fTick                        // the peer must get a Tick in this turn
	fBlocked                     // the last write was short: wait for writability
	fHigh                        // not read: too much output waits
	fFull                        // not read: the peer refuses too much input
	fEOF                         // the other side sends no more
	fLinger                      // doomed: linger instead of closing at once
	fLingering                   // counted as lingering
	fOff                         // removed from the poller, which would report the hang-up again and again
	fUnwriting                   // writing has failed; input is still read
	fReading                     // read even if much output waits
	fPaused                      // not read: its peer has asked for that
	fLine                        // waits in the list of long outputs
	fQueued                      // in Loop.readQueue
)

// transport replaces a socket: an adopted stream, or a pipe end. It is read and written like a
// socket. It calls wake when something has happened, once until the loop has checked it.
type transport interface {
	take(b []byte) (int, syscall.Errno) // like read: 0 is the end, EAGAIN means nothing now, EIO an error
	put(p []byte) (int, syscall.Errno)  // like write
	failure() error                     // the error behind EIO
	unsent() bool                       // bytes that put accepted have not been sent yet
	wake()                              // make the loop check the connection
	again()                             // wake if there is something to take
	shut()                              // shut down the write side in order; receiving continues
	close()                             // close both directions
	remoteAddr() net.Addr
	localAddr() net.Addr
}

// Conn is one connection of a loop: a socket, an adopted stream or a pipe end, and its Peer. Its
// methods are for the loop's thread. They do nothing after the connection is closed, so a Conn may
// be kept for longer.
type Conn struct {
	loop     *Loop
	peer     Peer
	input    *inputBuffer // input that the peer did not take; nil if there is none
	stream   transport    // replaces a socket; nil for a socket
	layer    *layer       // the stream between the socket and the peer; nil if there is none
	cause    error        // why it is closed, for Lost
	deadline int64        // ns after Loop.base; 0 for none
	fd       int32        // -1 without a socket
	heapAt   int32        // place in the heap plus one; 0 if not in it
	dropped  int32        // bytes, while lingering
	flags    flags
	stage    stage
	want     readiness // what the poller watches for
	remote   endpoint
}

// Wake makes the connection dirty: in this turn, or in the next if the flush has passed, held input
// is offered again, the peer gets a Tick, and its Pending is written.
func (c *Conn) Wake() {
	c.loop.debug.onThread(c.loop, "Conn.Wake")
	if c.stage <= stageClosing {
		c.flags |= fWoken
		c.mark(fTick)
	}
}

// KeepReading removes the high-water mark from this connection: its peer limits its output
// itself, and is fed even if much output waits. Otherwise two peers that each stop reading
// while the other does not read would both stop for ever.
func (c *Conn) KeepReading() {
	c.loop.debug.onThread(c.loop, "Conn.KeepReading")
	c.flags |= fReading
}

// Pause stops or resumes reading from this connection. Input that was already read is still offered
// to the peer. While reading is paused, the loop does not notice the end of the input.
func (c *Conn) Pause(on bool) {
	c.loop.debug.onThread(c.loop, "Conn.Pause")
	if on {
		c.flags |= fPaused
	} else {
		c.flags &^= fPaused
	}
	if c.stage <= stageClosing {
		c.interest()
	}
}

// Close ends the connection in order: Pending is flushed, nothing more is fed, then Lost(nil).
func (c *Conn) Close() {
	c.loop.debug.onThread(c.loop, "Conn.Close")
	c.finish(nil)
}

// Abort ends the connection without a flush, then Lost(cause).
func (c *Conn) Abort(cause error) {
	c.loop.debug.onThread(c.loop, "Conn.Abort")
	c.doom(cause, false)
}

// RemoteAddr returns the other side's address, or nil if it is unknown.
func (c *Conn) RemoteAddr() net.Addr {
	if c.stream != nil {
		return c.stream.remoteAddr()
	}
	return c.remote.addr()
}

// LocalAddr returns this side's address, or nil if it is unknown or the socket is closed.
func (c *Conn) LocalAddr() net.Addr {
	if c.stream != nil {
		return c.stream.localAddr()
	}
	if c.stage == stageClosed {
		return nil
	}
	return localEndpoint(int(c.fd)).addr()
}

// mark adds the connection to the list for phase 6.
func (c *Conn) mark(f flags) {
	c.flags |= f
	if c.flags&fDirty == 0 {
		c.flags |= fDirty
		c.loop.dirty = append(c.loop.dirty, c)
	}
}

// newConn makes a connection without a peer; fd is not yet in the poller.
func (l *Loop) newConn(fd int, remote endpoint) *Conn {
	return &Conn{loop: l, fd: int32(fd), remote: remote}
}

// open calls accept for the connection's peer. The descriptor is in the poller already, so that a
// panic here is cleaned up like any other. The first Tick and flush come in this turn.
func (c *Conn) open(accept func(*Conn) Peer) {
	l := c.loop
	l.count.Open++
	cur, doing := l.cur, l.doing // those of the caller of Adopt
	c.ask(accept)
	l.cur, l.doing = cur, doing
	if c.peer == nil {
		c.doom(nil, false)
		return
	}
	c.mark(fTick)
}

func (c *Conn) ask(accept func(*Conn) Peer) {
	c.loop.cur, c.loop.doing = c, "accept"
	defer c.loop.rescue()
	c.peer = accept(c)
}

// ready handles an event of the poller for a socket.
func (c *Conn) ready(ev readiness) {
	if c.stage == stageDoomed || c.stage == stageClosed {
		return
	}
	if ev&writable != 0 && c.flags&fBlocked != 0 {
		c.flags &^= fBlocked
		c.mark(0)
	}
	switch {
	case ev&(readable|hungUp) == 0:
	case c.stage != stageOpen:
		c.drain()
	case c.flags&(fHigh|fFull|fEOF|fPaused) == 0:
		c.read()
	case ev&hungUp != 0:
		c.hungUp()
	}
}

// hungUp handles a hang-up event for a connection that is not being read. If there is no socket
// error, the other side has closed both directions. The poller would report this again and again,
// so the connection is removed from it until it is read again or a write fails.
func (c *Conn) hungUp() {
	if c.stream != nil {
		return
	}
	if err := socketError(int(c.fd)); err != nil {
		c.doom(os.NewSyscallError("poll", err), false)
		return
	}
	if c.flags&fBlocked != 0 {
		c.flags &^= fBlocked
		c.mark(0)
	}
	c.loop.poll.remove(int(c.fd))
	c.flags |= fOff
}

// interest tells the poller what to watch for, if that has changed.
func (c *Conn) interest() {
	if c.stage == stageDoomed || c.stage == stageClosed {
		return
	}
	var want readiness
	stop := fHigh | fFull | fEOF | fPaused
	if c.stage != stageOpen {
		stop = fEOF // input is dropped, so neither pause has a reason
	}
	if c.flags&stop == 0 {
		want = readable
	}
	if c.flags&fBlocked != 0 {
		want |= writable
	}
	if want == c.want {
		return
	}
	c.want = want
	switch {
	case c.stream != nil:
		// The stream has called wake while the connection was not read.
		c.stream.wake()
	case c.flags&fOff != 0:
		c.flags &^= fOff
		l := c.loop
		if err := l.poll.add(int(c.fd), l.slots[c.fd].gen, want); err != nil {
			c.doom(os.NewSyscallError("poll", err), false)
		}
	default:
		l := c.loop
		if err := l.poll.change(int(c.fd), l.slots[c.fd].gen, want); err != nil {
			c.doom(os.NewSyscallError("poll", err), false)
		}
	}
	if c.layer != nil {
		c.layer.again()
	}
}

// recv reads into b. It returns the number of bytes, 0 for the end, or EAGAIN if there is
// nothing now.
func (c *Conn) recv(b []byte) (int, syscall.Errno) {
	if c.layer != nil {
		return c.layer.take(b)
	}
	c.loop.count.Reads++
	if c.stream != nil {
		return c.stream.take(b)
	}
	return read(int(c.fd), b)
}

// failure is the error behind an errno of recv or send.
func (c *Conn) failure(op string, errno syscall.Errno) error {
	switch {
	case c.stream != nil:
		return c.stream.failure()
	case c.layer != nil && c.layer.err != nil:
		return c.layer.err
	}
	return os.NewSyscallError(op, errno)
}
