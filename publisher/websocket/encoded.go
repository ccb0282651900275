package websocket

// AppendMessage appends a message as a server sends it, in frames that are as long as those
// of [Conn.Write]. It is for a message to many connections, which is encoded once.
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

// WriteEncoded appends the first frame of p, which AppendMessage has made, or what is left
// of it, and returns its length. It returns 0 if nothing can be sent any more. Nothing else
// but frames of the same message may be written before its last frame.
func (c *Conn) WriteEncoded(p []byte) (n int) {
	h, n, bad := parseHeader(p)
	if bad != nil || n == 0 {
		panic("websocket: no message of AppendMessage")
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
