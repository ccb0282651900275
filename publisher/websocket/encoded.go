package websocket

// AppendMessage appends a message as a server sends it, in frames of at most WriteMax octets of
// payload. It encodes a message once that goes to many connections.
func AppendMessage(dst []byte, text bool, p []byte) []byte {
	op := opBinary
	if text {
		op = opText
	}
	for {
		piece := p[:min(len(p), WriteMax)]
		p = p[len(piece):]
		dst = appendFrame(dst, op, len(p) == 0, nil, piece)
		if len(p) == 0 {
			return dst
		}
		op = opContinuation
	}
}

// WriteEncoded writes the first frame of p, and returns its length; 0 if nothing can be sent any
// more. p is a message of AppendMessage, or the rest of one from a frame on. Until the last frame
// of the message is written, no other message may be.
func (c *Conn) WriteEncoded(p []byte) (n int) {
	h, n, bad := parseHeader(p)
	if bad != nil || n == 0 {
		panic("websocket: WriteEncoded: this is not a message of AppendMessage")
	}
	if c.state != stateOpen || c.flags&flagLost != 0 {
		return 0
	}
	n += int(h.length)
	c.room(n)
	c.out = append(c.out, p[:n]...)
	if h.fin {
		c.srv.stats.Sent++
	}
	c.wake()
	return n
}
