package websocket

// Conn is the machine of one connection, in the shape of a loop's Peer. An idle one uses no
// memory but this struct.
type Conn struct {
	srv     *Server
	cfg     *Config // with its defaults
	wire    Wire
	handler Handler

	out  []byte // octets to send, from the offset sent on; nil when all are sent
	sent int

	// Messages: buf[:lent] ends with the one that Next has returned last. Then come the queued
	// ones; buf[part:] is the one that is being read.
	buf     []byte
	lent    int
	part    int
	checked int // buf[part:checked] is known to be UTF-8
	charged int // octets of buf that were reserved
	queue   [queueMax]uint32
	queued  uint8

	left int64 // octets of the frame's payload that are still to come
	pos  uint8 // place of the next octet in the mask
	mask [4]byte

	credit   int32 // octets of an unfinished frame since the last Tick
	heard    int64 // when the peer last sent something
	due      int64 // deadline of the input; 0 = none
	writeDue int64 // deadline by which the peer must take more of the output; 0 = none

	flags flags
	state state
}

// state says what the connection waits for.
type state uint8

const (
	stateOpen   state = iota // messages
	awaitClose               // the peer's answer to our close frame; messages are dropped
	stateClosed              // nothing: the rest of the input is dropped
)

type flags uint16

const (
	flagFeeding   flags = 1 << iota // inside Feed, so that no Wake is needed
	flagHeld                        // input waits until messages are taken or output is sent
	flagFull                        // Full has returned true, and Room was not called since then
	flagEOF                         // the peer sends no more
	flagInMessage                   // a message has begun and is not whole
	flagText                        // it is text
	flagFin                         // its frame is the last one
	flagInFrame                     // the payload of a data frame is being read
	flagHeard                       // a whole frame has come since the last Tick
	flagPinged                      // a ping was sent, and nothing has come since then
	flagTold                        // the handler was told of the end, or has ended the connection itself
	flagLost                        // the wire is gone
	flagDiscard                     // messages are dropped
	flagClient                      // this is the client's end
	flagFresh                       // set new deadlines at the next Tick
)

// A queue entry is the end of a message in buf. queueText is added if it is a text.
const queueText = 1 << 31

// NewConn returns the machine of a server's connection. cfg must have its defaults. The Conn
// refers to it, so it must not change. The wire must call Tick before the first Feed.
func (s *Server) NewConn(cfg *Config, w Wire, h Handler) *Conn {
	s.stats.Open++
	return &Conn{srv: s, cfg: cfg, wire: w, handler: h, flags: flagFresh | flagHeard}
}

// NewClient returns the machine of a client's connection.
func (s *Server) NewClient(cfg *Config, w Wire, h Handler) *Conn {
	c := s.NewConn(cfg, w, h)
	c.flags |= flagClient
	return c
}

// Feed uses as much of in as it can. It leaves an incomplete head and an incomplete control frame
// and, while too many messages wait to be taken, the next message and what follows it.
func (c *Conn) Feed(in []byte) (n int, err error) {
	c.flags = c.flags&^flagHeld | flagFeeding
	for n < len(in) && c.state != stateClosed {
		var used int
		if c.flags&flagInFrame != 0 {
			used = c.feedPayload(in[n:])
		} else {
			used = c.feedHeader(in[n:])
		}
		if n += used; used == 0 {
			break
		}
	}
	if c.state == stateClosed {
		n = len(in)
	}
	c.flags &^= flagFeeding
	if c.flags&(flagEOF|flagHeld) == flagEOF {
		c.cut(nil)
	}
	return n, nil
}

// feedHeader reads the head of a frame, and a control frame with its payload.
func (c *Conn) feedHeader(in []byte) int {
	h, n, bad := parseHeader(in)
	switch {
	case bad != nil:
		c.fail(bad)
		return 0
	case n == 0:
		return 0
	case h.masked == (c.flags&flagClient != 0):
		if bad = errUnmasked; h.masked {
			bad = errMasked
		}
		c.fail(bad)
		return 0
	case h.op.isControl():
		return c.feedControl(in, h, n)
	case c.state == stateOpen && c.flags&flagInMessage == 0 && c.crowded():
		c.flags |= flagHeld
		return 0
	}
	if bad = c.begin(h); bad != nil {
		c.fail(bad)
		return 0
	}
	c.left, c.mask, c.pos = h.length, h.mask, 0
	c.flags |= flagInFrame
	if c.left == 0 {
		c.endFrame()
	}
	return n
}

// crowded reports whether so many messages wait to be taken that no further one is read.
func (c *Conn) crowded() bool { return c.queued == queueMax || c.part-c.lent >= queueOctetsMax }

// begin checks the head of a data frame.
func (c *Conn) begin(h header) *CloseError {
	inside := c.flags&flagInMessage != 0
	switch {
	case h.op == opContinuation && !inside:
		return errContinuation
	case h.op != opContinuation && inside:
		return errInterleaved
	case h.length > int64(c.cfg.FrameMax):
		return errFrameLong
	case !c.discards() && h.length > int64(c.cfg.MessageMax-(len(c.buf)-c.part)):
		return errMessageLong
	}
	if !inside {
		c.flags &^= flagText
		if h.op == opText {
			c.flags |= flagText
		}
		c.checked = c.part
	}
	c.flags = c.flags&^flagFin | flagInMessage
	if h.fin {
		c.flags |= flagFin
	}
	return nil
}

func (c *Conn) discards() bool { return c.flags&flagDiscard != 0 || c.state != stateOpen }

// feedPayload reads a piece of the payload of a data frame.
func (c *Conn) feedPayload(in []byte) int {
	n := int(min(int64(len(in)), c.left))
	c.left -= int64(n)
	if c.left > 0 {
		c.credit = int32(min(int64(c.credit)+int64(n), 1<<30))
	}
	if !c.discards() {
		if !c.grow(n) {
			c.fail(errMemory)
			return n
		}
		at := len(c.buf)
		c.buf = append(c.buf, in[:n]...)
		c.pos = uint8(unmask(c.buf[at:], c.mask, int(c.pos)))
		if c.flags&flagText != 0 && !c.checkText(c.left == 0 && c.flags&flagFin != 0) {
			c.fail(errText)
			return n
		}
	}
	if c.left == 0 {
		c.endFrame()
	}
	return n
}

// endFrame ends a data frame, and its message if it was the last frame of the message.
func (c *Conn) endFrame() {
	c.flags = c.flags&^flagInFrame | flagHeard
	c.credit = 0
	if c.flags&flagFin == 0 {
		return
	}
	c.flags &^= flagInMessage
	if c.discards() {
		return
	}
	if c.flags&flagText != 0 && c.checked != len(c.buf) { // the last frame has no payload, and a character is not whole
		c.fail(errText)
		return
	}
	entry := uint32(len(c.buf))
	if c.flags&flagText != 0 {
		entry |= queueText
	}
	c.queue[c.queued] = entry
	c.queued++
	c.part = len(c.buf)
	c.srv.stats.Received++
	c.handler.Message()
}

// feedControl reads a control frame. It may come between the frames of a message.
func (c *Conn) feedControl(in []byte, h header, n int) int {
	end := n + int(h.length)
	if len(in) < end {
		return 0
	}
	if h.op == opPing && c.OutLen() >= c.cfg.OutMax+pongRoom && c.state == stateOpen {
		c.flags |= flagHeld // the peer reads nothing: its pings must not fill the memory
		return 0
	}
	var payload [controlMax]byte
	p := payload[:copy(payload[:], in[n:end])]
	unmask(p, h.mask, 0)
	c.flags |= flagHeard
	switch h.op {
	case opPing:
		if c.state == stateOpen {
			c.append(opPong, true, p)
		}
	case opClose:
		c.closedBy(p)
	}
	return end
}

// EOF says that the peer sends no more. more reports that input is held, because messages must be
// taken or output be sent first. The connection then ends after that input.
func (c *Conn) EOF() (more bool) {
	c.flags |= flagEOF
	if c.flags&flagHeld != 0 && c.state == stateOpen {
		return true
	}
	c.cut(nil)
	return false
}

// Lost says that the wire is gone. The Conn sends nothing any more, but its methods may still be
// called.
func (c *Conn) Lost(cause error) {
	if c.flags&flagLost != 0 {
		return
	}
	c.flags |= flagLost
	c.srv.stats.Open--
	c.srv.release(c.out)
	c.out, c.sent = nil, 0
	c.wire = noWire{c.wire}
	c.end(&CloseError{Code: CloseAbnormal, Cause: cause})
}

// noWire replaces a wire that is gone.
type noWire struct{ of Wire }

func (noWire) Wake()                     {}
func (noWire) Close()                    {}
func (noWire) Abort(error)               {}
func (w noWire) Reserve(octets int) bool { return w.of.Reserve(octets) }
