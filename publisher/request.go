package publisher

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"zamqp/amqpproto"
	"zamqp/publisher/http1"
)

// A Field is a header field of a request, as views into the request.
type Field = http1.Field

// A Remote knows the address of the peer.
type Remote interface{ RemoteAddr() net.Addr }

// A Request is one call: an HTTP request or a message, with its transaction and its
// response. It looks the same for both.
//
// A Request is pooled. Do not use it, or byte slices from it, after the call is over.
// Strings from it are copies, and stay valid.
type Request struct {
	server   *Server
	door     Door
	source   source
	route    *Route
	consumer *consuming
	handler  Handler
	parts    [][]byte // the parts that the route's wildcards matched, escaped

	arena  []byte // the head of the request, copied once
	method []byte
	target []byte
	path   []byte // escaped, without query
	query  []byte
	host   []byte
	fields []Field
	body   []byte
	remote Remote
	scheme string // the scheme that a trusted proxy reports; "" without one
	prefix []byte // the prefix of the paths, from the same proxy
	user   string
	// requestID is valid only if the server has ids: it is a view into the call.
	requestID []byte
	client    clientAddr // from the same proxy
	protocol

	large    amqpproto.Collector // for a large body that is being received
	expected int                 // its declared length, 0 = none
	counted  int                 // octets of body that the server's count includes
	unpacked []byte              // the body without its content encoding, once it was asked for
	incoming *incoming           // the body, if it still comes while the call runs
	reader   *bodyReader         // reads incoming
	trailers []Field             // fields behind the body

	message   Message
	props     amqpproto.Properties
	delivered bool // message and props are set, or were set for an earlier call

	response Response
	tx       Tx

	owner     atomic.Uintptr // the goroutine that runs the call; 0 for none
	main      strand         // the handler's strand
	running   *strand        // the strand that has the thread, or had it last
	children  *children      // nil without any
	socket    *Socket        // nil unless the call serves a WebSocket
	label     *string        // for the watchdog: the name of what holds the thread
	started   time.Time
	began     time.Time  // by the clock, if there is an access log
	times     *Histogram // of calls of this source and handler; nil = not measured
	scheduled time.Time  // the time of the tick; zero for calls that no clock has made
	bridge    *bridge    // the way to a mounted handler on a goroutine of its own
	inner     *inner     // the handler's run inside of middleware
	came      *asItCame  // what middleware has changed of the request; nil for nothing
	toCall    *bridge    // in the request that such a handler got: the way back to the call
	lent      bool       // such a handler has views of arena and body, so their memory is not reused
	entered   int        // how many middleware of Use the handler's run is inside of
	slot      int        // in the server's list of live calls
	live      bool
	limited   bool // it has a limit of its own, see limit
	watches   bool // counted in server.watching
	cancelled error
	told      bool // a wait has ended with ErrDraining
	ctx       context.Context
	cancelCtx context.CancelCauseFunc
	span      CallSpan // nil without a tracer
	outcome   Outcome
}

// Origin returns where the request comes from.
func (r *Request) Origin() Origin { return r.source.origin() }

// Method is the HTTP method, "AMQP" for a message, or the route's method for a message that
// runs a route ([Consumer.Route]).
func (r *Request) Method() string {
	switch string(r.method) { // the compiler makes no copy for these
	case "GET":
		return "GET"
	case "POST":
		return "POST"
	case "AMQP":
		return "AMQP"
	}
	return string(r.method)
}

// Target returns the request target as it was sent, or the path of a message.
func (r *Request) Target() string {
	r.makePath()
	return string(r.target)
}

// Path is the unescaped path. For a message it is /{connection}/{exchange or
// (default)}/{routing key}, or the path of its consumer's Route.
func (r *Request) Path() string {
	r.makePath()
	if bytes.IndexByte(r.path, '%') < 0 {
		return string(r.path)
	}
	return unescape(string(r.path))
}

// Query returns the parsed query of the target. Pairs that cannot be parsed are left out.
func (r *Request) Query() url.Values {
	values, _ := url.ParseQuery(string(r.query))
	return values
}

// Host is the value of the Host field, or the target's authority. Behind a trusted proxy
// (http.trusted_proxies) it is the host that the client has sent to the proxy. For a message
// it is the host of the base_url of its consuming server, or of site.base_url.
func (r *Request) Host() string {
	if base := r.baseURL(); base != nil && len(r.host) == 0 && !r.source.hasClient() {
		return base.Host
	}
	return string(r.host)
}

// RemoteAddr returns the address of the other end of the connection, host:port, or "" for a
// message. Behind a proxy that is the proxy: see [Request.ClientAddr].
func (r *Request) RemoteAddr() string {
	if r.remote == nil {
		return ""
	}
	return r.remote.RemoteAddr().String()
}

// TLS returns what the TLS handshake of the client's connection has agreed: version, server
// name, the client's certificates. It is nil for a request without TLS, and for a message.
// All requests of the connection share it, so it must not be changed.
func (r *Request) TLS() *tls.ConnectionState {
	if s, ok := r.remote.(secured); ok {
		return s.TLS()
	}
	return nil
}

// secured is a [Remote] whose connection may have TLS.
type secured interface{ TLS() *tls.ConnectionState }

// Scheme is "https" if the client's connection to this server has TLS, and "http" if not.
// Behind a trusted proxy (http.trusted_proxies) it is the scheme of the client's connection
// to the proxy. For a message it is that of the base_url of its consuming server or of
// site.base_url, or "" without one.
func (r *Request) Scheme() string {
	base := r.baseURL()
	switch {
	case r.scheme != "":
		return r.scheme
	case r.TLS() != nil:
		return "https"
	case r.source.hasClient():
		return "http"
	case base != nil:
		return base.Scheme
	}
	return ""
}

// Pattern returns the pattern of the matched route, or "" for a message that has no route.
func (r *Request) Pattern() string {
	if r.route == nil {
		return ""
	}
	return r.route.Pattern
}

// PathValue returns the part of the path that the route's wildcard of that name matched,
// unescaped, or "" if there is no such wildcard.
func (r *Request) PathValue(name string) string {
	if r.route == nil {
		return ""
	}
	for i, known := range r.route.names {
		if known == name && i < len(r.parts) {
			return unescape(string(r.parts[i]))
		}
	}
	return ""
}

// Header returns the value of a header field, the first if there are several. Names are
// compared without case. A message has the fields Content-Type,
// Content-Encoding, Correlation-Id, Reply-To, Message-Id, Type, User-Id,
// App-Id, Expiration, Priority, Delivery-Mode and Timestamp from its
// properties, and those of its headers table that have a simple value.
func (r *Request) Header(name string) string { return r.source.field(r, name) }

// HeaderBytes is Header for an HTTP request, as a view without a copy. It is nil if the
// field is missing, and for a message.
func (r *Request) HeaderBytes(name string) []byte {
	for i := range r.fields {
		if len(r.fields[i].Name) == len(name) && equalFold(r.fields[i].Name, name) {
			return r.fields[i].Value
		}
	}
	return nil
}

// Headers returns a copy of all header fields, in net/http's type.
func (r *Request) Headers() http.Header { return r.source.fields(r) }

// Body returns the whole body as it was sent, compressed or not. It is a view, valid until the
// call is over. [Request.Content] is the body without its compressions.
//
// Of a body that streams (see [Streaming]) it waits for what [Request.BodyReader] has not read
// yet. It is nil if that does not come: then the call fails, whatever the handler returns.
func (r *Request) Body() []byte {
	body, _ := r.whole()
	return body
}

// ContentType returns the media type of the body as it was sent. It is a view, valid until the
// call is over.
func (r *Request) ContentType() []byte {
	if len(r.props.ContentType) > 0 {
		return r.props.ContentType
	}
	return r.HeaderBytes("Content-Type")
}

// Decode fills v from the body by the codec of its content type, for HTTP and AMQP. Before
// that it undoes compressions and converts texts in other character sets to UTF-8. If the
// content type of a message says nothing, the consumer's Codec decodes it. A *[]byte gets the
// octets of a content type without a codec. The error can be returned unchanged: it is a 400,
// or a 415 for an unknown content type or encoding; a message goes to the dead-letter queue.
//
// A body over a MiB is decoded on another goroutine while the call waits, as by
// [Request.Offload]. So an unmarshal method of a handler's type must not use anything that
// other handlers change.
func (r *Request) Decode(v any) error {
	contentType, e, body, err := r.undecoded()
	if err != nil {
		return err
	}
	if len(body) > amqpproto.LargeBody {
		err = r.decodeApart(contentType, e, body, r.server.options.UnpackMax, v)
	} else {
		err = decodeBody(contentType, &e, body, r.server.options.UnpackMax, v)
	}
	return r.explainDecode(contentType, err)
}

// undecoded returns the body without its compressions, and what it is.
func (r *Request) undecoded() (contentType []byte, e contentEncoding, body []byte, err error) {
	if e, err = r.encoding(); err != nil {
		return nil, e, nil, err
	}
	if body, err = r.content(&e); err != nil {
		return nil, e, nil, err
	}
	contentType = r.ContentType()
	if k := r.consumer; k != nil {
		if len(contentType) == 0 && k.HeadersContentType {
			contentType = headersContentType(r.props.Headers)
		}
		if k.Codec != "" && saysNothing(contentType) {
			contentType = view(k.Codec)
		}
	}
	return contentType, e, body, nil
}

// explainDecode adds the remedy to the error of a message without a content type.
func (r *Request) explainDecode(contentType []byte, err error) error {
	if err != nil && len(contentType) == 0 && r.consumer != nil {
		name, _ := SplitInstance(r.message.Consumer)
		err = fmt.Errorf("%w (consumer.%s.codec says how to read such messages)", err, name)
	}
	return err
}

// decodeApart decodes a large body on another goroutine.
func (r *Request) decodeApart(contentType []byte, e contentEncoding, body []byte, limit int64, v any) error {
	return r.apart(func() error { return decodeBody(contentType, &e, body, limit, v) })
}

// Context returns a context that ends when the call is over, when the client has gone, and when
// the server's drain cuts the call off. The context of a [Request.Stream] ends when the drain
// begins, with the cause [ErrDraining]. It may be given to other goroutines, such as the
// function of [Request.Offload].
//
// From the first [Request.Go] until [Request.Wait] has returned, it also ends when a
// child of the call fails.
func (r *Request) Context() context.Context {
	if b := r.toCall; b != nil {
		if ctx := b.childContext.Load(); ctx != nil {
			return *ctx
		}
	}
	if r.ctx == nil {
		parent := context.Background()
		if r.span != nil {
			parent = r.span.Context(parent)
		}
		r.ctx, r.cancelCtx = context.WithCancelCause(parent)
		if r.cancelled != nil {
			r.cancelCtx(r.cancelled)
		}
	}
	return r.ctx
}

// Server returns the server that runs the call.
func (r *Request) Server() *Server { return r.server }

// Now is the time of the loop's turn.
func (r *Request) Now() time.Time {
	if r.toCall != nil {
		return time.Now()
	}
	return r.server.runtime.Now()
}

// count adds the body of a message to the server's count.
func (r *Request) count(n int) {
	r.server.messageOctets += int64(n - r.counted)
	r.counted = n
}

// reserve empties the arena and makes it large enough, so that the memory that keep returns does
// not move.
func (r *Request) reserve(size int) {
	if cap(r.arena) < size {
		r.arena = make([]byte, 0, max(size, 512))
	}
	r.arena = r.arena[:0]
}

func (r *Request) keep(b []byte) []byte {
	start := len(r.arena)
	r.arena = append(r.arena, b...)
	return r.arena[start:len(r.arena):len(r.arena)]
}

// equalFold compares a field name with another of equal length; both are ASCII.
func equalFold(a []byte, b string) bool {
	for i := range a {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if c >= 'A' && c <= 'Z' {
		return c + 'a' - 'A'
	}
	return c
}

// String returns the name of the call for logs.
func (r *Request) String() string { return r.source.name(r) }

// makePath makes the path of a call that has none yet.
func (r *Request) makePath() {
	if r.path == nil {
		r.source.path(r)
	}
}
