package loop

import (
	"sync"
	"sync/atomic"
)

// mailbox receives functions from other goroutines. The system call that wakes the poller is made
// only if the loop sleeps, and only once until it is awake.
type mailbox struct {
	loop    *Loop
	mu      sync.Mutex
	in      []func()
	ended   bool
	filled  atomic.Bool // in is not empty
	asleep  atomic.Bool // the loop waits in the poll, and nobody has woken it yet
	running []func()    // functions that are being run; only the loop uses it
	at      int         // index of the next one in running
}

// Post runs fn on the loop's thread, in the order of posting. It is the only entry for other
// goroutines, and may be called before Run. It returns false, and drops fn, when the loop has
// ended; what was accepted before is run.
func (l *Loop) Post(fn func()) bool {
	m := &l.mail
	m.mu.Lock()
	if m.ended {
		m.mu.Unlock()
		return false
	}
	m.in = append(m.in, fn)
	m.filled.Store(true)
	// Under the lock, so that the descriptor cannot be closed and its number reused during the write.
	m.wakeSleeper()
	m.mu.Unlock()
	return true
}

// wake makes the loop turn, without a function to run.
func (m *mailbox) wake() {
	m.mu.Lock()
	if !m.ended {
		m.wakeSleeper()
	}
	m.mu.Unlock()
}

func (m *mailbox) wakeSleeper() {
	if m.asleep.CompareAndSwap(true, false) {
		m.loop.poll.wake()
	}
}

// sleep announces that the loop is about to wait. It returns false if there is work to do instead.
// The order matters: it announces first and checks for work after that, so that a Post in between
// is either found or wakes the loop.
func (m *mailbox) sleep() bool {
	m.asleep.Store(true)
	if m.waiting() || m.loop.stop.Load() {
		m.asleep.Store(false)
		return false
	}
	return true
}

func (m *mailbox) awake() { m.asleep.Store(false) }

func (m *mailbox) waiting() bool { return m.at < len(m.running) || m.filled.Load() }

// run is phase 4: up to PostTurnMax functions, in order.
func (m *mailbox) run() {
	l := m.loop
	for l.cursor = 0; l.cursor < l.opt.PostTurnMax; {
		if m.at == len(m.running) && !m.fetch() {
			return
		}
		m.runSome()
	}
}

func (m *mailbox) runSome() {
	l := m.loop
	l.doing = "post"
	l.helped = true // the goroutine that posted may wait for the answer
	defer l.rescue()
	for m.at < len(m.running) && l.cursor < l.opt.PostTurnMax {
		fn := m.running[m.at]
		m.running[m.at] = nil
		m.at++
		l.cursor++
		l.count.Posts++
		l.watch.beat()
		fn()
	}
}

// fetch swaps the two queues.
func (m *mailbox) fetch() bool {
	const keepMax = 4096 // a larger queue, left by a burst, is freed
	if cap(m.running) > keepMax {
		m.running = nil
	}
	m.mu.Lock()
	m.running, m.in = m.in, m.running[:0]
	m.filled.Store(false)
	m.mu.Unlock()
	m.at = 0
	return len(m.running) > 0
}

// close ends the mailbox: Post refuses from here on. What was accepted is run.
func (m *mailbox) close() {
	m.mu.Lock()
	m.ended = true
	m.mu.Unlock()
	for m.waiting() {
		m.run()
	}
}
