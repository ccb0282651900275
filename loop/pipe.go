package loop

import (
	"errors"
	"net"
	"syscall"
)

// pipeMax is how many bytes wait in a pipe, in either direction.
const pipeMax = 256 << 10

var errPipeClosed = errors.New("loop: the other end of the pipe has closed")

// pipeEnd is one end of a pipe. Both ends belong to the loop's thread.
type pipeEnd struct {
	conn   *Conn
	other  *pipeEnd
	in     []byte // put by the other end, not yet taken: in[inAt:]
	inAt   int
	done   bool // this end sends no more
	closed bool
}

// Pipe connects two peers of this loop without a socket: the Pending of one is fed to the other in
// the next turn, with the same rules and bounds as a socket, and without system calls. a is called
// for its peer first, then b. If one returns nil, the other sees an orderly end.
func (l *Loop) Pipe(a, b func(*Conn) Peer) {
	l.debug.onThread(l, "Loop.Pipe")
	x, y := l.newPipeEnd(), l.newPipeEnd()
	x.other, y.other = y, x
	x.conn.open(a)
	y.conn.open(b)
}

func (l *Loop) newPipeEnd() *pipeEnd {
	c := l.newConn(-1, endpoint{})
	h := &pipeEnd{conn: c}
	c.stream = h
	c.want = readable
	l.pipeEnds[h] = struct{}{}
	l.count.Accepted++
	return h
}

// readQueued reads connections whose input the poller does not know of: pipe ends, and
// streams over sockets that hold input. Those that become readable in this call, and those
// that are too many, are read in the next turn.
func (l *Loop) readQueued() {
	n := min(len(l.readQueue), PollMax)
	for l.cursor = 0; l.cursor < n; {
		l.readSomeQueued(n)
	}
	l.readQueue = append(l.readQueue[:0], l.readQueue[n:]...)
}

func (l *Loop) readSomeQueued(n int) {
	defer l.rescue()
	for l.cursor < n {
		c := l.readQueue[l.cursor]
		l.cursor++
		l.watch.beat()
		c.flags &^= fQueued
		if c.stream != nil {
			c.ready(readable | writable)
		} else {
			c.ready(readable)
		}
	}
	l.cur = nil
}

// queueRead puts the connection into the list for the next turn's reads.
func (c *Conn) queueRead() {
	if c.flags&fQueued == 0 {
		c.flags |= fQueued
		c.loop.readQueue = append(c.loop.readQueue, c)
	}
}

func (h *pipeEnd) wake() {
	if !h.closed {
		h.conn.queueRead()
	}
}

func (h *pipeEnd) again() {
	if (h.inAt < len(h.in) || h.other.done) && h.conn.want&readable != 0 {
		h.wake()
	}
}

func (h *pipeEnd) take(b []byte) (int, syscall.Errno) {
	if h.inAt == len(h.in) {
		if h.other.done {
			return 0, 0
		}
		return 0, syscall.EAGAIN
	}
	n := copy(b, h.in[h.inAt:])
	h.inAt += n
	if h.inAt == len(h.in) {
		if len(h.in) == pipeMax {
			h.other.wake() // there is room again
		}
		h.in, h.inAt = h.in[:0], 0
	}
	return n, 0
}

func (h *pipeEnd) put(p []byte) (int, syscall.Errno) {
	o := h.other
	if o.closed {
		return 0, syscall.EIO
	}
	n := min(len(p), pipeMax-len(o.in))
	if n <= 0 {
		return 0, syscall.EAGAIN
	}
	o.in = append(o.in, p[:n]...)
	o.wake()
	return n, 0
}

func (h *pipeEnd) failure() error { return errPipeClosed }

// unsent returns false: the other end already has what was put, and can take it even when this end
// is closed.
func (h *pipeEnd) unsent() bool { return false }

func (h *pipeEnd) shut() {
	h.done = true
	h.other.wake()
}

func (h *pipeEnd) close() {
	h.closed, h.done = true, true
	h.in = nil
	h.inAt = 0
	delete(h.conn.loop.pipeEnds, h)
	h.other.wake()
}

func (h *pipeEnd) remoteAddr() net.Addr { return pipeAddr{} }
func (h *pipeEnd) localAddr() net.Addr  { return pipeAddr{} }

// pipeAddr is the address of a peer in the same process.
type pipeAddr struct{}

func (pipeAddr) Network() string { return "pipe" }
func (pipeAddr) String() string  { return "in-process" }

var (
	_ transport = (*stream)(nil)
	_ transport = (*pipeEnd)(nil)
)
