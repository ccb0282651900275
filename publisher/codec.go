package publisher

import (
	"bytes"
	"encoding/json"
	"fmt"
	"mime"
	"strings"

	"zamqp/publisher/pickle"
)

// A Codec turns values into bodies and back. One codec serves many calls, so
// it keeps nothing between them.
type Codec interface {
	// ContentType is the content type of an encoded body.
	ContentType() string
	// Append appends the encoding of v to dst.
	Append(dst []byte, v any) ([]byte, error)
	// Decode fills v, a pointer, from b, which it does not keep.
	Decode(b []byte, v any) error
}

// A strictCodec can refuse members that the value has no field for; see [DisallowUnknownFields].
type strictCodec interface {
	DecodeStrict(b []byte, v any) error
}

// codecs has the codecs by nick name and by content type, in lower case, without parameters.
var codecs = map[string]Codec{}

// RegisterCodec registers c under each of the names: nick names for a producer's Codec
// setting ("json"), and content types for bodies to decode ("application/json"). It panics
// if a name is taken.
func RegisterCodec(c Codec, names ...string) {
	for _, name := range append(names, c.ContentType()) {
		name = strings.ToLower(name)
		if old, taken := codecs[name]; taken && old != c {
			panic(fmt.Sprintf("publisher: RegisterCodec: %q is %T already", name, old))
		}
		codecs[name] = c
	}
}

func init() {
	RegisterCodec(jsonCodec{}, "json", "application/x-json")
	RegisterCodec(textCodec{}, "text", "plain")
	RegisterCodec(csvCodec{}, "csv")
	RegisterCodec(pickle.Codec{}, "pickle")
	RegisterCodec(msgpackCodec{}, "msgpack", "application/msgpack", "application/vnd.msgpack")
}

// FindCodec returns the codec of a nick name or content type. The error has the name.
func FindCodec(name string) (Codec, error) { return codecFor([]byte(name)) }

// codecFor finds the codec that writes a content type, or the codec of a nick name. Of the
// parameters only charset matters, because codecs write UTF-8.
func codecFor(contentType []byte) (Codec, error) {
	codec, charset, err := readContentType(contentType)
	if err != nil || charset == "" {
		return codec, err
	}
	if c, ok := findCharset(charset); !ok || !c.isUTF8() {
		return nil, fmt.Errorf("%w %q: charset %s", ErrContentType, contentType, charset)
	}
	return codec, nil
}

// readContentType finds the codec of a content type or nick name, and the charset that the
// content type names.
func readContentType(contentType []byte) (codec Codec, charset string, err error) {
	if c := codecs[string(contentType)]; c != nil { // the usual case: spelt as registered
		return c, "", nil
	}
	media, params, err := mime.ParseMediaType(string(contentType))
	if err != nil {
		return nil, "", fmt.Errorf("%w %q: %v", ErrContentType, contentType, err)
	}
	c := codecs[media]
	if c == nil && strings.HasSuffix(media, "+json") {
		c = codecs["json"]
	}
	if c == nil {
		return nil, "", fmt.Errorf("%w %q", ErrContentType, media)
	}
	return c, params["charset"], nil
}

// saysNothing reports whether a content type says nothing about a body: it is missing, or it
// is one that clients use for unknown content.
func saysNothing(contentType []byte) bool {
	switch string(contentType) {
	case "", "application/octet-stream", "application/data":
		return true
	}
	return false
}

// decode fills v from a body that does not belong to a request.
func decode(contentType, encoding string, headers Table, body []byte, limit int64, v any) error {
	e, err := readEncoding(encoding, tableText(headers, compressionHeader))
	if err != nil {
		return err
	}
	if body, err = e.unpack(body, limit); err != nil {
		return err
	}
	return decodeBody([]byte(contentType), &e, body, limit, v)
}

// decodeBody fills v from a body without its compressions.
func decodeBody(contentType []byte, e *contentEncoding, body []byte, limit int64, v any) error {
	codec, body, err := readBody(contentType, e, body, limit)
	if codec == nil {
		if octets, ok := v.(*[]byte); ok {
			*octets = cloneBody(body)
			return nil
		}
	}
	if err != nil {
		return err
	}
	if err := codec.Decode(body, v); err != nil {
		return &DecodeError{ContentType: codec.ContentType(), Cause: err}
	}
	return nil
}

// readBody returns the codec of a body without its compressions, and the body in UTF-8 if it is
// a text. A character set in the content encoding describes the octets. The one in the content
// type may describe the text before the client encoded it.
func readBody(contentType []byte, e *contentEncoding, body []byte, limit int64) (Codec, []byte, error) {
	codec, charset, err := contentCodec(contentType)
	if err != nil {
		return nil, body, err
	}
	if e.charset != "" {
		charset = e.charset
	}
	if textual(codec) {
		body, err = toUTF8(charset, body, limit)
	}
	return codec, body, err
}

func contentCodec(contentType []byte) (Codec, string, error) {
	if len(contentType) == 0 {
		return nil, "", fmt.Errorf("%w: the content type is missing", ErrContentType)
	}
	return readContentType(contentType)
}

// jsonCodec is encoding/json, sent as application/json.
type jsonCodec struct{}

func (jsonCodec) ContentType() string { return "application/json" }

func (jsonCodec) Append(dst []byte, v any) ([]byte, error) {
	b, err := json.Marshal(v)
	if len(dst) == 0 && cap(dst) < len(b) {
		return b, err // without a copy, which may be large
	}
	return append(dst, b...), err
}

func (jsonCodec) Decode(b []byte, v any) error { return json.Unmarshal(b, v) }

func (c jsonCodec) DecodeStrict(b []byte, v any) error {
	d := json.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields()
	if err := d.Decode(v); err != nil {
		return err
	}
	if !json.Valid(b) { // something follows the value: Decode says what
		return c.Decode(b, v)
	}
	return nil
}

// textCodec is for strings and byte slices, which it sends unchanged, and for values with a
// String method.
type textCodec struct{}

func (textCodec) ContentType() string { return "text/plain" }

func (textCodec) Append(dst []byte, v any) ([]byte, error) {
	switch v := v.(type) {
	case string:
		return append(dst, v...), nil
	case []byte:
		return append(dst, v...), nil
	case error, fmt.Stringer, bool, int, int8, int16, int32, int64, uint, uint8, uint16, uint32, uint64, float32, float64:
		return fmt.Append(dst, v), nil
	}
	return dst, fmt.Errorf("text: cannot encode a %T: give a string", v)
}

func (textCodec) Decode(b []byte, v any) error {
	switch v := v.(type) {
	case *string:
		*v = text(cloneBody(b))
	case *[]byte:
		*v = cloneBody(b)
	case *any:
		*v = text(cloneBody(b))
	default:
		return fmt.Errorf("text: cannot decode into a %T: give a *string", v)
	}
	return nil
}
