package broker

import (
	"errors"
	"fmt"
	"time"

	"zamqp/amqpproto"
)

const (
	// closeWait is how long close-ok is waited for.
	closeWait = 10 * time.Second
	// loginDelay is how long a refused login holds its socket, so that guessing
	// passwords is slow.
	loginDelay = time.Second
)

// errHungUp stands for an end of the stream that nobody announced.
var errHungUp = errors.New("the client closed the socket without connection.close")

func connectionError(code uint16, id amqpproto.MethodID, format string, args ...any) error {
	return &amqpproto.ConnectionError{Code: code, Method: id, Text: fmt.Sprintf(format, args...)}
}

// mend answers an error with connection.close and goes on reading, for close-ok,
// if what follows can still be told apart: the frames were whole.
func (c *Conn) mend(err error) bool {
	var ce *amqpproto.ConnectionError
	if c.state != connOpen && c.state != awaitOpen && c.state != awaitTuneOk || !errors.As(err, &ce) {
		return false
	}
	c.sendClose(ce)
	return true
}

// sendClose tells the client that the connection is over, and lets go of all
// that it has. The answer is awaited, everything else that comes is discarded.
func (c *Conn) sendClose(ce *amqpproto.ConnectionError) {
	c.err = ce
	c.flushAllConfirms()
	c.send(0, ce.CloseMethod())
	c.state = awaitCloseOk
	c.blocked, c.commits = false, 0
	c.limit = c.server.now() + int64(closeWait)
	c.endChannels()
	c.wake() // so that Tick is told when the wait ends
}

// onLast takes a frame while close-ok is awaited.
func (c *Conn) onLast(f amqpproto.Frame) {
	if f.Type != amqpproto.FrameMethod || f.Channel != 0 {
		return
	}
	switch id, _, err := f.Method(); {
	case err != nil:
	case id == amqpproto.IDConnectionClose: // both at once: ours stands, theirs is answered
		c.send(0, &amqpproto.ConnectionCloseOk{})
	case id == amqpproto.IDConnectionCloseOk:
		c.over()
	}
}

// over closes the wire when all has left.
func (c *Conn) over() {
	c.state, c.limit = connFailed, 0
	c.wire.Close()
}

// onClose answers the client's connection.close.
func (c *Conn) onClose(args []byte) error {
	var m amqpproto.ConnectionClose
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	c.flushAllConfirms()
	c.send(0, &amqpproto.ConnectionCloseOk{})
	if m.ReplyCode != amqpproto.ReplySuccess && m.ReplyCode != 0 { // 0 is how kombu says it
		c.err = m.Err()
	}
	c.endChannels()
	c.over()
	return nil
}

// fail ends the conversation for a fault after which nothing more can be read,
// telling why if the client has got far enough to understand.
func (c *Conn) fail(err error) error {
	if c.state >= connFailed {
		return c.err
	}
	if ce := (*amqpproto.ConnectionError)(nil); errors.As(err, &ce) && c.state > awaitHeader && c.state != awaitCloseOk {
		c.flushAllConfirms()
		c.send(0, ce.CloseMethod())
	}
	if c.err == nil {
		c.err = err
	}
	c.state, c.limit = connFailed, 0
	c.endChannels()
	return c.err
}

// late is called when the handshake or close-ok took too long.
func (c *Conn) late() {
	switch {
	case c.state == connFailed: // a refused login has waited enough
		c.wire.Close()
	case c.state == awaitCloseOk:
		c.over()
	default:
		c.abort(fmt.Errorf("%s: no answer within %v", c.state, c.server.opts.HandshakeTimeout))
	}
}

// abort ends the connection without a word to a peer that does not listen.
func (c *Conn) abort(err error) {
	if c.state < connFailed {
		c.err = err
		c.state, c.limit = connFailed, 0
		c.wire.Abort(err)
	}
}

// endChannels ends all channels: first nobody takes anything more, then
// everything goes back, that of one queue at once, so that it comes back in
// order wherever it goes next.
func (c *Conn) endChannels() {
	for _, ch := range c.channels {
		if ch != nil {
			ch.endConsumers()
		}
	}
	var held []delivery
	for _, ch := range c.channels {
		if ch != nil {
			held = ch.surrender(held)
			c.server.stats.Channels--
		}
	}
	requeueEach(held)
	c.channels, c.confirming, c.opened = nil, nil, 0
}

// flushAllConfirms puts what has been decided before what comes now.
func (c *Conn) flushAllConfirms() {
	for _, ch := range c.confirming {
		ch.due = false
		ch.flushConfirms()
	}
	c.confirming = c.confirming[:0]
}
