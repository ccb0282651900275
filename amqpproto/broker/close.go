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

// errHungUp is the cause when a client closes its socket without connection.close.
var errHungUp = errors.New("the client closed the socket without connection.close")

func connectionError(code uint16, id amqpproto.MethodID, format string, args ...any) error {
	return &amqpproto.ConnectionError{Code: code, Method: id, Text: fmt.Sprintf(format, args...)}
}

// mend answers an error with connection.close. If the frames were whole, it goes on reading
// for close-ok, because it can still tell frames apart.
func (c *Conn) mend(err error) bool {
	var ce *amqpproto.ConnectionError
	if !c.speaking() || !errors.As(err, &ce) {
		return false
	}
	c.sendClose(ce)
	return true
}

// speaking reports whether the client has logged in: only then it is told its error.
func (c *Conn) speaking() bool {
	return c.state == connOpen || c.state == awaitOpen || c.state == awaitTuneOk
}

// sendClose tells the client that the connection is over, and releases everything that the
// connection has. From then on only the client's answer counts; all other input is dropped.
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
	if m.ReplyCode != amqpproto.ReplySuccess && m.ReplyCode != 0 { // kombu sends 0
		why = m.Err()
	}
	c.flushAllConfirms()
	c.leave(awaitEOF, why)
	c.sendLast(&amqpproto.ConnectionCloseOk{})
	return nil
}

// fail ends the connection after an error that makes the rest of the input unreadable. It
// tells the client why, if the client has logged in. If it returns nil, the socket stays open
// for a while, and all input is dropped unread.
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

// late is called when the handshake, or the end of the connection, takes too long.
func (c *Conn) late() {
	switch {
	case c.state == connFailed: // a refused login has waited long enough
		c.wire.Close()
	case c.garbled:
		c.over()
	case c.state == awaitCloseOk || c.state == awaitEOF:
		c.cut()
	default:
		c.abort(fmt.Errorf("%s: no answer within %v", c.state, c.server.opts.HandshakeTimeout))
	}
}

// abort ends the connection without telling the client, which does not read.
func (c *Conn) abort(err error) {
	if c.state < connFailed {
		c.err = err
		c.state, c.limit = connFailed, 0
		c.wire.Abort(err)
	}
}

// endChannels ends all channels. First, all consumers stop taking messages. Then all unacked
// messages go back, those of one queue together, so that they keep their order wherever they
// go next. With owned, the exclusive queues end as well.
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

// flushAllConfirms sends the confirms that are due before anything else is sent.
func (c *Conn) flushAllConfirms() {
	for _, ch := range c.confirming {
		ch.due = false
		ch.flushConfirms()
	}
	c.confirming = c.confirming[:0]
}
