package loop

import (
	"errors"
	"io"
	"net"
	"sync"
	"syscall"
	"time"
)

const (
	streamRead = 16 << 10  // bytes asked of the stream at once: a TLS record
	streamMax  = 256 << 10 // bytes held in either direction
)

// stream is an adopted connection. Two goroutines copy between it and buffers, which replace those
// of a socket. The loop uses it through the same interface as a socket.
type stream struct {
	conn *Conn
	nc   net.Conn
	tell func() // conn's event handler, made once

	mu      sync.Mutex
	changed sync.Cond // wakes the goroutines: in has room, out has bytes, or the stream ends
	in      []byte    // received, not yet taken: in[inAt:]
	inAt    int
	inErr   error  // the error after in; io.EOF for an orderly end
	out     []byte // to be sent
	flying  int    // bytes being written
	outErr  error
	told    bool // tell is posted and has not run yet
	done    bool // send what is left, then shut down the write side
	closed  bool
	pumping int // goroutines left; the last closes nc
}

// Adopt connects a stream that is not a plain socket (TLS, a pipe) to a Peer, with the same rules
// as a socket. The loop owns nc from now on. accept is called inside Adopt; if it returns nil, nc
// is closed. Two goroutines hold up to 256 KiB in each direction, and end with the connection.
func (l *Loop) Adopt(nc net.Conn, accept func(*Conn) Peer) *Conn {
	l.debug.onThread(l, "Loop.Adopt")
	c := l.newConn(-1, endpoint{})
	s := &stream{conn: c, nc: nc, pumping: 2}
	s.changed.L = &s.mu
	s.tell = func() {
		s.mu.Lock()
		s.told = false
		s.mu.Unlock()
		l.setCurrent(c) // a panic here belongs to this connection, not to the posted function
		c.ready(readable | writable)
		l.setCurrent(nil)
	}
	c.stream = s
	c.want = readable
	l.streams[s] = struct{}{}
	l.pumps.Add(2)
	l.helpers.Add(2)
	l.helped = true
	go s.receive()
	go s.send()
	l.count.Accepted++
	c.open(accept)
	return c
}

// receive is the reading goroutine.
func (s *stream) receive() {
	defer s.leave()
	b := make([]byte, streamRead)
	for {
		n, err := s.nc.Read(b)
		s.mu.Lock()
		for len(s.in)-s.inAt >= streamMax && !s.closed {
			s.changed.Wait()
		}
		if s.inAt == len(s.in) {
			s.in, s.inAt = s.in[:0], 0
		}
		s.in = append(s.in, b[:n]...)
		s.inErr = err
		closed := s.closed
		s.mu.Unlock()
		if closed {
			return
		}
		if n > 0 || err != nil {
			s.wake()
		}
		if err != nil {
			return
		}
	}
}

// send is the writing goroutine.
func (s *stream) send() {
	defer s.leave()
	var b []byte
	for {
		s.mu.Lock()
		for len(s.out) == 0 && !s.done && !s.closed {
			s.changed.Wait()
		}
		if s.closed {
			s.mu.Unlock()
			return
		}
		if len(s.out) == 0 {
			s.mu.Unlock()
			s.shutWrite()
			return
		}
		b, s.out = s.out, b[:0]
		s.flying = len(b)
		s.mu.Unlock()
		_, err := s.nc.Write(b)
		s.mu.Lock()
		s.flying = 0
		s.outErr = err
		s.mu.Unlock()
		s.wake()
		if err != nil {
			return
		}
		if cap(b) > streamRead { // an idle connection holds no large buffer
			b = nil
		}
	}
}

// shutWrite shuts down the write side if the stream can do that. If not, it closes the whole
// stream, because otherwise the other side would wait for the end.
func (s *stream) shutWrite() {
	if h, ok := s.nc.(interface{ CloseWrite() error }); ok && h.CloseWrite() == nil {
		return
	}
	_ = s.nc.Close()
}

// leave ends a goroutine. The last one closes the stream, which may take long with TLS.
func (s *stream) leave() {
	s.mu.Lock()
	s.pumping--
	last := s.pumping == 0
	s.mu.Unlock()
	if last {
		_ = s.nc.Close()
		l := s.conn.loop
		l.Post(func() { delete(l.streams, s) })
	}
	s.conn.loop.helpers.Add(-1)
	s.conn.loop.pumps.Done()
}

// wake makes the loop check the connection. Several calls before that cause one check.
func (s *stream) wake() {
	s.mu.Lock()
	told := s.told || s.closed
	s.told = true
	s.mu.Unlock()
	if !told {
		s.conn.loop.Post(s.tell)
	}
}

// again wakes the loop if there is something to take.
func (s *stream) again() {
	s.mu.Lock()
	more := s.inAt < len(s.in) || s.inErr != nil
	s.mu.Unlock()
	if more && s.conn.want&readable != 0 {
		s.wake()
	}
}

// take works like read on a socket.
func (s *stream) take(b []byte) (int, syscall.Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.inAt == len(s.in) {
		switch {
		case s.inErr == nil:
			return 0, syscall.EAGAIN
		case errors.Is(s.inErr, io.EOF) || s.done && (errors.Is(s.inErr, io.ErrClosedPipe) || errors.Is(s.inErr, net.ErrClosed)):
			return 0, 0
		}
		return 0, syscall.EIO
	}
	full := len(s.in)-s.inAt >= streamMax
	n := copy(b, s.in[s.inAt:])
	s.inAt += n
	if s.inAt == len(s.in) {
		s.in, s.inAt = s.in[:0], 0
		if cap(s.in) > streamRead {
			s.in = nil
		}
	}
	if full {
		s.conn.loop.helped = true
		s.changed.Broadcast()
	}
	return n, 0
}

// put works like write on a socket.
func (s *stream) put(p []byte) (int, syscall.Errno) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outErr != nil {
		return 0, syscall.EIO
	}
	n := min(len(p), streamMax-len(s.out)-s.flying)
	if n <= 0 {
		return 0, syscall.EAGAIN
	}
	s.out = append(s.out, p[:n]...)
	s.conn.loop.helped = true
	s.changed.Broadcast()
	return n, 0
}

// failure is the error behind EIO.
func (s *stream) failure() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.outErr != nil {
		return s.outErr
	}
	return s.inErr
}

func (s *stream) remoteAddr() net.Addr { return s.nc.RemoteAddr() }
func (s *stream) localAddr() net.Addr  { return s.nc.LocalAddr() }

// unsent reports whether bytes that put accepted have not been written yet.
func (s *stream) unsent() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.out)+s.flying > 0 && s.outErr == nil
}

// shut shuts down the write side in an orderly way. Receiving continues.
func (s *stream) shut() {
	s.mu.Lock()
	s.done = true
	s.changed.Broadcast()
	s.mu.Unlock()
}

// close ends both goroutines. It does not wait, and must not: closing a TLS stream may block for
// seconds.
func (s *stream) close() {
	s.mu.Lock()
	s.closed = true
	s.changed.Broadcast()
	s.mu.Unlock()
	// A deadline in the past frees them from Read and Write without blocking. The stream under TLS
	// is closed outright, because closing TLS may block on close_notify.
	if u, ok := s.nc.(interface{ NetConn() net.Conn }); ok {
		_ = u.NetConn().Close()
	} else if s.nc.SetDeadline(time.Unix(1, 0)) != nil {
		go func() { _ = s.nc.Close() }()
	}
}
