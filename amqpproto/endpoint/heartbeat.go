package endpoint

// Heartbeat watches both directions of one connection. AMQP 0-9-1 §4.2.7. The
// zero value sends none and never finds a peer dead.
type Heartbeat struct {
	// Interval is what both ends have agreed on, in nanoseconds; 0 = no heartbeats.
	Interval int64

	heard   bool  // octets have come since the last Tick
	kept    int   // octets that the last Feed did not take
	lastIn  int64 // when octets came last
	lastOut int64 // when octets left last

	// backlog says that the last write was not complete. When a later write succeeds,
	// the peer has read from the kernel's full buffer, so it is alive. This matters
	// because a loop does not read a peer with too much output, and so does not see its
	// heartbeats. Without it a long upload would look like a dead peer.
	backlog bool
}

// Fed records that the connection was offered some octets and did not take the last kept
// of them. A Feed that offers only octets kept before brings nothing new: it is the same
// incomplete frame once more.
func (h *Heartbeat) Fed(offered, kept int) {
	h.heard = h.heard || offered > h.kept
	h.kept = kept
}

// Heard reports whether octets came since the last Tick.
func (h *Heartbeat) Heard() bool { return h.heard }

// Left records that n octets were sent and rest are pending.
func (h *Heartbeat) Left(now int64, n, rest int) {
	if n > 0 {
		h.lastOut = now
		h.heard = h.heard || h.backlog
	}
	h.backlog = rest > 0
}

// Tick returns whether to send a heartbeat, whether the peer is dead, and when to call Tick
// again. A peer is dead when nothing has come from it for two intervals. We send after half
// an interval of silence, so that a late heartbeat is still in time.
//
// idle says that nothing is pending; if something is, a heartbeat after it would be of no
// use. readPaused says that we do not read from the peer on purpose, so its silence means
// nothing. A client always reads, because it needs confirms and connection.blocked. A broker
// stops reading from a publisher that it cannot serve.
func (h *Heartbeat) Tick(now int64, idle, readPaused bool) (send, dead bool, next int64) {
	if h.heard || h.lastIn == 0 || readPaused {
		h.lastIn, h.heard = now, false
	}
	if h.Interval == 0 {
		return false, false, 0
	}
	if h.lastOut == 0 {
		h.lastOut = now
	}
	if now-h.lastIn >= 2*h.Interval {
		return false, true, 0
	}
	next = h.lastIn + 2*h.Interval
	switch {
	case now-h.lastOut < h.Interval/2:
		Sooner(&next, h.lastOut+h.Interval/2)
	case idle:
		h.lastOut, send = now, true
		Sooner(&next, now+h.Interval/2)
	default:
		Sooner(&next, now+h.Interval/2)
	}
	return send, false, next
}
