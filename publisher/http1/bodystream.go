package http1

// A request body streams if the Handler says so in Head or later: the Handler may answer
// before it has the body, gets of the body only what it has room for, and decides when
// 100 Continue is sent. What it has no room for stays in the wire's input buffer.

const flagStreams = flagStream | flagStalled | flagExpects | flagDuplex

// Stream begins to stream the body of the current request. From then on the machine
// asks Handler.Room before each piece. While there is no room, BodyRateMin does not
// apply, and it does not apply before Continue to a client that waits for it.
func (c *Conn) Stream() {
	if c.flags&flagOpen != 0 {
		c.flags |= flagStream | flagFresh
	}
}

// More says that the Handler has room again after Room has returned 0.
func (c *Conn) More() {
	if c.flags&flagStalled != 0 {
		c.flags = c.flags&^flagStalled | flagFresh
		c.wake()
	}
}

// Continue sends 100 Continue, if the client waits for it and no answer has begun.
func (c *Conn) Continue() {
	if c.flags&(flagOpen|flagExpects) != flagOpen|flagExpects || c.answer != answerNone {
		return
	}
	c.flags = c.flags&^flagExpects | flagFresh
	c.room(len(continueAnswer))
	c.out = append(c.out, continueAnswer...)
	c.wake()
}

// SetDuplex says that the body of a request that streams is read on after its answer
// has begun, so that the answer's head does not announce the end of the connection
// because much of the body is still to come.
func (c *Conn) SetDuplex() { c.flags |= flagDuplex }

// accepted returns the part of a piece of a body for which the Handler has room.
func (c *Conn) accepted(p []byte) []byte {
	n := c.handler.Room()
	if n <= 0 {
		c.flags |= flagStalled | flagFresh
		return nil
	}
	c.flags &^= flagExpects // a client need not wait for 100 Continue
	return p[:min(len(p), n)]
}

// waitsForHandler reports whether the body does not come because of the Handler.
func (c *Conn) waitsForHandler() bool {
	return c.flags&flagStream != 0 &&
		(c.flags&flagStalled != 0 || c.flags&flagExpects != 0 && c.answer == answerNone)
}

// restIsShort reports whether the rest of a body is worth reading to keep the
// connection, as far as is known.
func (c *Conn) restIsShort() bool {
	switch {
	case c.flags&flagExpects != 0: // it may never come
		return false
	case c.in == awaitBody, c.in == awaitChunkData:
		return c.left <= dropMax
	}
	return true
}

// dropRest lets the connection go on behind a body that streams, if its rest is short:
// the rest is thrown away when it comes. The request has been answered.
func (c *Conn) dropRest() {
	if c.in == awaitAnswer || !c.restIsShort() {
		return
	}
	c.flags |= flagDrop
	if c.got = 0; c.in == awaitChunkData {
		c.got = c.left
	}
}
