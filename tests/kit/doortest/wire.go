package doortest

import (
	"time"

	"zamqp/tests/kit/wiretest"
)

// side is one end of a process's wire. It counts operations and cuts. The broker's
// side can be frozen, the process's side can be dead.
type side struct {
	wiretest.Peer
	w      *World
	wire   *wiretest.Wire
	broker bool
	p      *Process
	slept  bool // something was withheld while the broker was frozen
}

func (s *side) frozen() bool {
	if !s.broker || !s.w.frozen {
		return false
	}
	if !s.slept {
		s.slept = true
		s.w.thawed = append(s.w.thawed, s.wire)
	}
	return true
}

// Feed counts as one operation.
func (s *side) Feed(in []byte) (n int, err error) {
	switch {
	case s.p.dead && !s.broker:
		return len(in), nil
	case s.frozen():
		return 0, nil
	}
	s.slept = false
	n, err = s.Peer.Feed(in)
	s.operation()
	return n, err
}

// Pending is empty while the broker is frozen. Nothing is ever half sent then,
// because Freeze comes when all is quiet.
func (s *side) Pending() []byte {
	if s.p.dead && !s.broker || s.frozen() {
		return nil
	}
	return s.Peer.Pending()
}

// Sent counts as one operation.
func (s *side) Sent(n int) {
	s.Peer.Sent(n)
	s.operation()
}

func (s *side) operation() {
	s.w.Operations++
	if s.w.Operations == s.w.CutAt {
		s.wire.Abort(ErrCut)
	}
	if s.w.OnOperation != nil {
		s.w.OnOperation(s.w.Operations)
	}
}

// Tick is not called on a frozen or dead side.
func (s *side) Tick(now time.Time) time.Time {
	if s.p.dead && !s.broker || s.frozen() {
		return time.Time{}
	}
	return s.Peer.Tick(now)
}

// Lost is not called on a dead side.
func (s *side) Lost(cause error) {
	if s.broker || !s.p.dead {
		s.Peer.Lost(cause)
	}
}
