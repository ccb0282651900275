package publisher

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"maps"
	"net"
	"net/http"
	"net/url"
	"reflect"
	"slices"
)

// A cameAs is a request as it came, before any middleware has changed it.
type cameAs struct {
	method, path []byte // of the call
	header       http.Header
	url          url.URL
	host, remote string
	verb         string // the method
	body         io.ReadCloser
	ctx          context.Context
}

// remember keeps what middleware may change.
func (p *passage) remember(req *http.Request) {
	r := p.bridge.call
	p.came = cameAs{
		method: r.method, path: r.path, header: req.Header.Clone(), url: *req.URL,
		host: req.Host, remote: req.RemoteAddr, verb: req.Method, body: req.Body, ctx: req.Context(),
	}
}

// changes has what middleware has changed in a request, in the form that the call has it. A nil
// slice or an empty text means that this part is unchanged.
type changes struct {
	method, target, path, query, host []byte
	fields                            []Field
	remote, scheme                    string
	body                              []byte
	hasBody                           bool
}

// compare finds what the middleware has changed. If the middleware has replaced or read the body,
// compare reads the rest, unless a mounted handler reads it. It runs on the middleware's
// goroutine.
func (in *inner) compare() error {
	p := in.bridge.passage
	came, req := &p.came, in.req
	c := &changes{}
	changed := false
	if u := req.URL; u != nil && (u.Path != came.url.Path || u.RawPath != came.url.RawPath || u.RawQuery != came.url.RawQuery) {
		changed = true
		c.target, c.path, c.query = []byte(u.RequestURI()), []byte(u.EscapedPath()), []byte(u.RawQuery)
	}
	if req.URL != nil && req.URL.Scheme != came.url.Scheme {
		changed, c.scheme = true, req.URL.Scheme
	}
	if req.Host != came.host {
		changed, c.host = true, []byte(req.Host)
	}
	if req.Method != came.verb && came.verb != http.MethodHead { // the answer to HEAD has no body, whatever the handler sees
		changed, c.method = true, []byte(req.Method)
	}
	if req.RemoteAddr != came.remote {
		changed, c.remote = true, req.RemoteAddr
	}
	if !maps.EqualFunc(req.Header, came.header, slices.Equal) {
		changed, c.fields = true, fieldsOf(req.Header)
	}
	if !in.bodyIsSame() && !p.route.mounted {
		var err error
		if c.body, err = in.readBody(); err != nil {
			return err
		}
		changed, c.hasBody = true, true
	}
	if changed {
		in.changes = c
	}
	return nil
}

// fieldsOf makes fields of a header.
func fieldsOf(h http.Header) []Field {
	fields := make([]Field, 0, len(h)+1)
	for _, name := range sortedNames(h) {
		for _, value := range h[name] {
			fields = append(fields, Field{Name: []byte(name), Value: []byte(value)})
		}
	}
	return fields
}

// bodyIsSame reports whether the handler can get the body as it came.
func (in *inner) bodyIsSame() bool {
	if in.req.Body != in.bridge.passage.came.body {
		return false
	}
	b, ok := in.req.Body.(*requestBody)
	return !ok || b.untouched()
}

func (b *requestBody) untouched() bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return !b.closed && !b.read
}

// readBody reads a body for a handler that gets it whole.
func (in *inner) readBody() ([]byte, error) {
	if in.req.Body == nil {
		return nil, nil
	}
	limit := in.bridge.server.options.UnpackMax
	if limit <= 0 {
		limit = UnpackMax
	}
	var b bytes.Buffer
	_, err := io.Copy(&b, io.LimitReader(in.req.Body, limit+1))
	var tooLong *http.MaxBytesError
	switch {
	case errors.As(err, &tooLong):
		return nil, &StatusError{Status: http.StatusRequestEntityTooLarge, Cause: err}
	case errors.Is(err, http.ErrBodyReadAfterClose):
		return nil, nil // the middleware has closed it: nothing is left
	case err != nil:
		return nil, &StatusError{Status: http.StatusBadRequest, Text: "the body cannot be read", Cause: err}
	case int64(b.Len()) > limit:
		return nil, Errorf(http.StatusRequestEntityTooLarge, "the body is longer than %d octets after middleware has unpacked it", limit)
	}
	return b.Bytes(), nil
}

// mountedCode is the code of each Handler that HTTP returns.
var mountedCode = reflect.ValueOf(HTTP(http.NotFoundHandler())).Pointer()

// isMounted reports whether HTTP has made the handler.
func isMounted(h Handler) bool { return reflect.ValueOf(h).Pointer() == mountedCode }

// apply makes the changes in the call. restore undoes them at the end of the handler's run,
// unless a stream still has to be sent.
func (in *inner) apply(r *Request) (restore func(streams bool)) {
	in.useContext(r)
	c := in.changes
	if c == nil || r.route == r.server.chain.unrouted {
		return func(bool) {}
	}
	r.untouch()
	was := asItCame{r.method, r.target, r.path, r.query, r.host, r.fields, r.body, r.unpacked, r.reader, r.remote, r.scheme}
	r.came = &was
	if c.path != nil {
		r.target, r.path, r.query = c.target, c.path, c.query
	}
	if c.method != nil {
		r.method = c.method
	}
	if c.host != nil {
		r.host = c.host
	}
	if c.scheme != "" {
		r.scheme = c.scheme
	}
	if c.remote != "" {
		r.remote = &namedRemote{r.remote, c.remote}
	}
	if c.fields != nil {
		r.fields = c.withFraming(r.fields)
	}
	if c.hasBody {
		r.body, r.unpacked, r.reader = c.body, nil, nil
	}
	return func(streams bool) {
		if !streams {
			r.untouch()
		}
	}
}

// withFraming adds the fields of the wire that net/http does not put into the header.
func (c *changes) withFraming(old []Field) []Field {
	for _, f := range old {
		switch http.CanonicalHeaderKey(string(f.Name)) {
		case "Host", "Transfer-Encoding", "Trailer":
			c.fields = append(c.fields, f)
		}
	}
	return c.fields
}

// asItCame has what changes replace in a call.
type asItCame struct {
	method, target, path, query, host []byte
	fields                            []Field
	body, unpacked                    []byte
	reader                            *bodyReader
	remote                            Remote
	scheme                            string
}

// untouch undoes what middleware has changed.
func (r *Request) untouch() {
	if was := r.came; was != nil {
		r.method, r.target, r.path, r.query, r.host = was.method, was.target, was.path, was.query, was.host
		r.fields, r.body, r.unpacked, r.remote, r.scheme = was.fields, was.body, was.unpacked, was.remote, was.scheme
		r.reader = was.reader
		r.came = nil
	}
}

// namedRemote is the address of a client that a middleware has set, for example to what a proxy
// says.
type namedRemote struct {
	Remote
	address string
}

func (n *namedRemote) RemoteAddr() net.Addr { return namedAddr(n.address) }

func (n *namedRemote) TLS() *tls.ConnectionState {
	if s, ok := n.Remote.(secured); ok {
		return s.TLS()
	}
	return nil
}

type namedAddr string

func (namedAddr) Network() string  { return "tcp" }
func (a namedAddr) String() string { return string(a) }
