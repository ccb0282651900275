package publisher

import (
	"bytes"
	"compress/gzip"
	"errors"
	"io"
)

// Content is the body without its compressions, by its content encoding and, of a
// message, by kombu's header compression; a character set is left as it is. It is
// a view that dies with the call. The error can be returned as it is: an encoding
// that is not known is a 415, or the dead-letter queue; a body that is not what
// its encoding says, or is larger than unpack_max when it is unpacked, a 400 or 413.
func (r *Request) Content() ([]byte, error) {
	e, err := r.encoding()
	if err != nil {
		return nil, err
	}
	return r.content(&e)
}

func (r *Request) content(e *contentEncoding) ([]byte, error) {
	if len(e.packings) == 0 {
		return r.body, nil
	}
	if r.unpacked == nil {
		if r.carrier != nil { // several goroutines may ask: nothing is kept
			return e.unpack(r.body, r.server.options.UnpackMax)
		}
		body, err := e.unpack(r.body, r.server.options.UnpackMax)
		if err != nil {
			return nil, err
		}
		r.unpacked = body
	}
	return r.unpacked, nil
}

// packer gzips bodies; it is made when it is needed and then kept.
type packer struct {
	writer *gzip.Writer
	out    bytes.Buffer
}

// pack replaces what the arena holds from bodyAt on by its gzip.
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
