package loop

import (
	"errors"
	"net"
	"syscall"
)

// joinMax is how many bytes wait between two joined peers, in either direction.
const joinMax = 256 << 10

var errJoinClosed = errors.New("loop: the joined peer has closed")

// half is one end of a joined pair. Both ends belong to the loop's thread.
type half struct {
	conn   *Conn
	other  *half
	in     []byte // put by the other, not yet taken: in[inAt:]
	inAt   int
	queued bool // in Loop.news
	done   bool // sends no more
	closed bool
}

// Join connects two peers of this loop as a socket would, without one: what one has pending is fed to the other in the
// next turn, under the same rules and bounds, and no system call is made. a is asked for its peer first, then b; if one
// returns nil, the other is told of an orderly end.
func (l *Loop) Join(a, b func(*Conn) Peer) {
	l.debug.onThread(l, "Loop.Join")
	x, y := l.newHalf(), l.newHalf()
	x.other, y.other = y, x
	x.conn.open(a)
	y.conn.open(b)
}

func (l *Loop) newHalf() *half {
	c := l.newConn(-1, endpoint{})
	h := &half{conn: c}
	c.stream = h
	c.want = readable
	l.halves[h] = struct{}{}
	l.count.Accepted++
	return h
}

// readHalves lets the connections with news be read, as the events of the poller do for sockets. What becomes news
// meanwhile is for the next turn.
func (l *Loop) readHalves() {
	n := len(l.news)
	for l.cursor = 0; l.cursor < n; {
		l.readSomeHalves(n)
	}
	l.news = append(l.news[:0], l.news[n:]...)
}

func (l *Loop) readSomeHalves(n int) {
	defer l.rescue()
	for l.cursor < n {
		h := l.news[l.cursor]
		l.cursor++
		l.watch.beat()
		h.queued = false
		h.conn.ready(readable | writable)
	}
	l.cur = nil
}

func (h *half) poke() {
	if !h.queued && !h.closed {
		h.queued = true
		l := h.conn.loop
		l.news = append(l.news, h)
	}
}

func (h *half) again() {
	if (h.inAt < len(h.in) || h.other.done) && h.conn.want&readable != 0 {
		h.poke()
	}
}

func (h *half) take(b []byte) (int, syscall.Errno) {
	if h.inAt == len(h.in) {
		if h.other.done {
			return 0, 0
		}
		return 0, syscall.EAGAIN
	}
	n := copy(b, h.in[h.inAt:])
	h.inAt += n
	if h.inAt == len(h.in) {
		if len(h.in) == joinMax {
			h.other.poke() // there is room again
		}
		h.in, h.inAt = h.in[:0], 0
	}
	return n, 0
}

func (h *half) put(p []byte) (int, syscall.Errno) {
	o := h.other
	if o.closed {
		return 0, syscall.EIO
	}
	n := min(len(p), joinMax-len(o.in))
	if n <= 0 {
		return 0, syscall.EAGAIN
	}
	o.in = append(o.in, p[:n]...)
	o.poke()
	return n, 0
}

func (h *half) failure() error { return errJoinClosed }

// unsent is false: what was put is with the other end already, which takes it also when this one is closed.
func (h *half) unsent() bool { return false }

func (h *half) shut() {
	h.done = true
	h.other.poke()
}

func (h *half) close() {
	h.closed, h.done = true, true
	h.in = nil
	h.inAt = 0
	delete(h.conn.loop.halves, h)
	h.other.poke()
}

func (h *half) remoteAddr() net.Addr { return joinAddr{} }
func (h *half) localAddr() net.Addr  { return joinAddr{} }

// joinAddr is the address of a peer in the same process.
type joinAddr struct{}

func (joinAddr) Network() string { return "join" }
func (joinAddr) String() string  { return "in-process" }

var (
	_ carrier = (*stream)(nil)
	_ carrier = (*half)(nil)
)
