package websocket

import (
	"errors"
	"time"
)

// Errors that end a connection. The peer is not told.
var (
	// ErrSilent gives up a peer that does not answer a ping.
	ErrSilent = errors.New("websocket: the peer has not answered a ping: aborting")
	// ErrSlow gives up a peer that has stopped reading, or reads too slowly.
	ErrSlow = errors.New("websocket: the peer takes its messages too slowly or not at all: aborting")
)

// Tick tells the Conn the time. It ends what has taken too long, sends a ping if one is due, and
// returns the next deadline; zero if there is none.
func (c *Conn) Tick(now time.Time) (next time.Time) {
	t := c.srv.clock(now)
	c.listen(t)
	if c.due != 0 && t >= c.due {
		c.expire(t)
	}
	due := c.due
	if len(c.out) > 0 && c.cfg.WriteTimeout > 0 && c.flags&flagLost == 0 {
		most := t + int64(c.cfg.WriteTimeout)
		if c.writeDue == 0 {
			c.writeDue = most
		} else if c.writeDue = min(c.writeDue, most); t >= c.writeDue {
			c.srv.stats.Slow++
			c.abort(ErrSlow)
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

// listen sets the deadline of the input, from what has come since the last Tick. A peer cannot
// answer pings while it sends a long frame. So the octets of the frame count, as long as they
// come at the minimum rate. While input is held, because nobody takes the messages, the peer does
// not count as silent.
func (c *Conn) listen(t int64) {
	fresh := c.flags&flagFresh != 0
	c.flags &^= flagFresh
	switch {
	case c.state == awaitClose && fresh:
		c.due = t + int64(c.cfg.CloseTimeout)
		return
	case c.state != stateOpen || c.cfg.PingInterval <= 0:
		return
	case c.flags&(flagHeard|flagHeld) != 0:
		c.heard = t
	case c.credit > 0 && c.cfg.RateMin > 0:
		c.heard = min(t, c.heard+int64(c.credit)*int64(time.Second)/c.cfg.RateMin)
	case c.credit > 0:
		c.heard = t
	case c.due != 0:
		return
	}
	c.credit = 0
	c.flags &^= flagHeard
	if due := c.heard + int64(c.cfg.PingInterval); due > t || c.flags&flagPinged == 0 {
		c.flags &^= flagPinged
		c.due = due
	}
}

// expire handles a deadline of the input that has passed.
func (c *Conn) expire(t int64) {
	c.due = 0
	switch {
	case c.state == awaitClose:
		c.finish()
	case c.flags&flagPinged != 0:
		c.srv.stats.Silent++
		c.abort(ErrSilent)
	default:
		c.flags |= flagPinged
		c.due = t + int64(c.cfg.PongTimeout)
		c.append(opPing, true, nil)
	}
}

// abort gives up the peer.
func (c *Conn) abort(cause error) {
	w := c.wire
	c.state, c.due = stateClosed, 0
	w.Abort(cause)
	c.end(&CloseError{Code: CloseAbnormal, Cause: cause})
}
