package client

import (
	"fmt"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// Conn is one connection to a broker, from the protocol header to Lost. It has
// the shape of the loop's Peer.
type Conn struct {
	client *Client
	wire   Wire

	state connState
	err   error // why it failed
	quit  bool  // Close came before it was open
	out   endpoint.Output

	reached   connState     // how far the handshake got; connOpen once it was open
	handshake deadline      // deadline of the greeting, of opening, and of the answer to connection.close
	patience  time.Duration // the length of that time
	beat      endpoint.Heartbeat
	server    string // product and version
	secret    string // the password that the broker knows
	updates   int    // updates of the secret that the broker has not confirmed yet

	frameMax   uint32 // largest frame in either direction, octets
	channelMax uint16
	channels   []*channel // by number; nil is free, 0 is not used
	silent     int        // how many of them no longer answer

	acking []*Acknowledger // acknowledgers with acks to encode
	ackDue deadline        // when delayed acks are sent; see Config.AckDelay
	large  largeHeader
	depth  int  // > 0 inside Feed, Tick and Lost; after these the loop flushes anyway
	woken  bool // the wire was woken and has not called Pending since
	again  bool // the input begins with a frame that was handled in part; see errAgain
	ended  bool // the broker sends no more

	// Scratch of the hot path.
	deliver amqpproto.BasicDeliver
	ack     amqpproto.BasicAck
}

// Feed handles the whole frames in in, and returns how many octets they have.
func (c *Conn) Feed(in []byte) (n int, err error) {
	if c.state >= connFailed {
		return len(in), c.err // everything after connection.close is ignored
	}
	c.depth++
	c.again = false
	n, err = c.feed(in)
	if c.ended && !c.again {
		c.wire.Close()
	}
	c.beat.Fed(len(in), len(in)-n)
	if err != nil {
		err = c.fail(err)
	}
	c.client.stats.OctetsIn += uint64(n)
	c.depth--
	return n, err
}

func (c *Conn) feed(in []byte) (n int, err error) {
	if c.state == awaitStart {
		if known, err := greeting(in); !known || err != nil {
			return 0, err
		}
	}
	if c.large.on {
		if n, err = c.takeLarge(in); err != nil || c.large.on {
			return n, err
		}
	}
	for c.state < connFailed {
		f, m, err := amqpproto.CutFrame(in[n:], c.frameMax)
		if err != nil && c.beginsLarge(in[n:]) {
			m, err = c.takeLarge(in[n:])
			if n += m; err != nil || c.large.on {
				return n, err
			}
			continue
		}
		if m == 0 || err != nil {
			return n, err
		}
		n += m
		if f.Type == amqpproto.FrameMethod && f.Channel != 0 && c.state == connOpen {
			id, args, err := f.Method()
			if err != nil {
				return n, err
			}
			if id == amqpproto.IDBasicDeliver {
				m, took, err := c.deliverWhole(f, in[n:])
				n += m
				if err != nil {
					return n, err
				}
				if took {
					continue
				}
			}
			if err := c.onChannelMethod(f.Channel, id, args); err != nil {
				if err == errAgain {
					c.again = true // Pending asks for the next turn: a Wake in here would not
					return n - m, nil
				}
				return n, err
			}
			continue
		}
		if err := c.onFrame(f); err != nil {
			return n, err
		}
	}
	return len(in), c.err
}

// EOF says that the broker sends no more. The frames that it has sent are handled.
func (c *Conn) EOF() (more bool) {
	c.ended = c.again
	return c.ended
}

// onFrame handles all frames except the methods of channels on an open connection.
func (c *Conn) onFrame(f amqpproto.Frame) error {
	switch {
	case f.Type == amqpproto.FrameHeartbeat:
		c.client.stats.HeartbeatsSeen++
		return nil
	case f.Type == amqpproto.FrameMethod && f.Channel == 0:
		id, args, err := f.Method()
		if err != nil {
			return err
		}
		return c.onMethod(id, args)
	case c.state == awaitCloseOk:
		return nil
	case c.state != connOpen:
		return connectionError(amqpproto.CommandInvalid, 0, "%s: unexpected %s", c.state, f)
	case f.Channel == 0:
		return connectionError(amqpproto.UnexpectedFrame, 0, "content on channel 0")
	}
	ch, err := c.channel(f.Channel)
	if err != nil {
		return err
	}
	return ch.onFrame(f)
}

func (c *Conn) onChannelMethod(number uint16, id amqpproto.MethodID, args []byte) error {
	ch, err := c.channel(number)
	if err != nil {
		return err
	}
	if !id.FromServer() {
		if !id.Known() {
			return amqpproto.UnknownMethod(id)
		}
		return unexpected(ch, id)
	}
	return ch.onMethod(id, args)
}

// channel returns the open channel with that number.
func (c *Conn) channel(number uint16) (*channel, error) {
	if int(number) >= len(c.channels) || c.channels[number] == nil {
		return nil, connectionError(amqpproto.ChannelErrorCode, 0, "frame on channel %d, which is not open", number)
	}
	return c.channels[number], nil
}

// send appends a method to the output.
func (c *Conn) send(channel uint16, m amqpproto.Method) error {
	c.out.Room()
	buf, err := amqpproto.AppendMethod(c.out.Buf, channel, m)
	if err != nil {
		return err
	}
	c.out.Buf = buf
	c.wake()
	return nil
}

// wake asks the wire for a turn, unless it is in one or has been asked already.
func (c *Conn) wake() {
	if c.depth == 0 && !c.woken && c.state < connOver {
		c.woken = true
		c.wire.Wake()
	}
}

// Pending encodes delayed acks and waiting publishes and requests, and returns all
// octets to send.
func (c *Conn) Pending() []byte {
	c.woken = false
	if c.state == connOpen {
		c.depth++
		c.flushAcks(false)
		c.client.pub.sendAgain()
		c.client.isolated.sendAgain()
		c.client.flushWaiting()
		c.client.pub.commitTx()
		c.client.turn++
		c.client.requests.flush()
		c.depth--
		if c.again {
			c.wire.Wake()
		}
		if len(c.client.later) > 0 || c.client.rearm {
			c.wake() // the next Tick reports the outcomes and starts the deadlines
		}
	}
	return c.out.Pending()
}

// Sent forgets the first n octets of Pending.
func (c *Conn) Sent(n int) {
	c.out.Left(n)
	c.client.stats.OctetsOut += uint64(n)
	c.beat.Left(c.client.clock.now, n, c.out.Len())
	cl := c.client
	if cl.mayLeave() || cl.requests.moving() || cl.cfg.NoConfirms && cl.pub.confirms.unsettled+cl.isolated.confirms.unsettled > 0 {
		c.wake() // for a Pending that encodes more, or a Tick that settles
	}
}

// Tick tells the connection the time, and returns when to call it again.
func (c *Conn) Tick(now time.Time) (next time.Time) {
	cl := c.client
	if cl.conn != c {
		return time.Time{}
	}
	c.depth++
	t := cl.clock.set(now)
	at := cl.tick(t)
	if c.state < connFailed {
		if c.handshake.due(t, &at) {
			to := ""
			if c.state == awaitCloseOk {
				to = " to connection.close"
			}
			c.abort(fmt.Errorf("%w%s within %v", errNoAnswer, to, c.patience))
		}
		if c.ackDue.due(t, &at) {
			c.flushAcks(true)
		}
		send, dead, beat := c.beat.Tick(t, c.out.Len() == 0, false)
		endpoint.Sooner(&at, beat)
		if dead {
			c.abort(fmt.Errorf("nothing was received for two heartbeat intervals of %v: the broker or the network is dead",
				time.Duration(c.beat.Interval)))
		} else if send {
			c.out.Buf = amqpproto.AppendHeartbeat(c.out.Buf)
			cl.stats.HeartbeatsSent++
		}
	}
	c.depth--
	return cl.clock.time(at)
}

// abort ends the connection without connection.close, because the peer does not
// answer.
func (c *Conn) abort(err error) {
	if c.state < connFailed {
		c.err = c.explain(err)
		c.state = connFailed
		c.wire.Abort(c.err)
	}
}

// Lost ends the Conn after its socket is gone. The client tells all registrations and
// asks its Host for a new socket.
func (c *Conn) Lost(cause error) {
	if c.state == connOver {
		return
	}
	switch {
	case c.err != nil:
		cause = c.err
	case c.state == connFailed: // connection.close-ok came
		cause = nil
	case cause == nil && c.quit:
	case cause == nil:
		cause = c.explain(errHungUp)
	default:
		cause = c.explain(cause)
	}
	c.state = connOver
	c.out.Drop()
	c.channels, c.acking = nil, nil
	c.client.coming = 0
	c.client.lost(c, cause)
}
