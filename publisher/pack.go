package publisher

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"runtime"

	"zamqp/amqpproto"
)

// Content returns the body without its compressions: those of its content encoding and, for a
// message, of kombu's header compression. It does not convert character sets. The result is a
// view, valid until the call is over. The error can be returned unchanged. It is a 415 for an
// unknown encoding, a 400 for a body that does not fit its encoding, and a 413 for one that
// unpacks to more than unpack_max. A message goes to the dead-letter queue.
func (r *Request) Content() ([]byte, error) {
	e, err := r.encoding()
	if err != nil {
		return nil, err
	}
	return r.content(&e)
}

func (r *Request) content(e *contentEncoding) ([]byte, error) {
	whole, err := r.whole()
	if len(e.packings) == 0 || err != nil {
		return whole, err
	}
	if r.unpacked != nil {
		return r.unpacked, nil
	}
	body, err := r.unpack(e, whole, r.server.options.UnpackMax)
	if err != nil {
		return nil, err
	}
	if r.toCall == nil { // on a mounted handler, several goroutines may ask
		r.unpacked = body
	}
	return body, nil
}

// unpack undoes compressions. A large body is unpacked on another goroutine. The size of the
// result is not known in advance: if it becomes large here, unpacking starts again there.
func (r *Request) unpack(e *contentEncoding, body []byte, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = UnpackMax
	}
	if !r.canWait() {
		return e.unpack(body, limit)
	}
	if len(body) <= amqpproto.LargeBody {
		out, err := e.unpack(body, min(limit, amqpproto.LargeBody))
		if err == nil || limit <= amqpproto.LargeBody || !e.hitBound(body, err) {
			return out, err
		}
	}
	return r.unpackApart(*e, body, limit)
}

func (r *Request) unpackApart(e contentEncoding, body []byte, limit int64) (out []byte, err error) {
	failed := r.apart(func() error {
		out, err = e.unpack(body, limit)
		return nil
	})
	if failed != nil {
		return nil, failed
	}
	return out, err
}

// pack is [packer.pack], with a packer that the calling goroutine may use.
func (r *Request) pack(arena []byte, bodyAt int) ([]byte, error) {
	if r == nil {
		return (&packer{}).pack(arena, bodyAt)
	}
	return r.server.packer.pack(arena, bodyAt)
}

// gzipped compresses a large body.
func gzipped(body []byte) ([]byte, error) {
	out := newCollecting(nil)
	z := gzip.NewWriter(out)
	_, err := z.Write(body)
	err = errors.Join(err, z.Close())
	return out.take(), err
}

// collecting collects a body that becomes large. It copies in short steps, because Go cannot
// interrupt a copy, and with one processor a long copy would hold up the loop.
type collecting struct{ amqpproto.Collector }

func newCollecting(head []byte) *collecting {
	c := &collecting{}
	c.Begin(head, 0)
	return c
}

func (c *collecting) Write(p []byte) (int, error) {
	c.Add(p)
	return len(p), nil
}

func (c *collecting) take() []byte {
	for !c.Settle(amqpproto.LargeBody) {
		runtime.Gosched()
	}
	return c.Take()
}

// A packer compresses bodies with gzip. It is made when it is first needed, and kept.
type packer struct {
	writer *gzip.Writer
	out    bytes.Buffer
}

// pack compresses what the arena holds from bodyAt on, in place.
func (p *packer) pack(arena []byte, bodyAt int) ([]byte, error) {
	if p.writer == nil {
		p.writer = gzip.NewWriter(io.Discard)
	}
	p.out.Reset()
	p.writer.Reset(&p.out)
	_, err := p.writer.Write(arena[bodyAt:])
	if err = errors.Join(err, p.writer.Close()); err != nil {
		return arena, err
	}
	arena = append(arena[:bodyAt], p.out.Bytes()...)
	if p.out.Cap() > keepMax {
		p.out = bytes.Buffer{}
	}
	return arena, nil
}
