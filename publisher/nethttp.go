package publisher

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"

	"zamqp/publisher/http1"
)

// HTTP mounts a net/http handler or router as a [Handler]. It runs on a goroutine
// of its own, as under net/http, so that it may wait and compute; the call waits
// for it without holding the loop. The handler finds the call by [FromContext],
// to publish in its transaction. Its request's context ends when the client has
// gone, when the call is older than server.call_timeout, and when a drain runs
// out of time.
//
// The answer is held until the handler has returned and the call has committed. If nothing is
// published and no participant has joined, an answer that is flushed or larger than the
// writer's buffer is sent earlier. After that, [Request.Publish] and [Request.Join] fail, and
// so does the call. The call also fails if an answer that must be held is larger than
// [AnswerHeldMax].
//
// A status of 400 or more aborts the transaction; see [Commit]. A message can be
// sent through a mounted handler, too: its method is AMQP, or that of the route
// ([Consumer.Route]), and any status but 200 to 299 is its failure.
//
// The handler can take over the connection ([http.Hijacker]) before anything is answered,
// published, joined or got from a queue. The call is then over: its methods return [ErrOver].
// A drain ends the request's context, and closes the connection if the handler does not.
//
// A body of more than 64 KiB streams, and so does one that has no length and is not here at
// once, and one that waits for 100 Continue: the handler runs as soon as the head is here, and
// reads the rest as it comes. Then [ErrConflict] is answered with 409, because the call cannot
// run again.
//
//go:noinline
func HTTP(h http.Handler) Handler { // not inlined, because isMounted knows its code
	return func(r *Request) error {
		if r.inner != nil {
			return r.inner.mounted(h)
		}
		return newBridge(r).mount(h)
	}
}

// mount runs h on a goroutine of its own, and makes what it writes the call's answer.
func (b *bridge) mount(h http.Handler) error {
	r := b.call
	outer := b.outer()
	req, err := outer.HTTPRequest()
	if err != nil {
		b.returned = true
		return errors.Join(b.serve(), errTarget)
	}
	w := &hijackWriter{}
	w.open(outer)
	if b.passage != nil {
		b.passage.remember(req)
	}
	b.server.workers.start(mountedRun{b, h, w, req})
	err = b.serve()
	switch {
	case b.taken != nil:
		return nil // there is no connection left to answer on
	case b.passage != nil:
		return b.passage.finish(w, r, err)
	}
	return w.finish(r, err)
}

// Inline mounts a net/http handler that never blocks and never computes for long: it runs on
// the loop's thread, as a [Handler] does, and saves the cost of the goroutine of [HTTP]. If
// it blocks, it holds up the whole server. To wait, it uses the methods of the call. Only its
// own goroutine may use the writer and the request. The whole body is here before it runs,
// unless the route is marked as [Streaming]. The whole answer is held until the commit.
func Inline(h http.Handler) Handler {
	return func(r *Request) error {
		req, err := r.HTTPRequest()
		if err != nil {
			return errTarget
		}
		w := &responseWriter{}
		w.open(r)
		err = serveGuarded(h, w, req)
		w.close()
		return w.finish(r, err)
	}
}

var errTarget = Errorf(http.StatusBadRequest, "the request target is malformed")

// httpServer is in the context of each request, as under net/http. httputil.ReverseProxy cuts
// an answer that it cannot complete only if it finds a server there.
var httpServer = &http.Server{}

// HTTPRequest returns the request in net/http's type. It is a copy, except the body, which is
// valid only until the call is over.
func (r *Request) HTTPRequest() (*http.Request, error) {
	r.makePath()
	u, err := url.ParseRequestURI(string(r.target))
	if err != nil {
		return nil, err
	}
	req := &http.Request{
		Method: r.Method(), URL: u, Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Header: r.Headers(), Body: http.NoBody, ContentLength: int64(len(r.body)),
		Host: r.Host(), RemoteAddr: r.RemoteAddr(), RequestURI: string(r.target), Pattern: r.Pattern(),
		Close: r.protocol.closes, TLS: r.TLS(),
	}
	if r.scheme != "" || !r.source.hasClient() && req.Host != "" {
		u.Scheme, u.Host = r.Scheme(), req.Host
	}
	if minor := r.protocol.minor; minor != 1 {
		req.Proto, req.ProtoMinor = "HTTP/1."+strconv.Itoa(int(minor)), int(minor)
	}
	if len(r.fields) > 0 { // the fields that came over the wire
		r.moveFraming(req)
	}
	switch {
	case r.reader != nil:
		req.Body = &requestBody{from: r.reader, call: r}
		if req.ContentLength >= 0 {
			req.ContentLength = int64(r.expected)
		}
	case len(r.body) > 0 || req.ContentLength < 0:
		req.Body = &requestBody{rest: r.body, call: r}
	}
	if r.route != nil {
		for _, name := range r.route.names {
			req.SetPathValue(name, r.PathValue(name))
		}
	}
	ctx := context.WithValue(r.Context(), http.ServerContextKey, httpServer)
	if l, ok := r.remote.(local); ok {
		if addr := l.LocalAddr(); addr != nil {
			ctx = context.WithValue(ctx, http.LocalAddrContextKey, addr)
		}
	}
	req = req.WithContext(withRequest(ctx, r))
	if body, ok := req.Body.(*requestBody); ok && req.ContentLength < 0 {
		body.request = req
	}
	return req, nil
}

// local is a [Remote] that also knows this side's address.
type local interface{ LocalAddr() net.Addr }

// requestBody reads the body of a request. As in net/http, several goroutines may use it.
type requestBody struct {
	mu      sync.Mutex
	from    io.Reader // of a body that streams
	rest    []byte    // of another one
	call    *Request
	request *http.Request // gets the trailer fields at the end; nil if there can be none
	read    bool          // something was
	closed  bool
}

func (b *requestBody) Read(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.read = true
	switch {
	case b.closed:
		return 0, http.ErrBodyReadAfterClose
	case b.from != nil:
		n, err := b.from.Read(p)
		if err == io.EOF {
			b.end()
		}
		return n, err
	case len(b.rest) == 0:
		b.end()
		return 0, io.EOF
	}
	n := copy(p, b.rest)
	b.rest = b.rest[n:]
	return n, nil
}

// end puts the trailer fields into the request, as net/http does when the body was read to its
// end.
func (b *requestBody) end() {
	req := b.request
	if b.request = nil; req == nil {
		return
	}
	for _, f := range b.call.trailerFields() {
		if req.Trailer == nil {
			req.Trailer = http.Header{}
		}
		req.Trailer.Add(string(f.Name), string(f.Value))
	}
}

func (b *requestBody) Close() error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.closed = true
	return nil
}

// moveFraming removes the fields from the header that net/http keeps elsewhere. Of the trailer
// fields that are announced the request has the names; see requestBody.
func (r *Request) moveFraming(req *http.Request) {
	h := req.Header
	h.Del("Host")
	if len(h["Transfer-Encoding"]) > 0 {
		h.Del("Transfer-Encoding")
		req.TransferEncoding, req.ContentLength = []string{"chunked"}, -1
		for _, list := range h["Trailer"] {
			for name := range strings.SplitSeq(list, ",") {
				if name = http.CanonicalHeaderKey(strings.TrimSpace(name)); name == "" || http1.IsFraming(name) || name == "Trailer" {
					continue
				}
				if req.Trailer == nil {
					req.Trailer = http.Header{}
				}
				req.Trailer[name] = nil
			}
		}
		h.Del("Trailer")
	}
	if len(h["Pragma"]) > 0 && h["Pragma"][0] == "no-cache" && len(h["Cache-Control"]) == 0 {
		h["Cache-Control"] = []string{"no-cache"} // RFC 7234 §5.4, as net/http does it
	}
}
