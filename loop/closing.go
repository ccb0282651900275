package loop

import (
	"errors"
	"syscall"
)

// ErrFlushTimeout is the cause of Lost when a connection could not be closed in an orderly
// way because the other side did not read the remaining output.
var ErrFlushTimeout = errors.New("loop: the other side did not read the last answer in time")

// finish begins an orderly close: no more feeding, flush what is pending, then lose the peer with
// cause.
func (c *Conn) finish(cause error) {
	if c.stage != stageOpen {
		return
	}
	c.stage = stageClosing
	c.cause = cause
	l := c.loop
	c.arm(l.at + int64(l.opt.FlushTime))
	c.interest() // input is dropped from here on, paused or not
	c.again()
	c.mark(0)
}

// doom adds the connection to the list for phase 7, where it is closed or begins to linger.
func (c *Conn) doom(cause error, linger bool) {
	if c.stage == stageDoomed || c.stage == stageClosed {
		return
	}
	c.cause = cause
	c.stage = stageDoomed
	if linger && c.flags&fEOF == 0 {
		c.flags |= fLinger
	}
	c.loop.doomed = append(c.loop.doomed, c)
}

// closeDoomed is phase 7.
func (l *Loop) closeDoomed() {
	for l.cursor = 0; l.cursor < len(l.doomed); {
		l.closeSome()
	}
	clear(l.doomed)
	l.doomed = l.doomed[:0]
}

func (l *Loop) closeSome() {
	l.doing = "lost"
	defer l.rescue()
	for l.cursor < len(l.doomed) {
		c := l.doomed[l.cursor]
		l.cursor++
		c.close()
	}
}

// close releases the peer and, unless the connection lingers, the descriptor. Lost is called after
// all cleanup, so that a panic in it leaves nothing behind.
func (c *Conn) close() {
	peer, cause := c.peer, c.cause
	c.peer, c.cause = nil, nil
	c.loop.debug.forget(c)
	c.releaseInput()
	if c.layer != nil && (cause == nil || c.flags&fLinger != 0) {
		c.layer.close()
	}
	if c.flags&fLinger != 0 {
		c.linger()
	} else {
		c.discard()
	}
	if peer != nil {
		peer.Lost(cause)
	}
}

// discard closes the descriptor.
func (c *Conn) discard() {
	l := c.loop
	c.stage = stageClosed
	c.disarm()
	l.count.Open--
	if c.flags&fLingering != 0 {
		l.count.Lingers--
	}
	if c.stream != nil {
		c.stream.close()
		return
	}
	l.release(int(c.fd))
}

// linger shuts down the write side and waits for the other side to do the same. If the socket were
// closed at once while input is unread or still arriving, the kernel would send a reset. Then the
// other side could lose the last answer, if it has not read it yet.
func (c *Conn) linger() {
	l := c.loop
	l.count.Lingers++
	c.stage = stageLinger
	c.flags = c.flags&^(fLinger|fBlocked) | fLingering
	if c.stream != nil {
		c.stream.shut()
	} else {
		shutdownWrite(int(c.fd))
	}
	c.arm(l.at + int64(l.opt.LingerTime))
	c.interest()
}

// drain drops what arrives on a connection that is closing or lingering.
func (c *Conn) drain() {
	l := c.loop
	defer c.again()
	for left := l.opt.ReadTurnMax; left > 0; {
		n, errno := c.recv(l.buf)
		switch {
		case errno == syscall.EINTR:
			continue
		case errno == syscall.EAGAIN:
			return
		case errno != 0:
			c.doom(c.failure("read", errno), false)
			return
		case n == 0:
			c.flags |= fEOF
			if c.stage == stageLinger {
				c.doom(nil, false)
			} else {
				c.interest()
			}
			return
		}
		left -= n
		l.count.BytesIn += uint64(n)
		if c.stage == stageLinger {
			if c.dropped += int32(n); int(c.dropped) > l.opt.LingerMax {
				c.doom(nil, false)
				return
			}
		}
		if n < len(l.buf) {
			return
		}
	}
}

// expired handles the connection's deadline.
func (c *Conn) expired() {
	c.deadline = 0
	switch c.stage {
	case stageOpen:
		c.mark(fTick)
	case stageClosing:
		c.doom(ErrFlushTimeout, false)
	case stageLinger:
		c.doom(nil, false)
	}
}
