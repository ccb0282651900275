package wiretest

import (
	"bytes"
	"errors"
	"math/rand"
	"testing"
	"time"
)

// ErrReset is the cause that a peer gets when the other side aborted.
var ErrReset = errors.New("wiretest: connection reset by peer")

// turnsMax bounds one Run. Two machines that answer each other for ever are a
// finding, not a test that hangs.
const turnsMax = 5_000_000

// poison overwrites a lent buffer after Feed has returned.
const poison = 0xDB

// Link is a connection between two peers, a and b.
type Link struct {
	t     testing.TB
	clock *Clock
	seed  int64
	rng   *rand.Rand
	a, b  *end

	// Tap, if set, sees every byte that leaves, before the other side does; from
	// is 'A' or 'B'. p is lent until return.
	Tap func(from byte, p []byte)
}

// end is one side of a link: the peer, its wire, and what a kernel and a loop would
// keep for it.
type end struct {
	name  byte
	peer  Peer
	wire  *Wire
	other *end

	inbox    []byte // sent by the other side, not yet read
	rest     []byte // read, but not yet taken by Feed
	eof      bool   // the other side will send no more
	eofSeen  bool   // and the peer knows
	reset    bool   // the other side cut the connection
	unsent   []byte // copy of what Pending had left after the last short write
	flushing bool   // Pending has not been empty yet
	closing  bool   // no more input; close once Pending is empty
	cause    error  // the cause that Lost will get then
	lost     bool
	deadline time.Time
}

// Join connects a and b on clock and opens the wire: both get their first Tick.
// Peers made with Wire.Bind are served through that wire.
func Join(t testing.TB, clock *Clock, seed int64, a, b Peer) *Link {
	t.Helper()
	l := &Link{t: t, clock: clock, seed: seed, rng: rand.New(rand.NewSource(seed))}
	l.a, l.b = &end{name: 'A'}, &end{name: 'B'}
	l.a.peer, l.a.wire = unbind(a)
	l.b.peer, l.b.wire = unbind(b)
	l.a.other, l.b.other = l.b, l.a
	clock.links = append(clock.links, l)
	t.Cleanup(func() {
		if t.Failed() && seed != 0 {
			t.Logf("wiretest: link of seed %d", seed)
		}
	})
	for _, e := range []*end{l.a, l.b} {
		l.tick(e)
		e.flushing = true
	}
	return l
}

// Pump joins a and b on a clock of their own, and runs them until both are quiet.
func Pump(t testing.TB, a, b Peer, seed int64) *Link {
	t.Helper()
	l := Join(t, NewClock(), seed, a, b)
	l.Run()
	return l
}

// Clock is the link's clock.
func (l *Link) Clock() *Clock { return l.clock }

// Run serves both sides, in random order, until neither can do anything without
// time passing. It returns the number of turns that did something.
func (l *Link) Run() int {
	l.t.Helper()
	turns := 0
	for {
		first, second := l.a, l.b
		if l.seed != 0 && l.rng.Intn(2) == 0 {
			first, second = second, first
		}
		did := l.turn(first)
		// Often one side gets several turns before the other gets one.
		if l.seed == 0 || !did || l.rng.Intn(3) == 0 {
			did = l.turn(second) || did
		}
		if !did {
			return turns
		}
		if turns++; turns > turnsMax {
			l.t.Fatalf("wiretest: still talking after %d turns (seed %d)", turnsMax, l.seed)
		}
	}
}

// Over reports whether Lost has been called on both sides.
func (l *Link) Over() bool { return l.a.lost && l.b.lost }

// Cut takes the wire away from both sides, like a pulled cable that was noticed:
// bytes on their way are gone, and both get Lost with cause.
func (l *Link) Cut(cause error) {
	for _, e := range []*end{l.a, l.b} {
		e.inbox, e.rest = nil, nil
		l.lose(e, cause)
	}
}

// turn is what the loop would do for e in one go: read, Feed, Tick, flush, close.
func (l *Link) turn(e *end) (did bool) {
	l.t.Helper()
	if e.lost {
		e.inbox = nil // the kernel does not answer data for a closed socket
		return false
	}
	if e.wire.aborted {
		return l.doom(e)
	}
	if e.reset {
		l.lose(e, ErrReset)
		return true
	}
	woken := e.wire.woken
	e.wire.woken = false
	read := l.read(e)
	ended := e.eof && !e.eofSeen && len(e.inbox) == 0 && !e.closing
	if read || woken {
		l.feed(e)
		// Woken inside Feed: the same turn or the next, at random. Both are
		// allowed.
		if e.wire.woken && l.seed != 0 && l.rng.Intn(2) == 0 {
			e.wire.woken = false
			l.feed(e)
		}
	}
	if ended && !e.closing {
		l.hangup(e)
	}
	if did = read || woken || ended; did {
		if !e.wire.aborted {
			l.tick(e)
		}
		e.flushing = true
	}
	if e.wire.aborted {
		return l.doom(e)
	}
	if e.wire.closing {
		e.closing = true
		e.flushing = true
	}
	if e.flushing {
		did = true
		l.flush(e)
	}
	if e.closing && !e.flushing {
		l.lose(e, e.cause)
		e.other.eof = true
	}
	if e.wire.shut && !e.flushing {
		e.other.eof = true
	}
	return did
}

// read moves some of the inbox to the rest. A closing end drains and drops.
func (l *Link) read(e *end) bool {
	if e.closing {
		e.inbox = nil
		return false
	}
	if len(e.inbox) == 0 {
		return false
	}
	n := l.cut(len(e.inbox))
	e.rest = append(e.rest, e.inbox[:n]...)
	e.inbox = e.inbox[n:]
	return true
}

// cut picks how many of n bytes move: on the calm wire all; else mostly few,
// sometimes one, sometimes all.
func (l *Link) cut(n int) int {
	if l.seed == 0 || n == 1 {
		return n
	}
	switch l.rng.Intn(8) {
	case 0:
		return 1
	case 1, 2, 3:
		return 1 + l.rng.Intn(min(n, 16))
	case 4, 5:
		return 1 + l.rng.Intn(min(n, 4096))
	case 6:
		return 1 + l.rng.Intn(n)
	}
	return n
}

// feed offers the rest in a buffer of exactly its size, and overwrites it
// afterwards.
func (l *Link) feed(e *end) {
	l.t.Helper()
	if len(e.rest) == 0 || e.closing || e.wire.closing || e.wire.aborted {
		return
	}
	lent := bytes.Clone(e.rest)
	lent = lent[:len(lent):len(lent)]
	n, err := e.peer.Feed(lent)
	if !bytes.Equal(lent, e.rest) {
		l.t.Fatalf("wiretest: %c changed bytes that were lent to Feed (seed %d)", e.name, l.seed)
	}
	for i := range lent {
		lent[i] = poison
	}
	if n < 0 || n > len(e.rest) {
		l.t.Fatalf("wiretest: %c took %d of %d bytes (seed %d)", e.name, n, len(e.rest), l.seed)
	}
	e.rest = e.rest[n:]
	if err != nil {
		e.closing, e.cause, e.rest = true, err, nil
	}
}

// hangup tells the peer that the other side has sent its last byte.
func (l *Link) hangup(e *end) {
	e.eofSeen = true
	if h, ok := e.peer.(HalfCloser); ok && h.EOF() {
		return
	}
	e.closing = true
}

func (l *Link) tick(e *end) { e.deadline = e.peer.Tick(l.clock.now) }

// flush is one write: some of Pending leaves. It checks that what was left after
// the last write still comes first, because a kernel cannot take bytes back.
func (l *Link) flush(e *end) {
	l.t.Helper()
	p := e.peer.Pending()
	if !bytes.HasPrefix(p, e.unsent) {
		l.t.Fatalf("wiretest: %c changed pending bytes after a short write: had %.64q, has %.64q (seed %d)",
			e.name, e.unsent, p, l.seed)
	}
	if len(p) == 0 {
		e.unsent, e.flushing = nil, false
		return
	}
	n := l.cut(len(p))
	if l.Tap != nil {
		l.Tap(e.name, p[:n])
	}
	if !e.other.lost && !e.other.closing {
		e.other.inbox = append(e.other.inbox, p[:n]...)
	}
	e.unsent = bytes.Clone(p[n:])
	e.peer.Sent(n)
}

// doom serves an Abort. The other side sees a reset or, if it had already read
// everything, sometimes a plain end.
func (l *Link) doom(e *end) bool {
	unread := len(e.inbox)+len(e.rest) > 0
	if unread || l.seed != 0 && l.rng.Intn(2) == 0 {
		e.other.reset = true
	} else {
		e.other.eof = true
	}
	l.lose(e, e.wire.cause)
	return true
}

func (l *Link) lose(e *end, cause error) {
	if e.lost {
		return
	}
	e.lost, e.flushing, e.deadline = true, false, time.Time{}
	e.inbox, e.rest = nil, nil
	e.peer.Lost(cause)
}

func (l *Link) next() time.Time {
	var next time.Time
	for _, e := range []*end{l.a, l.b} {
		if !e.lost && !e.deadline.IsZero() && (next.IsZero() || e.deadline.Before(next)) {
			next = e.deadline
		}
	}
	return next
}

func (l *Link) tickDue() {
	for _, e := range []*end{l.a, l.b} {
		if !e.lost && !e.deadline.IsZero() && !e.deadline.After(l.clock.now) {
			l.tick(e)
			e.flushing = true
		}
	}
}
