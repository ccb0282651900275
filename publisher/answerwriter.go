package publisher

import (
	"fmt"
	"net"
	"net/http"
	"os"
	"sync"
	"time"

	"zamqp/amqpproto"
)

// AnswerHeldMax bounds how much a mounted handler may write while its answer must be held.
const AnswerHeldMax = 8 << 20

// answerBuffer is how much of an answer is collected before it is sent. It is larger than
// net/http's, so that most answers wait for the commit.
const answerBuffer = 64 << 10

var errHeld = fmt.Errorf("the answer is larger than %d octets, and must be held until the commit: answer before anything is published, or with less", AnswerHeldMax)

// responseWriter is the http.ResponseWriter of a mounted handler. Its methods may
// be called on any goroutine, which is more than net/http promises and what
// http.TimeoutHandler needs.
type responseWriter struct {
	r *Request // what the handler gets

	mu       sync.Mutex
	header   http.Header // that the handler changes
	sent     http.Header // a copy, as it was when the head was written
	status   int         // 0 before WriteHeader
	length   int64       // the declared length; -1 if none
	framing  int64       // what Start gets: the length, or that it is unknown
	written  int64       // octets, refused ones included
	taken    int64       // octets, without refused ones
	body     []byte      // not sent yet
	begun    bool        // the head was sent
	mustHold bool        // there is something to be committed
	noBody   bool        // the answer to a HEAD
	over     bool        // the handler has returned
	failure  error       // why the call must fail
	deadline time.Time
	informed int      // the last status below 200, which is no answer
	implicit bool     // the handler has written nothing
	trailers []byte   // ready lines
	end      func()   // ends the stream that the answer has become
	conn     net.Conn // the connection, once the handler has taken it over
}

func (w *responseWriter) open(r *Request) {
	w.r, w.header, w.length, w.noBody = r, http.Header{}, -1, r.Method() == http.MethodHead
}

func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader takes the status, and the header as it is now. As in net/http, 1xx except 101
// is sent at once, and an invalid status panics.
func (w *responseWriter) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *responseWriter) writeHeader(status int) {
	if w.over || w.status != 0 || w.conn != nil {
		return
	}
	if status < 200 && status != http.StatusSwitchingProtocols {
		w.informed = status
		header := w.header.Clone()
		_ = w.r.do(func(r *Request) error { return r.inform(status, header) })
		return
	}
	w.status, w.sent = status, w.header.Clone()
	if w.sent == nil {
		w.sent = http.Header{}
	}
	w.frame()
}

// Write collects a piece of the body, and sends it when the buffer is full.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.conn != nil {
		return 0, w.ended()
	}
	w.writeHeader(http.StatusOK)
	switch {
	case w.failure != nil:
		return 0, w.failure
	case len(p) == 0:
		return 0, nil
	case !hasBody(w.status):
		return 0, http.ErrBodyNotAllowed
	}
	w.written += int64(len(p))
	if w.length >= 0 && w.written > w.length {
		return 0, http.ErrContentLength
	}
	w.taken += int64(len(p))
	if w.noBody {
		w.body = append(w.body, p[:min(len(p), max(0, 512-len(w.body)))]...) // its content type may be guessed
		return len(p), nil
	}
	for rest := p; len(rest) > 0; { // in pieces: what is flushed is copied on the loop's thread
		piece := rest[:min(len(rest), w.room())]
		rest = rest[len(piece):]
		w.body = append(w.body, piece...)
		if len(w.body) >= w.enough() {
			if err := w.flush(); err != nil {
				return 0, err
			}
		}
		if len(w.body) > AnswerHeldMax {
			w.failure, w.body = errHeld, nil
			return 0, errHeld
		}
	}
	return len(p), nil
}

// enough is how much is collected before it is sent. After the head the pieces are small, so
// that a client that stops reading costs the memory of two of them.
func (w *responseWriter) enough() int {
	if w.begun {
		return 2 * StreamPiece
	}
	return answerBuffer
}

// room is how much is collected before the next check.
func (w *responseWriter) room() int {
	if n := w.enough() - len(w.body); n > 0 {
		return n
	}
	return amqpproto.LargeBody // the answer is held
}

// ended returns why nothing can be written any more.
func (w *responseWriter) ended() error {
	if w.conn != nil {
		return http.ErrHijacked
	}
	return ErrOver
}

// WriteString is Write for io.WriteString.
func (w *responseWriter) WriteString(s string) (int, error) { return w.Write([]byte(s)) }

// hasBody reports whether an answer of a status may have a body. RFC 9110 §15.3.5,
// §15.3.6, §15.4.5.
func hasBody(status int) bool {
	switch status {
	case http.StatusNoContent, http.StatusResetContent, http.StatusNotModified:
		return false
	}
	return status >= 200
}

// Flush sends what was written, if it may be sent before the commit.
func (w *responseWriter) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController. It returns nil if the answer must be held.
func (w *responseWriter) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over || w.conn != nil {
		return w.ended()
	}
	w.writeHeader(http.StatusOK)
	return w.flush()
}

// flush sends what is collected and waits until the client has taken most of it.
func (w *responseWriter) flush() error {
	if w.failure != nil || w.mustHold || w.r.toCall == nil {
		return w.failure
	}
	var stop *time.Timer
	p := &pause{writes: true}
	if !w.deadline.IsZero() {
		b := w.r.toCall
		stop = time.AfterFunc(time.Until(w.deadline), func() {
			b.server.runtime.Post(func() { p.cut(os.ErrDeadlineExceeded) })
		})
		defer stop.Stop()
	}
	err := w.r.toCall.awaitAs(p, func(r *Request, p *pause) error {
		more, err := w.send(r)
		if more {
			p.end(err)
		} else if err == nil {
			r.bridge.full = p
		}
		return err
	})
	if err == ErrOver || err == nil {
		return err
	}
	w.failure = err
	return err
}

// send gives what is collected to the door. more reports that the next piece may
// follow at once. Loop thread.
func (w *responseWriter) send(r *Request) (more bool, err error) {
	if !w.begun {
		if !r.mayBegin() {
			w.mustHold = true
			return true, nil
		}
		if err := w.begin(r); err != nil {
			return false, err
		}
	}
	body := w.body
	if w.body = w.body[:0]; cap(w.body) > w.enough() {
		w.body = nil
	}
	return r.door.(StreamDoor).Write(r.forDoor(), body)
}

// begin sends the head. Loop thread.
func (w *responseWriter) begin(r *Request) error {
	if err := w.head(r); err != nil {
		return err
	}
	w.begun = true
	w.end = r.beginStream()
	r.answerID()
	r.door.(StreamDoor).Start(r.forDoor(), w.framing)
	return nil
}

// mayBegin reports whether an answer may be sent before the commit: there is nothing to
// commit, and the client's connection can take an answer in pieces.
func (r *Request) mayBegin() bool {
	t := &r.tx
	_, ok := r.door.(StreamDoor)
	return ok && r.source.hasClient() && t.err == nil && r.response.err == nil &&
		len(t.pubs)+len(t.participants)+len(t.gets)+len(t.events) == 0
}

// inform sends an informational answer, if the protocol has them.
func (r *Request) inform(status int, header http.Header) error {
	d, ok := r.door.(informer)
	if ok && r.source.hasClient() {
		d.Inform(r.forDoor(), status, appendFields(nil, header))
	}
	return nil
}

// An informer is a door whose protocol has informational answers.
type informer interface {
	Inform(c *Call, status int, lines []byte)
}

// SetReadDeadline bounds how long reads of a body that streams wait.
func (w *responseWriter) SetReadDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		return w.conn.SetReadDeadline(t)
	}
	return w.withBody(func(in *incoming) { in.setDeadline(t) })
}

// withBody runs fn on the loop's thread if the body of the request streams.
func (w *responseWriter) withBody(fn func(in *incoming)) error {
	if w.r.reader == nil {
		return nil
	}
	return w.r.do(func(r *Request) error {
		fn(r.incoming)
		return nil
	})
}

// SetWriteDeadline bounds how long a Write waits for a slow client.
func (w *responseWriter) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.conn != nil {
		return w.conn.SetWriteDeadline(t)
	}
	w.deadline = t
	return nil
}

// EnableFullDuplex exists for http.ResponseController. The body can be read after the first
// Write anyway; with it, the answer does not end the connection because of an unread body.
func (w *responseWriter) EnableFullDuplex() error {
	return w.withBody(func(in *incoming) { in.door.Duplex(in.r.forDoor()) })
}

var _ interface {
	http.ResponseWriter
	http.Flusher
	FlushError() error
} = (*responseWriter)(nil)
