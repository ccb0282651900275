package app

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"zamqp/amqpproto/client"
	"zamqp/loop"
	"zamqp/publisher/config"
)

// dialer is the way of a client to its sockets, for the server and for the
// commands that talk to a broker.
type dialer struct {
	loop     *loop.Loop
	name     string // of the connection
	settings *config.Connection
	client   *client.Client
	// join connects to the broker of this process rather than by a socket; nil = dial
	// the settings' URL.
	join func(client func(*loop.Conn) loop.Peer)

	// round is the order in which the nodes are dialled, round[:tried] have been.
	// One that takes connections and then drops them counts as tried as well: the
	// round goes on until one has opened.
	round  []config.Node
	tried  int
	node   config.Node // dialled last
	failed []error     // of the dials since the client asked for a socket
	began  time.Time
	slow   map[config.Node]bool // took long to fail the last time: they are dialled behind the others
}

// slowAfter tells a host that is down from a port that nobody listens on.
const slowAfter = time.Second

// clientConfig is a [connection.NAME] as the client machine wants it.
func clientConfig(name string, c *config.Connection) client.Config {
	config := client.Config{
		Name: name, Vhost: c.URI.Vhost, Username: c.URI.Username, Password: c.URI.Password,
		Mechanism: c.Mechanism, ConnectionName: c.ConnectionName, Heartbeat: c.Heartbeat,
		FrameMax: uint32(c.FrameMax), ChannelMax: uint16(c.ChannelMax), BodyMax: uint64(c.BodyMax),
		PublishMax: int(c.PublishMax), ConfirmTimeout: c.ConfirmTimeout, HandshakeTimeout: c.HandshakeTimeout,
		BackoffMin: c.BackoffMin, BackoffMax: c.BackoffMax, Seed: rand.Uint64(), NoConfirms: !c.Confirms,
		AckDelay: ackDelay, TxSelect: c.TxSelect, ReplyQueue: c.Replies == "queue", Properties: c.Properties,
	}
	if c.Mechanism == "EXTERNAL" { // the broker finds it in the certificate
		config.Username, config.Password = "", ""
	}
	return config
}

// ackDelay is how long an ack may wait for others. It is less than a handler
// notices and enough for a whole read of the socket under load.
const ackDelay = 2 * time.Millisecond

// dial makes the socket that the client wants: to the first node, from the one
// that is next on, that takes a connection.
func (d *dialer) dial() {
	if d.join != nil {
		d.join(d.connect)
		return
	}
	if d.tried >= len(d.round) {
		d.round, d.tried = slices.Clone(d.settings.Nodes), 0
		if d.settings.Order == "shuffled" {
			rand.Shuffle(len(d.round), func(i, j int) { d.round[i], d.round[j] = d.round[j], d.round[i] })
		}
		slices.SortStableFunc(d.round, func(a, b config.Node) int { return d.slowness(a) - d.slowness(b) })
	}
	d.node = d.round[d.tried]
	d.tried++
	d.began = d.loop.Now()
	if d.node.TLS {
		go d.dialTLS(d.node, d.client.DialTimeout())
		return
	}
	d.loop.Dial("tcp", d.node.Address(), d.client.DialTimeout(), func(c *loop.Conn, err error) loop.Peer {
		if err != nil {
			d.dialFailed(err)
			return nil
		}
		d.failed = nil
		return d.connect(c)
	})
}

// connect gives the client its socket. It is read however much the client has to
// say, which publish_max bounds: a broker that reads no more until its deliveries
// are read would wait for ever for one that does the same.
func (d *dialer) connect(c *loop.Conn) loop.Peer {
	c.KeepReading()
	return d.client.Connect(c)
}

// dialTLS dials and shakes hands off the loop, then lets the loop adopt the
// stream.
func (d *dialer) dialTLS(node config.Node, timeout time.Duration) {
	nc, err := dialTLS(d.settings, d.name, node, node.Address(), timeout)
	posted := d.loop.Post(func() {
		if err != nil {
			d.dialFailed(err)
			return
		}
		d.failed = nil
		d.loop.Adopt(nc, d.connect)
	})
	if !posted && err == nil {
		_ = nc.Close() // the loop has ended
	}
}

// slowness sorts nodes.
func (d *dialer) slowness(n config.Node) int {
	if d.slow[n] {
		return 1
	}
	return 0
}

// dialFailed goes on to the next node; the client waits only after a whole round.
func (d *dialer) dialFailed(err error) {
	d.failed = append(d.failed, err)
	if d.slow == nil {
		d.slow = map[config.Node]bool{}
	}
	d.slow[d.node] = d.loop.Now().Sub(d.began) > slowAfter
	if d.tried < len(d.round) && d.client.State() == client.Disconnected {
		d.dial()
		return
	}
	err = d.failed[0]
	for _, next := range d.failed[1:] {
		err = fmt.Errorf("%w; %w", err, next)
	}
	d.failed = nil
	var refused *tlsRefusal
	if errors.As(err, &refused) {
		d.client.DialRefused(err)
		return
	}
	d.client.DialFailed(err)
}

// opened starts a new round for the next connection.
func (d *dialer) opened() { d.tried, d.slow = len(d.round), nil }

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
