package websocket

import "unicode/utf8"

// Next returns the next whole message. p is valid until the next call of Next. ok is false if
// there is none yet.
func (c *Conn) Next() (text bool, p []byte, ok bool) {
	if c.lent > 0 {
		c.forget()
	}
	if c.queued == 0 {
		return false, nil, false
	}
	entry := c.queue[0]
	c.queued--
	copy(c.queue[:c.queued], c.queue[1:])
	end := int(entry &^ queueText)
	p = c.buf[c.lent:end:end]
	c.lent = end
	c.resume()
	return entry&queueText != 0, p, true
}

// forget is called when the message that Next has returned last is not valid any more. It gives
// the buffer back if nothing else is in it.
func (c *Conn) forget() {
	if c.lent == len(c.buf) && c.flags&flagInMessage == 0 {
		c.releaseBuffer()
		return
	}
	poisonPart(c.buf[:c.lent])
}

func (c *Conn) releaseBuffer() {
	c.srv.release(c.buf)
	c.buf, c.lent, c.part, c.checked, c.queued = nil, 0, 0, 0, 0
	c.charge(0)
}

// Discard drops the messages that were not taken, and all that come from now on.
func (c *Conn) Discard() {
	c.flags |= flagDiscard
	c.drop()
}

// drop empties the buffer. What Next has returned stays as it is.
func (c *Conn) drop() {
	c.buf, c.lent, c.part, c.checked, c.queued = nil, 0, 0, 0, 0
	c.charge(0)
	c.resume()
}

// resume asks for the held input, if there is room for a message. flagHeld stays set until Feed
// is called with it.
func (c *Conn) resume() {
	if c.flags&flagHeld != 0 && !c.crowded() {
		c.wire.Wake()
	}
}

// grow makes room for n more octets of the message that is being read. false means that
// there is no memory for it.
func (c *Conn) grow(n int) bool {
	need := len(c.buf) + n
	if need <= cap(c.buf) {
		return true
	}
	// The message that was returned stays where it is, because the caller may still read it.
	rest := c.buf[c.lent:]
	size := max(len(rest)+n, min(2*cap(c.buf), c.cfg.MessageMax+queueOctetsMax), bufferMin)
	if !c.charge(size) {
		return false
	}
	b := append(c.srv.buffer(size), rest...)
	if c.lent == 0 {
		c.srv.release(c.buf)
	}
	for i := range c.queue[:c.queued] {
		c.queue[i] -= uint32(c.lent)
	}
	c.part -= c.lent
	c.checked -= c.lent
	c.buf, c.lent = b, 0
	return true
}

// charge reserves memory for a buffer of this size, instead of the one before. A small one is not
// counted: each connection may have one.
func (c *Conn) charge(size int) bool {
	over := size
	if size <= bufferMin {
		over = 0
	}
	if over != c.charged {
		if !c.wire.Reserve(over - c.charged) {
			return false
		}
		c.charged = over
	}
	return true
}

// checkText checks the part of a text that has come. If the last character is not whole, it waits
// for the rest; last says that there is none.
func (c *Conn) checkText(last bool) bool {
	p := c.buf[c.checked:]
	whole := len(p)
	if !last {
		for i := len(p) - 1; i >= 0 && i > len(p)-utf8.UTFMax; i-- {
			if utf8.RuneStart(p[i]) {
				if !utf8.FullRune(p[i:]) {
					whole = i
				}
				break
			}
		}
	}
	if !utf8.Valid(p[:whole]) {
		return false
	}
	c.checked += whole
	return true
}
