package loop

import (
	"bytes"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"
)

// watch is the watchdog. Its goroutine checks a counter that the loop increments with every phase,
// event and posted function. Each increment costs the loop an atomic store.
type watch struct {
	beats  atomic.Uint64 // the number of moves so far; 0 while the loop waits in the poll
	n      uint64        // the loop's own copy of that number
	id     atomic.Uint64 // id of the loop's goroutine
	holder atomic.Pointer[string]
	conn   atomic.Pointer[Conn] // the connection whose peer is called; only if the watchdog is on
	stalls atomic.Uint64
	quit   chan struct{}
	on     bool
}

// Enter tells the watchdog the name of what uses the thread from now on; nil for nothing. The
// string must not change. Enter may be called inside tasks, and costs an atomic store.
func (l *Loop) Enter(name *string) { l.watch.holder.Store(name) }

// setCurrent records whose peer is called from now on, for panics and the watchdog; nil for
// none.
func (l *Loop) setCurrent(c *Conn) {
	l.cur = c
	if l.watch.on {
		l.watch.conn.Store(c)
	}
}

// Look returns what runs on the loop's thread now. Any goroutine may call it. It prints the stacks
// of the whole process, so it is expensive.
func (l *Loop) Look() Stall {
	var s Stall
	if holder := l.watch.holder.Load(); holder != nil {
		s.Name = *holder
	}
	if c := l.watch.conn.Load(); c != nil {
		if a := c.RemoteAddr(); a != nil { // both never change after they were made
			s.Peer = a.String()
		}
	}
	s.Stack = stackOf(l.watch.id.Load())
	s.locate()
	return s
}

// start starts the watchdog if it has a callback.
func (w *watch) start(l *Loop) {
	w.id.Store(goroutineID())
	if l.opt.StallWarning <= 0 && l.opt.StallLimit <= 0 {
		return
	}
	w.on = true
	w.quit = make(chan struct{})
	l.pumps.Add(1)
	go w.run(l)
}

// beat marks the beginning of something that may hold the thread.
func (w *watch) beat() {
	if w.on {
		w.n++
		w.beats.Store(w.n)
	}
}

// rest marks that the loop is about to wait.
func (w *watch) rest() {
	if w.on {
		w.beats.Store(0)
	}
}

func (w *watch) stop() {
	if w.on {
		w.on = false
		close(w.quit)
	}
}

// patrol is the longest time between two checks of the watchdog.
const patrol = time.Second

func (w *watch) run(l *Loop) {
	defer l.pumps.Done()
	warning, limit := l.opt.StallWarning, l.opt.StallLimit
	pace := warning
	if pace <= 0 || limit > 0 && limit < pace {
		pace = limit
	}
	often := min(max(pace/4, time.Millisecond), patrol)
	timer := time.NewTimer(often)
	defer timer.Stop()
	var seen uint64           // the beat at the last check
	var who *string           // the name of what used the thread then
	var since, last time.Time // when this beat was seen first and last
	var held time.Duration    // how long it has lasted, without time in which this goroutine was stopped too
	told, limited := false, false
	for {
		select {
		case <-w.quit:
			return
		case <-timer.C:
		}
		now, holder := w.beats.Load(), w.holder.Load()
		if now == 0 && seen == 0 {
			timer.Reset(min(pace, patrol)) // otherwise an idle server would wake up forty times a second
			continue
		}
		timer.Reset(often)
		at := time.Now()
		if now == 0 || now != seen || holder != who {
			seen, who, since, last, held, told = now, holder, at, at, 0, false
			continue
		}
		held += min(at.Sub(last), max(2*often, patrol/2)) // a process that was stopped as a whole has not been held
		last = at
		if warning > 0 && at.Sub(since) >= warning && !told {
			told = true
			w.stalls.Add(1)
			if l.opt.OnStall != nil {
				// The stack is taken after the check. If the stall has just ended, it shows what
				// runs next.
				s := l.Look()
				s.Held = at.Sub(since)
				l.opt.OnStall(s)
			}
		}
		if limit > 0 && held >= limit && !limited {
			limited = true
			if l.opt.OnLimit != nil {
				s := l.Look()
				s.Held = held
				l.opt.OnLimit(s)
			}
		}
	}
}

// goroutineID reads the number of the calling goroutine from the first line of its stack. There is
// no other way, and it is needed once for each Run.
func goroutineID() uint64 {
	var b [64]byte
	id, _ := headLine(b[:runtime.Stack(b[:], false)])
	return id
}

// headLine parses "goroutine 7 [running, locked to thread]:".
func headLine(stack []byte) (id uint64, status []byte) {
	line, _, _ := bytes.Cut(stack, []byte("\n"))
	line, ok := bytes.CutPrefix(line, []byte("goroutine "))
	if !ok {
		return 0, nil
	}
	number, rest, _ := bytes.Cut(line, []byte(" "))
	id, _ = strconv.ParseUint(string(number), 10, 64)
	return id, rest
}

// stackOf finds the stack of what runs on the thread of the loop whose goroutine is id. That is
// this goroutine, unless it waits for a coroutine. Then the thread is locked to the coroutine that
// runs now, which was made by this goroutine or by another of its coroutines.
func stackOf(id uint64) []byte {
	all := allStacks()
	parent := map[uint64]uint64{}
	var locked [][]byte
	for s := range bytes.SplitSeq(all, []byte("\n\n")) {
		gid, status := headLine(s)
		if gid == id && !bytes.Contains(status, []byte("[coroutine")) {
			return bytes.Clone(s)
		}
		parent[gid] = creator(s)
		if gid != id && bytes.Contains(status, []byte("locked to thread")) {
			locked = append(locked, s)
		}
	}
	var guess []byte
	for _, s := range locked {
		gid, _ := headLine(s)
		for up := parent[gid]; up != 0; up = parent[up] {
			if up == id {
				return bytes.Clone(s)
			}
		}
		// The chain breaks where a coroutine that made another has ended.
		if bytes.Contains(s, []byte("iter.Pull")) {
			guess = s
		}
	}
	return bytes.Clone(guess)
}

// creator reads the number at the end of "created by iter.Pull[...] in goroutine 7"; 0 if there is
// none.
func creator(stack []byte) uint64 {
	i := bytes.LastIndex(stack, []byte("\ncreated by "))
	if i < 0 {
		return 0
	}
	line, _, _ := bytes.Cut(stack[i+1:], []byte("\n"))
	_, number, ok := bytes.Cut(line, []byte(" in goroutine "))
	if !ok {
		return 0
	}
	id, _ := strconv.ParseUint(string(number), 10, 64)
	return id
}

// allStacks returns all stacks, up to a size that no healthy process reaches.
func allStacks() []byte {
	const most = 16 << 20
	for size := 64 << 10; ; size *= 4 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size || size >= most {
			return b[:n]
		}
	}
}
