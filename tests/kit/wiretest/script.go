package wiretest

import "time"

// Script is a peer that the test plays itself: it records what it receives, and
// sends what the test says, right or wrong. Use it as the hostile other side.
type Script struct {
	*Wire

	// On, if set, is called with all bytes that have come so far. It returns how
	// many of them it took, and may call Say, Close or Abort. Without On, all bytes
	// are collected in Got.
	On func(in []byte) (n int, err error)

	Got   []byte    // what came, when On is nil
	Ended bool      // the other side has sent its last byte
	Gone  bool      // Lost was called
	Cause error     // the cause that Lost got
	Now   time.Time // time of the last Tick

	// HalfOpen keeps the wire open after the other side's end, until Close.
	HalfOpen bool

	out []byte
}

// NewScript returns a script that collects. It is its own wire: join script.Peer().
func NewScript() *Script { return &Script{Wire: NewWire()} }

// Peer returns the script bound to its wire.
func (s *Script) Peer() Peer { return s.Bind(s) }

// Say appends p to what it sends next.
func (s *Script) Say(p ...byte) { s.out = append(s.out, p...); s.Wake() }

// SayString is Say for text.
func (s *Script) SayString(p string) { s.Say([]byte(p)...) }

// Shut ends what the script sends, but it still receives: a half-close.
func (s *Script) Shut() { s.shut = true; s.Wake() }

// Take returns what has been collected, and empties it.
func (s *Script) Take() []byte {
	got := s.Got
	s.Got = nil
	return got
}

// Feed, Pending, Sent, Tick, EOF and Lost make a Script a Peer.
func (s *Script) Feed(in []byte) (int, error) {
	if s.On != nil {
		return s.On(in)
	}
	s.Got = append(s.Got, in...)
	return len(in), nil
}

// Pending returns what was said and has not left.
func (s *Script) Pending() []byte { return s.out }

// Sent forgets the first n bytes of it.
func (s *Script) Sent(n int) { s.out = s.out[n:] }

// Tick records the time and asks for none.
func (s *Script) Tick(now time.Time) time.Time { s.Now = now; return time.Time{} }

// EOF records the other side's end.
func (s *Script) EOF() bool { s.Ended = true; return s.HalfOpen }

// Lost records the cause.
func (s *Script) Lost(cause error) { s.Gone, s.Cause = true, cause }
