package http1

import "strconv"

// answerState is how the end of the answer's body is marked.
type answerState uint8

const (
	answerNone    answerState = iota
	answerLength              // by Content-Length: answerLeft octets are still to come
	answerChunked             // by the last chunk
	answerClose               // by closing, for HTTP/1.0
	answerEmpty               // there is no body: HEAD, 204, 205, 304
)

// Answer answers the current request at once. fields are complete field lines, as
// AppendField makes them, without Content-Length and Transfer-Encoding. A Server,
// Date or Connection field among them replaces the machine's own. Everything is
// copied. Answer does nothing if no request waits for an answer, or if the answer has
// begun.
//
// 204 and 304 have no body and no Content-Length; HEAD has the Content-Length
// that GET would have. A status outside of 200–999 becomes 500.
func (c *Conn) Answer(status int, contentType string, fields, body []byte) {
	if c.flags&flagOpen == 0 || c.answer != answerNone {
		return
	}
	status = validStatus(status)
	c.settleClosing()
	c.room(headRoom + len(contentType) + len(fields) + len(body))
	own := ownFields(fields)
	c.appendStatus(status, own)
	if status != 204 && (status != 304 || len(body) > 0) {
		if status == 205 {
			body = nil // RFC 9110 §15.3.6
		}
		if c.srv.types.valid(contentType) {
			c.out = append(c.out, "Content-Type: "...)
			c.out = append(c.out, contentType...)
			c.out = append(c.out, "\r\n"...)
		}
		c.appendLength(int64(len(body)))
	}
	c.appendTransport(own)
	c.appendConnection(own)
	c.out = append(c.out, fields...)
	c.out = append(c.out, "\r\n"...)
	if c.flags&flagHead == 0 && status != 204 && status != 304 {
		c.out = append(c.out, body...)
	}
	c.finish()
}

// UntilClose as the length of an answer means that the body ends when the connection
// closes, for HTTP/1.1 too.
const UntilClose = -2

// Start begins an answer. Write adds to its body, and Finish ends it. A Content-Type
// is one of fields. contentLength is -1 if the length is not known: then the body is
// sent in chunks, or for HTTP/1.0 ends when the connection closes.
func (c *Conn) Start(status int, fields []byte, contentLength int64) {
	if c.flags&flagOpen == 0 || c.answer != answerNone {
		return
	}
	status = validStatus(status)
	empty := status == 204 || status == 205 || status == 304
	switch {
	case empty || c.flags&flagHead != 0:
		c.answer = answerEmpty
	case contentLength >= 0:
		c.answer, c.answerLeft = answerLength, contentLength
	case c.flags&flagOld != 0, contentLength == UntilClose:
		c.answer = answerClose
		c.flags |= flagClosing
	default:
		c.answer = answerChunked
	}
	if c.flags&flagStream != 0 {
		c.flags |= flagFresh // see waitsForHandler
	}
	c.settleClosing()
	c.room(headRoom + len(fields))
	own := ownFields(fields)
	c.appendStatus(status, own)
	switch {
	case status == 205:
		c.appendLength(0)
	case contentLength >= 0 && status != 204:
		c.appendLength(contentLength)
	case c.answer == answerChunked:
		c.out = append(c.out, "Transfer-Encoding: chunked\r\n"...)
	}
	c.appendTransport(own)
	c.appendConnection(own)
	c.out = append(c.out, fields...)
	c.out = append(c.out, "\r\n"...)
	c.wake()
}

// Write appends p to the body of an answer that was started. p is copied. It is an
// error to write more than the length given to Start, and the connection is aborted:
// a wrong answer must not look like a right one.
func (c *Conn) Write(p []byte) error {
	if len(p) == 0 {
		return nil // an empty chunk would end the body
	}
	switch c.answer {
	case answerLength:
		if int64(len(p)) > c.answerLeft {
			c.flags |= flagLong
			c.Abort(ErrLongAnswer)
			return ErrLongAnswer
		}
		c.answerLeft -= int64(len(p))
		c.room(len(p))
		c.out = append(c.out, p...)
	case answerChunked:
		c.room(len(p) + 20)
		c.appendChunk(p)
	case answerClose:
		c.room(len(p))
		c.out = append(c.out, p...)
	default: // empty, or no answer
		return nil
	}
	c.wake()
	return nil
}

// Inform sends an informational answer, 1xx, before the answer. fields are complete
// field lines. It does nothing for HTTP/1.0, which has no such answers, or after the
// answer has begun. RFC 9110 §15.2.
func (c *Conn) Inform(status int, fields []byte) {
	if c.flags&flagOpen == 0 || c.flags&flagOld != 0 || c.answer != answerNone || status < 100 || status > 199 {
		return
	}
	c.room(headRoom + len(fields))
	if status == 101 { // 101 is the last answer; its head is like that of any other
		c.appendStatus(status, ownFields(fields))
	} else {
		c.out = append(c.out, "HTTP/1.1 "...)
		c.out = strconv.AppendInt(c.out, int64(status), 10)
		c.out = append(append(append(c.out, ' '), StatusText(status)...), "\r\n"...)
	}
	c.out = append(append(c.out, fields...), "\r\n"...)
	c.wake()
}

// Finish ends an answer that was started, without trailer fields.
func (c *Conn) Finish() { c.FinishWith(nil) }

// FinishWith ends an answer that was started. trailers are complete field lines; only
// a body in chunks can have them. If the body is shorter than announced, the
// connection closes after it: only that tells the other side that something is
// missing.
func (c *Conn) FinishWith(trailers []byte) {
	switch {
	case c.answer == answerNone:
		return
	case c.answer == answerLength && c.answerLeft > 0:
		c.flags |= flagShort
		c.Cut(ErrShortAnswer)
		return
	case c.answer == answerChunked:
		c.room(len("0\r\n\r\n") + len(trailers))
		c.out = append(c.out, "0\r\n"...)
		c.out = append(append(c.out, trailers...), "\r\n"...)
	}
	c.finish()
}

// SetClose makes the answer of the current request the last one. If it is called
// before Answer or Start, the answer says so with Connection: close.
func (c *Conn) SetClose() {
	if c.flags&flagOpen != 0 {
		c.flags |= flagClosing
	}
}

// Err returns what Finish would find wrong with the length of the answer: ErrShortAnswer,
// ErrLongAnswer or nil. If no answer has begun, it is about the last one.
func (c *Conn) Err() error {
	switch {
	case c.flags&flagShort != 0, c.answer == answerLength && c.answerLeft > 0:
		return ErrShortAnswer
	case c.flags&flagLong != 0:
		return ErrLongAnswer
	}
	return nil
}

// settleClosing decides whether the connection stays open after this answer. It is
// called just before the answer's head says so.
func (c *Conn) settleClosing() {
	if c.in != awaitAnswer && c.leavesRest() || c.flags&flagDraining != 0 || c.srv.last {
		// The request has not been read to its end. We cannot wait for that: the refused
		// client may send for hours.
		c.flags |= flagClosing
	}
}

// leavesRest reports whether more of a request that has not come whole is still to come
// than is read to keep the connection.
func (c *Conn) leavesRest() bool {
	switch {
	case c.flags&flagDrop != 0:
		return false
	case c.flags&flagStream != 0:
		return c.flags&flagDuplex == 0 && !c.restIsShort()
	}
	return true
}

// finish ends the exchange and lets the input continue.
func (c *Conn) finish() {
	c.answer = answerNone
	if c.flags&flagStream != 0 {
		c.dropRest()
	}
	c.flags &^= flagOpen | flagHead | flagOld | flagWaiting | flagStreams
	if c.in != awaitAnswer && c.flags&(flagDrop|flagClosing|flagDraining) == flagDrop {
		c.flags |= flagFresh
		c.wake()
		return
	}
	feeding := c.flags&flagFeeding != 0
	if c.in != awaitAnswer && feeding {
		c.in, c.due = awaitClose, 0
		c.flags |= flagUnread // Feed returns ErrUnread, which closes the connection
		return
	}
	// After EOF, the wire's input buffer may hold further requests.
	last := c.flags&flagEOF != 0 && c.flags&flagRest == 0 && !feeding
	if c.in != awaitAnswer || c.flags&(flagClosing|flagDraining) != 0 || last {
		c.in, c.due = awaitClose, 0
		c.wire.Close()
		return
	}
	c.in = awaitHead
	c.flags |= flagFresh
	c.wake()
}

// wake asks for a flush and for the rest of the input. While Feed is running it does
// nothing, because both will come anyway.
func (c *Conn) wake() {
	if c.flags&flagFeeding == 0 {
		c.wire.Wake()
	}
}
