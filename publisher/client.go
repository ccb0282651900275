package publisher

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"time"

	"zamqp/loop/coro"
)

// A ClientOption changes one thing of a [Request.Client].
type ClientOption func(*callTransport)

// Retries makes a client send a request again, up to n times, when its host cannot be reached
// or answers 502, 503 or 504. It does so only for requests that may be made twice: those with
// the methods GET, HEAD, OPTIONS, TRACE, PUT and DELETE, and those with a field
// Idempotency-Key. http.NewRequest must be able to give the body again. Between two tries the
// call waits 100 ms at first and twice as long each time, or as long as Retry-After says if
// that is at most 10 s.
func Retries(n int) ClientOption { return func(t *callTransport) { t.retries = n } }

// Client returns a client of net/http for this call. In a handler on the loop a request parks
// the call until its answer has come, and so does reading the answer's body. On other
// goroutines, those of [HTTP] and of [Request.Offload], it blocks only that goroutine.
// Connections belong to the server and are shared by all calls.
//
// The request ends with the call's [Request.Context]. It gets the call's header fields
// X-Request-Id, Traceparent and Tracestate, unless the request sets them itself. At most
// client.host_max requests to one host are under way. Others wait until answers have been
// read or closed. If a host cannot be reached, the error is an [ErrUnavailable].
//
// When the call is over, the unread rest of an answer is dropped. The client is for this call
// alone.
func (r *Request) Client(options ...ClientOption) *http.Client {
	t := &callTransport{r: r, server: r.server, ctx: r.Context(), span: r.span, hasClient: r.source.hasClient()}
	for _, name := range passedOn {
		value := r.Header(name)
		if name == "X-Request-Id" && r.server.ids {
			value = r.RequestID()
		}
		if value != "" {
			t.fields = append(t.fields, answerField{name, value})
		}
	}
	for _, o := range options {
		o(t)
	}
	return &http.Client{Transport: t}
}

// passedOn are the fields of a call that its requests get.
var passedOn = [...]string{"X-Request-Id", "Traceparent", "Tracestate"}

// callTransport is the http.RoundTripper of one call.
type callTransport struct {
	r         *Request // for the call's own coroutines and goroutines only
	server    *Server
	ctx       context.Context // it has ended before r becomes another call
	span      CallSpan
	hasClient bool
	fields    []answerField
	retries   int
}

// place says where a round trip runs.
type place uint8

const (
	onLoop  place = iota // a strand of the call: it parks
	mounted              // a goroutine of a mounted handler: it waits through its bridge
	beside               // any other goroutine: it blocks
)

// where says on what kind of goroutine the caller runs.
func (t *callTransport) where() (place, error) {
	if t.ctx.Err() != nil {
		return 0, context.Cause(t.ctx)
	}
	switch self := coro.Self(); {
	case t.r.toCall != nil:
		return mounted, nil
	case self != 0 && t.r.owner.Load() == self:
		return onLoop, nil
	case !t.server.tasks.Inside():
		return beside, nil
	case self == 0: // this coroutine may be another call's
		return onLoop, nil
	}
	return 0, ErrForeign
}

// RoundTrip sends a request, again if [Retries] allows it, and returns the answer.
func (t *callTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	at, err := t.where()
	if err != nil {
		if req.Body != nil {
			_ = req.Body.Close()
		}
		return nil, err
	}
	x := &roundTrip{t: t, at: at, in: req, host: req.URL.Host}
	for try := 0; ; try++ {
		x.try = try
		resp, err := x.once()
		if try >= t.retries || !x.repeatable(resp, err) {
			return resp, err
		}
		pause := retryPause(resp, try)
		if resp != nil {
			_ = resp.Body.Close()
		}
		if err := x.sleep(pause); err != nil {
			return nil, err
		}
		t.server.outgoing.count(func(o *outgoing) { o.retried++ })
	}
}

// roundTrip is one request of a client, with all its tries.
type roundTrip struct {
	t    *callTransport
	at   place
	in   *http.Request
	host string
	body []byte // a copy of a body in memory: the transport may read it after the call
	read bool   // body has been copied
	try  int    // 0 for the first
}

// context returns the context that ends the round trip besides the request's own.
func (x *roundTrip) context() context.Context {
	if x.at == beside {
		return x.t.ctx
	}
	return x.t.r.Context()
}

// once makes one try.
func (x *roundTrip) once() (*http.Response, error) {
	o := x.t.server.outgoing
	slot, err := x.slot(o)
	if err != nil {
		return nil, err
	}
	outer := x.context()
	ctx, cancel := context.WithCancelCause(x.in.Context())
	stop := context.AfterFunc(outer, func() {
		cancel(context.Cause(outer))
		slot.release()
	})
	end := func() {
		stop()
		cancel(nil)
		slot.release()
	}
	var resp *http.Response
	var whole []byte
	var failed error // of reading the body
	err = x.elsewhere(func() (err error) {
		if resp, err = x.sendTraced(ctx, o); err != nil {
			return err
		}
		if resp.StatusCode != http.StatusSwitchingProtocols && resp.ContentLength >= 0 && resp.ContentLength <= bodyAhead {
			whole, failed = io.ReadAll(resp.Body)
			_ = resp.Body.Close()
		}
		return nil
	})
	switch {
	case err != nil:
		cause := context.Cause(ctx)
		end()
		return nil, x.failure(err, cause)
	case resp.StatusCode == http.StatusSwitchingProtocols:
		if x.at == onLoop {
			end()
			return nil, fmt.Errorf("host %s has switched protocols, which a handler on the loop cannot use: mount it by publisher.HTTP", x.host)
		}
		slot.release()
	case resp.ContentLength >= 0 && resp.ContentLength <= bodyAhead:
		end()
		resp.Body = &aheadBody{Reader: bytes.NewReader(whole), err: failed}
	default:
		resp.Body = &clientBody{x: x, from: resp.Body, end: end}
	}
	return resp, nil
}

// sendTraced sends the request with its header fields, in a span of its own if the call is traced. It
// runs on a goroutine that may block.
func (x *roundTrip) sendTraced(ctx context.Context, o *outgoing) (*http.Response, error) {
	out := x.in.Clone(ctx)
	if out.Header == nil {
		out.Header = http.Header{}
	}
	var end func(int, error)
	if _, own := out.Header["Traceparent"]; x.t.span != nil && !own {
		end = x.t.span.Fetch(out, x.try)
	}
	for _, f := range x.t.fields {
		if _, set := out.Header[f.name]; !set {
			out.Header.Set(f.name, f.value)
		}
	}
	resp, err := x.send(out, o)
	if end != nil {
		status := 0
		if err == nil {
			status = resp.StatusCode
		}
		end(status, err)
	}
	return resp, err
}

// send gives the request to the transport.
func (x *roundTrip) send(out *http.Request, o *outgoing) (*http.Response, error) {
	if x.in.Body == nil || x.in.Body == http.NoBody {
		return o.transport.Load().RoundTrip(out)
	}
	if x.in.GetBody == nil && x.at == mounted { // what it reads from a call stays valid: see bridge
		return o.transport.Load().RoundTrip(out)
	}
	if x.in.GetBody == nil { // the body can be read only once
		cut := &cutBody{from: x.in.Body}
		out.Body = cut
		defer cut.cut()
		return o.transport.Load().RoundTrip(out)
	}
	if !x.read {
		body, err := io.ReadAll(x.in.Body)
		_ = x.in.Body.Close()
		if err != nil {
			return nil, err
		}
		x.body, x.read = body, true
	}
	out.GetBody = func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(x.body)), nil }
	out.Body, _ = out.GetBody()
	return o.transport.Load().RoundTrip(out)
}

// failure returns the error of a round trip.
func (x *roundTrip) failure(err, cause error) error {
	x.t.server.outgoing.count(func(o *outgoing) { o.failed++ })
	switch {
	case errors.Is(cause, context.DeadlineExceeded):
		return fmt.Errorf("host %s has not answered in time: %w", x.host, cause)
	case cause != nil:
		return cause
	}
	return fmt.Errorf("%w: host %s: %w", ErrUnavailable, x.host, err)
}

// repeatable reports whether the request may be sent again.
func (x *roundTrip) repeatable(resp *http.Response, err error) bool {
	req := x.in
	switch req.Method {
	case "", http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodTrace, http.MethodPut, http.MethodDelete:
	default:
		if req.Header.Get("Idempotency-Key") == "" {
			return false
		}
	}
	if req.Body != nil && req.Body != http.NoBody && req.GetBody == nil {
		return false
	}
	if err != nil {
		var full *StatusError
		return errors.Is(err, ErrUnavailable) && !errors.As(err, &full)
	}
	switch resp.StatusCode {
	case http.StatusBadGateway, http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	}
	return false
}

// Bounds of the pauses between tries.
const (
	retryPauseMin = 100 * time.Millisecond
	retryPauseMax = 10 * time.Second
)

func retryPause(resp *http.Response, try int) time.Duration {
	if resp != nil {
		if n, err := strconv.Atoi(resp.Header.Get(retryAfter)); err == nil && n >= 0 && n <= int(retryPauseMax/time.Second) {
			return max(time.Duration(n)*time.Second, retryPauseMin)
		}
	}
	return min(retryPauseMin<<min(try, 10), retryPauseMax)
}

// sleep waits before the next try.
func (x *roundTrip) sleep(d time.Duration) error {
	if x.at != beside {
		return x.t.r.Sleep(d)
	}
	select {
	case <-time.After(d):
		return nil
	case <-x.t.ctx.Done():
		return context.Cause(x.t.ctx)
	case <-x.in.Context().Done():
		return context.Cause(x.in.Context())
	}
}

// elsewhere runs fn on a goroutine that may block, and waits for its end.
func (x *roundTrip) elsewhere(fn func() error) error {
	if x.at != onLoop {
		return fn()
	}
	r := x.t.r
	over := false
	err := errOffloadExit
	s := r.running
	r.server.runtime.Offload(0, func() { err = guardAs("a request's body", fn) }, func() { over = true; s.wake() })
	for !over {
		r.park()
	}
	return err
}
