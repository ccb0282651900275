package loop

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"syscall"
	"time"
)

// Lower is the net.Conn under a stream such as *tls.Conn. At first it is the socket that it was made of, and waits as any
// net.Conn does: so a handshake can run on a goroutine. From AdoptOver on it belongs to a loop, and its methods never wait:
// Read returns an error that passes (os.ErrDeadlineExceeded) when there is no input, and Write keeps what the socket does not
// take. crypto/tls goes on after such an error where it was. After Detach it waits again.
type Lower struct {
	net.Conn            // the socket of package net; closed while the loop has it
	layer    *layer     // nil unless the loop has it
	mu       sync.Mutex // of first
	first    []byte     // sealed and not sent when it was detached
}

// NewLower makes the Lower of a socket of package net.
func NewLower(nc net.Conn) *Lower { return &Lower{Conn: nc} }

// Upper is a stream over a Lower. *tls.Conn is one.
type Upper interface {
	net.Conn
	CloseWrite() error
}

// sealMax is how much of a peer's output is given to the stream at once. When the socket takes no more, at most so much is
// sealed and unsent, and the rest stays with the peer.
const sealMax = 32 << 10

// repliesMax bounds what a stream may want to send by itself while it reads, such as answers to updates of keys.
const repliesMax = 64 << 10

// errReplies is the failure of a stream that wants to send more than repliesMax by itself.
var errReplies = errors.New("loop: the other side causes too many replies of the stream, and does not read them")

// layer is the stream between a socket of the loop and its peer.
type layer struct {
	conn   *Conn
	upper  Upper
	lower  *Lower
	out    []byte // sealed, not sent
	sealed []byte // what the stream writes is appended here: the loop's scratch, or out
	err    error  // the failure behind EIO
	dry    bool   // the socket had less than was asked for: it is empty
	holds  bool   // the stream may hold input that the poller does not know of
	ended  bool   // the stream's end has been read
	shut   bool   // its end has been written
}

// AdoptOver takes over the socket under a stream, whose handshake must be over, and connects the stream to a Peer, with the
// same rules as a socket. No goroutine is needed: the stream encrypts and decrypts on the loop's thread. The loop owns both
// from now on; after an error they are closed. accept is called inside AdoptOver.
func (l *Loop) AdoptOver(lower *Lower, upper Upper, accept func(*Conn) Peer) error {
	l.debug.onThread(l, "Loop.AdoptOver")
	sc, ok := lower.Conn.(syscall.Conn)
	if !ok {
		_ = lower.Conn.Close()
		return fmt.Errorf("loop: a %T is no socket: give it to Adopt", lower.Conn)
	}
	fd, err := duplicate(sc)
	_ = lower.Conn.Close() // the copy keeps the socket open
	if err != nil {
		return err
	}
	boundUnsent(fd)
	c := l.newConn(fd, remoteEndpoint(fd))
	c.want = readable
	if err := l.register(fd, c, readable); err != nil {
		closeFD(fd)
		return os.NewSyscallError("poll", err)
	}
	y := &layer{conn: c, upper: upper, lower: lower, holds: true}
	c.layer, lower.layer = y, y
	l.count.Accepted++
	c.open(accept)
	c.again() // input may have come behind the handshake
	return nil
}

// again makes the loop read in the next turn what the stream holds: the poller does not know of it.
func (y *layer) again() {
	if (y.holds || y.ended || y.err != nil) && y.conn.want&readable != 0 {
		y.conn.queueRead()
	}
}

// take works like read on a socket.
func (y *layer) take(b []byte) (n int, errno syscall.Errno) {
	if y.err != nil {
		return 0, syscall.EIO
	}
	y.dry = false
	y.sealed = y.conn.loop.scratch[:0]
	var err error
	for n < len(b) && err == nil {
		var m int
		m, err = y.upper.Read(b[n:])
		n += m
	}
	y.holds = err == nil
	if y.keep(); len(y.out) > repliesMax+sealMax {
		err = errReplies
	}
	switch {
	case err == nil, errors.Is(err, os.ErrDeadlineExceeded):
	case err == io.EOF:
		y.ended = true
	default:
		_ = y.send() // the stream's own words about it: an alert of TLS
		y.err = err
	}
	switch {
	case n > 0:
		return n, 0 // an end or a failure is for the next call
	case y.ended:
		return 0, 0
	case y.err != nil:
		return 0, syscall.EIO
	}
	return 0, syscall.EAGAIN
}

// keep keeps what the stream has written by itself, to be sent with the next flush.
func (y *layer) keep() {
	l := y.conn.loop
	if len(y.sealed) > 0 {
		y.out = append(y.out, y.sealed...)
		y.conn.mark(0)
	}
	l.scratch, y.sealed = y.sealed[:0], nil
}

// put works like write on a socket. What it takes is sealed, and the socket has taken all of it but at most sealMax.
func (y *layer) put(p []byte) (n int, errno syscall.Errno) {
	l := y.conn.loop
	for n < len(p) {
		if errno := y.send(); errno != 0 {
			if n > 0 && errno == syscall.EAGAIN {
				errno = 0
			}
			return n, errno
		}
		piece := p[n:min(len(p), n+sealMax)]
		y.sealed = l.scratch[:0]
		_, err := y.upper.Write(piece)
		if errno := y.sendSealed(err); errno != 0 {
			return n, errno
		}
		n += len(piece)
	}
	return n, 0
}

// sendSealed sends what the stream has just written, and keeps what the socket does not take. Nothing older is left to send.
func (y *layer) sendSealed(err error) syscall.Errno {
	sealed := y.sealed
	y.conn.loop.scratch, y.sealed = sealed[:0], nil
	if err != nil {
		y.err = err
		return syscall.EIO
	}
	if len(sealed) == 0 {
		return 0
	}
	n, errno := write(y.lowerFD(), sealed)
	if errno == syscall.EAGAIN || errno == syscall.EINTR {
		n, errno = 0, 0
	}
	if errno == 0 && n < len(sealed) {
		y.out = append(y.out, sealed[n:]...)
	}
	return errno
}

// send sends what is sealed. EAGAIN says that some of it is left.
func (y *layer) send() syscall.Errno {
	if len(y.out) == 0 {
		return 0
	}
	n, errno := write(y.lowerFD(), y.out)
	switch {
	case errno == syscall.EINTR:
		return syscall.EAGAIN
	case errno != 0:
		return errno
	case n < len(y.out):
		y.out = append(y.out[:0], y.out[n:]...)
		return syscall.EAGAIN
	}
	y.out = nil
	return 0
}

func (y *layer) lowerFD() int { return int(y.conn.fd) }

// close writes the end of the stream (close_notify of TLS), unless it is written already. Nobody waits for the socket to take
// it.
func (y *layer) close() {
	if !y.shut && y.err == nil && y.conn.flags&fUnwriting == 0 && len(y.out) == 0 {
		y.shut = true
		y.sealed = y.conn.loop.scratch[:0]
		y.sendSealed(y.upper.CloseWrite())
	}
}

// detach gives the stream to nc, a copy of the socket.
func (y *layer) detach(nc net.Conn) net.Conn {
	y.lower.Conn, y.lower.first, y.lower.layer = nc, y.out, nil
	return y.upper
}

// waitError is the error of Read when there is no input. crypto/tls forgets an error that is temporary.
type waitError struct{}

func (waitError) Error() string   { return "loop: no input now" }
func (waitError) Timeout() bool   { return true }
func (waitError) Temporary() bool { return true }
func (waitError) Unwrap() error   { return os.ErrDeadlineExceeded }

var errWait net.Error = waitError{}

func (w *Lower) Read(b []byte) (int, error) {
	y := w.layer
	if y == nil {
		if err := w.sendFirst(); err != nil {
			return 0, err
		}
		return w.Conn.Read(b)
	}
	if y.dry || len(b) == 0 {
		return 0, errWait
	}
	for {
		y.conn.loop.count.Reads++
		n, errno := read(y.lowerFD(), b)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return 0, errWait
		case errno != 0:
			return 0, os.NewSyscallError("read", errno)
		case n == 0:
			return 0, io.EOF
		}
		y.dry = n < len(b)
		return n, nil
	}
}

func (w *Lower) Write(p []byte) (int, error) {
	if y := w.layer; y != nil {
		y.sealed = append(y.sealed, p...)
		return len(p), nil
	}
	if err := w.sendFirst(); err != nil {
		return 0, err
	}
	return w.Conn.Write(p)
}

// sendFirst sends what was sealed before the stream was detached.
func (w *Lower) sendFirst() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.first) == 0 {
		return nil
	}
	n, err := w.Conn.Write(w.first)
	if w.first = w.first[n:]; len(w.first) == 0 {
		w.first = nil
	}
	return err
}

// Deadlines have no meaning while the loop has the socket; crypto/tls sets one when it ends its stream.

func (w *Lower) SetDeadline(t time.Time) error {
	if w.layer != nil {
		return nil
	}
	return w.Conn.SetDeadline(t)
}

func (w *Lower) SetReadDeadline(t time.Time) error {
	if w.layer != nil {
		return nil
	}
	return w.Conn.SetReadDeadline(t)
}

func (w *Lower) SetWriteDeadline(t time.Time) error {
	if w.layer != nil {
		return nil
	}
	return w.Conn.SetWriteDeadline(t)
}
