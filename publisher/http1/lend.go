package http1

// LendRoom is how many octets before the content a lent buffer needs, so that the
// head of an answer fits in front of its first piece, and both leave in one write.
const LendRoom = 1 << 10

// Lend is Write for octets that are sent from where they are, without a copy: buf[from:] is the
// next piece of the body, and buf[:from] is room that the machine may use. If it returns true,
// buf must not be changed before OutLen is 0 or the Conn is Lost. If the room is too small for
// octets that wait to be sent, or the body is sent in chunks, Lend copies the piece and returns
// false: buf may be used again at once.
func (c *Conn) Lend(buf []byte, from int) (lent bool, err error) {
	p := buf[from:]
	unsent := c.out[c.sent:]
	if c.answer != answerLength || int64(len(p)) > c.answerLeft || len(p) == 0 || len(unsent) > from || c.flags&flagLent != 0 && len(unsent) > 0 {
		return false, c.Write(p)
	}
	c.answerLeft -= int64(len(p))
	if len(unsent) > 0 {
		c.stamp() // offsets in out change
		from -= copy(buf[from-len(unsent):], unsent)
	}
	c.free()
	c.out, c.sent = buf[:len(buf):len(buf)], from
	c.flags |= flagLent
	c.wake()
	return true, nil
}

// free gives the buffer of the output back to its owner.
func (c *Conn) free() {
	if c.flags&flagLent != 0 {
		c.flags &^= flagLent
	} else {
		c.srv.release(c.out)
	}
	c.out, c.sent = nil, 0
}
