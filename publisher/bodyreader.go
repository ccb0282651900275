package publisher

import (
	"bytes"
	"fmt"
	"io"
	"sync"
	"sync/atomic"

	"zamqp/amqpproto"
)

// Streaming marks a route whose handler runs as soon as the head of a request is there. The
// handler reads the body as it comes, with [Request.BodyReader], and the server reads from the
// client no faster than the handler:
//
//	publisher.Handle("PUT /files/{name}", store, publisher.Streaming)
//
// [Request.Body], [Request.Content] and [Request.Decode] wait for what is left of the body, and
// hold that in memory. The call cannot run again, so [ErrConflict] is answered with 409 at once.
// If the handler returns before the whole body has come, a short rest is dropped when it comes;
// if the rest is long, the connection is closed.
//
// Under [HTTP] a body of more than 64 KiB, or of unknown length, streams without this option.
func Streaming(route *Route) { route.streaming = true }

// BodyMax bounds the bodies of a route in place of http.body_max, in octets: less, or more for
// uploads that stream.
func BodyMax(n int64) RouteOption {
	return func(r *Route) { r.bodyMax = max(0, n) }
}

// BodyMax returns the limit that the call's route has, or 0 if it has none. It is called after
// [Server.Admit].
func (c *Call) BodyMax() int64 {
	if c.route == nil {
		return 0
	}
	return c.route.bodyMax
}

// BodyMax returns the largest limits that routes have set with [BodyMax]: whole for routes whose
// calls wait for their bodies, any for all routes. 0 means that no route has one.
func (s *Server) BodyMax() (whole, any int64) {
	for _, r := range s.routes {
		if any = max(any, r.bodyMax); !r.streaming && !r.mounted {
			whole = max(whole, r.bodyMax)
		}
	}
	return whole, any
}

// A BodyStreaming says whether a call runs before its body is here.
type BodyStreaming uint8

const (
	BodyWhole     BodyStreaming = iota // it waits for its body
	BodyStreams                        // it runs when its head is here
	BodyMayStream                      // it waits for its body if that is short
)

// BodyStreaming says whether the call runs before its body is here, once [Server.Admit] has
// found its route.
func (c *Call) BodyStreaming() BodyStreaming {
	switch {
	case c.route == nil, c.route.socket != nil:
		return BodyWhole
	case c.route.streaming:
		return BodyStreams
	case c.route.mounted:
		return BodyMayStream
	}
	return BodyWhole
}

// BodyReader returns a reader of the body as it was sent, compressed or not. On a route that is
// marked as [Streaming] its Read parks the call until octets come. While the handler does not
// read, the server stops reading from the client. It may also be used in the function of
// [Request.Offload], which copies the body to a file for example, but in one place at a time.
//
// An error of Read other than io.EOF says that the rest of the body does not come: the client has
// gone or is too slow, or the body is longer than http.body_max. A client that is still there has
// got the answer to that. The call fails with the error, even if the handler returns nil.
//
// A call whose body is here, such as that of a message, gets a reader of that body.
func (r *Request) BodyReader() io.Reader {
	if r.reader != nil {
		return r.reader
	}
	return bytes.NewReader(r.body)
}

// Trailer returns the value of a field that the client has sent after a chunked body. It is ""
// until the body has been read to its end. Names are compared without case.
func (r *Request) Trailer(name string) string {
	for _, f := range r.trailerFields() {
		if len(f.Name) == len(name) && equalFold(f.Name, name) {
			return string(f.Value)
		}
	}
	return ""
}

// trailerFields returns the trailer fields that have come.
func (r *Request) trailerFields() []Field {
	b := r.reader
	switch {
	case b == nil:
		return r.trailers
	case b.bridge != nil:
		b.mu.Lock()
		defer b.mu.Unlock()
	}
	if b.err != io.EOF || b.at < len(b.piece) {
		return nil
	}
	return b.trailers
}

// whole returns the whole body, or what is left of one that streams.
func (r *Request) whole() ([]byte, error) {
	if r.reader != nil {
		return r.reader.whole()
	}
	return r.body, nil
}

// A bodyReader reads a body that streams, for the handler. Under [HTTP] any goroutine may use
// it, otherwise the strand that runs, or the function of an Offload.
type bodyReader struct {
	in     *incoming
	server *Server
	bridge *bridge // nil without one
	mu     sync.Mutex
	busy   atomic.Bool // in place of mu, where a strand of the call must not wait for another

	piece    []byte // what was taken
	at       int    // what was read of it
	err      error  // nothing follows
	trailers []Field
	all      []byte // of whole
	gathered bool
}

// newBodyReader returns the reader of a handler on a goroutine of its own, with what has come.
// Middleware gets nothing yet: it may leave the body to a handler on the loop.
func newBodyReader(b *bridge) *bodyReader {
	in := b.call.incoming
	if in == nil {
		return nil
	}
	reader := &bodyReader{in: in, server: b.server, bridge: b}
	if len(in.buf) > 0 && b.passage == nil {
		h := &portion{}
		in.give(h)
		reader.piece, reader.err, reader.trailers = h.piece, h.err, h.trailers
	}
	return reader
}

// enter lets one goroutine in. leave lets the next one in.
func (b *bodyReader) enter() (leave func(), err error) {
	if b.bridge != nil {
		b.mu.Lock()
		return b.mu.Unlock, nil
	}
	if !b.busy.CompareAndSwap(false, true) {
		return nil, errReaders
	}
	return func() { b.busy.Store(false) }, nil
}

// Read returns what has come. If nothing has come, it waits.
func (b *bodyReader) Read(p []byte) (int, error) {
	leave, err := b.enter()
	if err != nil {
		return 0, err
	}
	defer leave()
	if len(p) == 0 {
		return 0, nil
	}
	for b.at == len(b.piece) {
		if err := b.fetch(false); err != nil {
			return 0, err
		}
	}
	n := copy(p, b.piece[b.at:])
	b.at += n
	return n, nil
}

// fetch takes the next piece.
func (b *bodyReader) fetch(keep bool) (err error) {
	if b.err != nil {
		return b.err
	}
	old := b.piece
	b.piece, b.at = nil, 0
	r, err := b.here()
	switch {
	case err != nil:
		return err
	case r != nil:
		if b.piece, err = b.in.next(old, keep); err == io.EOF {
			b.trailers = r.trailers
		}
	default:
		h := &portion{old: old, keep: keep}
		if err = b.fetchApart(h); err == nil {
			b.piece, b.trailers = h.piece, h.trailers
			if err = h.err; len(h.piece) > 0 && err != nil {
				b.err, err = err, nil
			}
		}
	}
	if err == io.EOF || isBodyFailure(err) {
		b.err = err
	}
	return err
}

// isBodyFailure reports whether every later Read fails, too.
func isBodyFailure(err error) bool {
	_, ok := err.(*StatusError)
	return ok
}

// here returns the call if the calling code is a strand of it, and nil on another goroutine.
func (b *bodyReader) here() (*Request, error) {
	if b.bridge != nil || !b.server.tasks.Inside() {
		return nil, nil
	}
	r := b.in.r
	if r == nil {
		return nil, ErrOver
	}
	return r, r.own()
}

// fetchApart is [incoming.next] for a goroutine.
func (b *bodyReader) fetchApart(h *portion) error {
	in := b.in
	p := &pause{bridge: b.bridge, done: make(chan struct{}), reads: true}
	now := false
	if b.bridge != nil {
		err := b.bridge.do(func(r *Request) (err error) {
			if now, err = in.nextApart(h); now || err != nil {
				return err
			}
			if err = b.bridge.begin(r, p); err == nil {
				in.wait(h, p)
			}
			return err
		})
		if err != nil || now {
			return err
		}
		return b.bridge.wait(p)
	}
	s := b.server
	var failed error
	if !s.runtime.Post(func() {
		if now, failed = in.nextApart(h); failed == nil && !now {
			if failed = in.r.cancelled; failed == nil || p.ignores(failed) {
				failed = nil
				in.wait(h, p)
				return
			}
		}
		p.end(failed)
	}) {
		return ErrShutdown
	}
	return s.waitApart(p)
}

// whole reads what is left, and keeps it.
func (b *bodyReader) whole() ([]byte, error) {
	leave, err := b.enter()
	if err != nil {
		return nil, err
	}
	defer leave()
	if b.gathered {
		return b.all, nil
	}
	head := b.piece[b.at:]
	b.at = len(b.piece)
	all := &collecting{}
	for {
		err := b.fetch(true)
		if err != nil && err != io.EOF {
			return nil, fmt.Errorf("the body: %w", err)
		}
		if err == io.EOF {
			break
		}
		if !all.Busy() {
			all.Begin(head, 0)
			head = nil
		}
		all.Add(b.piece)
		b.at = len(b.piece)
	}
	if b.gathered = true; all.Busy() {
		if r, _ := b.here(); r != nil {
			for !all.Settle(amqpproto.LargeBody) {
				r.yield()
			}
		}
		head = all.take()
	}
	b.all = head
	return b.all, nil
}
