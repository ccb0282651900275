package dial

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

// A Dialer makes the sockets of a client. Loop thread only.
type Dialer struct {
	Loop     *loop.Loop
	Name     string // name of the connection
	Settings *config.Connection
	Client   *client.Client
	// Join connects to the broker of this process, without a socket. If it is nil, the
	// settings' URL is dialled.
	Join func(client func(*loop.Conn) loop.Peer)
	Node config.Node // the node that was dialled last

	// round is the order in which the nodes are dialled; round[:tried] were dialled already.
	// The round continues until a connection is open, so a node that accepts connections and
	// drops them is not tried for ever.
	round  []config.Node
	tried  int
	failed []error // errors of the dials since the client asked for a socket
	began  time.Time
	slow   map[config.Node]bool // nodes whose last dial took long to fail; they are dialled last
	ticks  *loop.Timer          // calls Tick; nil before the first time
}

// slowAfter is the time that distinguishes a host that is down from a port where nothing
// listens.
const slowAfter = time.Second

// ClientConfig converts a [connection.NAME] to the configuration of a client.
func ClientConfig(name string, c *config.Connection) client.Config {
	machine := client.Config{
		Name: name, Vhost: c.URI.Vhost, Username: c.URI.Username, Password: c.URI.Password,
		Mechanism: c.Mechanism, ConnectionName: c.ConnectionName, Heartbeat: c.Heartbeat,
		FrameMax: uint32(c.FrameMax), ChannelMax: uint16(c.ChannelMax), BodyMax: uint64(c.BodyMax),
		PublishMax: int(c.PublishMax), ConfirmTimeout: c.ConfirmTimeout, HandshakeTimeout: c.HandshakeTimeout,
		BackoffMin: c.BackoffMin, BackoffMax: c.BackoffMax, Seed: rand.Uint64(), NoConfirms: !c.Confirms,
		AckDelay: ackDelay, TxSelect: c.TxSelect, ReplyQueue: c.Replies == "queue", Properties: c.Properties,
	}
	if c.Mechanism == "EXTERNAL" { // the broker takes the user from the certificate
		machine.Username, machine.Password = "", ""
	}
	return machine
}

// ackDelay is how long an ack may wait for others. Under load this is long enough for all
// messages of one read of the socket.
const ackDelay = 2 * time.Millisecond

// Dial makes the socket that the client asks for. It tries the nodes in turn, beginning with
// the next one, until one accepts a connection.
func (d *Dialer) Dial() {
	if d.Join != nil {
		d.Join(d.connect)
		return
	}
	if d.tried >= len(d.round) {
		d.round, d.tried = slices.Clone(d.Settings.Nodes), 0
		if d.Settings.Order == "shuffled" {
			rand.Shuffle(len(d.round), func(i, j int) { d.round[i], d.round[j] = d.round[j], d.round[i] })
		}
		slices.SortStableFunc(d.round, func(a, b config.Node) int { return d.slowness(a) - d.slowness(b) })
	}
	d.Node = d.round[d.tried]
	d.tried++
	d.began = d.Loop.Now()
	if d.Node.TLS {
		go d.dialTLS(d.Node, d.Client.DialTimeout())
		return
	}
	d.Loop.Dial("tcp", d.Node.Address(), d.Client.DialTimeout(), func(c *loop.Conn, err error) loop.Peer {
		if err != nil {
			d.dialFailed(err)
			return nil
		}
		d.failed = nil
		return d.connect(c)
	})
}

// connect gives the client its socket. The socket is read even while much output waits. A
// broker may stop reading until its deliveries are read; if both sides did so, they would
// wait for each other for ever. publish_max bounds the output.
func (d *Dialer) connect(c *loop.Conn) loop.Peer {
	c.KeepReading()
	return d.Client.Connect(c)
}

// dialTLS dials and makes the TLS handshake on a goroutine. The loop then adopts the
// stream.
func (d *Dialer) dialTLS(node config.Node, timeout time.Duration) {
	nc, err := dialTLS(d.Settings, d.Name, node, node.Address(), timeout)
	posted := d.Loop.Post(func() {
		if err != nil {
			d.dialFailed(err)
			return
		}
		d.failed = nil
		d.Loop.Adopt(nc, d.connect)
	})
	if !posted && err == nil {
		_ = nc.Close() // the loop has ended
	}
}

// slowness returns the key by which nodes are sorted.
func (d *Dialer) slowness(n config.Node) int {
	if d.slow[n] {
		return 1
	}
	return 0
}

// dialFailed tries the next node. The client waits only after a whole round.
func (d *Dialer) dialFailed(err error) {
	d.failed = append(d.failed, err)
	if d.slow == nil {
		d.slow = map[config.Node]bool{}
	}
	d.slow[d.Node] = d.Loop.Now().Sub(d.began) > slowAfter
	if d.tried < len(d.round) && d.Client.State() == client.Disconnected {
		d.Dial()
		return
	}
	err = d.failed[0]
	for _, next := range d.failed[1:] {
		err = fmt.Errorf("%w; %w", err, next)
	}
	d.failed = nil
	var refused *tlsRefusal
	if errors.As(err, &refused) {
		d.Client.DialRefused(err)
		return
	}
	d.Client.DialFailed(err)
}

// Opened is called when a connection is open. The next dial begins a new round.
func (d *Dialer) Opened() { d.tried, d.slow = len(d.round), nil }

// Tick tells the client the time, even without a connection, so that publishes that wait for
// one expire. It calls itself by a timer.
func (d *Dialer) Tick() {
	now := d.Loop.Now()
	wait := tickMax
	if next := d.Client.Tick(now); !next.IsZero() {
		wait = min(max(next.Sub(now), tickMin), tickMax)
	}
	if d.ticks == nil {
		d.ticks = d.Loop.After(wait, d.Tick)
	} else {
		d.ticks.Reset(wait)
	}
}

// TickSoon makes the next Tick come in the next turn. The connection was lost, and the client may
// have outcomes for very many publishes.
func (d *Dialer) TickSoon() {
	if d.ticks != nil {
		d.ticks.Reset(0)
	}
}

const (
	tickMin = 5 * time.Millisecond
	tickMax = time.Second
)
