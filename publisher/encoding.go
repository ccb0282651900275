package publisher

import (
	"fmt"
	"strings"

	"zamqp/amqpproto"
)

// encodingsMax limits the number of names in one content encoding. Each compression may cost
// as much memory as a body of unpack_max.
const encodingsMax = 4

// A contentEncoding says what was done to a body before it was sent.
type contentEncoding struct {
	packings []packing // in the order in which they are undone
	charset  string    // as the message names it; "" is none
}

// acceptEncoding tells an HTTP client which encodings are read, after it has sent another
// one. RFC 9110 §12.5.3.
const acceptEncoding = "gzip, deflate, zstd, br"

// An encodingError says that an encoding is not supported. It is an [ErrContentType].
type encodingError struct{ text string }

func encodingErrorf(format string, args ...any) error {
	return &encodingError{fmt.Sprintf(format, args...)}
}

func (e *encodingError) Error() string { return e.text }
func (e *encodingError) Unwrap() error { return ErrContentType }

// readEncoding reads a content encoding and the compression header of kombu, which compresses
// after everything else. HTTP defines a content encoding as a list of compressions (RFC 9110
// §8.4); AMQP clients also name a character set there, or MIME's "binary".
func readEncoding(list, compression string) (e contentEncoding, err error) {
	if compression != "" {
		p, ok := kombuPackings[strings.ToLower(strings.TrimSpace(compression))]
		if !ok {
			return e, encodingErrorf("the header compression names %q, which is not read here: send gzip, bzip2, zstd or brotli", compression)
		}
		if p.unpack != nil {
			e.packings = append(e.packings, p)
		}
	}
	names := strings.Split(list, ",")
	if len(names) > encodingsMax {
		return e, encodingErrorf("the content encoding has %d parts, more than %d", len(names), encodingsMax)
	}
	for i := len(names) - 1; i >= 0; i-- { // the last one was applied last
		name := strings.ToLower(strings.TrimSpace(names[i]))
		if p, ok := packings[name]; ok {
			e.packings = append(e.packings, p)
			continue
		}
		switch name {
		case "", "identity", "binary", "7bit", "8bit", "none":
			continue
		}
		if _, ok := findCharset(name); !ok {
			return e, encodingErrorf("the content encoding %q is no compression and no character set that is read here", name)
		}
		e.charset = name
	}
	return e, nil
}

// unpack undoes the compressions. No step may produce more than limit octets.
func (e *contentEncoding) unpack(body []byte, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = UnpackMax
	}
	for _, p := range e.packings {
		var err error
		if body, err = p.unpack(body, limit); err != nil {
			return nil, p.fail(err, limit)
		}
	}
	return body, nil
}

// encoding returns what the request says was done to its body. The names that most clients
// send by default allocate nothing.
func (r *Request) encoding() (contentEncoding, error) {
	raw, compression := r.props.ContentEncoding, r.compression()
	if len(raw) == 0 {
		raw = r.HeaderBytes("Content-Encoding")
	}
	if compression == "" {
		switch string(raw) {
		case "", "identity", "binary":
			return contentEncoding{}, nil
		case "utf-8", "UTF-8":
			return contentEncoding{charset: "utf-8"}, nil
		}
	}
	list := string(raw)
	if len(r.fields) > 0 {
		list = r.fieldList("Content-Encoding")
	}
	return readEncoding(list, compression)
}

// compression returns the header in which kombu says how it has compressed a body.
func (r *Request) compression() string {
	f, ok := r.props.Headers.Lookup(compressionHeader)
	if !ok {
		return ""
	}
	b, _ := f.Bytes()
	return string(b)
}

// fieldList returns the value of a field that may come in several lines, as one list. RFC
// 9110 §5.3.
func (r *Request) fieldList(name string) string {
	var list []string
	for i := range r.fields {
		if len(r.fields[i].Name) == len(name) && equalFold(r.fields[i].Name, name) {
			list = append(list, string(r.fields[i].Value))
		}
	}
	return strings.Join(list, ",")
}

// tableText is a string of a headers table; "" if there is none.
func tableText(t Table, key string) string {
	switch value := t[key].(type) {
	case string:
		return value
	case []byte:
		return string(value)
	}
	return ""
}

// headersContentType returns the content type at properties.content_type of a headers table.
// Some clients put properties there that they cannot set.
func headersContentType(headers amqpproto.RawTable) []byte {
	f, ok := headers.Lookup("properties")
	if !ok {
		return nil
	}
	value, err := f.Value()
	if err != nil {
		return nil
	}
	table, _ := value.(Table)
	return []byte(tableText(table, "content_type"))
}
