package publisher

import (
	"errors"
	"fmt"
	"net/http"
	"strings"

	"zamqp/amqpproto"
	"zamqp/publisher/http1"
)

// close ends the writing on the handler's goroutine. What was written belongs to the call
// from then on. It may wait for a Write on another goroutine, so the loop does not call it.
func (w *responseWriter) close() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.implicit = w.status == 0
	w.writeHeader(http.StatusOK)
	w.trailers = w.appendTrailers(nil)
	w.over = true
}

// finish makes what was written the call's answer, after close. failure is how the handler
// ended if it did not return.
func (w *responseWriter) finish(r *Request, failure error) error {
	err := failure
	if err == nil && w.failure != nil && !errors.Is(w.failure, ErrGone) {
		err = w.failure
	}
	switch {
	case !r.source.hasClient():
		return w.finishUnwatched(r, err)
	case w.begun:
		return w.finishBegun(r, err)
	case errors.Is(err, http.ErrAbortHandler):
		return r.cut(err)
	case err != nil:
		return err
	case w.implicit && r.response.set:
		return nil // the handler has answered by the call's own methods
	case w.status == http.StatusSwitchingProtocols:
		return errors.New("a mounted handler cannot switch protocols")
	case w.short():
		if _, ok := r.door.(StreamDoor); !ok {
			return r.cut(w.shortError())
		}
		if err := w.begin(r); err != nil { // send what there is, so that the client notices the cut
			return err
		}
		return w.finishBegun(r, nil)
	}
	return w.answer(r)
}

// short reports whether less was written than declared, which the client must see.
func (w *responseWriter) short() bool { return w.length > w.taken && !w.noBody && hasBody(w.status) }

func (w *responseWriter) shortError() error {
	return fmt.Errorf("%d octets were written of a declared %d", w.taken, w.length)
}

// cut is the error of a call whose client gets no answer, or only a part of it.
func (r *Request) cut(err error) error {
	r.response.cut = true
	return &brokenStream{err}
}

// finishBegun ends an answer whose head was sent.
func (w *responseWriter) finishBegun(r *Request, err error) error {
	w.end()
	if err == nil {
		err = r.tx.err
	}
	if err == nil && len(w.body) > 0 {
		if _, err = r.door.(StreamDoor).Write(r.forDoor(), w.body); errors.Is(err, ErrGone) {
			err = nil // nobody waits for the rest
		}
	}
	if err == nil && w.short() {
		err = w.shortError()
	}
	if err != nil {
		return &brokenStream{err}
	}
	w.endWith(&r.response)
	return nil
}

// endWith sets the lines that follow the body.
func (w *responseWriter) endWith(p *Response) {
	p.trailers = append(p.trailers, w.trailers...)
	p.ends = p.ends || w.written > w.taken && !w.noBody // as net/http does if more was written than declared
}

// finishUnwatched is for a call without a client. A status that is not a success is a failure
// of the call; see settlementOf.
func (w *responseWriter) finishUnwatched(r *Request, err error) error {
	switch {
	case err != nil:
		return err
	case w.implicit && r.response.set:
		return nil
	case w.implicit && w.informed > 0:
		return Permanent(fmt.Errorf("the HTTP handler gave a %s no answer but %d", r.Origin(), w.informed))
	}
	if err := w.head(r); err != nil {
		return err
	}
	if err := r.unsuccessful(w.status, w.body); err != nil {
		return err
	}
	return w.answer(r)
}

// answer gives the complete answer to the call. Loop thread.
func (w *responseWriter) answer(r *Request) error {
	if err := w.head(r); err != nil {
		return err
	}
	p := &r.response
	large := len(w.body) > amqpproto.LargeBody
	if large {
		p.Body = w.body
	} else {
		p.Body = append(p.Body[:0], w.body...)
	}
	if !r.source.hasClient() || w.plain() {
		return nil
	}
	length := w.framing
	switch {
	case w.noBody && length == LengthUnknown && w.taken > 0 && w.lengthIsFree():
		length = w.taken
	case len(w.trailers) > 0 && length >= 0:
		length = LengthUnknown
	}
	body := w.body
	p.stream = func(s *Stream) error {
		door, ok := r.door.(StreamDoor)
		if !ok {
			return errors.New("stream: this door cannot stream an answer")
		}
		r.answerID()
		door.Start(r.forDoor(), length)
		var err error
		if large {
			_, err = s.Write(body)
		} else {
			_, err = door.Write(r.forDoor(), body)
		}
		w.endWith(p)
		return err
	}
	return nil
}

// head gives status and header to the call, as they were when the handler wrote
// them. As with net/http, a missing content type is guessed from the body.
func (w *responseWriter) head(r *Request) error {
	p := &r.response
	p.Status, p.ContentType, p.stream, p.set = w.status, "", nil, true
	types, given := w.sent["Content-Type"]
	switch {
	case w.status == http.StatusNotModified:
		types = nil
	case !given && len(w.body) > 0 && w.sent.Get("Content-Encoding") == "" && w.sent.Get("Transfer-Encoding") == "" && hasBody(w.status):
		p.ContentType, types = http.DetectContentType(w.body), nil
	case len(types) > 0 && (!r.source.hasClient() || len(types) == 1 && types[0] != "" && hasBody(w.status)):
		p.ContentType, types = clean(types[0]), nil
	}
	if !r.source.hasClient() {
		for _, name := range sortedNames(w.sent) {
			if !reservedField(name) && !strings.HasPrefix(name, http.TrailerPrefix) {
				for _, value := range w.sent[name] {
					r.setHeader(name, clean(value))
				}
			}
		}
		return p.err
	}
	for _, value := range types {
		p.lines, _ = http1.AppendField(p.lines, "Content-Type", clean(value))
	}
	w.headLines(r)
	return p.err
}
