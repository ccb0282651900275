package logging

import (
	"bytes"
	"io"
	"sync"
	"time"

	"github.com/rs/zerolog"
)

const (
	// logWaitingMax is how many octets of lines may wait for a slow reader.
	logWaitingMax = 1 << 20
	// logLateMax is how many octets of the newest lines are kept when logWaitingMax is
	// reached: the last lines of a process say most.
	logLateMax = 64 << 10
	// logPieceMax is how much a pipe takes as one piece, so that lines of other
	// processes cannot come between (PIPE_BUF).
	logPieceMax = 4096

	logRetryMin = 50 * time.Millisecond
	logRetryMax = time.Second

	// Close waits so long for a reader that reads nothing, and so long altogether.
	logStallMax = time.Second
	logCloseMax = 10 * time.Second
)

// Writer lets any goroutine write lines without waiting for the reader: a goroutine of the
// Writer writes them. When its buffer is full, it keeps the oldest lines, which say how the
// trouble began, and the newest. Lines in between are dropped and counted, and a line in
// their place says how many. zerolog's diode keeps only the newest lines, and loses those
// that wait when a write fails.
type Writer struct {
	to      io.Writer
	notice  func(dropped uint64, err error) []byte // makes the line that counts dropped lines
	closing chan struct{}
	ended   chan struct{} // the goroutine has ended
	wake    chan struct{} // lines wait, or closing is closed; has room for one
	once    sync.Once
	repeats *repeats       // nil if every line is written
	own     zerolog.Logger // see Own

	mu      sync.Mutex
	lines   []byte // lines that the goroutine has not taken yet
	hand    int    // octets that the goroutine has taken and not written
	full    bool   // lines go to late until half of the buffer is free
	late    []byte // the newest lines
	closed  bool
	unbound bool   // the process ends: all lines are kept
	unsaid  uint64 // dropped lines that no line reports yet
	lastErr error  // error of the last failed write since it was reported
	moved   uint64 // octets written
	stats   Stats
}

// Stats counts since the start.
type Stats struct {
	Dropped  uint64 // lines
	Failures uint64 // failed writes; each is tried again
	Waiting  int    // octets that wait now
}

func newWriter(to io.Writer) *Writer {
	w := &Writer{to: to, closing: make(chan struct{}), ended: make(chan struct{}), wake: make(chan struct{}, 1)}
	go w.run()
	return w
}

// Write takes whole lines, with the newline of the last. It never waits for the
// reader and never fails.
func (w *Writer) Write(p []byte) (int, error) {
	w.mu.Lock()
	switch {
	case w.closed:
		w.drop()
	case !w.full && (w.unbound || len(w.lines)+w.hand+len(p) <= logWaitingMax):
		w.lines = append(w.lines, p...)
	default:
		w.full = true
		w.addLate(p)
	}
	w.mu.Unlock()
	w.signal()
	return len(p), nil
}

// Unbound removes the limit, for the last lines of a process that ends.
func (w *Writer) Unbound() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unbound = true
}

func (w *Writer) addLate(p []byte) {
	if w.unbound {
		w.late = append(w.late, p...)
		return
	}
	if len(p) > logLateMax {
		w.drop()
		return
	}
	w.late = append(w.late, p...)
	for len(w.late) > logLateMax {
		w.late = w.late[bytes.IndexByte(w.late, '\n')+1:]
		w.drop()
	}
}

func (w *Writer) drop() {
	w.unsaid++
	w.stats.Dropped++
}

func (w *Writer) signal() {
	select {
	case w.wake <- struct{}{}:
	default: // it has been woken already
	}
}

// Stats may be called on any goroutine.
func (w *Writer) Stats() Stats {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.stats
	s.Waiting = len(w.lines) + w.hand + len(w.late)
	return s
}

// Close writes the lines that wait, as long as there is a reader. Later lines are dropped.
// zerolog calls it before a fatal line ends the process.
func (w *Writer) Close() error {
	w.once.Do(func() { close(w.closing) })
	w.signal()
	var before uint64
	for start := time.Now(); time.Since(start) < logCloseMax; {
		select {
		case <-w.ended:
			return nil
		case <-time.After(logStallMax):
		}
		w.mu.Lock()
		moved := w.moved
		w.mu.Unlock()
		if moved == before {
			break
		}
		before = moved
	}
	return nil // nobody could read a report
}

// run is the Writer's goroutine.
func (w *Writer) run() {
	defer close(w.ended)
	var hand []byte
	for {
		hand = w.take(hand)
		if hand == nil {
			return
		}
		for rest := hand; len(rest) > 0; {
			n := wholeLines(rest)
			w.put(rest[:n])
			rest = rest[n:]
			w.tell()
		}
	}
}

// take waits for lines and takes all of them; nil is the end. spare is the buffer of the
// previous lines, which is filled again.
func (w *Writer) take(spare []byte) []byte {
	if cap(spare) > logWaitingMax/16 { // an idle server holds no large buffer
		spare = nil
	}
	for {
		w.mu.Lock()
		if len(w.lines) > 0 {
			hand := w.lines
			w.lines, w.hand = spare[:0], len(hand)
			w.mu.Unlock()
			return hand
		}
		select {
		case <-w.closing:
			w.closed = true
			w.mu.Unlock()
			return nil
		default:
		}
		w.mu.Unlock()
		<-w.wake
	}
}

// wholeLines is the length of the whole lines at the beginning of b that fit into one
// piece. The first line counts in any case.
func wholeLines(b []byte) int {
	if len(b) <= logPieceMax {
		return len(b)
	}
	if i := bytes.LastIndexByte(b[:logPieceMax], '\n'); i >= 0 {
		return i + 1
	}
	if i := bytes.IndexByte(b, '\n'); i >= 0 {
		return i + 1
	}
	return len(b)
}

// put writes a piece, and tries again after an error: a disk may be full for a time, a
// named pipe may have no reader. During Close, an error is final.
func (w *Writer) put(piece []byte) {
	for wait := logRetryMin; len(piece) > 0; wait = min(2*wait, logRetryMax) {
		n, err := w.to.Write(piece)
		piece = piece[n:]
		w.advance(n, err)
		if err == nil {
			return
		}
		select {
		case <-w.closing:
			w.advance(len(piece), nil)
			return
		case <-time.After(wait):
		}
	}
}

func (w *Writer) advance(n int, err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.hand -= n
	w.moved += uint64(n)
	if err != nil {
		w.stats.Failures++
		w.lastErr = err
	}
}

// tell appends the newest lines when there is room again, after a line that says how many
// lines are missing before them.
func (w *Writer) tell() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.full || len(w.lines)+w.hand > logWaitingMax/2 {
		return
	}
	if w.unsaid > 0 && w.notice != nil {
		w.lines = append(w.lines, w.notice(w.unsaid, w.lastErr)...)
	}
	w.lines = append(w.lines, w.late...)
	w.full, w.late, w.unsaid, w.lastErr = false, nil, 0, nil
}
