package http1

// refuse answers an error that the machine itself has found, and ends the
// connection's input. An answer that has begun already is left cut, and a request
// that was answered before its body is not answered again.
func (c *Conn) refuse(e *Error) {
	c.srv.stats.Refused++
	open := c.flags&flagOpen != 0
	if c.answer == answerNone && (open || c.flags&flagDrop == 0) {
		c.flags |= flagClosing
		c.appendError(e)
	}
	c.in, c.answer, c.due = awaitClose, answerNone, 0
	c.flags &^= flagOpen
	if open {
		c.gone(e)
	}
}

// refuseStatus is the refusal that the Handler has asked for.
func (c *Conn) refuseStatus(status int) *Error {
	e := *errStatusAnswer // allocates: refusals by the application are no hot path
	e.Status = validStatus(status)
	return &e
}

// EOF tells that the other side has ended its input. It may still read: more
// means that an answer is due, after which the machine asks its wire to Close.
func (c *Conn) EOF() (more bool) {
	c.flags |= flagEOF
	switch {
	case c.in == awaitAnswer:
		return true
	case c.in == awaitHead && c.flags&(flagRest|flagBegun) == flagRest:
		return true // the wire keeps requests that were not looked at yet
	case c.flags&flagOpen != 0:
		c.refuse(errBodyCut)
	}
	c.in, c.due = awaitClose, 0
	return false
}

// Lost tells that the wire is gone. The Conn must not be used any more, except
// that a late answer is ignored.
func (c *Conn) Lost(cause error) {
	c.srv.release(c.out)
	c.srv.stats.Open--
	c.out, c.sent, c.dates = nil, 0, 0
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

// noWire takes the place of a wire that is gone, for those who answer late.
type noWire struct{}

func (noWire) Wake()       {}
func (noWire) Close()      {}
func (noWire) Abort(error) {}

// Retire makes the next answer of each connection its last one, which says so.
// Idle connections stay open: whoever keeps one may be about to use it.
func (s *Server) Retire() { s.last = true }

// Shutdown drains the connection: an idle one is closed, any other after its
// next answer, which says so.
func (c *Conn) Shutdown() {
	c.flags |= flagDraining
	if c.in == awaitHead && c.flags&(flagBegun|flagHeld|flagRest) == 0 {
		c.in, c.due = awaitClose, 0
		c.wire.Close()
	}
}

// Cut ends the connection in the middle of an answer, behind what was written, so
// that the other side sees what it got and that more was meant. An answer that
// ends with its connection cannot show that: it is aborted.
func (c *Conn) Cut(cause error) {
	if c.answer == answerClose {
		c.Abort(cause)
		return
	}
	c.in, c.answer, c.due = awaitClose, answerNone, 0
	c.flags &^= flagOpen
	c.wire.Close()
}

// Abort closes the connection at once, so that the other side sees an answer
// that has begun cut short.
func (c *Conn) Abort(cause error) {
	c.in, c.answer, c.due = awaitClose, answerNone, 0
	c.flags &^= flagOpen
	c.wire.Abort(cause)
}
