package publisher

import (
	"context"
	"fmt"
	"net/http"
	"runtime/debug"
	"sync"
	"sync/atomic"

	"zamqp/amqpproto"
)

// A bridge connects a call, parked on the loop, with its net/http handler, which
// runs on a goroutine of its own. The handler's requests are jobs: the bridge
// brings a job to the loop, the call's task does it there, and the bridge brings
// the result back. Any goroutine may ask, one job after the other, until the
// handler has returned. After that it gets ErrOver.
type bridge struct {
	server *Server
	over   chan struct{} // closed when the handler has returned

	parent          atomic.Bool // the handler has used Go
	childContext    atomic.Pointer[context.Context]
	childGoroutines sync.Map // by coro.Identity

	// Loop thread only.
	call     *Request
	jobs     []*job   // jobs to do, in order
	pauses   []*pause // pauses of goroutines that wait
	full     *pause   // pause of a Write that waits until the client has read more
	returned bool     // the handler has returned
	failure  error    // the handler's panic
	ended    bool
	children bridgeChildren
	passage  *passage  // the call's way through middleware; nil for none
	taken    *hijacked // set when the handler has taken over the connection: the call is over
}

// A job is one thing to be done on the loop.
type job struct {
	fn   func(r *Request) error
	done chan struct{} // closed when err is set
	err  error
}

// newBridge connects a call with its mounted handler. The handler may keep views of the
// call's octets longer than the call lasts.
func newBridge(r *Request) *bridge {
	b := &bridge{server: r.server, call: r, over: make(chan struct{})}
	r.bridge, r.lent = b, true
	r.server.outside++
	return b
}

// outer is the request that the handler gets. It has the call's head and body,
// which do not change. For everything else it asks the bridge.
func (b *bridge) outer() *Request {
	r := b.call
	r.makePath()
	return &Request{
		server: r.server, source: r.source, route: r.route, consumer: r.consumer,
		parts:  append([][]byte(nil), r.parts...),
		method: r.method, target: r.target, path: r.path, query: r.query, host: r.host,
		fields: append([]Field(nil), r.fields...), protocol: r.protocol, scheme: r.scheme, prefix: r.prefix, user: r.user, client: r.client, requestID: r.requestID,
		body: r.body, remote: r.remote, message: r.message, props: r.props, delivered: r.delivered,
		started: r.started, scheduled: r.scheduled, ctx: r.Context(), span: r.span, toCall: b,
		reader: newBodyReader(b), trailers: r.trailers, expected: r.expected,
	}
}

// do runs fn in the call's task and waits for its end. If fn panics, the caller
// panics. fn must not wait.
func (b *bridge) do(fn func(r *Request) error) error {
	if err := b.usable(); err != nil {
		return err
	}
	j := &job{fn: fn, done: make(chan struct{})}
	if !b.server.runtime.Post(func() { b.take(j) }) {
		return ErrShutdown
	}
	select {
	case <-j.done:
	case <-b.server.ended:
		return ErrShutdown
	}
	if p, ok := j.err.(*PanicError); ok {
		panic(p.Value)
	}
	return j.err
}

// do runs fn on the loop's thread with the call itself.
func (r *Request) do(fn func(r *Request) error) error {
	if r.toCall != nil {
		return r.toCall.do(fn)
	}
	if err := r.own(); err != nil {
		return err
	}
	return fn(r)
}

// usable returns an error once it is known here that the handler has returned.
func (b *bridge) usable() error {
	select {
	case <-b.over:
		return ErrOver
	case <-b.server.ended:
		return ErrShutdown
	default:
		return nil
	}
}

// take puts a job into the queue. Loop thread.
func (b *bridge) take(j *job) {
	if b.ended {
		j.err = ErrOver
		close(j.done)
		return
	}
	b.jobs = append(b.jobs, j)
	b.call.wake()
}

// work does the jobs that wait. It is called in the call's task.
func (b *bridge) work() {
	for len(b.jobs) > 0 {
		j := b.jobs[0]
		b.jobs[0] = nil
		b.jobs = b.jobs[1:]
		if j.err = ErrOver; b.taken == nil {
			j.err = guard(func() error { return j.fn(b.call) })
		}
		close(j.done)
	}
}

// serve is the call's task while the handler runs. It does the jobs until the
// handler has returned and no job is left.
func (b *bridge) serve() error {
	r := b.call
	for {
		b.work()
		if b.passage.enter(r) {
			continue
		}
		if b.returned || b.taken != nil {
			break
		}
		r.park()
	}
	b.ended, b.full = true, nil
	b.server.outside--
	r.bridge = nil
	for _, p := range append([]*pause(nil), b.pauses...) {
		if !p.firm {
			p.cut(ErrOver)
		}
	}
	return b.failure
}

// run calls the handler on a worker's goroutine. It returns false if the loop has ended,
// and not at all if the handler ends the goroutine.
func (b *bridge) run(on *worker, h http.Handler, w *hijackWriter, req *http.Request) (goesOn bool) {
	var failure error
	returned := false
	defer func() {
		exits := false
		if !returned {
			value := recover()
			exits, failure = value == nil, panicOf(value)
		}
		failure = b.joinChildren(failure)
		w.close()
		close(b.over)
		goesOn = b.server.runtime.Post(func() {
			if !exits {
				b.server.workers.rest(on)
			}
			b.end(w.r, failure)
		})
	}()
	h.ServeHTTP(w, req)
	returned = true
	return true
}

// end is called when the handler has returned. Loop thread.
func (b *bridge) end(outer *Request, failure error) {
	b.returned, b.failure = true, failure
	if b.taken == nil {
		if b.call.inner != nil {
			b.call.cancel(errAbandoned)
		}
		b.call.wake()
		return
	}
	b.taken.cancel(ErrOver) // the call is over, and another call may use its request
	b.server.hijackerEnded(outer.Pattern(), failure)
}

// panicOf is the failure of a handler that ended without returning. A nil value
// means runtime.Goexit.
func panicOf(value any) error {
	switch value {
	case nil:
		return &PanicError{Value: "runtime.Goexit was called", Stack: debug.Stack()}
	case http.ErrAbortHandler:
		return http.ErrAbortHandler
	}
	return &PanicError{Value: value, Stack: debug.Stack()}
}

// hold makes a pause for the calling goroutine.
func (b *bridge) hold() (*pause, error) {
	p := &pause{bridge: b, done: make(chan struct{})}
	return p, b.do(func(r *Request) error { return b.begin(r, p) })
}

func (b *bridge) begin(r *Request, p *pause) error {
	if r.interrupted() && !p.ignores(r.cancelled) {
		r.told = r.cancelled == ErrDraining
		return r.cancelled
	}
	b.pauses = append(b.pauses, p)
	b.server.outside--
	return nil
}

// wait waits for the end of a pause.
func (b *bridge) wait(p *pause) error {
	select {
	case <-p.done:
		return p.err
	case <-b.server.ended:
		return ErrShutdown
	}
}

// await is [Request.await] for a goroutine.
func (b *bridge) await(start func(r *Request, p *pause) error) error {
	return b.awaitAs(&pause{}, start)
}

func (b *bridge) awaitAs(p *pause, start func(r *Request, p *pause) error) error {
	p.bridge, p.done = b, make(chan struct{})
	err := b.do(func(r *Request) error {
		if err := b.begin(r, p); err != nil {
			return err
		}
		err := guard(func() error { return start(r, p) })
		if err != nil {
			p.end(err)
		}
		return err
	})
	if err != nil {
		return err
	}
	return b.wait(p)
}

// resume lets the goroutine of a pause continue. Loop thread.
func (b *bridge) resume(p *pause) {
	for i, known := range b.pauses {
		if known == p {
			last := len(b.pauses) - 1
			b.pauses[i] = b.pauses[last]
			b.pauses[last] = nil
			b.pauses = b.pauses[:last]
			break
		}
	}
	if b.full == p {
		b.full = nil
	}
	b.server.outside++
	close(p.done)
}

// cancel ends the waits of the handler's goroutines.
func (b *bridge) cancel(cause error) {
	for _, p := range append([]*pause(nil), b.pauses...) {
		if !p.ignores(cause) {
			b.call.told = cause == ErrDraining
			p.cut(cause)
		}
	}
}

// room is called when the client has read enough, or has gone.
func (b *bridge) room() {
	if b.full != nil {
		b.full.end(nil)
	}
}

// offload is [Request.OffloadTo]. fn may use the goroutine's stack, so nothing
// ends this wait while fn runs.
func (b *bridge) offload(pool string, fn func() error) error {
	return b.awaitAs(&pause{}, func(r *Request, p *pause) error {
		to, err := r.server.poolOf(pool)
		if err != nil {
			return err
		}
		w := &offloaded{r: r, fn: fn, rank: r.rank(), pause: p}
		p.stop = func() { to.leave(w) } // not called once fn runs
		return to.start(w)
	})
}

// replyAs encodes v on this goroutine, because the encoder may be the handler's code.
func (b *bridge) replyAs(status int, c Codec, v any) error {
	if err := b.usable(); err != nil {
		return err
	}
	body, err := c.Append(nil, v)
	if err != nil {
		return fmt.Errorf("reply: %w", err)
	}
	return b.do(func(r *Request) error {
		r.response.Body = body
		return r.answer(status, c.ContentType(), body)
	})
}

// publish encodes v on this goroutine, because the encoder may be the handler's
// code. Then it adds the publish to the transaction. After a failure the commit
// fails too, even if the handler ignores the error.
func (b *bridge) publish(producer string, v any, options []Option) error {
	body, failed := b.server.claimed(producer, v, options)
	own := append([]Option(nil), options...) // without the copy, the options of every caller would be allocated
	err := failed
	carried := b.do(func(r *Request) error {
		switch {
		case r.response.begun:
			err = ErrSent
		case err == nil:
			err = r.publish(producer, body, own)
		}
		if r.tx.err == nil && err != nil {
			r.tx.err = fmt.Errorf("publish %s: %w", producer, err)
		}
		return nil
	})
	if carried != nil {
		err = carried
	}
	if err != nil {
		return fmt.Errorf("publish %s: %w", producer, err)
	}
	return nil
}

// claimed returns the body of a publish of v: a []byte, or an ownBody if it is
// large. Any goroutine may call it.
func (s *Server) claimed(producer string, v any, options []Option) (any, error) {
	body, err := s.encode(producer, v, options)
	if len(body) <= amqpproto.LargeBody {
		return body, err
	}
	if _, raw := v.([]byte); raw {
		body = cloneBody(body) // here, not on the loop
	}
	return ownBody(body), err
}

// encode returns the body before its compression.
func (s *Server) encode(producer string, v any, options []Option) ([]byte, error) {
	p := s.producers[producer]
	if p == nil {
		return nil, nil // the publish itself reports this
	}
	codec, typed := p.codec, false
	for i := range options {
		if o := &options[i]; o.kind == optContentType {
			c, err := codecFor(view(o.text))
			if _, isText := v.(string); err != nil && !isText {
				if _, isRaw := v.([]byte); !isRaw {
					return nil, err
				}
			}
			codec, typed = c, true
		}
	}
	switch v := v.(type) {
	case []byte:
		return v, nil
	case string:
		if typed && len(v) > amqpproto.LargeBody {
			return view(v), nil // nobody writes to it
		}
		if typed {
			return []byte(v), nil
		}
	}
	return codec.Append(nil, v)
}
