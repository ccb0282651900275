package websocket

// Shut sends a close frame, and waits for the peer's. It drops the messages that were not taken,
// and those that still come. The handler is not told. It does nothing if the connection has
// ended. If no close frame can have the code, CloseInternalError is sent instead.
func (c *Conn) Shut(code int, reason string) {
	if c.state != stateOpen {
		return
	}
	c.flags |= flagTold | flagFresh
	c.appendClose(code, reason)
	c.state = awaitClose
	c.drop()
	if c.flags&flagEOF != 0 {
		c.finish()
	}
	c.wake()
}

func (c *Conn) appendClose(code int, reason string) {
	if !ValidCloseCode(code) {
		code = CloseInternalError
	}
	p := append(make([]byte, 0, controlMax), byte(code>>8), byte(code))
	c.append(opClose, true, append(p, cutReason(reason)...))
}

// closedBy handles the peer's close frame. RFC 6455 §5.5.1.
func (c *Conn) closedBy(p []byte) {
	code, reason, bad := parseClose(p)
	switch {
	case c.state == awaitClose:
		c.finish()
		return
	case bad != nil:
		c.fail(bad)
		return
	case code == CloseNoStatus:
		c.append(opClose, true, nil)
	default:
		c.appendClose(code, "")
	}
	c.finish()
	c.end(&CloseError{Code: code, Reason: reason})
}

// fail ends the connection because of what the peer has sent. RFC 6455 §7.1.7.
func (c *Conn) fail(bad *CloseError) {
	c.srv.stats.Violations++
	if c.state == stateOpen {
		c.appendClose(bad.Code, bad.Reason)
	}
	c.finish()
	c.end(bad)
}

// cut ends a connection that the peer has left without a close frame.
func (c *Conn) cut(cause error) {
	if c.state == stateClosed {
		return
	}
	c.finish()
	c.end(&CloseError{Code: CloseAbnormal, Cause: cause})
}

// finish closes the wire, after the output.
func (c *Conn) finish() {
	c.state, c.due = stateClosed, 0
	c.flags &^= flagHeld | flagInFrame
	c.wire.Close()
}

// end tells the handler, once. Next can still return the whole messages. The one that is not
// whole is dropped.
func (c *Conn) end(err *CloseError) {
	c.state, c.due = stateClosed, 0
	c.flags &^= flagInMessage | flagHeld
	c.buf = c.buf[:c.part]
	if c.flags&flagFull != 0 {
		c.flags &^= flagFull
		c.handler.Room()
	}
	if c.flags&flagTold == 0 {
		c.flags |= flagTold
		c.handler.Closed(err)
	}
}

// Release gives back the memory of the messages. Nobody may use the messages or call Next after
// it.
func (c *Conn) Release() {
	if c.state == stateOpen {
		return
	}
	c.releaseBuffer()
}
