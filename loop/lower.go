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

// Lower is the net.Conn under a stream such as *tls.Conn. At first its methods wait, as those
// of any net.Conn, so a handshake can run on a goroutine. After AdoptOver it belongs to a
// loop, and its methods never wait: Read returns a temporary error (os.ErrDeadlineExceeded)
// when there is no input, and Write keeps what the socket does not take. After such an error
// crypto/tls can be called again. After Detach the methods wait again.
type Lower struct {
	net.Conn            // the socket of package net; it is closed while the loop has a copy
	layer    *layer     // nil when no loop has it
	mu       sync.Mutex // of first
	first    []byte     // encrypted, but not sent when it was detached
}

// NewLower returns a Lower over a socket of package net.
func NewLower(nc net.Conn) *Lower { return &Lower{Conn: nc} }

// Upper is a stream over a Lower. *tls.Conn is one.
type Upper interface {
	net.Conn
	CloseWrite() error
}

// sealMax is how much of a peer's output is given to the stream at once. When the socket
// takes no more, at most that much is encrypted and unsent; the rest stays with the peer.
const sealMax = 32 << 10

// repliesMax limits what a stream sends by itself while it reads, such as answers to key
// updates.
const repliesMax = 64 << 10

// errReplies is the error of a stream that has more than repliesMax to send by itself.
var errReplies = errors.New("loop: the other side causes too many replies of the stream, and does not read them")

// layer is the stream between a socket of the loop and its peer.
type layer struct {
	conn   *Conn
	upper  Upper
	lower  *Lower
	out    []byte // encrypted, not sent
	sealed []byte // the stream's writes are appended here: the loop's scratch, or out
	err    error  // the error that EIO stands for
	dry    bool   // the socket gave less than was asked for, so it is empty
	holds  bool   // the stream may hold input that the poller does not know of
	ended  bool   // the stream's end has been read
	shut   bool   // the stream's end has been written
}

// AdoptOver takes over the socket under a stream, whose handshake must be over, and connects
// the stream to a Peer, with the same rules as for a socket. It needs no goroutine: the
// stream encrypts and decrypts on the loop's thread. From now on the loop owns both; after an
// error both are closed. accept is called inside AdoptOver.
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
	c.again() // input may have come with the end of the handshake
	return nil
}

// again makes the loop read in the next turn what the stream holds, since the poller does not
// know of that.
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
		_ = y.send() // what the stream itself says about it: an alert of TLS
		y.err = err
	}
	switch {
	case n > 0:
		return n, 0 // the next call returns an end or an error
	case y.ended:
		return 0, 0
	case y.err != nil:
		return 0, syscall.EIO
	}
	return 0, syscall.EAGAIN
}

// keep keeps what the stream has written by itself. The next flush sends it.
func (y *layer) keep() {
	l := y.conn.loop
	if len(y.sealed) > 0 {
		y.out = append(y.out, y.sealed...)
		y.conn.mark(0)
	}
	l.scratch, y.sealed = y.sealed[:0], nil
}

// put works like write on a socket. The octets that it takes are encrypted, and at most
// sealMax of them are unsent.
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

// sendSealed sends what the stream has just written, and keeps what the socket does not take.
// Nothing older may be left to send.
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

// send sends what is encrypted. EAGAIN says that some of it is left.
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

// close writes the end of the stream (close_notify of TLS), unless it is written already. It
// does not wait for the socket to take it.
func (y *layer) close() {
	if !y.shut && y.err == nil && y.conn.flags&fUnwriting == 0 && len(y.out) == 0 {
		y.shut = true
		y.sealed = y.conn.loop.scratch[:0]
		y.sendSealed(y.upper.CloseWrite())
	}
}

// detach puts the stream over nc, a copy of the socket.
func (y *layer) detach(nc net.Conn) net.Conn {
	y.lower.Conn, y.lower.first, y.lower.layer = nc, y.out, nil
	return y.upper
}

// waitError is the error of Read when there is no input. It is temporary, so crypto/tls does
// not keep it.
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

// sendFirst sends what was encrypted before the stream was detached.
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

// Deadlines do nothing while the loop has the socket. crypto/tls sets one when it ends its
// stream.

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
