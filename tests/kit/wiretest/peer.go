package wiretest

import "time"

// Peer is one end of a conversation with the socket taken away. It has the shape
// of the loop's Peer and is declared anew here, so that machines are tested
// without the loop.
type Peer interface {
	Feed(in []byte) (n int, err error)   // take a prefix of in; in is borrowed until return
	Pending() []byte                     // bytes to send; the peer still owns them
	Sent(n int)                          // the first n bytes of Pending have left
	Tick(now time.Time) (next time.Time) // deadlines; zero means none
	Lost(cause error)                    // the wire is gone; nil means orderly
}

// HalfCloser is a Peer that can go on talking after the other side has said its
// last byte. EOF returning false closes the wire after what is pending; true
// leaves it open until the peer asks its wire to close.
type HalfCloser interface {
	EOF() (more bool)
}

// Wire is what a machine is given to ask of its socket. It satisfies the Wire
// interfaces that the machines declare for themselves. Make it first, hand it to
// the machine, and bind the two: Join(t, clock, seed, wire.Bind(machine), other).
type Wire struct {
	woken   bool
	closing bool
	shut    bool // a Script's half-close; machines have no such wish
	aborted bool
	cause   error

	// Woken, Closed and Aborted count the calls, for tests that drive a machine by
	// hand and never join it.
	Woken, Closed, Aborted int
}

// NewWire returns a wire that nothing is bound to.
func NewWire() *Wire { return &Wire{} }

// Wake asks for another turn: kept input is offered again, Tick, flush.
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

// Cause is what the first Abort was given.
func (w *Wire) Cause() error { return w.cause }

// Bind returns p as a Peer that a Link serves through w.
func (w *Wire) Bind(p Peer) Peer { return bound{p, w} }

type bound struct {
	Peer
	wire *Wire
}

// unbind separates a peer from its wire; a peer that was never bound gets a wire
// that nobody else holds.
func unbind(p Peer) (Peer, *Wire) {
	if b, ok := p.(bound); ok {
		return b.Peer, b.wire
	}
	return p, NewWire()
}
