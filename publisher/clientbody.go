package publisher

import (
	"bytes"
	"errors"
	"io"
	"sync"
)

// bodyAhead is the length up to which the body of an answer is read together with its head.
const bodyAhead = 64 << 10

// bodyChunk is how much of a longer body is read at once, while the call waits.
const bodyChunk = 32 << 10

// aheadBody is a body that has been read.
type aheadBody struct {
	*bytes.Reader
	err error // the error at its end; nil for a whole body
}

func (b *aheadBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p)
	if err == io.EOF && b.err != nil {
		err = b.err
	}
	return n, err
}

// WriteTo hides the method of bytes.Reader, which does not return err.
func (b *aheadBody) WriteTo(w io.Writer) (int64, error) {
	n, err := b.Reader.WriteTo(w)
	if err == nil {
		err = b.err
	}
	return n, err
}

func (b *aheadBody) Close() error { return nil }

// clientBody is a body that is read while it arrives. Like other bodies it is for one
// goroutine at a time.
type clientBody struct {
	x     *roundTrip
	from  io.ReadCloser
	end   func() // releases what the round trip holds
	chunk []byte
	rest  []byte // the part of chunk that is not read yet
	err   error
}

var errClosedBody = errors.New("read of a closed body")

// Read waits for input. On the loop it parks the call.
func (b *clientBody) Read(p []byte) (int, error) {
	if len(b.rest) == 0 && b.err == nil {
		at, err := b.x.t.where()
		if err != nil {
			return 0, err
		}
		if at != onLoop {
			n, err := b.from.Read(p)
			b.fail(err)
			return n, err
		}
		if b.chunk == nil {
			b.chunk = make([]byte, bodyChunk)
		}
		x := *b.x // the round trip may have begun on another goroutine
		x.at = onLoop
		n := 0
		err = x.elsewhere(func() (err error) { n, err = b.from.Read(b.chunk); return err })
		b.rest = b.chunk[:n]
		b.fail(err)
	}
	if len(b.rest) > 0 {
		n := copy(p, b.rest)
		b.rest = b.rest[n:]
		return n, nil
	}
	return 0, b.err
}

func (b *clientBody) fail(err error) {
	if err != nil && b.err == nil {
		b.err = err
		b.close()
	}
}

// Close drops the unread rest, and with it the connection.
func (b *clientBody) Close() error {
	b.rest = nil
	if b.err == nil {
		b.err = errClosedBody
		b.close()
	}
	return nil
}

// close closes the transport's body on another goroutine, since it may wait there.
func (b *clientBody) close() {
	b.end()
	from := b.from
	if at, err := b.x.t.where(); err == nil && at == onLoop {
		b.x.t.server.runtime.Offload(0, func() { _ = from.Close() }, func() {})
		return
	}
	_ = from.Close()
}

// cutBody is a request's body for the time of its round trip. After that it gives nothing:
// the transport may still read, but the handler's reader may belong to another call by then.
type cutBody struct {
	mu   sync.Mutex
	from io.ReadCloser
	over bool
}

func (b *cutBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.over {
		return 0, errClosedBody
	}
	return b.from.Read(p)
}

func (b *cutBody) Close() error {
	b.cut()
	return nil
}

func (b *cutBody) cut() {
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.over {
		b.over = true
		_ = b.from.Close()
	}
}
