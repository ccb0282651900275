package http1

// refuse answers an error that the machine itself has found, and ends the connection's input.
// If an answer has begun, it stays cut off. If the request was answered before its body came,
// it is not answered again.
func (c *Conn) refuse(e *Error) { c.refuseWith(e, nil) }

// refuseWith is refuse for a request whose head was not announced, with its fields.
func (c *Conn) refuseWith(e *Error, fields []Field) {
	c.srv.stats.Refused++
	open := c.flags&flagOpen != 0
	if c.answer == answerNone && (open || c.flags&flagDrop == 0) {
		c.flags |= flagClosing
		c.appendError(e, fields)
	}
	c.in, c.answer, c.due = awaitClose, answerNone, 0
	c.flags &^= flagOpen
	if open {
		c.gone(e)
	}
}

// refuseStatus is the refusal that the Handler has asked for.
func (c *Conn) refuseStatus(status int) *Error {
	e := *errStatusAnswer // this allocates, but refusals by the application are not a hot path
	e.Status = validStatus(status)
	return &e
}

// EOF says that the other side has ended its output. It may still read. more means that an
// answer is still to come; after it the machine asks its wire to Close.
func (c *Conn) EOF() (more bool) {
	c.flags |= flagEOF
	switch {
	case c.in == awaitAnswer:
		return true
	case c.in == awaitHead && c.flags&(flagRest|flagBegun) == flagRest:
		return true // the wire's input buffer holds more requests
	case c.flags&(flagStalled|flagRest) == flagStalled|flagRest:
		return true // it holds more of the body
	case c.flags&flagOpen != 0:
		c.refuse(errBodyCut)
	}
	c.in, c.due = awaitClose, 0
	return false
}

// Lost says that the wire is gone. The Conn must not be used any more, but a late
// answer is allowed and ignored.
func (c *Conn) Lost(cause error) {
	c.free()
	c.srv.stats.Open--
	c.dates = 0
	c.in, c.answer, c.wire = awaitClose, answerNone, noWire{}
	c.flags &^= flagOpen
	c.gone(cause)
}

func (c *Conn) gone(cause error) {
	if c.flags&flagGone == 0 {
		c.flags |= flagGone
		c.handler.Gone(cause)
	}
}

// noWire replaces a wire that is gone, for late answers.
type noWire struct{}

func (noWire) Wake()       {}
func (noWire) Close()      {}
func (noWire) Abort(error) {}

// Retire makes the next answer of each connection its last one, and the answer says so.
// Idle connections stay open, because a client may be about to use one.
func (s *Server) Retire() { s.last = true }

// Shutdown drains the connection. An idle connection is closed now, any other after its
// next answer, and the answer says so.
func (c *Conn) Shutdown() {
	c.flags |= flagDraining
	if c.in == awaitHead && c.flags&(flagBegun|flagHeld|flagRest) == 0 {
		c.in, c.due = awaitClose, 0
		c.wire.Close()
	}
}

// Cut ends the connection in the middle of an answer, after the octets that were written. The
// other side gets those and sees that the answer is incomplete. If the end of the connection
// marks the end of the answer, it could not see that, so the connection is aborted.
func (c *Conn) Cut(cause error) {
	if c.answer == answerClose {
		c.Abort(cause)
		return
	}
	c.in, c.answer, c.due = awaitClose, answerNone, 0
	c.flags &^= flagOpen
	c.wire.Close()
}

// Abort closes the connection at once. If an answer has begun, the other side sees that it is
// cut off.
func (c *Conn) Abort(cause error) {
	c.in, c.answer, c.due = awaitClose, answerNone, 0
	c.flags &^= flagOpen
	c.wire.Abort(cause)
}
