package publisher

import (
	"bytes"
	"fmt"
	"strings"

	"zamqp/amqpproto"
	"zamqp/publisher/http1"
)

// A Response is the answer of a call: an HTTP response, or the reply to a
// message that has a reply_to.
type Response struct {
	Status      int
	ContentType string
	Body        []byte

	lines   []byte              // ready header lines, for HTTP
	headers Table               // for a reply
	raw     amqpproto.RawTable  // the request's own headers table, which the reply gets
	stream  func(*Stream) error // writes the body after the commit
	file    *fileAnswer         // stream sends it
	err     error               // the first mistake in a header; it fails the call
	unfit   error               // what the handler tried to do that a call without a client cannot do
	set     bool
	begun   bool // the head was sent
	cut     bool // there is no answer: the connection is cut

	closes   bool   // the connection ends with this answer, and the answer says so
	ends     bool   // the same, if the head was sent before
	trailers []byte // ready lines that follow a body of unknown length
	commit   bool   // see [Commit]
}

// Lines returns the header lines without those that the connection adds. Each ends with CRLF.
// For doors.
func (p *Response) Lines() []byte { return p.lines }

// Trailers returns ready lines that follow a body of unknown length. For doors.
func (p *Response) Trailers() []byte { return p.trailers }

// Closes reports whether the handler ends the connection with this answer; for
// doors.
func (p *Response) Closes() bool { return p.closes }

// Ends reports whether the connection ends after this streamed answer, as was found out only
// after its head had been sent; for doors.
func (p *Response) Ends() bool { return p.ends }

func (p *Response) reset() {
	if p.file != nil {
		p.dropFile()
	}
	p.Status, p.ContentType, p.Body, p.lines = 0, "", p.Body[:0], p.lines[:0]
	p.headers, p.raw, p.stream, p.err, p.unfit, p.set, p.begun = nil, nil, nil, nil, nil, false, false
	p.cut, p.closes, p.ends, p.commit, p.trailers = false, false, false, false, p.trailers[:0]
}

// Reply answers with a value: a string as text/plain, bytes unchanged as
// application/octet-stream, nil as an empty body, everything else as JSON. The answer is sent
// after the commit. A later answer replaces it.
func (r *Request) Reply(status int, v any) error {
	switch v := v.(type) {
	case nil:
		return r.Bytes(status, "", nil)
	case string:
		return r.Text(status, v)
	case []byte:
		return r.Bytes(status, "application/octet-stream", v)
	}
	return r.replyAs(status, jsonCodec{}, v)
}

// ReplyAs answers with a value that the codec of that name or content type encodes.
func (r *Request) ReplyAs(status int, codec string, v any) error {
	c, err := codecFor([]byte(codec))
	if err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	return r.replyAs(status, c, v)
}

// replyAs answers with an encoded value.
func (r *Request) replyAs(status int, c Codec, v any) error {
	if r.toCall != nil {
		return r.toCall.replyAs(status, c, v)
	}
	if err := r.own(); err != nil {
		return err
	}
	body, err := r.encodeReply(c, v)
	if err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	r.response.Body = body
	return r.answer(status, c.ContentType(), body)
}

// encodeReply encodes a value into the memory of the answer, unless it is large.
func (r *Request) encodeReply(c Codec, v any) ([]byte, error) {
	if textSize(v) <= amqpproto.LargeBody {
		return c.Append(r.response.Body[:0], v)
	}
	if _, same := c.(textCodec); same { // the answer gets a copy of its own
		octets, is := v.([]byte)
		if s, ok := v.(string); ok {
			octets, is = view(s), true
		}
		if is {
			return r.copyLarge(octets), nil
		}
	}
	return r.encodeLarge(c, v, false)
}

// Text answers with text/plain, without an allocation.
func (r *Request) Text(status int, text string) error {
	if r.toCall != nil {
		return r.toCall.do(func(r *Request) error { return r.Text(status, text) })
	}
	if err := r.own(); err != nil {
		return err
	}
	return r.text(status, text)
}

func (r *Request) text(status int, text string) error {
	r.response.Body = r.copyBody(r.response.Body, view(text))
	return r.answer(status, "text/plain; charset=utf-8", r.response.Body)
}

// Bytes answers with a ready body, which is copied. If the content type is empty, none is sent.
func (r *Request) Bytes(status int, contentType string, body []byte) error {
	if r.toCall != nil {
		return r.toCall.do(func(r *Request) error { return r.Bytes(status, contentType, body) })
	}
	if err := r.own(); err != nil {
		return err
	}
	return r.answer(status, contentType, body)
}

func (r *Request) answer(status int, contentType string, body []byte) error {
	if !r.live {
		return ErrOver
	}
	if r.response.begun {
		return ErrSent
	}
	if !isFinal(status) {
		return fmt.Errorf("reply: status %d: a final status is 200 to 599 (RFC 9110 §15)", status)
	}
	p := &r.response
	if contentType != r.server.contentType && r.source.hasClient() {
		if !http1.ValidValue(contentType) {
			err := fmt.Errorf("reply: content type %q holds control characters", contentType)
			p.fail(err)
			return err
		}
		r.server.contentType = contentType
	}
	p.Status, p.ContentType, p.stream, p.set = status, contentType, nil, true
	if len(body) == 0 || len(p.Body) == 0 || &body[0] != &p.Body[0] {
		p.Body = r.copyBody(p.Body, body)
	}
	return nil
}

// isFinal reports whether an answer may have this status. RFC 9110 §15.
func isFinal(status int) bool { return status >= 200 && status <= 599 }

// SetHeader adds a header field to the answer; for a message it is a string in the reply's
// headers table. A malformed name or value fails the call, and so does a field that the
// server writes itself: Content-Length, Transfer-Encoding, Connection, Keep-Alive, Trailer,
// Upgrade and Date. Give the content type to [Request.Bytes]. A Server field replaces the
// server's own.
func (r *Request) SetHeader(name, value string) {
	if r.toCall != nil {
		_ = r.toCall.do(func(r *Request) error { r.setHeader(name, value); return nil })
		return
	}
	if r.own() == nil {
		r.setHeader(name, value)
	}
}

func (r *Request) setHeader(name, value string) {
	p := &r.response
	if reservedField(name) {
		p.fail(fmt.Errorf("header %s: it is the server's to send", name))
		return
	}
	r.source.setField(r, name, value)
}

// line returns the value of the first ready line of that name.
func (p *Response) line(name string) (value string, found bool) {
	for rest := p.lines; len(rest) > 0; {
		end := bytes.IndexByte(rest, '\n') + 1
		if line := rest[:end]; len(line) > len(name)+2 && line[len(name)] == ':' && equalFold(line[:len(name)], name) {
			return strings.TrimSpace(string(line[len(name)+1:])), true
		}
		rest = rest[end:]
	}
	return "", false
}

// dropLines removes from ready lines, in place, the lines whose name drop selects.
func dropLines(lines []byte, drop func(name string) bool) []byte {
	kept := lines[:0]
	for len(lines) > 0 {
		end := bytes.IndexByte(lines, '\n') + 1
		line := lines[:end]
		lines = lines[end:]
		if !drop(string(line[:bytes.IndexByte(line, ':')])) {
			kept = append(kept, line...)
		}
	}
	return kept
}

// SetHeaders sets the headers table of a message's reply to t, with values of any AMQP type.
// An HTTP answer gets the simple values as fields.
func (r *Request) SetHeaders(t Table) {
	if r.toCall != nil {
		_ = r.toCall.do(func(r *Request) error { r.SetHeaders(t); return nil })
		return
	}
	if r.own() != nil {
		return
	}
	r.source.setTable(r, t)
}

// EchoHeaders sends the message's own headers table back with the reply, octet for octet.
func (r *Request) EchoHeaders() {
	_ = r.do(func(r *Request) error { r.response.raw = r.props.Headers; return nil })
}

func (p *Response) fail(err error) {
	if p.err == nil {
		p.err = err
	}
}

// reservedField reports whether a handler may not set a field. The server writes the fields
// about framing, which must not depend on a handler (RFC 9112 §6), and the content type comes
// with the body.
func reservedField(name string) bool {
	return http1.IsReserved(name) || strings.EqualFold(name, "Content-Type")
}
