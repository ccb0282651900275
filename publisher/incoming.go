package publisher

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"time"

	"zamqp/amqpproto"
)

// bodyRoom is how many octets of a streaming body wait for the handler at most. The server reads
// no more from the client until the handler takes some.
const bodyRoom = 64 << 10

// BodyReserve is how much memory a streaming body uses at most, in octets: those that wait for
// the handler, and those that it is reading.
const BodyReserve = 2 * bodyRoom

// A BodyDoor gives a call its body while the call runs; see [Call.StreamBody].
type BodyDoor interface {
	Door
	// Continue is called when the handler first waits for the body.
	Continue(c *Call)
	// Resume is called when there is room for more of the body.
	Resume(c *Call)
	// Keep is called for octets of the body that the call keeps until its end. An error
	// says that there is no room for them.
	Keep(c *Call, n int) error
	// Duplex is called before the answer begins, when the body is read on after that.
	Duplex(c *Call)
}

// incoming is the body of a call that runs while its body still comes. Loop thread only.
type incoming struct {
	r       *Request // nil after the call
	door    BodyDoor
	buf     []byte // what has come and was not taken
	err     error  // io.EOF: that is all; another: nothing more comes
	asked   bool   // the client was told to send it
	kept    int    // octets that were read to be kept
	reader  *pause // the wait of the reader; nil if nobody waits
	into    *portion
	parked  pause     // the wait of a reader on the loop's thread
	read    time.Time // when the handler last got something
	late    bool      // the deadline for reads has passed
	endLate func() bool
}

// A portion is what a reader on a goroutine of its own asks for and gets.
type portion struct {
	old      []byte // the last piece: its memory is used again
	keep     bool   // the octets are kept until the end of the call
	piece    []byte
	trailers []Field // with io.EOF
	err      error   // nothing follows piece
}

var errReaders = fmt.Errorf("the body is being read already: read it in one place at a time")

// StreamBody lets the call run before its body is here. It is called before Dispatch.
// AppendBody, EndBody and CutBody then reach the running call.
func (c *Call) StreamBody(d BodyDoor) {
	in := &incoming{r: c.Request(), door: d}
	in.buf = append(in.buf, c.body...)
	c.body = c.body[:0]
	c.incoming, c.reader = in, &bodyReader{in: in, server: c.server}
}

// BodyRoom is how many more octets of its body the call takes now.
func (c *Call) BodyRoom() int {
	if c.incoming == nil {
		return bodyRoom
	}
	return bodyRoom - len(c.incoming.buf)
}

// CutBody says that the rest of the body does not come, and with which status the request was
// answered; 0 if it was not, because the client has gone. limit is the largest body, for
// status 413.
func (c *Call) CutBody(status int, cause error, limit int64) {
	in := c.incoming
	if in == nil {
		return
	}
	switch status {
	case 0:
		in.end(&StatusError{Status: http.StatusBadRequest, Text: "the body has not come whole", Cause: fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, ErrGone)})
	case http.StatusBadRequest:
		in.end(&StatusError{Status: status, Text: "the body has not come whole", Cause: fmt.Errorf("%w: %w", io.ErrUnexpectedEOF, cause)})
	case http.StatusRequestEntityTooLarge:
		in.end(&StatusError{Status: status, Text: fmt.Sprintf("the body is longer than %d octets", limit), Cause: &http.MaxBytesError{Limit: limit}})
	default:
		in.end(&StatusError{Status: status, Text: cause.Error(), Cause: cause})
	}
}

// AddTrailer adds a field that has come behind the body. It is copied.
func (c *Call) AddTrailer(name, value []byte) {
	c.trailers = append(c.trailers, Field{Name: append([]byte(nil), name...), Value: append([]byte(nil), value...)})
}

// add takes a piece from the client.
func (in *incoming) add(p []byte) {
	in.buf = append(in.buf, p...)
	in.supply()
}

// end says that nothing follows, and why.
func (in *incoming) end(err error) {
	if in.err == nil {
		in.err = err
		in.supply()
	}
}

func (in *incoming) ready() bool { return len(in.buf) > 0 || in.err != nil || in.late }

// supply lets the reader that waits go on.
func (in *incoming) supply() {
	p, into := in.reader, in.into
	if p == nil {
		return
	}
	in.reader, in.into = nil, nil
	if into != nil {
		in.give(into)
	}
	p.end(nil)
}

// ask notes a reader that waits.
func (in *incoming) ask(p *pause, into *portion) {
	if in.reader, in.into = p, into; !in.asked {
		in.asked = true
		in.door.Continue(in.r.forDoor())
	}
}

// give gives what has come to a reader on another goroutine.
func (in *incoming) give(h *portion) {
	h.piece, h.err = in.take(h.old, h.keep)
	if h.err == nil && len(in.buf) == 0 && in.err == io.EOF {
		h.err = io.EOF
	}
	if h.old = nil; h.err == io.EOF {
		h.trailers = in.r.trailers
	}
}

// take returns what has come; the caller owns it. old is memory for what comes next.
// A failure that the reader gets fails the call, too: it must not commit half a body.
func (in *incoming) take(old []byte, keep bool) ([]byte, error) {
	r := in.r
	switch {
	case len(in.buf) > 0:
	case in.err == nil: // the deadline that the handler has set has passed
		return nil, os.ErrDeadlineExceeded
	case in.err != io.EOF && r.tx.err == nil:
		r.tx.err = in.err
		fallthrough
	default:
		return nil, in.err
	}
	if keep {
		if err := in.door.Keep(r.forDoor(), len(in.buf)); err != nil {
			r.tx.err = err
			return nil, err
		}
		in.kept += len(in.buf)
	}
	piece := in.buf
	in.buf, in.read = old[:0], r.server.runtime.Now()
	in.door.Resume(r.forDoor())
	return piece, nil
}

// next is take for the running strand of the call. It waits until something has come.
func (in *incoming) next(old []byte, keep bool) ([]byte, error) {
	r := in.r
	for !in.ready() {
		if in.reader != nil {
			return nil, errReaders
		}
		p := &in.parked
		*p = pause{r: r, strand: r.running}
		in.ask(p, nil)
		err := p.wait()
		if in.reader == p {
			in.reader = nil
		}
		if err != nil && err != ErrDraining { // a drain does not end the body; see interrupted
			return nil, err
		}
	}
	return in.take(old, keep)
}

// nextApart is next for other goroutines. It returns true if there is no need to wait.
func (in *incoming) nextApart(h *portion) (now bool, err error) {
	switch {
	case in.r == nil:
		return false, ErrOver
	case in.ready():
		in.give(h)
		return true, nil
	case in.reader != nil:
		return false, errReaders
	}
	return false, nil
}

// wait makes a goroutine wait for octets, after nextApart has returned false.
func (in *incoming) wait(h *portion, p *pause) {
	p.stop = func() {
		if in.reader == p {
			in.reader, in.into = nil, nil
		}
	}
	in.ask(p, h)
}

// cancel ends the wait of a goroutine that has no bridge; the others end by themselves.
func (in *incoming) cancel(cause error) {
	if p := in.reader; p != nil && p.bridge == nil && p.r == nil && !p.ignores(cause) {
		p.cut(cause)
	}
}

// setDeadline bounds how long reads wait.
func (in *incoming) setDeadline(t time.Time) {
	if in.endLate != nil {
		in.endLate()
	}
	in.late, in.endLate = false, nil
	if t.IsZero() {
		return
	}
	pass := func() {
		in.late = true
		in.supply()
	}
	if d := time.Until(t); d > 0 {
		in.endLate = in.r.server.runtime.After(d, pass)
	} else {
		pass()
	}
}

// close ends the body with its call.
func (in *incoming) close() {
	if in.endLate != nil {
		in.endLate()
	}
	if p := in.reader; p != nil {
		p.cut(ErrOver)
	}
	if dropped := in.r.server.options.LargeDropped; dropped != nil && in.kept > amqpproto.LargeBody {
		dropped()
	}
	in.r, in.buf = nil, nil
}
