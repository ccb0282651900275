package loop

import (
	"fmt"
	"syscall"
)

// read is the readable side of phase 2: it reads and feeds until the socket is empty, the peer
// wants no more, or the turn's share is used up. The poller is level-triggered, so what is left
// comes again.
func (c *Conn) read() {
	l := c.loop
	l.setCurrent(c)
	for left := l.opt.ReadTurnMax; left > 0; {
		room, front := c.room()
		n, errno := c.recv(room)
		if errno != 0 {
			if errno == syscall.EINTR {
				continue
			}
			if errno != syscall.EAGAIN {
				c.doom(c.failure("read", errno), false)
			}
			break
		}
		if n == 0 {
			c.end()
			break
		}
		left -= n
		l.count.BytesIn += uint64(n)
		c.arrived(room, front, n)
		if n < len(room) || c.stage != stageOpen || c.flags&(fFull|fPaused) != 0 {
			break
		}
	}
	c.mark(fTick)
	l.setCurrent(nil)
	c.again()
}

// again makes the loop return to an adopted stream, which does not report the same remaining input
// twice.
func (c *Conn) again() {
	switch {
	case c.stream != nil:
		c.stream.again()
	case c.layer != nil:
		c.layer.again()
	}
}

// room returns where to read to: the shared buffer, after a copy of a short rest, or the input
// buffer, after a long rest. front is the length of the rest that was copied to the front of the
// shared buffer; -1 means the input buffer.
func (c *Conn) room() (b []byte, front int) {
	l := c.loop
	k := c.input
	if k == nil {
		return l.buf[headroom:], 0
	}
	if n := k.w - k.r; n <= headroom {
		copy(l.buf[headroom-n:], k.b[k.r:k.w])
		return l.buf[headroom:], n
	}
	// Room for a quarter of ReadSize is enough. Less is not worth a system call.
	if len(k.b)-k.w < l.opt.ReadSize/4 {
		n := k.w - k.r
		if k.r >= l.opt.ReadSize/4 && k.r >= n { // moving it is cheap, compared with what was taken
			copy(k.b, k.b[k.r:k.w])
		} else {
			bigger := l.inputs.get(n + l.opt.ReadSize)
			copy(bigger.b, k.b[k.r:k.w])
			l.inputs.put(k)
			c.input, k = bigger, bigger
		}
		k.r, k.w = 0, n
	}
	return k.b[k.w:min(len(k.b), k.w+l.opt.ReadSize)], -1
}

// arrived feeds what was read into room, with the rest before it, and keeps what the peer did not
// take.
func (c *Conn) arrived(room []byte, front, n int) {
	l := c.loop
	if front < 0 {
		c.input.w += n
		c.offer()
		return
	}
	in := l.buf[headroom-front : headroom+n]
	took := c.feed(in)
	if c.stage != stageOpen {
		l.debug.poison(in)
		c.releaseInput()
		return
	}
	rest := in[took:]
	if len(rest) == 0 {
		c.releaseInput()
	} else {
		c.storeInput(rest)
	}
	l.debug.poison(in)
}

// storeInput stores rest, which is not in the input buffer.
func (c *Conn) storeInput(rest []byte) {
	l := c.loop
	k := c.input
	if k == nil || len(k.b) < len(rest) || debugging {
		c.releaseInput()
		k = l.inputs.get(len(rest))
		c.input = k
	}
	k.r, k.w = 0, copy(k.b, rest)
	c.full(len(rest))
}

// offer feeds the held input.
func (c *Conn) offer() {
	l := c.loop
	k := c.input
	took := c.feed(k.b[k.r:k.w])
	if c.stage != stageOpen {
		c.releaseInput()
		return
	}
	l.debug.poison(k.b[k.r : k.r+took])
	k.r += took
	switch {
	case k.r == k.w:
		c.releaseInput()
		return
	case debugging: // views into the rest must not survive either
		rest := append([]byte(nil), k.b[k.r:k.w]...)
		l.debug.poison(k.b)
		c.storeInput(rest)
		return
	}
	c.full(k.w - k.r)
}

// full stops reading from a connection whose peer refuses too much input, and resumes it later.
func (c *Conn) full(n int) {
	if n >= c.loop.opt.InputMax {
		c.flags |= fFull
	} else if c.flags&fFull == 0 {
		return
	} else {
		c.flags &^= fFull
	}
	c.interest()
}

// releaseInput gives the input buffer back.
func (c *Conn) releaseInput() {
	if c.input != nil {
		c.loop.debug.poison(c.input.b)
		c.loop.inputs.put(c.input)
		c.input = nil
	}
	if c.flags&fFull != 0 {
		c.flags &^= fFull
		c.interest()
	}
}

// feed offers b until the peer takes no more of it, and returns how much it took. If a peer
// took something and called Wake in Feed (because it has answered one of several requests),
// it is offered the rest at once.
func (c *Conn) feed(b []byte) (took int) {
	l := c.loop
	l.doing = "feed"
	for {
		c.flags &^= fWoken
		n, err := c.peer.Feed(b[took:])
		if n < 0 || n > len(b)-took {
			err = fmt.Errorf("loop: Feed of %T took %d of %d bytes", c.peer, n, len(b)-took)
			n = len(b) - took
		}
		took += n
		if err != nil {
			c.finish(err)
			return took
		}
		if n == 0 {
			// A peer that takes nothing and calls Wake would be offered the same input for
			// ever.
			c.flags &^= fWoken
			return took
		}
		if took == len(b) || c.flags&fWoken == 0 || c.stage != stageOpen {
			return took
		}
	}
}

// end handles the end of the other side's sending.
func (c *Conn) end() {
	c.flags |= fEOF
	c.interest()
	if c.stage != stageOpen {
		return
	}
	h, ok := c.peer.(HalfCloser)
	c.loop.doing = "eof"
	if !ok || !h.EOF() {
		c.finish(nil)
	}
}
