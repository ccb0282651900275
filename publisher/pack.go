package publisher

import (
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
)

// unpackMax bounds an unpacked body where [Options] do not.
const unpackMax = 64 << 20

// Content is the body without its content encoding: as it came, or unpacked if
// that is gzip. It is a view that dies with the call. The error can be returned
// as it is: another encoding is a 415, or the dead-letter queue; a body that is no
// gzip, or is larger than unpack_max when it is unpacked, a 400 or 413.
func (r *Request) Content() ([]byte, error) {
	encoding := r.contentEncoding()
	if encoding == "" {
		return r.body, nil
	}
	if r.unpacked == nil {
		body, err := content(encoding, r.body, r.server.options.UnpackMax)
		if err != nil {
			return nil, err
		}
		r.unpacked = body
	}
	return r.unpacked, nil
}

// content is the body without that encoding.
func content(encoding string, body []byte, limit int64) ([]byte, error) {
	switch encoding {
	case "", "identity":
		return body, nil
	case "gzip", "x-gzip":
		return unpack(body, limit)
	}
	return nil, fmt.Errorf("%w: the content encoding %q", ErrContentType, encoding)
}

// decode fills v from a body that is no request's.
func decode(contentType, encoding string, body []byte, limit int64, v any) error {
	if contentType == "" {
		return fmt.Errorf("%w: the content type is missing", ErrContentType)
	}
	codec, err := codecFor([]byte(contentType))
	if err != nil {
		return err
	}
	if body, err = content(strings.ToLower(encoding), body, limit); err != nil {
		return err
	}
	return decodeBy(codec, body, v)
}

// contentEncoding is the encoding in lower case, without a copy for the usual one.
func (r *Request) contentEncoding() string {
	raw := r.props.ContentEncoding
	if r.origin != OriginMessage {
		raw = r.HeaderBytes("Content-Encoding")
	}
	switch string(raw) {
	case "":
		return ""
	case "gzip":
		return "gzip"
	}
	return strings.ToLower(strings.TrimSpace(string(raw)))
}

// unpack ungzips b, to limit octets at most: a small body can hold a thousand
// times its size.
func unpack(b []byte, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = unpackMax
	}
	z, err := gzip.NewReader(bytes.NewReader(b))
	if err != nil {
		return nil, &DecodeError{ContentType: "gzip", Cause: err}
	}
	out := bytes.NewBuffer(make([]byte, 0, min(int64(4*len(b)), limit)+bytes.MinRead))
	n, err := io.Copy(out, io.LimitReader(z, limit+1))
	if err != nil {
		return nil, &DecodeError{ContentType: "gzip", Cause: err}
	}
	if n > limit {
		return nil, &StatusError{Status: http.StatusRequestEntityTooLarge, Text: fmt.Sprintf("the body unpacks to more than %d octets (server.unpack_max)", limit)}
	}
	return out.Bytes(), nil
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
