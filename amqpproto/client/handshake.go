package client

import (
	"errors"
	"fmt"
	"time"

	"zamqp/amqpproto"
)

// connState is named for what the connection waits for. §2.2.4.
type connState uint8

const (
	awaitStart   connState = iota // the protocol header was sent
	awaitTune                     // start-ok was sent
	awaitOpenOk                   // tune-ok and open were sent
	connOpen                      // in use
	awaitCloseOk                  // connection.close was sent, everything else is discarded
	connFailed                    // it has ended, and Lost will be called
	connOver                      // Lost was called
)

// connStateNames appear in errors, and help to find the mistake in a URL.
var connStateNames = [...]string{"greeting", "login", "opening of the vhost", "open", "closing", "failed", "over"}

func (s connState) String() string { return connStateNames[s] }

// onMethod handles the methods of channel 0.
func (c *Conn) onMethod(id amqpproto.MethodID, args []byte) error {
	switch {
	case id == amqpproto.IDConnectionClose:
		return c.onClose(args)
	case c.state == awaitCloseOk:
		if id == amqpproto.IDConnectionCloseOk {
			c.state = connFailed
			c.wire.Close()
		}
		return nil
	case c.state == awaitStart && id == amqpproto.IDConnectionStart:
		return c.onStart(args)
	case c.state == awaitTune && id == amqpproto.IDConnectionSecure:
		return fmt.Errorf("the broker asks for a second round of %s (connection.secure), which we do not know", c.client.cfg.Mechanism)
	case c.state == awaitTune && id == amqpproto.IDConnectionTune:
		return c.onTune(args)
	case c.state == awaitOpenOk && id == amqpproto.IDConnectionOpenOk:
		c.state, c.reached = connOpen, connOpen
		c.handshake.stop()
		c.updateSecret() // it may have changed during the handshake
		c.client.opened(c)
		return nil
	case c.state == connOpen && id == amqpproto.IDConnectionBlocked:
		var m amqpproto.ConnectionBlocked
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		c.client.setBlocked(true, string(m.Reason))
		return nil
	case c.state == connOpen && id == amqpproto.IDConnectionUpdateSecretOk:
		return c.onSecretUpdated(id)
	case c.state == connOpen && id == amqpproto.IDConnectionUnblocked:
		c.client.setBlocked(false, "")
		return nil
	}
	return unexpected(c.state, id)
}

func (c *Conn) onStart(args []byte) error {
	var m amqpproto.ConnectionStart
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if a := &c.client.absence; a.greeted == 0 {
		a.greeted = max(c.client.clock.now, 1)
	}
	c.reached = awaitTune
	c.await()
	if m.VersionMajor != 0 || m.VersionMinor != 9 {
		return fmt.Errorf("the broker speaks AMQP %d-%d, we speak 0-9-1", m.VersionMajor, m.VersionMinor)
	}
	cfg := &c.client.cfg
	response, err := authResponse(cfg, m.Mechanisms)
	if err != nil {
		return err
	}
	properties, err := clientProperties(cfg)
	if err != nil {
		return err
	}
	c.server = serverName(m.ServerProperties)
	c.client.adapt(capabilitiesOf(m.ServerProperties))
	c.state, c.secret = awaitTune, cfg.Password
	return c.send(0, &amqpproto.ConnectionStartOk{
		ClientProperties: properties,
		Mechanism:        []byte(cfg.Mechanism),
		Response:         response,
		Locale:           []byte("en_US"), // the only one that every broker must have
	})
}

// onTune chooses the lower limit of both sides, where 0 means no limit. We always have
// limits, so we never answer 0. §1.4.2.6.
func (c *Conn) onTune(args []byte) error {
	var m amqpproto.ConnectionTune
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	cfg := &c.client.cfg
	if m.FrameMax != 0 && m.FrameMax < amqpproto.FrameMin {
		return connectionError(amqpproto.FrameError, amqpproto.IDConnectionTune, "frame_max %d is less than the %d that every peer must take", m.FrameMax, amqpproto.FrameMin)
	}
	lower := func(theirs, ours uint32) uint32 {
		if theirs == 0 {
			return ours
		}
		return min(theirs, ours)
	}
	c.frameMax = lower(m.FrameMax, cfg.FrameMax)
	c.channelMax = uint16(lower(uint32(m.ChannelMax), uint32(cfg.ChannelMax)))
	var seconds uint32
	if cfg.Heartbeat > 0 {
		ours := (cfg.Heartbeat + time.Second - 1) / time.Second
		seconds = lower(uint32(m.Heartbeat), uint32(min(ours, 65535)))
	}
	c.beat.Interval = int64(seconds) * int64(time.Second)
	c.state, c.reached = awaitOpenOk, awaitOpenOk
	err := c.send(0, &amqpproto.ConnectionTuneOk{ChannelMax: c.channelMax, FrameMax: c.frameMax, Heartbeat: uint16(seconds)})
	if err != nil {
		return err
	}
	return c.send(0, &amqpproto.ConnectionOpen{VirtualHost: []byte(cfg.Vhost)})
}

// onClose answers connection.close, which may come in any state. It returns an error
// that ends the connection after close-ok was sent.
func (c *Conn) onClose(args []byte) error {
	var m amqpproto.ConnectionClose
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	cause := m.Err()
	if err := c.send(0, &amqpproto.ConnectionCloseOk{}); err != nil {
		return err
	}
	wasOpen := c.state == connOpen
	c.err = c.explain(cause)
	c.state = connFailed
	if wasOpen {
		c.client.refuseDeclaration(cause)
	}
	return c.err
}

// await starts the HandshakeTimeout for the broker's next answer.
func (c *Conn) await() {
	c.patience = c.client.cfg.HandshakeTimeout
	c.handshake.set(c.patience)
}

// sendClose starts the orderly close.
func (c *Conn) sendClose() {
	c.state = awaitCloseOk
	c.await()
	// Every field is a valid constant, so encoding cannot fail.
	_ = c.send(0, &amqpproto.ConnectionClose{ReplyCode: 200, ReplyText: []byte("Goodbye")})
}

// fail ends the connection because of an error of the peer. It tells the peer why,
// unless the peer has not even sent connection.start.
func (c *Conn) fail(err error) error {
	if c.state >= connFailed {
		return c.err
	}
	if c.state != awaitStart {
		var ce *amqpproto.ConnectionError
		if !errors.As(err, &ce) {
			ce = &amqpproto.ConnectionError{Code: amqpproto.NotAllowed, Text: err.Error()}
		}
		_ = c.send(0, ce.CloseMethod()) // its text is cut to fit
	}
	c.err = c.explain(err)
	c.state = connFailed
	return c.err
}
