package publisher

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"strconv"
)

// An inner is one run of a call's handler inside of middleware. A handler of this
// package runs in the call's task, on the loop's thread, while the goroutine of the
// middleware waits for it; a mounted one runs on that goroutine.
type inner struct {
	bridge  *bridge
	w       http.ResponseWriter // of the middleware
	req     *http.Request       // as the middleware has changed it
	changes *changes            // nil for none
	asks    chan func()         // what the goroutine of the middleware has to do
	done    chan struct{}       // closed at the end of the run

	// The answer, for the goroutine once done is closed.
	status   int // 0 for none
	header   http.Header
	body     []byte
	panicked any // what the goroutine has to panic with

	// Loop thread only.
	wrote     bool  // a mounted handler has written the answer
	cancelled error // the middleware's context has ended
}

// run calls the handler in the call's task.
func (in *inner) run(r *Request) {
	b, p := in.bridge, in.bridge.passage
	b.server.outside--
	restore := in.apply(r)
	r.inner = in
	if in.cancelled != nil {
		r.cancel(in.cancelled)
	}
	err := errTwice
	if p.failed == nil {
		err = r.join(guard(func() error { return r.route.Handler(r) }))
	}
	r.inner = nil
	if b.taken == nil {
		in.settle(r, err)
	}
	restore(p.streams || p.socket != nil)
	b.server.outside++
	close(in.done)
}

// refuse ends a run that will not begin any more.
func (in *inner) refuse() { close(in.done) }

// cancel ends the waits of the handler when the middleware's context has ended. Loop thread.
func (in *inner) cancel(cause error) {
	in.cancelled = cause
	if r := in.bridge.call; !in.bridge.ended && r.inner == in {
		r.cancel(cause)
	}
}

// settle decides what the middleware sees of the handler's run.
func (in *inner) settle(r *Request, err error) {
	p := in.bridge.passage
	if err == nil {
		err = r.response.err
	}
	if err == nil {
		err = r.tx.err
	}
	if err == nil && in.bridge.returned {
		err = errAbandoned
	}
	if err == nil {
		if !in.wrote {
			in.take(r)
		}
		return
	}
	if err = checkError(err); isAbort(err) {
		err = http.ErrAbortHandler
	}
	p.failed = err
	switch panicked := (*PanicError)(nil); {
	case err == http.ErrAbortHandler, isBrokenStream(err):
		in.panicked, p.fatal = http.ErrAbortHandler, r.cut(err)
	case errors.As(err, &panicked):
		in.panicked, p.panicked = panicked.Value, panicked
	case in.wrote && !in.bridge.returned: // it has written an answer, but the call has failed
		p.fatal = err
	case in.wrote: // the middleware has not waited, and answered by itself
	default:
		status, text := statusOf(err)
		r.answerFailure(err, status, text)
		in.take(r)
	}
}

// isAbort reports whether a handler has panicked to cut the connection.
func isAbort(err error) bool {
	p := (*PanicError)(nil)
	return errors.Is(err, http.ErrAbortHandler) || errors.As(err, &p) && p.Value == http.ErrAbortHandler
}

// take takes the answer out of the call, for the middleware. A stream stays there: the
// call sends it after the commit, see passage.finishStream.
func (in *inner) take(r *Request) {
	p := &r.response
	if in.bridge.passage.streams = p.stream != nil; p.stream != nil || in.bridge.passage.socket != nil {
		return
	}
	if in.status = http.StatusNoContent; !p.set {
		return
	}
	in.status, in.header = p.Status, headerOf(p.lines)
	if in.header["Content-Type"] == nil {
		in.header["Content-Type"] = nil
		if p.ContentType != "" {
			in.header["Content-Type"] = []string{p.ContentType}
		}
	}
	in.body, p.Body = p.Body, nil
	commit := p.commit
	p.reset()
	p.commit = commit
}

// headerOf reads ready lines.
func headerOf(lines []byte) http.Header {
	h := http.Header{}
	for len(lines) > 0 {
		line, rest, _ := bytes.Cut(lines, []byte("\r\n"))
		lines = rest
		name, value, _ := bytes.Cut(line, []byte(":"))
		h.Add(string(name), string(bytes.TrimSpace(value)))
	}
	return h
}

// write gives the answer to the middleware, on its goroutine.
func (in *inner) write() {
	if in.panicked != nil {
		panic(in.panicked)
	}
	if in.status == 0 {
		return
	}
	header := in.w.Header()
	for name, values := range in.header {
		switch {
		case name != "Content-Type":
			header[name] = append(header[name], values...)
		case values != nil || header[name] == nil:
			header[name] = values
		}
	}
	if len(in.body) > answerBuffer && header["Content-Length"] == nil { // a shorter one gets it anyhow
		header["Content-Length"] = []string{strconv.Itoa(len(in.body))}
	}
	in.w.WriteHeader(in.status)
	if len(in.body) > 0 {
		_, _ = in.w.Write(in.body) // a failure of this write fails the call: see responseWriter.finish
	}
}

// mounted runs a mounted handler on the goroutine of the middleware, while the call waits.
func (in *inner) mounted(h http.Handler) error {
	b := in.bridge
	r := b.call
	strand := r.running
	over, abandoned := false, false
	var failure error
	in.wrote = true
	b.server.outside++
	in.asks <- func() {
		err := serveGuarded(h, in.w, in.req)
		b.server.runtime.Post(func() {
			if over, failure = true, err; !abandoned {
				strand.wake()
			}
		})
	}
	for !over && !b.returned && b.taken == nil {
		r.park()
	}
	b.server.outside--
	switch abandoned = true; {
	case over:
		return failure
	case b.taken != nil:
		return nil
	}
	return errAbandoned
}

// serveGuarded calls a mounted handler and returns its panic.
func serveGuarded(h http.Handler, w http.ResponseWriter, req *http.Request) (failure error) {
	returned := false
	defer func() {
		if !returned {
			failure = panicOf(recover())
		}
	}()
	h.ServeHTTP(w, req)
	returned = true
	return nil
}

// useContext gives the handler the values of the middleware's context. When that context ends,
// the handler's waits end. The commit goes on, because middleware ends its context when it
// returns.
func (in *inner) useContext(r *Request) {
	if in.req.Context() == in.bridge.passage.came.ctx {
		return
	}
	r.Context() // makes the call's own, if it has none yet
	end := r.cancelCtx
	ctx, own := context.WithCancelCause(withRequest(context.WithoutCancel(in.req.Context()), r))
	if r.cancelled != nil {
		own(r.cancelled)
	}
	r.ctx, r.cancelCtx = ctx, func(cause error) {
		own(cause)
		end(cause)
	}
}
