package wiretest

import "time"

// Peer is one end of a conversation without its socket. It has the methods of the
// loop's Peer, and is declared again here so that machines are tested without the
// loop.
type Peer interface {
	Feed(in []byte) (n int, err error)   // take a prefix of in; in is borrowed until return
	Pending() []byte                     // bytes to send; the peer still owns them
	Sent(n int)                          // the first n bytes of Pending have left
	Tick(now time.Time) (next time.Time) // deadlines; zero means none
	Lost(cause error)                    // the wire is gone; nil means orderly
}

// HalfCloser is a Peer that can continue sending after the other side has sent its last byte.
// If EOF returns false, the wire closes after the pending output. If it returns true, the
// wire stays open until the peer asks to close it.
type HalfCloser interface {
	EOF() (more bool)
}

// Wire is what a machine uses to control its socket. It satisfies the Wire
// interfaces that the machines declare. Make it first, give it to the machine, and
// bind the two: Join(t, clock, seed, wire.Bind(machine), other).
type Wire struct {
	woken   bool
	closing bool
	shut    bool // a Script's half-close; machines do not need it
	aborted bool
	cause   error

	// Woken, Closed and Aborted count the calls, for tests that drive a machine by
	// hand and never join it.
	Woken, Closed, Aborted int
}

// NewWire returns a wire that nothing is bound to.
func NewWire() *Wire { return &Wire{} }

// Wake asks for another turn: kept input is offered again, then Tick, then flush.
func (w *Wire) Wake() { w.Woken++; w.woken = true }

// Close asks for an orderly close once everything pending has left.
func (w *Wire) Close() { w.Closed++; w.closing = true }

// Abort asks for an immediate close: nothing more is sent, Lost gets cause.
func (w *Wire) Abort(cause error) {
	w.Aborted++
	if !w.aborted {
		w.aborted, w.cause = true, cause
	}
}

// Cause is the argument of the first Abort.
func (w *Wire) Cause() error { return w.cause }

// Bind returns p as a Peer that a Link serves through w.
func (w *Wire) Bind(p Peer) Peer { return bound{p, w} }

type bound struct {
	Peer
	wire *Wire
}

// unbind separates a peer from its wire. A peer that was never bound gets a new
// wire.
func unbind(p Peer) (Peer, *Wire) {
	if b, ok := p.(bound); ok {
		return b.Peer, b.wire
	}
	return p, NewWire()
}
