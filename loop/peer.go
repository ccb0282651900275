package loop

import "time"

// Peer is one end of a connection without its socket: a protocol's state machine. All its methods
// are called on the loop's thread; the package comment says when.
type Peer interface {
	// Feed takes a prefix of in and returns its length. in is borrowed until Feed returns. A Wake
	// inside a Feed that takes nothing does not make the loop offer the same again.
	Feed(in []byte) (n int, err error)
	// Pending returns the bytes to send, nil or empty if there are none. The peer still owns them,
	// and must leave them as they are until Sent.
	Pending() []byte
	// Sent says that the first n bytes of Pending have been sent.
	Sent(n int)
	// Tick is the only way that a Peer learns the time. It returns when to call it next; the zero
	// Time means that the peer has no deadline.
	Tick(now time.Time) (next time.Time)
	// Lost says that the wire is gone. It is called exactly once, and last. nil means an
	// orderly end.
	Lost(cause error)
}

// HalfCloser is an optional method of a Peer. EOF tells it that the other side will send no more.
// true means that the peer still has something to say: it will ask its wire to Close when done.
// Otherwise, and without this method, the connection is flushed and closed.
type HalfCloser interface {
	EOF() (more bool)
}
