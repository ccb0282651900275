package http1

// A request body streams if the Handler says so in Head or later. The Handler may then answer
// before it has the body, gets only as much of the body as it has room for, and decides when 100
// Continue is sent. The rest stays in the wire's input buffer.

const flagStreams = flagStream | flagStalled | flagExpects | flagDuplex

// Stream begins to stream the body of the current request. From then on the machine asks
// Handler.Room before each piece. BodyRateMin does not apply while there is no room, and not
// while the client waits for Continue.
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

// waitsForHandler reports whether the machine waits for the Handler, and not for the client: the
// Handler has no room, or has not called Continue.
func (c *Conn) waitsForHandler() bool {
	return c.flags&flagStream != 0 &&
		(c.flags&flagStalled != 0 || c.flags&flagExpects != 0 && c.answer == answerNone)
}

// restIsShort reports whether the rest of a body is short enough to read it, so that the
// connection can be kept. A body in chunks may turn out to be longer.
func (c *Conn) restIsShort() bool {
	switch {
	case c.flags&flagExpects != 0: // it may never come
		return false
	case c.in == awaitBody, c.in == awaitChunkData:
		return c.left <= dropMax
	}
	return true
}

// dropRest keeps the connection after a request that has been answered before its body was read,
// if the rest of that is short. The rest is dropped when it comes.
func (c *Conn) dropRest() {
	if c.in == awaitAnswer || !c.restIsShort() {
		return
	}
	c.flags |= flagDrop
	if c.got = 0; c.in == awaitChunkData {
		c.got = c.left
	}
}
