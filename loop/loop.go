package loop

import (
	"errors"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// ErrStopped is the cause of what ends because the loop ends: the argument of Lost, and the error
// of a Dial.
var ErrStopped = errors.New("loop: stopped")

// pollable is what a descriptor in the poller stands for: a connection, a listener or a dial.
type pollable interface {
	ready(ev readiness)
}

// readiness is what the poller says about a descriptor, or what it is asked to watch for.
type readiness uint8

const (
	readable readiness = 1 << iota
	writable
	hungUp // an error, or both directions are closed; reported even when not asked for
)

// slot is the entry of one descriptor. The generation identifies the registration: an event with
// another generation belongs to a closed descriptor whose number was reused.
type slot struct {
	p   pollable
	gen uint32
}

// Loop is one reactor on one thread. Make it with New and run it with Run.
type Loop struct {
	opt   Options
	poll  poller
	slots []slot // by descriptor
	gen   uint32 // generation of the last registration

	base time.Time // the zero of the heap's times, in ns
	now  time.Time // the time of this turn
	at   int64     // the same, relative to base

	buf       []byte // headroom for a short kept rest, then ReadSize bytes to read into
	inputs    inputPool
	heap      heap
	dirty     []*Conn // to be offered, ticked and flushed in phase 6
	late      []*Conn // dirty ones that were too many for a turn, in line
	flushing  []*Conn // the dirty connections of the flush in progress
	doomed    []*Conn // to be closed in phase 7
	shares    shares  // the list of long outputs
	listeners []*Listener
	dials     map[*dial]struct{}
	streams   map[*stream]struct{}  // adopted connections whose goroutines run
	pipeEnds  map[*pipeEnd]struct{} // ends of pipes that are not closed yet
	readQueue []*Conn               // connections to be read, although no event of the poller says so
	pumps     sync.WaitGroup        // the goroutines of streams
	scratch   []byte                // output of a stream over a socket, while that is called
	acceptMax int                   // accepted connections may not use descriptors from this number on
	reserve   int                   // closed when no descriptor is free, to accept and refuse a connection; -1 if lost

	cur     *Conn  // the connection whose peer is being called; a panic closes it
	doing   string // what is being called, for panics
	cursor  int    // where the current phase continues after a panic
	tasks   bool   // Options.Tasks has more
	busy    bool   // the last poll gave several events
	yielded int64  // when the loop last went through Go's scheduler
	helped  bool   // in this turn other goroutines got work from the loop or gave it some
	alone   bool   // Go has one processor
	timed   bool   // the time of the last turn was counted when it ended

	helpers atomic.Int64 // goroutines at work for this loop, or about to be

	starts, ends []func()

	mail    mailbox
	offload offload
	kinds   kinds // kinds of offloaded work
	disk    offload
	stop    atomic.Bool
	ran     atomic.Bool
	watch   watch
	count   Stats // written on the thread only
	shown   shownStats
	debug   debugState
}

// New makes a loop. It holds descriptors from here on; they are released at the end of Run.
func New(opt Options) (*Loop, error) {
	opt.fill()
	l := &Loop{opt: opt, reserve: -1, dials: map[*dial]struct{}{}, streams: map[*stream]struct{}{}, pipeEnds: map[*pipeEnd]struct{}{}}
	l.base = time.Now()
	l.now = l.base
	if err := l.poll.open(); err != nil {
		return nil, err
	}
	l.reserve = openReserve()
	limit := DescriptorLimit()
	l.acceptMax = limit - descriptorsLeft(limit)
	l.buf = make([]byte, headroom+opt.ReadSize)
	l.mail.loop = l
	l.offload.loop, l.offload.max = l, opt.OffloadWorkers
	l.disk.loop, l.disk.max = l, diskWorkers
	threads := &l.kinds.threads
	threads.loop, threads.max, threads.low = l, opt.OffloadWorkers, true
	return l, nil
}

// Now is the time at the beginning of this turn. It is monotonic.
func (l *Loop) Now() time.Time { return l.now }

// Since is the time since t until this moment. It reads the clock.
func (l *Loop) Since(t time.Time) time.Duration { return time.Since(t) }

// OnStart adds a function that runs first inside Run, on the locked thread, for example to
// make task pools. Call it before Run.
func (l *Loop) OnStart(fn func()) { l.starts = append(l.starts, fn) }

// OnEnd adds a function that runs inside Run after the last connection was lost, for example
// to close task pools.
func (l *Loop) OnEnd(fn func()) { l.ends = append(l.ends, fn) }

// Stop ends Run after the turn in progress. Any goroutine may call it, at any time and more than
// once. A loop that was never run is released by Stop followed by Run.
func (l *Loop) Stop() {
	l.stop.Store(true)
	l.mail.wake()
}

// Run locks the thread and turns until Stop. Then every connection is lost with ErrStopped,
// listeners, dials and descriptors are closed, and the loop's goroutines end. It returns an error
// if the poller fails, and if it was called before.
func (l *Loop) Run() error {
	if l.ran.Swap(true) {
		return errors.New("loop: Run called twice; make a new Loop")
	}
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	// Deferred, because runtime.Goexit in a peer ends this goroutine, and nothing else would
	// release what it holds.
	defer l.end()
	l.debug.own()
	l.alone = runtime.GOMAXPROCS(0) == 1
	l.watch.start(l)
	l.tick()
	for _, fn := range l.starts {
		fn() // a panic here ends the program, because something that is needed is missing
	}
	for !l.stop.Load() {
		if err := l.turn(); err != nil {
			return err
		}
	}
	return nil
}

// turn is one turn in the order of the package comment.
func (l *Loop) turn() error {
	n, err := l.await()
	if err != nil {
		return err
	}
	before := l.at
	l.tick()
	if !l.timed { // there was no wait: the last turn lasted until now
		l.count.TurnTimes.Observe(time.Duration(l.at - before))
	}
	l.timed = false
	l.count.Turns++
	l.count.Events += uint64(n)

	l.cursor = 0
	for l.cursor < n {
		l.readEvents(n)
	}
	if len(l.readQueue) > 0 {
		l.readQueued()
	}
	if l.heap.due(l.at) {
		l.watch.beat()
		l.runTimers()
	}
	if l.mail.waiting() {
		l.mail.run()
	}
	if l.opt.Tasks != nil {
		l.watch.beat()
		l.runTasks()
	}
	late := false // peers were called after the tasks had run
	if len(l.dirty) > 0 || len(l.late) > 0 || l.shares.waiting() > 0 {
		l.watch.beat()
		l.flushDirty()
		late = true
	}
	if len(l.doomed) > 0 {
		l.watch.beat()
		l.closeDoomed()
		late = true
	}
	if late && l.opt.Tasks != nil {
		l.watch.beat()
		l.runTasks()
	}
	l.show(false)
	return nil
}

// await polls. Under load it polls first without waiting: then something is usually ready, and the
// call need not be announced to Go's scheduler as one that may block. The real wait is announced,
// because a thread that sleeps without the scheduler's knowledge would delay the garbage collector.
func (l *Loop) await() (int, error) {
	var timeout int
	if !l.busy {
		timeout = l.timeout()
	}
	if l.busy || timeout == 0 {
		n, err := l.poll.look(l.gen)
		if n > 0 || err != nil {
			return n, err
		}
		if timeout = l.timeout(); timeout == 0 {
			return 0, nil
		}
	}
	l.yield()
	if !l.mail.sleep() { // something was posted, or the loop was stopped, in the meantime
		return 0, nil
	}
	l.watch.rest()
	l.count.TurnTimes.Observe(time.Since(l.now))
	l.timed = true
	l.count.Waits++
	l.show(true)
	var n int
	var err error
	if l.generous() {
		n, err = l.poll.park(timeout, l.gen)
	} else {
		n, err = l.poll.wait(timeout, l.gen)
	}
	l.mail.awake()
	// With one event at a time, another poll without waiting would find nothing.
	l.busy = n > 1
	return n, err
}

// yieldEvery is below the 10 ms after which the runtime's monitor takes the processor from a
// goroutine that runs on.
const yieldEvery = int64(5 * time.Millisecond)

// yield goes through Go's scheduler before a wait, every few milliseconds. The loop's
// goroutine never blocks in Go's sense. So the monitor believes that it has run since its
// beginning, and takes its processor away in every wait. Each time, the monitor goes back to
// looking every 20 µs, which costs more than the loop itself when turns are short: 223 µs of
// CPU for a round trip over a broker, against 94 with yield, and a third of the CPU of a busy
// consumer.
func (l *Loop) yield() {
	if l.at-l.yielded >= yieldEvery {
		l.yielded = l.at
		runtime.Gosched()
	}
}

// leftover reports whether there is work that does not come from the poller.
func (l *Loop) leftover() bool {
	return len(l.dirty) > 0 || len(l.late) > 0 || len(l.doomed) > 0 || len(l.readQueue) > 0 || l.shares.waiting() > 0 || l.tasks || l.mail.waiting()
}

// generous reports whether to wait as a goroutine and not in a system call. In a system call the
// thread keeps its Go processor until the runtime's monitor takes it away, up to 10 ms later, and
// goroutines that this thread has made ready wait in its queue. With one processor all others wait
// too: we measured 300 µs for a Post and its answer, against 20. A waiting goroutine releases the
// processor at once, but needs two more thread switches to continue. So the loop does this only
// when other goroutines work for it.
//
// With more processors another one takes the queued goroutines, so the loop never does it.
// The cost would be high and lasting: after the first such wait, Go's own poller contains the
// loop's poller and wakes a thread for each event.
func (l *Loop) generous() bool {
	if !l.alone {
		return false
	}
	if l.helped {
		l.helped = false
		return true
	}
	return l.helpers.Load() > 0
}

// timeout returns how long the poll may wait, in ms; -1 for ever. It rounds up, because a turn that
// comes too early has nothing to do.
func (l *Loop) timeout() int {
	if l.leftover() {
		return 0
	}
	when, ok := l.heap.next()
	if !ok {
		return -1
	}
	left := when - int64(time.Since(l.base))
	if left <= 0 {
		return 0
	}
	const longest = int64(time.Hour)
	return int((min(left, longest) + int64(time.Millisecond) - 1) / int64(time.Millisecond))
}

func (l *Loop) tick() {
	l.now = time.Now()
	l.at = int64(l.now.Sub(l.base))
}

// readEvents handles the events from the cursor on. Like every phase, it continues at the cursor
// after a panic of a peer.
func (l *Loop) readEvents(n int) {
	defer l.rescue()
	for l.cursor < n {
		fd, gen, ev := l.poll.event(l.cursor)
		l.cursor++
		l.watch.beat()
		if uint(fd) >= uint(len(l.slots)) { // the wake descriptor
			continue
		}
		s := &l.slots[fd]
		if s.p == nil || !s.current(gen) {
			l.count.Stale++
			continue
		}
		// The type assertion saves a call through the interface for connections, which are nearly
		// all events.
		if c, ok := s.p.(*Conn); ok {
			c.ready(ev)
		} else {
			s.p.ready(ev)
		}
	}
	l.cur = nil
}

func (l *Loop) runTasks() {
	l.doing = "task"
	defer l.rescue()
	l.tasks = l.opt.Tasks()
}

// register adds a descriptor to the poller, which watches for want.
func (l *Loop) register(fd int, p pollable, want readiness) error {
	l.occupy(fd, p)
	if err := l.poll.add(fd, l.gen, want); err != nil {
		l.slots[fd] = slot{}
		return err
	}
	return nil
}

// occupy gives a descriptor's slot to p with a new generation.
func (l *Loop) occupy(fd int, p pollable) {
	for fd >= len(l.slots) {
		l.slots = append(l.slots, slot{})
	}
	l.gen++
	l.slots[fd] = slot{p: p, gen: l.gen}
}

// release closes a registered descriptor, which also removes it from the poller. Later events of
// this turn for it are stale.
func (l *Loop) release(fd int) {
	l.slots[fd] = slot{}
	closeFD(fd)
	if l.reserve < 0 { // a descriptor has just become free
		l.reserve = openReserve()
	}
}

// guarded calls fn and reports its panic.
func (l *Loop) guarded(doing string, fn func()) {
	l.doing = doing
	defer l.rescue()
	fn()
}
