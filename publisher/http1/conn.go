package http1

// Conn is the machine of one connection, shaped like a loop's Peer. An idle
// one holds this struct (under 200 octets, see TestConnSize) and nothing else.
type Conn struct {
	srv     *Server
	wire    Wire
	handler Handler

	out   []byte // octets to send, from offset sent on; nil when all are sent
	sent  int
	dates int // offset+1 in out of the last Date not yet filled in; 0 = none

	left       int64 // octets of the body or of the chunk that are still to come
	got        int64 // octets of the decoded body announced or read so far
	answerLeft int64 // octets of a started answer that are still to come
	due        int64 // deadline of what the input waits for; 0 = none
	writeDue   int64 // deadline of the output's next progress; 0 = none

	at     progress // in an incomplete head or trailer line
	credit int32    // octets of the body since the last Tick
	flags  flags
	excess int16 // octets of chunk framing beyond the fair share; up to chunkExcess
	in     inState
	answer answerState
}

// inState says what the input is waiting for.
type inState uint8

const (
	awaitHead inState = iota
	awaitBody         // left octets of a body with Content-Length
	awaitChunkSize
	awaitChunkData // left octets of a chunk
	awaitChunkEnd  // the CRLF behind the data
	awaitTrailer
	awaitAnswer // the request is complete; nothing is read until it is answered
	awaitClose  // the rest of the input is dropped
)

type flags uint32

const (
	flagFresh    flags = 1 << iota // set a new deadline at the next Tick
	flagFeeding                    // inside Feed, so that no Wake is needed
	flagBegun                      // part of a head has come
	flagCRLF                       // the one empty line that is allowed before a head has come
	flagOpen                       // a request was announced and its answer is not finished
	flagHead                       // the request's method is HEAD
	flagOld                        // the request has HTTP/1.0
	flagClosing                    // the answer to the request is the last one
	flagDraining                   // the next answer is the last one
	flagEOF                        // the other side sends no more
	flagRest                       // the last Feed left octets in the wire's input buffer
	flagHeld                       // requests wait until output is sent
	flagUnread                     // it was answered before it was read
	flagGone                       // Handler.Gone was called
	flagLong                       // more was written than announced
	flagShort                      // less was written than announced
	flagDrop                       // it was answered before its body has come, and the body is dropped
	flagWaiting                    // its body is not read now, because there is no room
	flagSecure                     // the connection has TLS
	flagLent                       // out belongs to whoever called Lend
	flagTaken                      // Hijack was called
	flagStream                     // its body is given to the Handler as far as the Handler has room
	flagStalled                    // and the Handler has none
	flagExpects                    // the client waits for 100 Continue before it sends the body
	flagDuplex                     // the body is read while the answer is written
)

// Feed uses as much of in as it can. It leaves an incomplete head or line, and everything
// after a request that is not answered yet. An error means that the connection ends: Pending
// has the last answer, and Feed must not be called again.
func (c *Conn) Feed(in []byte) (n int, err error) {
	c.flags = c.flags&^flagRest | flagFeeding
	for n < len(in) {
		var used int
		var bad *Error
		reading := c.in
		switch reading {
		case awaitHead:
			if c.OutLen() >= c.srv.cfg.OutMax {
				c.flags |= flagHeld | flagFresh
				break
			}
			used, bad = c.feedHead(in[n:])
		case awaitBody:
			used = c.feedBody(in[n:])
		case awaitChunkSize:
			used, bad = c.feedChunkSize(in[n:])
		case awaitChunkData:
			used = c.feedChunkData(in[n:])
		case awaitChunkEnd:
			used, bad = c.feedChunkEnd(in[n:])
		case awaitTrailer:
			used, bad = c.feedTrailer(in[n:])
		case awaitClose:
			used = len(in) - n
		}
		n += used
		if bad != nil {
			if bad == errBodyLong && reading == awaitHead { // the head is well-formed
				c.refuseWith(bad, c.srv.head.Fields)
			} else {
				c.refuse(bad)
			}
			c.flags &^= flagFeeding
			return n, bad
		}
		if c.flags&(flagUnread|flagTaken) != 0 {
			c.flags &^= flagFeeding
			if c.flags&flagTaken != 0 {
				return n, nil // the rest is not HTTP
			}
			return n, ErrUnread
		}
		if used == 0 {
			break
		}
	}
	c.flags &^= flagFeeding
	if n < len(in) {
		c.flags |= flagRest
	}
	if c.flags&flagEOF != 0 && c.in != awaitClose && !c.EOF() {
		c.wire.Close()
	}
	return n, nil
}

// feedHead reads a head and announces it. It appends what the output needs before the
// body is read: 100 Continue, or the answer to a request without a body.
func (c *Conn) feedHead(in []byte) (int, *Error) {
	s := c.srv
	if in[0] == '\r' && c.flags&flagCRLF == 0 {
		return c.leadingCRLF(in)
	}
	n, err := s.parseHead(in, &c.at)
	if err != nil {
		c.noteHead(in)
		return 0, err
	}
	if n == 0 {
		c.noteHead(in)
		if c.flags&flagBegun == 0 {
			c.flags |= flagBegun | flagFresh
		}
		return 0, nil
	}
	h := &s.head
	c.begin(h)
	body := c.in != awaitAnswer
	if body && h.Expect100 && n == len(in) {
		c.flags |= flagExpects
	}
	status := c.handler.Head(h)
	switch {
	case c.flags&flagOpen == 0: // answered inside Head
		return n, nil
	case status != 0 && c.answer == answerNone:
		return n, c.refuseStatus(status)
	case body && h.ContentLength > c.bodyMax():
		return n, errBodyLong
	case !body:
		c.handler.End()
	case c.flags&flagStream == 0:
		c.Continue()
	}
	return n, nil
}

// noteHead records whether in begins with a HEAD request: the refusal of such a request has
// no body either (RFC 9110 §9.3.2).
func (c *Conn) noteHead(in []byte) {
	const method = "HEAD "
	if len(in) >= len(method) && string(in[:len(method)]) == method {
		c.flags |= flagHead
	}
}

// leadingCRLF skips the one empty line that some clients send after a body, RFC 9112 §2.2. It
// does so at once, so that the connection stays idle.
func (c *Conn) leadingCRLF(in []byte) (int, *Error) {
	if len(in) < 2 {
		if c.flags&flagBegun == 0 {
			c.flags |= flagBegun | flagFresh
		}
		return 0, nil
	}
	if in[1] != '\n' {
		return 0, errLeadingCRLF
	}
	c.flags = c.flags&^flagBegun | flagCRLF | flagFresh
	return 2, nil
}

// begin opens the exchange for a valid head.
func (c *Conn) begin(h *Head) {
	c.srv.stats.Requests++
	f := c.flags &^ (flagBegun | flagCRLF | flagHead | flagOld | flagClosing | flagLong | flagShort | flagDrop | flagWaiting | flagStreams)
	f |= flagOpen | flagFresh
	if string(h.Method) == "HEAD" {
		f |= flagHead
	}
	if h.Minor == 0 {
		f |= flagOld
	}
	if !h.KeepAlive {
		f |= flagClosing
	}
	c.flags = f
	c.got, c.excess, c.credit = 0, 0, 0
	switch {
	case h.Chunked:
		c.in = awaitChunkSize
	case h.ContentLength > 0:
		c.in, c.left = awaitBody, h.ContentLength
	default:
		c.in = awaitAnswer
	}
}

// end tells the Handler that the request is complete, unless it has answered
// it before.
func (c *Conn) end() {
	c.in = awaitAnswer
	c.flags |= flagFresh
	switch {
	case c.flags&flagOpen != 0:
		c.handler.End()
	case c.flags&(flagDrop|flagDraining) == flagDrop|flagDraining:
		c.in, c.due = awaitClose, 0
		c.wire.Close()
	case c.flags&flagDrop != 0:
		c.in = awaitHead
		c.flags &^= flagDrop
	}
}
