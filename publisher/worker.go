package publisher

import "net/http"

// A worker is a goroutine that runs mounted handlers, one after the other. It is used again
// because its stack has grown already: a new goroutine for each request would have to grow its
// own.
type worker struct{ work chan mountedRun }

// mountedRun is one run of a mounted handler.
type mountedRun struct {
	bridge *bridge
	h      http.Handler
	w      *hijackWriter
	req    *http.Request
}

// workersIdleMax bounds the workers that wait for a handler to run.
const workersIdleMax = 256

// workers has the idle ones. Loop thread only.
type workers struct {
	idle   []*worker
	closed bool
}

// start runs a handler on a goroutine that runs nothing else meanwhile.
func (p *workers) start(m mountedRun) {
	if n := len(p.idle); n > 0 {
		w := p.idle[n-1]
		p.idle[n-1] = nil
		p.idle = p.idle[:n-1]
		w.work <- m
		return
	}
	w := &worker{work: make(chan mountedRun, 1)}
	w.work <- m
	go w.run()
}

// run ends when the worker is not needed any more, and when a handler ends the goroutine.
func (w *worker) run() {
	for m := range w.work {
		if !m.bridge.run(w, m.h, m.w, m.req) {
			return // the loop has ended
		}
	}
}

// rest takes back a worker whose handler has returned.
func (p *workers) rest(w *worker) {
	if p.closed || len(p.idle) >= workersIdleMax {
		close(w.work)
		return
	}
	p.idle = append(p.idle, w)
}

// close ends the idle workers, and each other one when its handler has returned.
func (p *workers) close() {
	p.closed = true
	for _, w := range p.idle {
		close(w.work)
	}
	p.idle = nil
}
