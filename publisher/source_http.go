package publisher

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
	"zamqp/publisher/http1"
)

// protocol is the HTTP version of a request, and whether its connection ends.
type protocol struct {
	minor  uint8 // minor version: HTTP/1.minor
	closes bool  // the client ends the connection after this request
}

// http11 is the protocol of a call until its head says otherwise.
var http11 = protocol{minor: 1}

// httpSource is where HTTP requests come from: a client.
type httpSource struct{}

func (httpSource) origin() Origin { return OriginHTTP }

func (httpSource) name(r *Request) string {
	return strings.ToValidUTF8(string(r.method)+" "+string(r.target), "?")
}

func (httpSource) identify(r *Request, c zerolog.Context) zerolog.Context {
	if id := r.HeaderBytes("X-Request-Id"); len(id) > 0 {
		c = c.Str("request_id", foreign(id))
	}
	return c
}

// SetHTTP fills in the request from an HTTP head. It copies everything, into one buffer that
// it makes large enough first.
func (c *Call) SetHTTP(method, target, host []byte, fields []Field, remote Remote) {
	r := c.Request()
	r.from(httpSource{})
	r.remote = remote
	size := len(method) + len(target) + len(host)
	for i := range fields {
		size += len(fields[i].Name) + len(fields[i].Value)
	}
	r.reserve(size + requestIDLen)
	r.method, r.target, r.host = r.keep(method), r.keep(target), r.keep(host)
	r.fields = r.fields[:0]
	for i := range fields {
		r.fields = append(r.fields, Field{Name: r.keep(fields[i].Name), Value: r.keep(fields[i].Value)})
	}
	r.splitTarget()
	if r.server.options.Proxies.believesAny() {
		r.readForwarded()
	}
	if r.server.ids {
		r.identifyHTTP()
	}
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

// ExpectBody sets the declared length of the body; 0 or less means that none was declared.
func (c *Call) ExpectBody(size int64) { c.expected = int(max(size, 0)) }

// AppendBody adds a piece to the body.
func (c *Call) AppendBody(p []byte) {
	switch {
	case c.incoming != nil:
		c.incoming.add(p)
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
	if c.incoming != nil {
		c.incoming.end(io.EOF)
		return true
	}
	if c.large.Busy() {
		if !c.large.Settle(amqpproto.LargeBody) {
			return false
		}
		c.body = c.large.Take()
	}
	return true
}

// begin finds the route, unless it is known already.
func (httpSource) begin(r *Request) bool {
	s := r.server
	s.stats.Requests++
	if !s.route(r) {
		return false
	}
	if r.watches = r.route.monitoring; r.watches {
		s.watching++
	}
	r.handler, r.label, r.times = r.route.Handler, &r.route.Pattern, s.timesOf(&s.routeTimes[r.route.number])
	if s.chain != nil && s.chain.takes(r) {
		r.handler = s.chain.handler
	}
	return true
}

func (httpSource) path(*Request) {} // SetHTTP has made the path

func (httpSource) field(r *Request, name string) string { return string(r.HeaderBytes(name)) }

func (httpSource) fields(r *Request) http.Header {
	h := make(http.Header, len(r.fields))
	for _, f := range r.fields {
		h.Add(string(f.Name), string(f.Value))
	}
	return h
}

func (httpSource) hasClient() bool { return true }

// setField adds a ready line. An answer has at most one Server field.
func (httpSource) setField(r *Request, name, value string) {
	p := &r.response
	lines, err := http1.AppendField(p.lines, name, value)
	if err != nil {
		p.fail(fmt.Errorf("header %s: %w", name, err))
		return
	}
	if len(name) == len("Server") && strings.EqualFold(name, "Server") {
		kept := dropLines(p.lines, func(name string) bool { return strings.EqualFold(name, "Server") })
		lines, _ = http1.AppendField(kept, name, value)
	}
	p.lines = lines
}

// setTable adds the entries of the table that have simple values.
func (httpSource) setTable(r *Request, t Table) {
	for name, value := range t {
		switch value := value.(type) {
		case nil, Table, []any: // not simple
		case []byte:
			r.setHeader(name, string(value))
		default:
			r.setHeader(name, fmt.Sprint(value))
		}
	}
}

func (httpSource) answered(*Request) error            { return nil }
func (httpSource) reply(*Request) error               { return nil } // the door sends the answer
func (httpSource) failed(_ *Request, err error) error { return err }

// settle answers with the status of the error. Failures that the client did not cause are
// logged at a higher level, unless the client has gone.
func (httpSource) settle(r *Request, err error) {
	status, cause := statusOf(err)
	level := zerolog.ErrorLevel
	switch {
	case status < 500 || errors.Is(err, ErrGone) || errors.Is(err, ErrDraining) || errors.Is(err, ErrSlow) || errors.Is(err, http.ErrAbortHandler):
		level = zerolog.DebugLevel
	case status == http.StatusServiceUnavailable:
		level = zerolog.WarnLevel
	}
	r.server.failure(r, err, level).Msg(callFailed)
	if isBrokenStream(err) || r.socket.accepted() {
		return // the door cuts the connection, or the socket is closed with a code
	}
	if !isAnswered(err) {
		r.answerFailure(err, status, cause)
	}
}

// answerFailure is the answer to a failure, by its status.
func (r *Request) answerFailure(err error, status int, cause string) {
	r.keepFields(err)
	if e := (*encodingError)(nil); errors.As(err, &e) {
		r.setHeader("Accept-Encoding", acceptEncoding)
	}
	r.reportFields()
	r.answerFailureBy(err, status, cause)
}
