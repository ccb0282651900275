package publisher

import (
	"errors"
	"fmt"
	"iter"
	"net/http"
	"reflect"
	"strconv"
	"time"
)

// DefaultPool is the pool of [Request.Offload].
const DefaultPool = "default"

// PoolSize bounds the offloaded work of one pool.
type PoolSize struct {
	Workers int // how many functions run at once, for calls without a participant
	Queue   int // HTTP calls that may wait for a worker; one more is answered 503
}

// Default sizes of a pool.
const (
	PoolWorkers = 16
	PoolQueue   = 1000
)

// poolHeldMax bounds how many functions of calls that have joined a participant run at once. It
// keeps the process below Go's limit of threads.
const poolHeldMax = 1000

// A pool limits the offloaded work of one kind, so that slow work of one kind does not hold
// up other work. It is used on the loop's thread; the runtime's goroutines run the work.
//
// Work has one of three ranks. A call without a participant holds nothing that others wait
// for, so its work waits in line for a worker. A call with a participant may hold a lock
// (SQLite has one for all writers) for which the work on all workers waits. If its work
// waited behind them, nothing would ever continue. So it starts at once, and is refused when
// there is too much of it. Commit and Abort release locks: they have workers of their own,
// which cannot be occupied by work that waits for a lock, and they are never refused.
type pool struct {
	name    string
	size    PoolSize
	runtime Runtime
	busy    int      // workers at work
	line    workLine // work that waits for a worker
	held    int      // running functions of calls with a participant
	ending  int      // commits and aborts at work
	ends    workLine // commits and aborts that wait, for commits and aborts only

	started uint64
	refused uint64
	waited  time.Duration // total time in line of the work that has left it
}

// workRank says what a piece of work may wait for.
type workRank uint8

const (
	rankFree workRank = iota // work of a call that holds nothing
	rankHeld                 // work of a call with a participant
	rankEnd                  // work of Commit or Abort
)

// offloaded is one piece of work. It is in a line until it starts.
type offloaded struct {
	r          *Request
	strand     *strand // the strand that waits; nil for a goroutine
	pool       *pool
	fn         func() error
	rank       workRank
	file       bool      // it opens or reads a file that is sent
	locks      bool      // it may take a lock for which others wait
	then       func()    // called on the loop's thread when it is over; may be nil
	since      time.Time // since when it is in line
	prev, next *offloaded
	pause      *pause // for a goroutine that waits; nil if the call's task waits
	over       bool
	err        error
}

// A workLine is a queue from whose middle a cancelled call can be removed.
type workLine struct {
	first, last *offloaded
	n           int
}

func (q *workLine) push(w *offloaded) {
	if w.prev = q.last; q.last != nil {
		q.last.next = w
	} else {
		q.first = w
	}
	q.last = w
	q.n++
}

func (q *workLine) remove(w *offloaded) {
	if w.prev != nil {
		w.prev.next = w.next
	} else {
		q.first = w.next
	}
	if w.next != nil {
		w.next.prev = w.prev
	} else {
		q.last = w.prev
	}
	w.prev, w.next = nil, nil
	q.n--
}

// start runs the work or puts it in line. An error says that there is no room.
func (p *pool) start(w *offloaded) error {
	w.pool = p
	switch {
	case w.rank == rankEnd && p.ending < p.size.Workers:
		p.ending++
	case w.rank == rankEnd:
		p.wait(&p.ends, w)
		return nil
	case w.rank == rankHeld && p.held < poolHeldMax:
		p.held++
	case w.rank == rankHeld:
		return p.full("%d calls that hold a transaction are at work in it", p.held)
	case p.busy < p.size.Workers:
		p.busy++
	case w.r.source.hasClient() && !w.file && p.line.n >= p.size.Queue:
		return p.full("%d calls wait for its %d workers: see pool.%s.queue", p.line.n, p.size.Workers, p.name)
	default: // prefetch limits messages, and a refusal would cost one of their attempts
		p.wait(&p.line, w)
		return nil
	}
	p.run(w)
	return nil
}

func (p *pool) wait(q *workLine, w *offloaded) {
	w.since = p.runtime.Now()
	q.push(w)
}

// full returns the error for refused work. The client sees the pool's name; the log has the
// rest.
func (p *pool) full(format string, args ...any) error {
	p.refused++
	e := &StatusError{
		Status: http.StatusServiceUnavailable, Text: fmt.Sprintf("the pool %q is full", p.name), Cause: fmt.Errorf(format, args...),
	}
	var waited time.Duration
	if w := p.line.first; w != nil {
		waited = p.runtime.Now().Sub(w.since)
	}
	return e.With(retryAfter, retryAfterOf(waited))
}

// retryAfterMax bounds Retry-After, in seconds.
const retryAfterMax = 60

// retryAfterOf returns after how many seconds a refused client may find room, if the first in
// line has waited for this long: new work will wait about as long.
func retryAfterOf(waited time.Duration) string {
	return strconv.Itoa(int(min(waited/time.Second+1, retryAfterMax)))
}

func (p *pool) run(w *offloaded) {
	p.started++
	if w.pause != nil {
		w.pause.firm = true
	}
	p.runtime.Offload(w.kind(), w.run, w.done)
}

// kind identifies the handler's function. Work that others may wait for has no kind, so it
// never runs on the threads of low priority. Work that waits for a disk has none either.
func (w *offloaded) kind() uintptr {
	if w.rank != rankFree || w.file || w.locks {
		return 0
	}
	return reflect.ValueOf(w.fn).Pointer()
}

func (w *offloaded) run() {
	w.err = errOffloadExit // unless fn returns or panics
	w.err = guard(w.fn)
}

var errOffloadExit = errors.New("a function given to Offload has ended its goroutine: runtime.Goexit was called, as by FailNow of package testing")

// done ends the work on the loop's thread and gives its worker to the next.
func (w *offloaded) done() {
	p := w.pool
	switch w.rank {
	case rankFree:
		p.busy--
		p.next(&p.line, &p.busy)
	case rankHeld:
		p.held--
	case rankEnd:
		p.ending--
		p.next(&p.ends, &p.ending)
	}
	w.over = true
	if w.then != nil {
		w.then()
	}
	if w.pause != nil {
		w.pause.end(w.err)
		return
	}
	w.strand.wake()
}

func (p *pool) next(q *workLine, busy *int) {
	if w := q.first; w != nil && *busy < p.size.Workers {
		q.remove(w)
		p.waited += p.runtime.Now().Sub(w.since)
		*busy++
		w.since = time.Time{}
		p.run(w)
	}
}

// leave removes work that has not started from the line.
func (p *pool) leave(w *offloaded) {
	p.line.remove(w)
	p.waited += p.runtime.Now().Sub(w.since)
	if w.then != nil {
		w.then()
	}
}

// waiting reports whether the work is in line.
func (w *offloaded) waiting() bool { return !w.over && !w.since.IsZero() }

// poolOf finds a pool by its name.
func (s *Server) poolOf(name string) (*pool, error) {
	if p := s.pools[name]; p != nil {
		return p, nil
	}
	return nil, fmt.Errorf("offload: no such pool: register it by publisher.Pool(%q, …)", name)
}

// Workers returns how many functions all pools together run at most. [Runtime.Offload] needs that
// many goroutines, so that work does not wait a second time there.
func (s *Server) Workers() int {
	n := 2*s.bodies.size.Workers + 2*filesWorkers + 2*poolHeldMax + s.outgoing.options.RequestsMax
	for _, p := range s.pools {
		n += 2*p.size.Workers + poolHeldMax
	}
	return n
}

// makePools makes the pools of the registry and the default pool. Configured sizes replace the
// registered ones.
func (s *Server) makePools(registered, sizes map[string]PoolSize) {
	s.bodies = &pool{name: bodiesPool, size: PoolSize{bodiesWorkers, PoolQueue}}
	s.files.pool = &pool{name: filesPool, size: PoolSize{filesWorkers, PoolQueue}}
	s.pools = map[string]*pool{DefaultPool: {}}
	for name, size := range registered {
		s.pools[name] = &pool{size: size}
	}
	for name, p := range s.pools {
		p.name = name
		if size := sizes[name]; size.Workers > 0 {
			p.size.Workers = size.Workers
		}
		if size := sizes[name]; size.Queue > 0 {
			p.size.Queue = size.Queue
		}
		if p.size.Workers <= 0 {
			p.size.Workers = PoolWorkers
		}
		if p.size.Queue <= 0 {
			p.size.Queue = PoolQueue
		}
	}
}

// eachPool visits the pools.
func (s *Server) eachPool() iter.Seq2[string, *pool] {
	return func(yield func(string, *pool) bool) {
		for name, p := range s.pools {
			if !yield(name, p) {
				return
			}
		}
		if yield(bodiesPool, s.bodies) {
			yield(filesPool, s.files.pool)
		}
	}
}

// measurePools appends the pools' numbers.
func (s *Server) measurePools(dst []Metric) []Metric {
	for name, p := range s.eachPool() {
		oldest := time.Duration(0)
		if p.line.first != nil {
			oldest = s.runtime.Now().Sub(p.line.first.since)
		}
		dst = AppendMetrics(dst, []Label{{"pool", name}},
			Metric{Name: "pool_workers", Help: "Pieces of offloaded work that the pool runs at once, for calls without a participant.", Value: float64(p.size.Workers)},
			Metric{Name: "pool_busy", Help: "Workers of the pool that are busy.", Value: float64(p.busy)},
			Metric{Name: "pool_held", Help: "Pieces of work that run for calls with a participant; they do not wait for a worker.", Value: float64(p.held)},
			Metric{Name: "pool_ending", Help: "Commits and aborts under way or waiting, which have workers of their own.", Value: float64(p.ending + p.ends.n)},
			Metric{Name: "pool_waiting", Help: "Calls that wait for a worker of the pool.", Value: float64(p.line.n)},
			Metric{Name: "pool_queue_max", Help: "HTTP calls that may wait for a worker; more are answered 503.", Value: float64(p.size.Queue)},
			Metric{Name: "pool_oldest_wait_seconds", Help: "How long the first in line has waited for a worker.", Value: oldest.Seconds()},
			Metric{Name: "pool_wait_seconds_total", Help: "Total time that work has waited for a worker.", Value: p.waited.Seconds()},
			Metric{Name: "pool_started_total", Help: "Pieces of work started.", Value: float64(p.started)},
			Metric{Name: "pool_refused_total", Help: "Pieces of work refused because the pool was full.", Value: float64(p.refused)})
	}
	return dst
}
