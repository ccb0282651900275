package app

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"zamqp/amqpproto/client"
	"zamqp/loop"
)

// dialer is the way of a client to its sockets, for the server and for the
// commands that talk to a broker.
type dialer struct {
	loop     *loop.Loop
	settings *Connection
	client   *client.Client
	embedded *embedded // to be joined rather than dialled; nil = the settings' URL
}

// clientConfig is a [connection.NAME] as the client machine wants it.
func clientConfig(name string, c *Connection) client.Config {
	return client.Config{
		Name: name, Vhost: c.URI.Vhost, Username: c.URI.Username, Password: c.URI.Password,
		Mechanism: c.Mechanism, ConnectionName: c.ConnectionName, Heartbeat: c.Heartbeat,
		FrameMax: uint32(c.FrameMax), ChannelMax: uint16(c.ChannelMax), BodyMax: uint64(c.BodyMax),
		PublishMax: int(c.PublishMax), ConfirmTimeout: c.ConfirmTimeout, HandshakeTimeout: c.HandshakeTimeout,
		BackoffMin: c.BackoffMin, BackoffMax: c.BackoffMax, Seed: rand.Uint64(), NoConfirms: !c.Confirms,
		AckDelay: ackDelay,
	}
}

// ackDelay is how long an ack may wait for others. It is less than a handler
// notices and enough for a whole read of the socket under load.
const ackDelay = 2 * time.Millisecond

func (d *dialer) dial() {
	if d.embedded != nil {
		d.embedded.join(d.client)
		return
	}
	uri := &d.settings.URI
	address := net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port))
	if uri.Scheme == "amqps" {
		go d.dialTLS(address)
		return
	}
	d.loop.Dial("tcp", address, d.settings.HandshakeTimeout, func(c *loop.Conn, err error) loop.Peer {
		if err != nil {
			d.client.DialFailed(err)
			return nil
		}
		return d.client.Connect(c)
	})
}

// dialTLS dials and shakes hands off the loop, then lets the loop adopt the
// stream.
func (d *dialer) dialTLS(address string) {
	by := tls.Dialer{NetDialer: &net.Dialer{Timeout: d.settings.HandshakeTimeout}}
	nc, err := by.Dial("tcp", address)
	posted := d.loop.Post(func() {
		if err != nil {
			d.client.DialFailed(fmt.Errorf("amqps: %w", err))
			return
		}
		d.loop.Adopt(nc, func(c *loop.Conn) loop.Peer { return d.client.Connect(c) })
	})
	if !posted && err == nil {
		_ = nc.Close() // the loop has ended
	}
}

// tick gives the client the time also while it has no connection, so that
// publishes that wait for one expire.
func (d *dialer) tick() {
	now := d.loop.Now()
	wait := tickMax
	if next := d.client.Tick(now); !next.IsZero() {
		wait = min(max(next.Sub(now), tickMin), tickMax)
	}
	d.loop.After(wait, d.tick)
}

const (
	tickMin = 5 * time.Millisecond
	tickMax = time.Second
)
