package websocket

import (
	"crypto/rand"
	"time"
)

// WriteMax is how many octets of a message Write should get at once at most. So the output stays
// bounded, and pings and pongs can be sent between the frames of a message.
const WriteMax = 64<<10 - 1 - 14

// Write appends a message, or a part of one: first and last say which. It returns false if
// nothing can be sent any more. p is copied.
func (c *Conn) Write(text, first, last bool, p []byte) bool {
	if c.state != stateOpen || c.flags&flagLost != 0 {
		return false
	}
	op := opContinuation
	switch {
	case first && text:
		op = opText
	case first:
		op = opBinary
	}
	c.append(op, last, p)
	if last {
		c.srv.stats.Sent++
	}
	return true
}

// Full reports whether so much output is unsent that no more should be written. After true, the
// machine calls Handler.Room when there is room.
func (c *Conn) Full() bool {
	if c.OutLen() < c.cfg.OutMax {
		return false
	}
	c.flags |= flagFull
	return true
}

// append appends a frame to the output.
func (c *Conn) append(op opcode, fin bool, p []byte) {
	var mask *[4]byte
	if c.flags&flagClient != 0 {
		var key [4]byte
		_, _ = rand.Read(key[:])
		mask = &key
	}
	c.room(headerMax + len(p))
	c.out = appendFrame(c.out, op, fin, mask, p)
	c.wake()
}

// wake asks for a flush. While Feed runs it does nothing, because a flush follows anyway.
func (c *Conn) wake() {
	if c.flags&flagFeeding == 0 {
		c.wire.Wake()
	}
}

// Begin appends octets that come before all frames: what HTTP has not sent yet.
func (c *Conn) Begin(unsent []byte) {
	c.room(len(unsent))
	c.out = append(c.out, unsent...)
	c.wake()
}

// Pending returns the octets to send. The machine owns them. They are valid until the
// next call of any method.
func (c *Conn) Pending() []byte { return c.out[c.sent:] }

// OutLen returns how many octets are unsent.
func (c *Conn) OutLen() int { return len(c.out) - c.sent }

// Sent says that the first n octets of Pending are sent. When all are sent, the buffer
// goes back to the Server.
func (c *Conn) Sent(n int) {
	c.sent = min(c.sent+n, len(c.out))
	if n > 0 && c.writeDue != 0 {
		if rate := c.cfg.RateMin; rate > 0 {
			c.writeDue += int64(n) * int64(time.Second) / rate
		} else {
			c.writeDue = 0 // without a minimum rate, any octet is progress
		}
	}
	if c.sent == len(c.out) && c.out != nil {
		c.srv.release(c.out)
		c.out, c.sent, c.writeDue = nil, 0, 0
	}
	if c.OutLen() > c.cfg.OutMax/2 {
		return
	}
	c.resume()
	if c.flags&flagFull != 0 {
		c.flags &^= flagFull
		c.handler.Room()
	}
}

// room makes sure that n octets can be appended to out without growing it.
func (c *Conn) room(n int) {
	if cap(c.out)-len(c.out) >= n {
		return
	}
	if c.out == nil {
		c.out = c.srv.buffer(n)
		return
	}
	unsent := c.out[c.sent:]
	if c.sent >= len(unsent) && cap(c.out)-len(unsent) >= n {
		c.out = append(c.out[:0], unsent...)
	} else {
		b := c.srv.buffer(max(len(unsent)+n, 2*cap(c.out)))
		b = append(b, unsent...)
		c.srv.release(c.out)
		c.out = b
	}
	c.sent = 0
}
