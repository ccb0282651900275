package broker

// heartbeat watches both directions of one connection. AMQP 0-9-1 §4.2.7. Times
// are nanoseconds since 1970.
type heartbeat struct {
	interval int64 // 0 = none agreed

	fed     bool  // octets came since the last tick
	lastIn  int64 // when octets came last
	lastOut int64 // when octets left last

	// backlog says that the last write left a rest. The next write that gets
	// anything out then proves that the peer took what filled the kernel's buffer:
	// a peer whose output piles up is not read, and its own heartbeats not seen.
	backlog bool
}

// left notes that n octets have left and rest are pending.
func (h *heartbeat) left(now int64, n, rest int) {
	if n > 0 {
		h.lastOut = now
		h.fed = h.fed || h.backlog
	}
	h.backlog = rest > 0
}

// tick tells whether to send a heartbeat, and whether the peer is dead: nothing
// came for two intervals. deaf says that we do not read it on purpose, so that
// its silence says nothing. idle means that nothing is pending; if something is,
// a heartbeat behind it would help nobody.
func (h *heartbeat) tick(now int64, idle, deaf bool) (send, dead bool, next int64) {
	if h.fed || h.lastIn == 0 || deaf {
		h.lastIn, h.fed = now, false
	}
	if h.interval == 0 {
		return false, false, 0
	}
	if h.lastOut == 0 {
		h.lastOut = now
	}
	if now-h.lastIn >= 2*h.interval {
		return false, true, 0
	}
	next = h.lastIn + 2*h.interval
	switch {
	case now-h.lastOut < h.interval/2:
		sooner(&next, h.lastOut+h.interval/2)
	case idle:
		h.lastOut, send = now, true
		sooner(&next, now+h.interval/2)
	default:
		sooner(&next, now+h.interval/2)
	}
	return send, false, next
}

// sooner lowers *next to at; 0 is never.
func sooner(next *int64, at int64) {
	if at != 0 && (*next == 0 || at < *next) {
		*next = at
	}
}
