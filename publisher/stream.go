package publisher

import (
	"context"
	"errors"
	"fmt"
)

// A Stream takes the body of an answer in pieces. It is an io.Writer.
type Stream struct {
	r   *Request
	err error // of the first Write that failed, but for want of a client
}

// Stream answers with a body that fn writes after the commit, in the call's
// own task: what is slow to send parks the call and not the loop. length is
// the body's, -1 when it is not known (it is then sent chunked). An error of
// fn, a failed Write that fn did not tell of, and a body of another length cut the
// connection, so that the client does not take a part for the whole, and are
// logged. Only HTTP requests can be answered so.
//
// A stream may last: server.call_timeout ends with its first octet, and
// [StreamTimeout] bounds it. When the server begins to drain, its context ends
// with the cause [ErrDraining]; what it writes after that still arrives, until
// server.drain_timeout is over.
func (r *Request) Stream(status int, contentType string, length int64, fn func(w *Stream) error) error {
	if r.toCall != nil {
		return errors.New("stream: write to the http.ResponseWriter, which sends what is flushed")
	}
	if err := r.own(); err != nil {
		return err
	}
	if !r.source.hasClient() {
		return errors.New("stream: a message's reply is sent whole: use Bytes")
	}
	if err := r.answer(status, contentType, nil); err != nil {
		return err
	}
	r.response.stream = func(w *Stream) error {
		door, ok := r.door.(StreamDoor)
		if !ok {
			return errors.New("stream: this door cannot")
		}
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

// Write sends p, waiting while the client is slower. An error says that the
// client has gone, that the call was cancelled, or that p is more than was announced.
func (w *Stream) Write(p []byte) (int, error) {
	r := w.r
	if err := r.own(); err != nil {
		return 0, err
	}
	door, ok := r.door.(StreamDoor)
	if !ok {
		return 0, ErrOver
	}
	written := 0
	for { // in pieces, so that what waits for the client is bounded however much is written at once
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

// StreamPiece is how much of a stream is given to its door at once.
const StreamPiece = 16 << 10

func (w *Stream) write(door StreamDoor, p []byte) error {
	r := w.r
	more, err := door.Write(r.forDoor(), p)
	if err == nil && !more {
		r.park()
	}
	if err == nil && r.cancelled != ErrGone && r.cancelled != ErrDraining { // the door knows better; it may go on
		err = r.cancelled
	}
	return err
}

// runStream writes the answer. Its head has left, so a failure can only cut it
// short.
func (r *Request) runStream() error {
	defer r.beginStream()()
	err := guard(func() error { return r.response.stream(&Stream{r: r}) })
	if err != nil {
		err = &brokenStream{checkError(err)}
	}
	return err
}

// beginStream counts the call among those that are streamed, from its head on,
// and bounds it. end takes that back.
func (r *Request) beginStream() (end func()) {
	r.response.begun = true
	s := r.server
	s.streams++
	if s.draining {
		r.cancel(ErrDraining)
	}
	stop := func() bool { return false }
	if limit := r.route.streamTimeout; limit > 0 {
		cause := fmt.Errorf("publisher.StreamTimeout (%s): %w", limit, context.DeadlineExceeded)
		stop = s.runtime.After(limit, func() { r.cancel(cause) })
	}
	return func() { s.streams--; stop() }
}

type brokenStream struct{ error }

func (e *brokenStream) Unwrap() error { return e.error }
func (e *brokenStream) Error() string { return fmt.Sprintf("the answer was cut short: %v", e.error) }

// isBrokenStream reports whether the answer's head has left already.
func isBrokenStream(err error) bool {
	var b *brokenStream
	return errors.As(err, &b)
}
