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
	awaitStart   connState = iota // the protocol header has gone out
	awaitTune                     // start-ok has
	awaitOpenOk                   // tune-ok and open have
	connOpen                      // in use
	awaitCloseOk                  // connection.close has gone out, everything else is discarded
	connFailed                    // it is over, Lost will say so
	connOver                      // Lost was called
)

var connStateNames = [...]string{"awaitStart", "awaitTune", "awaitOpenOk", "open", "awaitCloseOk", "failed", "over"}

func (s connState) String() string { return connStateNames[s] }

// refusal looks at the first octets that the peer sends. A broker that wants
// another version answers with its own protocol header and hangs up; no frame
// begins with an A. known is false while it cannot tell. §4.2.2.
func refusal(in []byte) (known bool, err error) {
	if len(in) == 0 || in[0] != amqpproto.ProtocolHeader[0] {
		return len(in) > 0, nil
	}
	v, n, err := amqpproto.CutProtocolHeader(in)
	if err != nil {
		return true, fmt.Errorf("the peer does not speak AMQP: %w", err)
	}
	if n == 0 {
		return false, nil
	}
	return true, fmt.Errorf("the broker wants AMQP protocol header %d-%d-%d-%d, we speak 0-0-9-1: connect to its AMQP 0-9-1 port",
		v[0], v[1], v[2], v[3])
}

// onMethod takes the methods of channel 0.
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
		c.state = connOpen
		c.handshake.stop()
		c.updateSecret() // it may have changed meanwhile
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
	c.state, c.secret = awaitTune, cfg.Password
	return c.send(0, &amqpproto.ConnectionStartOk{
		ClientProperties: properties,
		Mechanism:        []byte(cfg.Mechanism),
		Response:         response,
		Locale:           []byte("en_US"), // the only one that every broker must have
	})
}

// onTune takes the lower of both sides' limits, 0 being none. We always have
// limits, so that what we send back is never 0. §1.4.2.6.
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
	c.beat.interval = int64(seconds) * int64(time.Second)
	c.state = awaitOpenOk
	err := c.send(0, &amqpproto.ConnectionTuneOk{ChannelMax: c.channelMax, FrameMax: c.frameMax, Heartbeat: uint16(seconds)})
	if err != nil {
		return err
	}
	return c.send(0, &amqpproto.ConnectionOpen{VirtualHost: []byte(cfg.Vhost)})
}

// onClose answers connection.close, which may come in any state. The error that
// it makes ends the conversation once close-ok has left.
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
		c.client.blame(cause)
	}
	return c.err
}

// sendClose starts the orderly end.
func (c *Conn) sendClose() {
	c.state = awaitCloseOk
	c.handshake.set(c.client.cfg.HandshakeTimeout)
	// Every field is a constant within its bound, so it cannot fail.
	_ = c.send(0, &amqpproto.ConnectionClose{ReplyCode: 200, ReplyText: []byte("Goodbye")})
}

// fail ends the conversation for a fault of the peer, telling it why if it has
// got far enough to understand.
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

// explain adds whose connection it was and, for one that never opened, what the
// settings had to do with it.
func (c *Conn) explain(err error) error {
	cfg := &c.client.cfg
	if c.state >= connOpen {
		return fmt.Errorf("amqp connection %q: %w", cfg.Name, err)
	}
	e := &ConnectError{Connection: cfg.Name, User: cfg.Username, Vhost: cfg.Vhost, State: c.state.String(), Err: err}
	var ce *amqpproto.ConnectionError
	code := uint16(0)
	if errors.As(err, &ce) {
		code = ce.Code
	}
	switch {
	case c.state == awaitStart && (code == amqpproto.FrameError || errors.Is(err, errHungUp)):
		e.Remedy = "check that host and port are those of an AMQP 0-9-1 broker, and whether it wants TLS (amqps)"
	case code == amqpproto.AccessRefused && cfg.Mechanism == mechanismExternal:
		e.Remedy = "login refused: the certificate's name is no user of the broker: create it, or set how the broker makes a name of a certificate (RabbitMQ: ssl_cert_login_from)"
	case code == amqpproto.AccessRefused || code == 0 && c.state == awaitTune && errors.Is(err, errHungUp):
		// Brokers that do not know authentication_failure_close just hang up.
		e.Remedy = "login refused: check username and password, and that the user may log in from here (RabbitMQ takes guest from localhost only)"
	case code == amqpproto.NotAllowed || code == amqpproto.InvalidPath:
		e.Remedy = "check that the vhost exists and that the user has permissions on it"
	}
	return e
}

// errHungUp stands for an end of the stream that nobody announced.
var errHungUp = errors.New("the broker closed the socket without connection.close")
