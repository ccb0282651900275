package publisher

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync"
	"time"
)

// AnswerHeldMax bounds what a mounted handler may write while it must be held.
const AnswerHeldMax = 8 << 20

// answerBuffer is how much of an answer is collected before it leaves by itself.
// It is larger than net/http's, so that most answers wait for the commit.
const answerBuffer = 64 << 10

var errHeld = fmt.Errorf("the answer is larger than %d octets, and must be held until the commit: answer before anything is published, or with less", AnswerHeldMax)

// responseWriter is the http.ResponseWriter of a mounted handler. Its methods may
// be called on any goroutine; net/http asks for less, and http.TimeoutHandler needs
// no more.
type responseWriter struct {
	r *Request // what the handler gets

	mu       sync.Mutex
	header   http.Header // the handler's
	sent     http.Header // a copy, as it was when the head was written
	status   int         // 0 before WriteHeader
	length   int64       // declared; -1 if not
	written  int64
	body     []byte // not sent yet
	begun    bool   // the head has left
	mustHold bool   // there is something to be committed
	noBody   bool   // to HEAD
	over     bool   // the handler has returned
	failure  error  // why the call must fail
	deadline time.Time
	informed int    // the last status below 200, which is no answer
	implicit bool   // the handler has written nothing
	trailers []byte // ready lines
	end      func() // of the stream that it has become
}

func newResponseWriter(r *Request) *responseWriter {
	return &responseWriter{r: r, header: http.Header{}, length: -1, noBody: r.Method() == http.MethodHead}
}

func (w *responseWriter) Header() http.Header { return w.header }

// WriteHeader takes the status, and the header as it is now. As under net/http,
// 1xx but 101 leave at once, and what is no status panics.
func (w *responseWriter) WriteHeader(status int) {
	if status < 100 || status > 999 {
		panic(fmt.Sprintf("invalid WriteHeader code %v", status))
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.writeHeader(status)
}

func (w *responseWriter) writeHeader(status int) {
	if w.over || w.status != 0 {
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
	if text := w.sent.Get("Content-Length"); text != "" {
		if n, err := strconv.ParseInt(text, 10, 64); err == nil && n >= 0 {
			w.length = n
		}
	}
}

// Write collects a piece of the body, and sends what is more than the buffer.
func (w *responseWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return 0, ErrOver
	}
	w.writeHeader(http.StatusOK)
	switch {
	case w.failure != nil:
		return 0, w.failure
	case !hasBody(w.status):
		return 0, http.ErrBodyNotAllowed
	case w.length >= 0 && w.written+int64(len(p)) > w.length:
		return 0, http.ErrContentLength
	}
	w.written += int64(len(p))
	if w.noBody {
		w.body = append(w.body, p[:min(len(p), max(0, 512-len(w.body)))]...) // its type may be looked for
		return len(p), nil
	}
	w.body = append(w.body, p...)
	if len(w.body) >= answerBuffer {
		if err := w.flush(); err != nil {
			return 0, err
		}
	}
	if len(w.body) > AnswerHeldMax {
		w.failure, w.body = errHeld, nil
		return 0, errHeld
	}
	return len(p), nil
}

func hasBody(status int) bool {
	return status >= 200 && status != http.StatusNoContent && status != http.StatusNotModified
}

// Flush sends what was written, if it may leave before the commit.
func (w *responseWriter) Flush() { _ = w.FlushError() }

// FlushError is Flush for http.ResponseController. What must be held is no error.
func (w *responseWriter) FlushError() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.over {
		return ErrOver
	}
	w.writeHeader(http.StatusOK)
	return w.flush()
}

// flush sends what is collected and waits until the client has taken most of it.
func (w *responseWriter) flush() error {
	if w.failure != nil || w.mustHold || w.r.carrier == nil {
		return w.failure
	}
	var stop *time.Timer
	p := &pause{writes: true}
	if !w.deadline.IsZero() {
		b := w.r.carrier
		stop = time.AfterFunc(time.Until(w.deadline), func() {
			b.server.runtime.Post(func() { p.cut(os.ErrDeadlineExceeded) })
		})
		defer stop.Stop()
	}
	err := w.r.carrier.awaitAs(p, func(r *Request, p *pause) error {
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
		if err := w.head(r); err != nil {
			return false, err
		}
		w.begun = true
		w.end = r.beginStream()
		r.door.(StreamDoor).Start(r, w.length)
	}
	body := w.body
	w.body = w.body[:0]
	return r.door.(StreamDoor).Write(r, body)
}

// mayBegin tells whether an answer may leave before the commit: nothing waits for
// that, and its client is on a wire that can take it in pieces.
func (r *Request) mayBegin() bool {
	t := &r.tx
	_, ok := r.door.(StreamDoor)
	return ok && r.origin == OriginHTTP && t.err == nil && r.response.err == nil &&
		len(t.pubs)+len(t.participants)+len(t.gets) == 0
}

// inform sends an informational answer, where the wire has them.
func (r *Request) inform(status int, header http.Header) error {
	d, ok := r.door.(informer)
	if ok && r.origin == OriginHTTP {
		d.Inform(r, status, appendFields(nil, header))
	}
	return nil
}

// An informer is a door whose wire has informational answers.
type informer interface {
	Inform(r *Request, status int, lines []byte)
}

// SetReadDeadline is there for http.ResponseController: the body is here already.
func (w *responseWriter) SetReadDeadline(time.Time) error { return nil }

// SetWriteDeadline bounds how long a Write waits for a client that is slow.
func (w *responseWriter) SetWriteDeadline(t time.Time) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.deadline = t
	return nil
}

// EnableFullDuplex is there for http.ResponseController: the body is here already.
func (w *responseWriter) EnableFullDuplex() error { return nil }

// close ends the writing, where the handler has run. What it leaves is the call's.
// It may wait for a Write on another goroutine, so it is not for the loop.
func (w *responseWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.implicit = w.status == 0
	w.writeHeader(http.StatusOK)
	w.trailers = w.appendTrailers(nil)
	w.over = true
}

// finish makes what was written the call's answer, once it is closed. failure is
// how the handler ended otherwise than by returning.
func (w *responseWriter) finish(r *Request, failure error) error {
	err := failure
	if err == nil && w.failure != nil && !errors.Is(w.failure, ErrGone) {
		err = w.failure
	}
	switch {
	case r.origin == OriginMessage:
		return w.finishMessage(r, err)
	case w.begun:
		return w.finishBegun(r, err)
	case errors.Is(err, http.ErrAbortHandler):
		return r.cut(err)
	case err != nil:
		return err
	case w.implicit && r.response.set:
		return nil // it was answered by the call's own methods
	case w.status == http.StatusSwitchingProtocols:
		return errors.New("a mounted handler cannot switch protocols")
	case w.short():
		return r.cut(w.shortError())
	}
	return w.answer(r)
}

// short reports that less was written than declared: the client must see that.
func (w *responseWriter) short() bool { return w.length > w.written && !w.noBody && hasBody(w.status) }

func (w *responseWriter) shortError() error {
	return fmt.Errorf("%d octets were written of a declared %d", w.written, w.length)
}

// cut is the failure of a call whose client is not to get an answer, or no more of it.
func (r *Request) cut(err error) error {
	r.response.cut = true
	return &brokenStream{err}
}

// finishBegun ends an answer whose head has left.
func (w *responseWriter) finishBegun(r *Request, err error) error {
	w.end()
	if err == nil {
		err = r.tx.err
	}
	if err == nil && w.short() {
		err = w.shortError()
	}
	if err == nil && len(w.body) > 0 {
		if _, err = r.door.(StreamDoor).Write(r, w.body); errors.Is(err, ErrGone) {
			err = nil // nobody waits for the rest
		}
	}
	if err != nil {
		return &brokenStream{err}
	}
	r.response.trailers = append(r.response.trailers, w.trailers...)
	return nil
}

// finishMessage makes a status that is no success the message's failure. 1xx and
// 3xx cannot pass: nobody follows a redirection, and nothing was done.
func (w *responseWriter) finishMessage(r *Request, err error) error {
	if err != nil {
		return err
	}
	switch {
	case w.implicit && r.response.set:
		return nil
	case w.implicit && w.informed > 0:
		return Permanent(fmt.Errorf("the mounted handler gave a message no answer but %d", w.informed))
	case w.status < 200 || w.status >= 300 && w.status < 400:
		return Permanent(fmt.Errorf("the mounted handler answered %d %s, which is no success for a message%s",
			w.status, http.StatusText(w.status), location(w.sent)))
	case w.status >= 600:
		return fmt.Errorf("the mounted handler answered %d, which is no status", w.status)
	case w.status >= 400:
		return &StatusError{Status: w.status, Text: string(w.body)}
	}
	return w.answer(r)
}

func location(h http.Header) string {
	if to := h.Get("Location"); to != "" {
		return fmt.Sprintf(" (Location: %q)", to)
	}
	return ""
}

// answer gives the whole answer to the call. Loop thread.
func (w *responseWriter) answer(r *Request) error {
	if err := w.head(r); err != nil {
		return err
	}
	p := &r.response
	length, trailers := w.length, w.trailers
	if w.noBody && length < 0 && w.written > 0 {
		length = w.written
	}
	if len(trailers) > 0 {
		length = -1
	}
	p.Body = append(p.Body[:0], w.body...)
	if r.origin == OriginHTTP && (w.noBody || len(trailers) > 0) {
		body := w.body
		p.stream = func(*Stream) error {
			door, ok := r.door.(StreamDoor)
			if !ok {
				return errors.New("stream: this door cannot")
			}
			door.Start(r, length)
			_, err := door.Write(r, body)
			p.trailers = append(p.trailers, trailers...)
			return err
		}
	}
	return nil
}

// head gives status and header to the call, as they were when the handler wrote
// them. As with net/http, a missing content type is guessed from the body.
func (w *responseWriter) head(r *Request) error {
	p := &r.response
	contentType := w.sent.Get("Content-Type")
	if _, given := w.sent["Content-Type"]; !given && len(w.body) > 0 && w.sent.Get("Content-Encoding") == "" && hasBody(w.status) {
		contentType = http.DetectContentType(w.body)
	}
	p.Status, p.ContentType, p.stream, p.set = w.status, clean(contentType), nil, true
	for _, name := range sortedNames(w.sent) {
		switch {
		case name == "Connection":
			p.closes = p.closes || hasToken(w.sent[name], "close")
		case name == "Trailer" && r.origin == OriginHTTP && w.length < 0:
			for _, value := range w.sent[name] {
				p.lines = append(append(append(p.lines, "Trailer: "...), clean(value)...), "\r\n"...)
			}
		case reservedField(name) || strings.HasPrefix(name, http.TrailerPrefix) || w.isTrailer(name):
		default:
			for _, value := range w.sent[name] {
				r.SetHeader(name, clean(value))
			}
		}
	}
	return p.err
}

var _ interface {
	http.ResponseWriter
	http.Flusher
	FlushError() error
} = (*responseWriter)(nil)
