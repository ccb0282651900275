package publisher

import (
	"bytes"

	"zamqp/amqpproto"
)

// protocol is what the head of a request says besides its fields.
type protocol struct {
	minor  uint8 // of the version: HTTP/1.minor
	closes bool  // the client ends the connection after this request
}

// SetHTTP fills the request from an HTTP head. Everything is copied here, into one
// buffer that is made large enough first.
func (c *Call) SetHTTP(method, target, host []byte, fields []Field, remote Remote) {
	r := c.Request()
	r.origin, r.remote, r.protocol = OriginHTTP, remote, protocol{minor: 1}
	size := len(method) + len(target) + len(host)
	for i := range fields {
		size += len(fields[i].Name) + len(fields[i].Value)
	}
	r.reserve(size)
	r.method, r.target, r.host = r.keep(method), r.keep(target), r.keep(host)
	r.fields = r.fields[:0]
	for i := range fields {
		r.fields = append(r.fields, Field{Name: r.keep(fields[i].Name), Value: r.keep(fields[i].Value)})
	}
	r.splitTarget()
}

// SetProtocol sets the version of the request, HTTP/1.minor, and whether the
// connection goes on. It is called after SetHTTP, which assumes HTTP/1.1.
func (c *Call) SetProtocol(minor uint8, keepAlive bool) {
	c.protocol = protocol{minor: minor, closes: !keepAlive}
}

// splitTarget cuts the target into path and query; of an absolute one, scheme
// and authority are dropped (RFC 9112 §3.2.2).
func (r *Request) splitTarget() {
	p := r.target
	if len(p) > 0 && p[0] != '/' {
		if i := bytes.Index(p, []byte("://")); i > 0 {
			p = p[i+3:]
			if i = bytes.IndexAny(p, "/?"); i < 0 {
				p = []byte("/")
			} else {
				p = p[i:]
			}
		}
	}
	r.query = nil
	if i := bytes.IndexByte(p, '?'); i >= 0 {
		p, r.query = p[:i], p[i+1:]
	}
	if len(p) == 0 {
		p = []byte("/")
	}
	r.path = p
}

// ExpectBody sets the declared length of the body; 0 or less where none was
// declared.
func (c *Call) ExpectBody(size int64) { c.expected = int(max(size, 0)) }

// AppendBody adds a piece to the body.
func (c *Call) AppendBody(p []byte) {
	switch {
	case c.large.Busy():
		c.large.Add(p)
	case len(c.body)+len(p) > amqpproto.LargeBody:
		c.large.Begin(c.body, c.expected)
		c.large.Add(p)
		c.body = nil
	default:
		c.body = append(c.body, p...)
	}
}

// EndBody ends the body. It returns false if it must be called again in a later
// turn: a large body without a declared length is not in one place yet.
func (c *Call) EndBody() (done bool) {
	if c.large.Busy() {
		if !c.large.Settle(amqpproto.LargeBody) {
			return false
		}
		c.body = c.large.Take()
	}
	return true
}
