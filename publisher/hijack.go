package publisher

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"time"
)

// A HijackDoor can give its connection to the handler of a call; see [http.Hijacker].
type HijackDoor interface {
	StreamDoor
	// Hijack takes the connection from the loop. Until Unsent is called, the door
	// takes answers as before, and sends nothing.
	Hijack(c *Call) (Hijacked, error)
}

// Hijacked is a connection that a door has given away. Its functions are for the
// loop's thread.
type Hijacked struct {
	Conn   net.Conn
	Read   []byte        // what the client has sent after its request
	Unsent func() []byte // ends the door's use of the connection and returns what must be sent first
	Closed func()        // is called once, when Conn is closed
}

// hijackWriter is the responseWriter of a handler that may take over the
// connection.
type hijackWriter struct{ responseWriter }

var (
	errBegun  = errors.New("hijack: the answer has begun, so the connection cannot be taken over any more")
	errWork   = errors.New("hijack: the call has work to finish: publish, join and get nothing before it, and wait for what other goroutines do")
	errUnread = errors.New("hijack: the client has not sent all of its request: read the body to its end before")
	errOld    = errors.New("hijack: an HTTP/1.0 client cannot switch protocols")
)

// unsentMax is how long Hijack waits for a client to take earlier answers.
const unsentMax = time.Minute

// Hijack gives the connection to the handler, as [http.Hijacker] says: it supports deadlines,
// Close, and Read at the same time as Write. The call is then over. Its context ends when the
// handler returns, or with [ErrDraining] when the server begins to drain.
func (w *hijackWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.conn != nil:
		return nil, nil, http.ErrHijacked
	case w.over:
		return nil, nil, ErrOver
	case w.failure != nil:
		return nil, nil, w.failure
	case w.begun || w.written > 0:
		return nil, nil, errBegun
	}
	var conn net.Conn
	var read, unsent []byte
	err := w.r.do(func(r *Request) (err error) { conn, read, unsent, err = r.hijack(&w.responseWriter); return err })
	if err != nil {
		return nil, nil, err
	}
	w.conn = conn
	if err := sendUnsent(conn, unsent, w.deadline); err != nil {
		_ = conn.Close()
		return nil, nil, err
	}
	in := bufio.NewReaderSize(&behind{first: read, rest: conn}, max(4096, len(read)))
	_, _ = in.Peek(len(read)) // moves them to the buffer, where callers look for them
	return conn, bufio.NewReadWriter(in, bufio.NewWriter(conn)), nil
}

// hijack ends the call and takes its connection, with the octets that the client has sent
// after its request, and the answers that were not sent yet. Loop thread.
func (r *Request) hijack(w *responseWriter) (conn net.Conn, read, unsent []byte, err error) {
	door, ok := r.door.(HijackDoor)
	if !ok || !r.source.hasClient() {
		if !r.source.hasClient() {
			r.response.unfit = fmt.Errorf("hijack: a %s has no connection to take over", r.Origin())
		}
		return nil, nil, nil, http.ErrNotSupported
	}
	if err := r.mayHijack(w); err != nil {
		return nil, nil, nil, err
	}
	given, err := door.Hijack(r.forDoor())
	if err != nil {
		return nil, nil, nil, err
	}
	switch {
	case w.status == http.StatusSwitchingProtocols:
		_ = r.inform(w.status, w.sent)
	case w.status > 0:
		r.answerID()
		door.Start(r.forDoor(), w.framing)
	}
	unsent = given.Unsent()
	h := &hijacked{server: r.server, cancel: r.cancelCtx, closed: given.Closed}
	conn = h.own(given.Conn)
	r.server.takeOver(h)
	r.response.reset()
	r.cancelCtx = nil // the context lives as long as the handler
	r.bridge.taken = h
	return conn, given.Read, unsent, nil
}

// mayHijack returns why the connection cannot be taken over, or nil. It prepares a head that
// the handler has written.
func (r *Request) mayHijack(w *responseWriter) error {
	switch {
	case r.tx.err != nil:
		return r.tx.err
	case r.incoming != nil && r.incoming.err != io.EOF:
		return errUnread
	case !r.mayBegin() || len(r.bridge.pauses) > 0 || r.inner != nil && !r.inner.wrote:
		return errWork
	case r.response.set || r.response.begun:
		return errBegun
	case w.status == http.StatusSwitchingProtocols && r.protocol.minor == 0:
		return errOld
	case w.status > http.StatusSwitchingProtocols:
		return w.head(r)
	}
	return nil
}

// sendUnsent sends the answers that were not sent before the connection was taken over.
func sendUnsent(c net.Conn, unsent []byte, deadline time.Time) error {
	if len(unsent) == 0 {
		return nil
	}
	if deadline.IsZero() {
		deadline = time.Now().Add(unsentMax)
	}
	_ = c.SetWriteDeadline(deadline)
	defer func() { _ = c.SetWriteDeadline(time.Time{}) }()
	_, err := c.Write(unsent)
	return err
}

// behind reads first the octets that were read before, and then the connection.
type behind struct {
	first []byte
	rest  io.Reader
}

func (b *behind) Read(p []byte) (int, error) {
	if len(b.first) == 0 {
		b.first = nil // it may be large
		return b.rest.Read(p)
	}
	n := copy(p, b.first)
	b.first = b.first[n:]
	return n, nil
}
