package broker

import (
	"errors"
	"fmt"
	"time"

	"zamqp/amqpproto"
)

// loginDelay is how long a refused login holds its socket, so that guessing
// passwords is slow.
const loginDelay = time.Second

// errHungUp stands for an end of the stream that nobody announced.
var errHungUp = errors.New("the client closed the socket without connection.close")

func connectionError(code uint16, id amqpproto.MethodID, format string, args ...any) error {
	return &amqpproto.ConnectionError{Code: code, Method: id, Text: fmt.Sprintf(format, args...)}
}

// mend answers an error with connection.close and goes on reading, for close-ok,
// if what follows can still be told apart: the frames were whole.
func (c *Conn) mend(err error) bool {
	var ce *amqpproto.ConnectionError
	if !c.speaking() || !errors.As(err, &ce) {
		return false
	}
	c.sendClose(ce)
	return true
}

// speaking says that the client has logged in, and is told what it did.
func (c *Conn) speaking() bool {
	return c.state == connOpen || c.state == awaitOpen || c.state == awaitTuneOk
}

// sendClose tells the client that the connection is over, and lets go of all
// that it has. The answer is awaited, everything else that comes is discarded.
func (c *Conn) sendClose(ce *amqpproto.ConnectionError) {
	c.flushAllConfirms()
	c.leave(awaitCloseOk, ce)
	c.sendLast(ce.CloseMethod())
}

// onClose answers the client's connection.close.
func (c *Conn) onClose(args []byte) error {
	var m amqpproto.ConnectionClose
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	var why error
	if m.ReplyCode != amqpproto.ReplySuccess && m.ReplyCode != 0 { // 0 is how kombu says it
		why = m.Err()
	}
	c.flushAllConfirms()
	c.leave(awaitEOF, why)
	c.sendLast(&amqpproto.ConnectionCloseOk{})
	return nil
}

// fail ends the conversation for a fault after which nothing more can be read,
// telling why if the client has got far enough to understand. nil means that the
// socket stays open for a while, and what comes is discarded unseen.
func (c *Conn) fail(err error) error {
	if c.state >= connFailed {
		return c.err
	}
	var ce *amqpproto.ConnectionError
	switch told := errors.As(err, &ce); {
	case c.state == awaitCloseOk || c.state == awaitEOF:
		c.garbled = true
		return nil
	case told && c.speaking():
		c.sendClose(ce)
		c.garbled = true
		c.limit = min(c.limit, c.server.now()+int64(garbledWait))
		return nil
	case told && c.state > awaitHeader:
		c.flushAllConfirms()
		c.send(0, ce.CloseMethod())
	}
	if c.err == nil {
		c.err = err
	}
	c.state, c.limit = connFailed, 0
	c.endChannels(false)
	return c.err
}

// late is called when the handshake, or the end of a connection, took too long.
func (c *Conn) late() {
	switch {
	case c.state == connFailed: // a refused login has waited enough
		c.wire.Close()
	case c.garbled:
		c.over()
	case c.state == awaitCloseOk || c.state == awaitEOF:
		c.cut()
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
// order wherever it goes next. With owned, the exclusive queues end as well.
func (c *Conn) endChannels(owned bool) {
	var queues map[*queue]struct{}
	if owned {
		queues = c.vhost.owned[c]
	}
	all := c.channels
	c.channels, c.confirming, c.opened = nil, nil, 0
	for _, ch := range all {
		if ch != nil {
			c.server.stats.Channels--
		}
	}
	if !c.server.afford(endUnitsOf(all) + len(queues)*endUnits) {
		c.ending = c.endLater(all, queues)
		return
	}
	for _, ch := range all {
		if ch != nil {
			ch.endConsumers()
		}
	}
	var held []delivery
	for _, ch := range all {
		if ch != nil {
			held = ch.surrender(held)
		}
	}
	requeueEach(held, true)
	if owned {
		c.vhost.dropOwner(c)
	}
}

// flushAllConfirms puts what has been decided before what comes now.
func (c *Conn) flushAllConfirms() {
	for _, ch := range c.confirming {
		ch.due = false
		ch.flushConfirms()
	}
	c.confirming = c.confirming[:0]
}
