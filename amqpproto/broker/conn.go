package broker

import (
	"encoding/binary"
	"fmt"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// connState is what the connection waits for. AMQP 0-9-1 §2.2.4.
type connState uint8

const (
	awaitHeader  connState = iota // nothing has arrived yet
	awaitStartOk                  // connection.start was sent
	awaitLogin                    // the password is being checked on another goroutine
	awaitTuneOk                   // tune was sent
	awaitOpen                     // connection.open is awaited
	connOpen                      // in use
	awaitCloseOk                  // connection.close was sent, everything else is dropped
	awaitEOF                      // close-ok was sent: the client has to close its socket
	connFailed                    // the connection is over, and Lost will be called
	connOver                      // Lost was called
)

var connStateNames = [...]string{"awaitHeader", "awaitStartOk", "awaitLogin", "awaitTuneOk", "awaitOpen",
	"open", "awaitCloseOk", "awaitEOF", "failed", "over"}

func (s connState) String() string { return connStateNames[s] }

// Conn is a client's connection, from its socket to Lost. It has the shape of
// the loop's Peer.
type Conn struct {
	server *Server
	wire   Wire
	place  node[Conn] // its place in server.conns, or server.leaving

	remote   string
	loopback bool
	name     string // the client's connection_name
	ends     string // see link; "" before the first call
	user     *account
	vhost    *vhost
	access   *access // nil = everything

	state  connState
	err    error // why the connection ends
	out    output
	beat   endpoint.Heartbeat
	restAt int64 // when to call rested, without heartbeats; 0 = it was called
	limit  int64 // when the handshake, or the wait for the client's part of the end, has taken too long; 0 = none

	frameMax   uint32
	channelMax uint16
	channels   []*channel // by number; nil is free, 0 is not used
	opened     int        // number of open channels

	// What the client says it can do.
	cancelNotify, blockedNotify, failureClose bool

	told    bool  // connection.blocked was sent, and unblocked not yet
	blocked bool  // the client wants to publish, and is not read while the alarm lasts
	stalled bool  // a consumer got nothing because output has piled up
	full    bool  // Feed has stopped because output has piled up
	waits   bool  // for a chore, see errBusy
	works   int   // chores of this connection; it is not read until they are done
	halted  bool  // the connection is in server.coming.halted
	coming  int64 // octets of incomplete bodies
	parts   int   // number of such bodies that are incomplete
	counted int   // octets of out that count as memory
	ending  *ending
	parted  bool // leave was called
	garbled bool // input is dropped unread, see fail
	commits int  // transactions and held answers that wait for the store; not read until then
	held    heldAnswer

	confirming []*channel // channels with publishes to confirm in Pending

	depth int  // > 0 inside Feed, Tick and Lost, after which the loop flushes anyway
	woken bool // the wire was woken, and has not called Pending since
}

// readPaused reports whether the connection is not read now. Unread deliveries are no reason
// for that: ready limits them, and many clients do not read while they write.
func (c *Conn) readPaused() bool {
	return c.commits > 0 || c.works > 0 || c.waits || c.state == awaitLogin || c.out.answers() >= c.server.opts.OutputMax
}

// Feed takes all whole frames of in. While reading is paused it takes none, and wakes
// the wire when the pause is over.
func (c *Conn) Feed(in []byte) (n int, err error) {
	if c.state >= connFailed {
		return len(in), c.ended()
	}
	c.depth++
	n, err = c.feed(in)
	if err != nil {
		if err = c.fail(err); err == nil {
			n = len(in)
		}
	}
	c.beat.Fed(len(in), len(in)-n)
	c.server.stats.OctetsIn += uint64(n)
	c.server.tellEnded()
	c.server.checkMemory()
	c.depth--
	return n, err
}

func (c *Conn) feed(in []byte) (n int, err error) {
	if c.state == awaitHeader {
		if n, err = c.onHeader(in); n == 0 || err != nil {
			return n, err
		}
	}
	for c.state < connFailed && !c.garbled {
		if c.readPaused() {
			c.full = c.out.answers() >= c.server.opts.OutputMax
			return n, nil
		}
		f, m, err := amqpproto.CutFrame(in[n:], c.frameMax)
		if m == 0 || err != nil {
			return n, err
		}
		if c.server.alarm && c.state == connOpen && isPublish(f) {
			c.throttle()
			return n, nil
		}
		if c.server.alarm && c.parts > 0 && f.Type == amqpproto.FrameBody && c.state == connOpen {
			switch may, err := c.mayFinish(); {
			case err != nil && !c.mend(err):
				return n, err
			case err != nil:
				continue
			case !may:
				return n, nil
			}
		}
		n += m
		if c.state == connOpen && f.Channel != 0 {
			var more int
			more, err = c.onChannelFrame(f, in[n:])
			n += more
		} else {
			err = c.onFrame(f)
		}
		if err == errBusy {
			c.wait()
			return n - m, nil
		}
		if err != nil && !c.mend(err) {
			return n, err
		}
	}
	return len(in), c.ended()
}

// ended returns why nothing more is read. It is nil for a refused login, whose socket
// stays open for a while.
func (c *Conn) ended() error {
	if c.limit != 0 {
		return nil
	}
	return c.err
}

func isPublish(f amqpproto.Frame) bool {
	return f.Type == amqpproto.FrameMethod && len(f.Payload) >= 4 && amqpproto.MethodID(binary.BigEndian.Uint32(f.Payload)) == amqpproto.IDBasicPublish
}

// onFrame handles the frames of channel 0, and all frames before connection.open.
func (c *Conn) onFrame(f amqpproto.Frame) error {
	if f.Type == amqpproto.FrameHeartbeat {
		return nil
	}
	if c.state == awaitCloseOk || c.state == awaitEOF {
		c.onLast(f)
		return nil
	}
	if f.Type == amqpproto.FrameMethod && f.Channel == 0 {
		id, args, err := amqpproto.SplitMethod(f.Payload)
		if err != nil {
			return err
		}
		return c.onMethod(id, args)
	}
	if f.Channel == 0 {
		return connectionError(amqpproto.UnexpectedFrame, 0, "content on channel 0")
	}
	return connectionError(amqpproto.UnexpectedFrame, 0, "%s: unexpected %s", c.state, f)
}

// onChannelFrame handles a frame of a channel other than 0. rest is the input after it, of
// which it has used n octets as well.
func (c *Conn) onChannelFrame(f amqpproto.Frame, rest []byte) (n int, err error) {
	var ch *channel
	if int(f.Channel) < len(c.channels) {
		ch = c.channels[f.Channel]
	}
	if f.Type != amqpproto.FrameMethod {
		if ch == nil {
			return 0, connectionError(amqpproto.ChannelErrorCode, 0, "expected 'channel.open'")
		}
		return 0, ch.onContentFrame(f)
	}
	id, args, err := f.Method()
	if err != nil {
		return 0, err
	}
	if ch == nil {
		return 0, c.openChannel(f.Channel, id, args)
	}
	if ch.tx.busy && id != amqpproto.IDChannelClose && id != amqpproto.IDChannelOpen {
		return 0, committing(id)
	}
	if id == amqpproto.IDBasicPublish && ch.state == channelOpen {
		n, took, err := ch.publishWhole(args, rest)
		if took {
			return n, ch.fault(id, err)
		}
	}
	return 0, ch.onMethod(id, args)
}

// send appends a method. Its texts must be short enough: they are constants, or names that
// came from a client as short strings.
func (c *Conn) send(channel uint16, m amqpproto.Method) {
	c.out.Room()
	c.out.Buf, _ = amqpproto.AppendMethod(c.out.Buf, channel, m)
	c.wake()
}

// wake asks the wire for a turn, once, unless the connection is in one.
func (c *Conn) wake() {
	if c.depth == 0 && !c.woken && c.state < connOver {
		c.woken = true
		c.wire.Wake()
	}
}

// Pending appends the confirms of this turn and returns all octets to send.
func (c *Conn) Pending() []byte {
	c.woken = false
	for i, ch := range c.confirming {
		ch.due = false
		ch.flushConfirms()
		c.confirming[i] = nil
	}
	c.confirming = c.confirming[:0]
	c.countOutput()
	c.server.noteDeliveries()
	return c.out.Pending()
}

// countOutput counts the octets in the output buffer above those that every connection
// may have.
func (c *Conn) countOutput() {
	n := c.out.Held()
	c.server.unsent += int64(n - c.counted)
	c.counted = n
}

// Sent forgets the first n octets of Pending.
func (c *Conn) Sent(n int) {
	c.out.left(n)
	c.server.stats.OctetsOut += uint64(n)
	c.beat.Left(c.server.now(), n, c.out.Len())
	if c.state >= awaitCloseOk && c.out.Len() == 0 {
		c.out.Drop() // nothing more is to be sent but a few octets, if that
	}
	c.countOutput()
	if (c.full || c.stalled) && c.out.Len() < c.server.opts.OutputMax/2 {
		c.wake() // Tick continues delivering, Feed continues reading
	}
}

// Tick moves the time forward.
func (c *Conn) Tick(now time.Time) (next time.Time) {
	if c.state >= connFailed && c.limit == 0 {
		return time.Time{}
	}
	c.depth++
	t := now.UnixNano()
	var at int64
	c.tick(t, &at)
	c.depth--
	if at == 0 {
		return time.Time{}
	}
	return time.Unix(0, at)
}

func (c *Conn) tick(now int64, at *int64) {
	if c.out.Len() < c.server.opts.OutputMax/2 {
		if c.full {
			c.full = false
			defer c.wakeKept()
		}
		if c.stalled {
			c.stalled = false
			c.wakeConsumers()
		}
	}
	if c.limit != 0 {
		if now >= c.limit {
			c.limit = 0
			c.late()
			return
		}
		endpoint.Sooner(at, c.limit)
	}
	if c.state >= awaitCloseOk {
		return
	}
	if c.beat.Interval == 0 {
		c.restLater(now, at)
	}
	send, dead, beat := c.beat.Tick(now, c.out.Len() == 0, c.blocked || c.waits || c.works > 0 || c.commits > 0)
	endpoint.Sooner(at, beat)
	switch {
	case dead:
		c.abort(fmt.Errorf("missed heartbeats from client, timeout: %v", time.Duration(c.beat.Interval)))
	case send:
		c.rested()
		c.out.Buf = amqpproto.AppendHeartbeat(c.out.Buf)
	}
}

// restLater arranges for rested on a connection without heartbeats, which has no other
// timer.
func (c *Conn) restLater(now int64, at *int64) {
	switch {
	case c.beat.Heard() || c.restAt == 0 && cap(c.out.Buf) > endpoint.OutputIdle:
		c.restAt = now + int64(restAfter)
	case c.restAt != 0 && now >= c.restAt:
		c.restAt = 0
		c.rested()
	}
	endpoint.Sooner(at, c.restAt)
}

// restAfter is how long a connection without heartbeats keeps its buffers.
const restAfter = 20 * time.Second

// rested frees memory that an idle connection does not need.
func (c *Conn) rested() {
	c.out.Rest()
	if cap(c.confirming) > 4 {
		c.confirming = nil
	}
	for _, ch := range c.channels {
		if ch != nil {
			ch.rested()
		}
	}
}

// wakeKept makes the loop offer the input again that Feed did not take.
func (c *Conn) wakeKept() {
	if c.state < connFailed {
		c.woken = true
		c.wire.Wake()
	}
}

// wakeConsumers lets the queues of all consumers deliver again.
func (c *Conn) wakeConsumers() {
	for _, ch := range c.channels {
		if ch != nil {
			ch.wakeConsumers()
		}
	}
}

// EOF says that nothing will follow what is pending.
func (c *Conn) EOF() (more bool) { return false }

// Lost ends the Conn: unacked messages go back to their queues, and exclusive queues
// are deleted.
func (c *Conn) Lost(cause error) {
	if c.state == connOver {
		return
	}
	opened := c.vhost != nil && !c.parted
	if c.err != nil || c.state == connFailed {
		cause = c.err
	} else if cause == nil && opened {
		cause = errHungUp
	}
	c.depth++
	c.state = connOver
	c.endChannels(opened)
	c.server.tellEnded()
	c.out.Drop()
	c.countOutput()
	c.remove()
	if opened {
		c.note(ConnectionClosed, cause)
	}
	c.server.checkMemory()
	c.depth--
}

// note logs an event of the connection.
func (c *Conn) note(kind EventKind, err error) {
	e := Event{Kind: kind, Remote: c.remote, Name: c.name, Err: err}
	if c.user != nil {
		e.User = c.user.name
	}
	if c.vhost != nil {
		e.Vhost = c.vhost.name
	}
	c.server.host.Note(e)
}
