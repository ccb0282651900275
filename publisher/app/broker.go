package app

import (
	"crypto/tls"
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto/client"
	"zamqp/loop"
)

// broker is a [connection.NAME] with its client and the way to its sockets.
type broker struct {
	app      *application
	name     string
	settings *Connection
	client   *client.Client
}

// connect makes the client of a connection, hands it the producers and
// consumers, and dials.
func (a *application) connect(name string) {
	c := a.plan.Settings.Connections[name]
	b := &broker{app: a, name: name, settings: c}
	b.client = client.New(client.Config{
		Name: name, Vhost: c.URI.Vhost, Username: c.URI.Username, Password: c.URI.Password,
		Mechanism: c.Mechanism, ConnectionName: c.ConnectionName, Heartbeat: c.Heartbeat,
		FrameMax: uint32(c.FrameMax), ChannelMax: uint16(c.ChannelMax), BodyMax: uint64(c.BodyMax),
		PublishMax: int(c.PublishMax), ConfirmTimeout: c.ConfirmTimeout, HandshakeTimeout: c.HandshakeTimeout,
		BackoffMin: c.BackoffMin, BackoffMax: c.BackoffMax, Seed: rand.Uint64(), NoConfirms: !c.Confirms,
		AckDelay: ackDelay,
	}, b)
	enabled := func(consumer string) bool { _, ok := a.plan.Consumers[consumer]; return ok }
	a.amqp.Link(name, b.client, c.Prefetch, enabled)
	a.brokers = append(a.brokers, b)
	b.dial()
	b.tick()
}

// ackDelay is how long an ack may wait for others. It is less than a handler
// notices and enough for a whole read of the socket under load.
const ackDelay = 2 * time.Millisecond

// Redial is the client's wish for another socket.
func (b *broker) Redial(after time.Duration) { b.app.loop.After(after, b.dial) }

func (b *broker) dial() {
	uri := &b.settings.URI
	address := net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port))
	if uri.Scheme == "amqps" {
		go b.dialTLS(address)
		return
	}
	b.app.loop.Dial("tcp", address, b.settings.HandshakeTimeout, func(c *loop.Conn, err error) loop.Peer {
		if err != nil {
			b.client.DialFailed(err)
			return nil
		}
		return b.client.Connect(c)
	})
}

// dialTLS dials and shakes hands off the loop, then lets the loop adopt the
// stream.
func (b *broker) dialTLS(address string) {
	d := tls.Dialer{NetDialer: &net.Dialer{Timeout: b.settings.HandshakeTimeout}}
	nc, err := d.Dial("tcp", address)
	posted := b.app.loop.Post(func() {
		if err != nil {
			b.client.DialFailed(fmt.Errorf("amqps: %w", err))
			return
		}
		b.app.loop.Adopt(nc, func(c *loop.Conn) loop.Peer { return b.client.Connect(c) })
	})
	if !posted && err == nil {
		_ = nc.Close() // the loop has ended
	}
}

// tick gives the client the time also while it has no connection, so that
// publishes that wait for one expire.
func (b *broker) tick() {
	now := b.app.loop.Now()
	wait := tickMax
	if next := b.client.Tick(now); !next.IsZero() {
		wait = min(max(next.Sub(now), tickMin), tickMax)
	}
	b.app.loop.After(wait, b.tick)
}

const (
	tickMin = 5 * time.Millisecond
	tickMax = time.Second
)

// Note logs what happens to the connection.
func (b *broker) Note(e client.Event) {
	level := zerolog.InfoLevel
	switch e.Kind {
	case client.EventLost, client.EventDialFailed, client.EventBlocked, client.EventConsumerFailed,
		client.EventConsumerCancelled, client.EventProducerFailed, client.EventPublishChannelClosed:
		level = zerolog.WarnLevel
	case client.EventReturned, client.EventReady, client.EventProducerUp:
		level = zerolog.DebugLevel
	}
	what := e.Kind.String()
	if e.Kind == client.EventLost && e.Err == nil {
		level, what = zerolog.InfoLevel, "closed"
	}
	entry := b.app.log.WithLevel(level).Str("connection", b.name)
	if e.Name != "" {
		entry = entry.Str("name", e.Name)
	}
	if e.Text != "" {
		entry = entry.Str("text", e.Text)
	}
	if e.Err != nil {
		entry = entry.Err(e.Err)
	}
	if e.After > 0 {
		entry = entry.Dur("again_in", e.After)
	}
	entry.Msg(what)
}
