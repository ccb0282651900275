package http1

import "time"

// Tick sets the time, ends what has taken too long, and returns the next deadline; zero if
// there is none.
func (c *Conn) Tick(now time.Time) (next time.Time) {
	t := c.srv.clock(now)
	switch {
	case c.flags&flagFresh != 0:
		c.flags &^= flagFresh
		c.due = c.deadline(t)
	case c.credit > 0:
		c.extend(t)
	}
	c.credit = 0
	if c.due != 0 && t >= c.due {
		c.expire()
	}
	due := c.due
	if len(c.out) > 0 && c.srv.cfg.WriteTimeout > 0 {
		if c.writeDue == 0 {
			c.writeDue = t + int64(c.srv.cfg.WriteTimeout)
		} else if c.writeDue = min(c.writeDue, t+int64(c.srv.cfg.WriteTimeout)); t >= c.writeDue {
			c.Abort(ErrWriteTimeout)
			return time.Time{}
		}
		if due == 0 || c.writeDue < due {
			due = c.writeDue
		}
	}
	if due == 0 {
		return time.Time{}
	}
	return c.srv.base.Add(time.Duration(due))
}

// deadline returns the time by which the awaited input must have come; 0 = never. t is now,
// in nanoseconds since the Server's first Tick.
func (c *Conn) deadline(t int64) int64 {
	cfg := &c.srv.cfg
	d := time.Duration(-1)
	switch c.in {
	case awaitHead:
		switch {
		case c.flags&flagBegun != 0:
			d = cfg.HeadTimeout // absolute: more octets do not move it
		case c.flags&flagHeld == 0:
			d = cfg.IdleTimeout
		}
	case awaitBody, awaitChunkSize, awaitChunkData, awaitChunkEnd, awaitTrailer:
		switch {
		case c.waitsForHandler():
		case c.flags&flagWaiting != 0:
			d = cfg.BodyStallMax
		case cfg.BodyRateMin > 0:
			d = cfg.BodyGrace
		}
	}
	if d < 0 {
		return 0
	}
	return t + int64(d)
}

// extend moves the deadline of a body by the time that the octets since the last Tick may
// take at the minimum rate. The deadline is never more than BodyStallMax away: otherwise a
// client could send fast for a while and then be silent for an hour.
func (c *Conn) extend(t int64) {
	cfg := &c.srv.cfg
	if c.due == 0 {
		return
	}
	due := c.due + int64(c.credit)*int64(time.Second)/cfg.BodyRateMin
	c.due = max(c.due, min(due, t+int64(cfg.BodyStallMax)))
}

// took moves the deadline of an answer by the time that n octets may take at the
// minimum rate. It does not know the time, so the bound is in Tick, which brings the
// deadline back to at most WriteTimeout from then. A write alone causes no Tick: the next
// one comes at the deadline that was set before the write, at the latest. So a client
// that has read fast and then stops is aborted at most twice WriteTimeout later.
func (c *Conn) took(n int) {
	rate := c.srv.cfg.AnswerRateMin
	if rate <= 0 {
		c.writeDue = 0 // without a minimum rate, any octet is progress
		return
	}
	c.writeDue += int64(n) * int64(time.Second) / rate
}

// expire ends the connection whose deadline has passed. An idle one is closed
// without an answer; one in the middle of a request gets 408, RFC 9110 §15.5.9.
func (c *Conn) expire() {
	c.due = 0
	switch {
	case c.in == awaitHead && c.flags&flagBegun == 0:
		c.in = awaitClose
	case c.in == awaitHead:
		c.refuse(errHeadTimeout)
	case c.flags&flagWaiting != 0:
		c.refuse(errBodyRoom)
	default:
		c.refuse(errBodyTimeout)
	}
	c.wire.Close()
}
