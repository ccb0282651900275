package loop

import (
	"syscall"
	"time"
)

// limitDirty moves connections that are too many for one turn to a line. A connection does not
// stand in it twice. Each turn takes some of the line, after those that have become dirty in this
// turn: when fifty thousand connections have something to send at once, an answer to another one
// does not wait for all of them.
func (l *Loop) limitDirty() {
	most := l.opt.FlushTurnMax
	if n := len(l.dirty); n > most {
		l.late = append(l.late, l.dirty[most:]...)
		clear(l.dirty[most:])
		l.dirty = l.dirty[:most]
	}
	if n := min(len(l.late), max(1, most/4)); n > 0 {
		l.dirty = append(l.dirty, l.late[:n]...)
		clear(l.late[:n])
		if l.late = l.late[n:]; len(l.late) == 0 {
			l.late = nil
		}
	}
}

// flushDirty is phase 6.
func (l *Loop) flushDirty() {
	l.limitDirty()
	// First offer all held input, because peers may make others dirty when they handle it, and
	// those should be written in this turn too. The list may grow in this loop, but no connection
	// is in it twice.
	for l.cursor = 0; l.cursor < len(l.dirty); {
		l.offerKept()
	}
	// Connections that become dirty from here on wait for the next turn.
	l.dirty, l.flushing = l.flushing[:0], l.dirty
	before := l.count.BytesOut
	l.shares.left = l.opt.WriteTurnMax
	for l.cursor = 0; l.cursor < len(l.flushing); {
		l.flushSome()
	}
	if l.shares.waiting() > 0 {
		l.serveLine()
	}
	l.count.TurnOut = max(l.count.TurnOut, l.count.BytesOut-before)
	clear(l.flushing)
	const keepMax = 4096
	if cap(l.flushing) > keepMax {
		l.flushing = nil
	}
}

func (l *Loop) offerKept() {
	defer l.rescue()
	for l.cursor < len(l.dirty) {
		c := l.dirty[l.cursor]
		l.cursor++
		if c.offerable() {
			l.setCurrent(c)
			c.offer()
		}
	}
	l.setCurrent(nil)
}

// offerable reports whether held input is to be offered again.
func (c *Conn) offerable() bool {
	return c.flags&fWoken != 0 && c.input != nil && c.stage == stageOpen && c.flags&fHigh == 0
}

func (l *Loop) flushSome() {
	defer l.rescue()
	for l.cursor < len(l.flushing) {
		c := l.flushing[l.cursor]
		l.cursor++
		if c.stage > stageClosing {
			c.flags &^= fDirty
			continue
		}
		l.setCurrent(c)
		c.turn()
	}
	l.setCurrent(nil)
}

// turn gives the peer its Tick and its write.
func (c *Conn) turn() {
	if c.flags&fTick != 0 {
		c.tick()
	}
	// This flush answers a Wake before this point, and the next flush a later one. But a Wake for
	// held input came too late for the offer of this turn.
	woken := c.flags & fWoken
	c.flags &^= fDirty | fTick | fWoken
	if woken != 0 && c.input != nil && c.stage == stageOpen {
		c.flags |= fWoken // the flag is kept while reading is paused: the input is offered when the pause ends
		if c.flags&fHigh == 0 {
			c.mark(fTick)
		}
	}
	if c.stage <= stageClosing {
		c.flush(false)
	}
}

// tick calls Tick and arms the deadline that it returns.
func (c *Conn) tick() {
	l := c.loop
	l.doing = "tick"
	next := c.peer.Tick(l.now)
	if c.stage != stageOpen { // a closing connection has its own deadline
		return
	}
	if next.IsZero() {
		c.arm(0)
		return
	}
	// With a time in the past the loop would never wait.
	const soonest = int64(time.Millisecond)
	c.arm(max(int64(next.Sub(l.base)), l.at+soonest))
}

// flush writes Pending once. first says that it is the connection's turn among those with long
// outputs.
func (c *Conn) flush(first bool) {
	l := c.loop
	l.doing = "flush"
	p := c.peer.Pending()
	l.debug.pending(c, p)
	if c.layer != nil && !c.flushLayer() {
		c.pressure(len(p))
		return
	}
	if len(p) == 0 {
		c.flushed()
		return
	}
	if c.flags&(fBlocked|fUnwriting) != 0 {
		c.pressure(len(p))
		return
	}
	most := c.portion(len(p), first)
	if most == 0 {
		c.stand()
		c.pressure(len(p))
		return
	}
	l.count.Writes++
	n, errno := c.send(p[:most])
	if errno != 0 {
		n = 0
		if errno == syscall.EINTR {
			c.mark(0)
			return
		}
		if errno != syscall.EAGAIN {
			c.unwritable(errno)
			return
		}
	}
	l.count.BytesOut += uint64(n)
	if len(p) > smallWrite {
		l.shares.left -= n
	}
	if n > 0 {
		l.debug.unsent(c, p[n:])
		left := len(p) - n
		c.peer.Sent(n)
		if left == 0 {
			// The peer may have encoded more, now that there is room.
			if p = c.peer.Pending(); len(p) == 0 {
				c.flushed()
			} else {
				c.pressure(len(p))
				c.mark(0)
			}
			return
		}
		if c.stage == stageClosing {
			c.arm(l.at + int64(l.opt.FlushTime))
		}
	}
	if n == most { // the rest waits for its turn, not for the other side
		c.stand()
		c.pressure(len(p) - n)
		return
	}
	c.flags |= fBlocked
	if c.pressure(len(p) - n); c.stage <= stageClosing {
		c.interest()
	}
}

// flushLayer sends what the stream over the socket has sealed. It returns false if some of it is
// left.
func (c *Conn) flushLayer() bool {
	if c.flags&(fBlocked|fUnwriting) != 0 {
		return len(c.layer.out) == 0
	}
	left := len(c.layer.out)
	errno := c.layer.send()
	if len(c.layer.out) < left && c.stage == stageClosing {
		c.arm(c.loop.at + int64(c.loop.opt.FlushTime))
	}
	switch errno {
	case 0:
		return true
	case syscall.EAGAIN:
		c.awaitLayer()
	default:
		c.unwritable(errno)
	}
	return false
}

// awaitLayer waits until the socket takes more of what is sealed.
func (c *Conn) awaitLayer() {
	c.flags |= fBlocked
	c.interest()
}

// pressure stops reading from a connection with too much output, and resumes when the output is
// under half of HighWater.
func (c *Conn) pressure(left int) {
	high := c.loop.opt.HighWater
	switch {
	case c.flags&(fHigh|fReading) == 0 && left > high:
		c.flags |= fHigh
		c.interest()
	case c.flags&fHigh != 0 && left <= high/2:
		c.flags &^= fHigh
		c.interest()
		if c.input != nil {
			c.flags |= fWoken
			c.mark(fTick)
		}
	}
}

// flushed handles an empty Pending.
func (c *Conn) flushed() {
	c.pressure(0)
	switch {
	case c.layer != nil && len(c.layer.out) > 0:
		c.awaitLayer()
	case c.stage == stageOpen:
		c.interest()
	case c.stream != nil && c.stream.unsent():
		c.flags |= fBlocked // the writing goroutine will call wake
	default:
		c.doom(c.cause, true)
	}
}

// unwritable handles a failed write. What the other side sent before it closed is still read,
// because it is often the reason.
func (c *Conn) unwritable(errno syscall.Errno) {
	err := c.failure("write", errno)
	c.flags |= fUnwriting
	if c.stage == stageOpen && c.flags&fEOF == 0 {
		c.read()
		c.loop.cur = c
	}
	c.doom(err, false)
}

func (c *Conn) send(p []byte) (int, syscall.Errno) {
	switch {
	case c.stream != nil:
		return c.stream.put(p)
	case c.layer != nil:
		return c.layer.put(p)
	}
	return write(int(c.fd), p)
}
