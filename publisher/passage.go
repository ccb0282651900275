package publisher

import (
	"context"
	"errors"
	"net/http"
	"strings"

	"zamqp/publisher/http1"
)

// A passage is the way of a call through middleware. The middleware runs on the
// goroutines of a bridge; where it calls its innermost handler, the call's own handler
// runs: see inner.
type passage struct {
	bridge *bridge
	route  *Route // of the call
	came   cameAs // the request as it came, before any middleware has changed it

	// Loop thread only.
	waiting  []*inner    // runs of the handler that have not begun
	failed   error       // of the handler; the chain has answered it
	panicked *PanicError // of the handler, with its own stack
	fatal    error       // fails the call, whatever the chain has answered
	socket   *Socket     // its handler runs after the middleware
	streams  bool        // the answer is a stream, which the call itself sends after the commit
}

var (
	errContext   = errors.New("a middleware given to UseHTTP has replaced the request's context: derive the new one from the old one")
	errAbandoned = Errorf(http.StatusServiceUnavailable, "a middleware has returned before the handler")
	errTwice     = errors.New("a middleware has called the handler again after it had failed")
)

// run is the handler of a call that passes through the chain.
func (c *chain) run(r *Request, h http.Handler) error {
	r.untouch() // when it runs again, after a conflict
	b := newBridge(r)
	b.passage = &passage{bridge: b, route: r.route}
	return b.mount(h)
}

// bridgeOf finds the bridge of a request in the chain.
func bridgeOf(req *http.Request) *bridge {
	r := FromContext(req.Context())
	if r == nil || r.toCall == nil || r.toCall.passage == nil {
		panic(errContext)
	}
	return r.toCall
}

// dispatch is the innermost handler of the chain. It has the call's own handler run, and
// writes its answer.
func (c *chain) dispatch(w http.ResponseWriter, req *http.Request) {
	b := bridgeOf(req)
	in := &inner{bridge: b, w: w, req: req, asks: make(chan func(), 1), done: make(chan struct{})}
	if err := in.compare(); err != nil {
		status, text := statusOf(err)
		http.Error(w, text, status)
		return
	}
	if !b.server.runtime.Post(func() { b.passage.wait(in) }) {
		return
	}
	if ctx := req.Context(); ctx.Done() != b.passage.came.ctx.Done() {
		defer context.AfterFunc(ctx, func() {
			b.server.runtime.Post(func() { in.cancel(context.Cause(ctx)) })
		})()
	}
	for {
		select {
		case ask := <-in.asks:
			ask()
		case <-in.done:
			in.write()
			return
		case <-b.server.ended:
			return
		}
	}
}

// wait puts a run of the handler into the line. Loop thread.
func (p *passage) wait(in *inner) {
	if p.bridge.ended {
		in.refuse()
		return
	}
	p.waiting = append(p.waiting, in)
	p.bridge.call.wake()
}

// enter runs the handler for the first run that waits, and reports whether there was one. It is
// called in the call's task.
func (p *passage) enter(r *Request) bool {
	if p == nil || len(p.waiting) == 0 {
		return false
	}
	in := p.waiting[0]
	p.waiting = p.waiting[1:]
	if p.bridge.returned || p.bridge.taken != nil {
		in.refuse()
	} else {
		in.run(r)
	}
	return true
}

// finish makes what the chain has written the call's answer. failure is how the chain
// ended if it did not return.
func (p *passage) finish(w *hijackWriter, r *Request, failure error) error {
	switch {
	case p.fatal != nil:
		failure = p.fatal
	case failure != nil && p.panicked != nil:
		failure = p.panicked
	}
	if p.socket != nil {
		if failure == nil && w.implicit && !w.begun {
			return p.finishSocket(w, r)
		}
		r.socket = nil // the chain has answered by itself
	}
	if p.streams {
		if failure == nil && w.implicit && !w.begun {
			return p.finishStream(w, r)
		}
		r.response.dropFile() // the chain has answered by itself
	}
	err := w.finish(r, failure)
	if err == nil && p.failed != nil {
		return &answered{p.failed}
	}
	return err
}

// finishSocket runs the handler of a WebSocket, after the chain has let its request pass.
func (p *passage) finishSocket(w *hijackWriter, r *Request) error {
	r.response.reset()
	if err := p.finishStream(w, r); err != nil {
		return err
	}
	return p.socket.run()
}

// finishStream is for a handler that has answered with a stream, and a chain that has written
// nothing: the call sends the stream after the commit. It also sends the header fields that the
// chain has set, except those that describe a body: a middleware that compresses cannot compress
// the stream.
func (p *passage) finishStream(w *hijackWriter, r *Request) error {
	for _, name := range sortedNames(w.sent) {
		switch {
		case strings.HasPrefix(name, "Content-") && !strings.HasPrefix(name, "Content-Security-Policy"), name == "Trailer", strings.HasPrefix(name, http.TrailerPrefix):
			continue
		case name == "Connection" && hasToken(w.sent[name], "close"):
			r.response.closes = true
		case reservedField(name):
			continue
		}
		for _, value := range w.sent[name] {
			if lines, err := http1.AppendField(r.response.lines, name, clean(value)); err == nil {
				r.response.lines = lines
			}
		}
	}
	return r.response.err
}

// answered is the failure of a call that the chain has answered already.
type answered struct{ error }

func (e *answered) Unwrap() error { return e.error }

func isAnswered(err error) bool {
	var a *answered
	return errors.As(err, &a)
}
