package publisher

import (
	"context"
	"errors"
	"fmt"
)

// A Stream takes the body of an answer in pieces. It is an io.Writer.
type Stream struct {
	r   *Request
	err error // error of the first failed Write, unless the client had gone
}

// Stream answers with a body that fn writes after the commit. fn runs in the call's
// own task: a slow client parks the call, not the loop. length is the length of the
// body. It is -1 if it is not known; the body is then sent in chunks. Three things cut
// the connection and are logged: fn returns an error, fn hides a failed Write, or the
// body has another length. The client then does not mistake a part for the whole.
// Only HTTP requests can be answered in this way.
//
// A stream may take long: server.call_timeout applies only until its first octet, and
// [StreamTimeout] limits the rest. When the server begins to drain, the stream's
// context ends with the cause [ErrDraining]. The client still gets what fn writes
// after that, until server.drain_timeout is over.
func (r *Request) Stream(status int, contentType string, length int64, fn func(w *Stream) error) error {
	if r.toCall != nil {
		return errors.New("stream: in a mounted net/http handler write to its http.ResponseWriter, and flush that")
	}
	if err := r.own(); err != nil {
		return err
	}
	if !r.source.hasClient() {
		return Permanent(errors.New("stream: a message's reply is sent whole: use Bytes"))
	}
	if err := r.answer(status, contentType, nil); err != nil {
		return err
	}
	r.response.stream = func(w *Stream) error {
		door, ok := r.door.(StreamDoor)
		if !ok {
			return errors.New("stream: this door cannot stream an answer")
		}
		if in := r.incoming; in != nil { // fn may read it
			in.door.Duplex(r.forDoor())
		}
		r.answerID()
		door.Start(r.forDoor(), length)
		err := fn(w)
		if err == nil {
			err = w.err
		}
		if err == nil {
			err = door.Written(r.forDoor())
		}
		return err
	}
	return nil
}

// Write sends p, and waits while the client is slower. It fails if the client has
// gone, if the call is cancelled, or if p exceeds the announced length.
func (w *Stream) Write(p []byte) (int, error) {
	r := w.r
	if err := r.own(); err != nil {
		return 0, err
	}
	if r.isChild() {
		return 0, errors.New("stream: written to in " + childName + ": return to the function of the stream")
	}
	door, ok := r.door.(StreamDoor)
	if !ok {
		return 0, ErrOver
	}
	written := 0
	for { // in pieces, so that the memory that waits for the client is bounded
		piece := p[written:min(len(p), written+StreamPiece)]
		if err := w.write(door, piece); err != nil {
			if w.err == nil && !errors.Is(err, ErrGone) {
				w.err = err
			}
			return written, err
		}
		if written += len(piece); written == len(p) {
			return written, nil
		}
	}
}

// StreamPiece is how much of a stream is given to its door at a time.
const StreamPiece = 16 << 10

func (w *Stream) write(door StreamDoor, p []byte) error {
	r := w.r
	more, err := door.Write(r.forDoor(), p)
	if err == nil && !more {
		r.park()
	}
	if err == nil && r.cancelled != ErrGone && r.cancelled != ErrDraining { // the door reports a client that has gone; a draining stream may go on
		err = r.cancelled
	}
	return err
}

// runStream writes the answer's body. The head is sent already, so a failure can
// only cut the answer short.
func (r *Request) runStream() error {
	defer r.beginStream()()
	err := r.join(guard(func() error { return r.response.stream(&Stream{r: r}) }))
	if err != nil {
		err = &brokenStream{checkError(err)}
	}
	return err
}

// beginStream counts the call as a stream from its head on, and starts the stream's
// time limit. end undoes both.
func (r *Request) beginStream() (end func()) {
	r.response.begun = true
	s := r.server
	s.streams++
	stop := r.limitAnswer()
	return func() {
		if s.streams--; stop != nil {
			stop()
		}
	}
}

// limitAnswer tells a call whose answer has begun if the server drains, and starts its time
// limit. stop is nil if it has none.
func (r *Request) limitAnswer() (stop func() bool) {
	s := r.server
	if s.draining {
		r.cancel(ErrDraining)
	}
	limit := r.route.streamTimeout
	if limit <= 0 {
		return nil
	}
	cause := fmt.Errorf("publisher.StreamTimeout (%s): %w", limit, context.DeadlineExceeded)
	return s.runtime.After(limit, func() { r.cancel(cause) })
}

type brokenStream struct{ error }

func (e *brokenStream) Unwrap() error { return e.error }
func (e *brokenStream) Error() string { return fmt.Sprintf("the answer was cut short: %v", e.error) }

// isBrokenStream reports whether the error came after the answer's head was sent.
func isBrokenStream(err error) bool {
	var b *brokenStream
	return errors.As(err, &b)
}
