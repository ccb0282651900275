package loop

import (
	"runtime/debug"
	"sync"
	"time"
)

// offloadIdle is how long a goroutine of the pool waits for work before it ends.
const offloadIdle = 10 * time.Second

// offload is a bounded pool of goroutines for blocking work. The queue of waiting work has no bound
// of its own: each piece belongs to a request that waits for it, so the bound on requests also
// bounds the queue.
type offload struct {
	loop    *Loop
	mu      sync.Mutex
	jobs    []job
	workers int
	max     int
	idle    []chan struct{} // one for each waiting worker; the last one is woken first
	ended   bool
	low     bool // this pool has the threads of kinds
}

type job struct {
	fn, done func()
	kind     *kind // nil if nothing has to be learned
}

// Offload runs fn on a bounded pool of goroutines and then done on the loop's thread; done
// may be nil. If the loop ends first, done is not run, and waiting work is dropped. A panic
// of fn is reported to Options.OnPanic on that goroutine, and done still runs. To learn the
// outcome, recover in fn.
func (l *Loop) Offload(fn func(), done func()) { l.offload.start(job{fn, done, nil}) }

// OffloadKind is Offload for work of a kind, for example the address of its code. If work of
// this kind computes, it runs on threads of the lowest priority, on systems that have them.
func (l *Loop) OffloadKind(id uintptr, fn func(), done func()) {
	if l.alone { // a thread of low priority would keep the only Go processor while other threads run
		l.Offload(fn, done)
		return
	}
	o := &l.offload
	o.mu.Lock()
	w := l.kinds.of(id)
	if w != nil && w.low > 0 {
		o = &l.kinds.threads
	}
	l.offload.mu.Unlock()
	o.start(job{fn, done, w})
}

// OffloadDisk is Offload on a few goroutines of its own: writes that all requests depend on must
// not wait for the work of a few requests.
func (l *Loop) OffloadDisk(fn func(), done func()) { l.disk.start(job{fn, done, nil}) }

// diskWorkers is enough for the journals of the broker and of some spools: a journal has one write
// under way.
const diskWorkers = 4

func (o *offload) start(j job) {
	l := o.loop
	l.helped = true
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ended {
		return
	}
	o.jobs = append(o.jobs, j)
	l.helpers.Add(1)
	if n := len(o.idle); n > 0 {
		o.idle[n-1] <- struct{}{} // has room for one, and is sent one
		o.idle = o.idle[:n-1]
	} else if o.workers < o.max {
		o.workers++
		l.pumps.Add(1)
		go o.work()
	}
}

func (o *offload) work() {
	if o.low {
		enterLow(o.loop.opt.SpareProcessor)
	}
	call := make(chan struct{}, 1)
	timer := time.NewTimer(offloadIdle)
	defer o.leave(timer)
	for {
		o.mu.Lock()
		if len(o.jobs) > 0 {
			j := o.jobs[0]
			o.jobs[0] = job{}
			o.jobs = o.jobs[1:]
			o.mu.Unlock()
			o.do(j)
			continue
		}
		if o.ended {
			o.mu.Unlock()
			return
		}
		o.idle = append(o.idle, call)
		o.mu.Unlock()
		timer.Reset(offloadIdle)
		select {
		case <-call:
		case <-timer.C:
			if o.unlist(call) {
				return
			}
			<-call // called at the last moment
		}
	}
}

// leave also runs if fn called runtime.Goexit. Then work may be waiting that needs a new worker.
func (o *offload) leave(timer *time.Timer) {
	timer.Stop()
	o.mu.Lock()
	defer o.mu.Unlock()
	if len(o.jobs) > 0 && !o.ended {
		o.loop.pumps.Add(1)
		go o.work()
	} else {
		o.workers--
	}
	o.loop.pumps.Done()
}

// unlist removes a worker from the idle ones. It returns false if the worker was removed already to
// be woken.
func (o *offload) unlist(call chan struct{}) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i, c := range o.idle {
		if c == call {
			o.idle = append(o.idle[:i], o.idle[i+1:]...)
			return true
		}
	}
	return false
}

func (o *offload) do(j job) {
	began := o.clock()
	defer func() {
		if v := recover(); v != nil {
			o.loop.report(&PanicError{Doing: "offload", Value: v, Stack: debug.Stack()})
		}
		if j.kind != nil {
			o.learn(j.kind, o.clock()-began)
		}
		if j.done != nil {
			o.loop.Post(j.done)
		}
		o.loop.helpers.Add(-1)
	}()
	j.fn()
}

// clock returns the time for measuring work: the thread's CPU time if goroutines are locked to
// threads.
func (o *offload) clock() time.Duration {
	if o.low {
		return threadTime()
	}
	return time.Since(o.loop.base)
}

func (o *offload) learn(w *kind, d time.Duration) {
	mu := &o.loop.offload.mu
	mu.Lock()
	defer mu.Unlock()
	if o.low {
		w.used(d)
	} else {
		w.took(d)
	}
}

// close drops the waiting work and ends the idle workers. A worker that runs fn ends after it.
func (o *offload) close() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.ended = true
	o.jobs = nil
	for _, call := range o.idle {
		call <- struct{}{}
	}
	o.idle = nil
}
