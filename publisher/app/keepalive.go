package app

import (
	"fmt"
	"strconv"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// pingsMissed is how many pings without an answer make the status of a connection bad.
const pingsMissed = 3

// keepalive sends a message to a queue of its own at intervals, and consumes it. That tests
// the whole way through the broker; a heartbeat only shows that its socket is served. The
// result is in the log and in /readyz; the connection is not closed. The queue is exclusive,
// so it ends with the connection, and every broker accepts it.
type keepalive struct {
	link     *link
	name     string // CONNECTION.ping
	consumer *client.Consumer
	out      client.Outgoing
	missed   int       // pings since the last answer
	answered time.Time // when the last answer came
}

// keepAlive starts the pings if they are configured.
func (k *link) keepAlive() {
	every := k.Settings.Keepalive
	if every == 0 {
		return
	}
	p := &keepalive{link: k, name: k.Name + ".ping"}
	properties := amqpproto.Properties{
		ContentType: []byte("text/plain"), DeliveryMode: 1,
		Expiration: strconv.AppendInt(nil, every.Milliseconds(), 10), Type: []byte("ping"),
	}
	properties.SetFlags()
	raw, _ := properties.Append(nil) // every field fits
	p.out = client.Outgoing{Mandatory: true, RawProperties: raw, Body: []byte(p.name)}
	p.consumer = k.Client.Consume(client.ConsumerSpec{
		Name: p.name, NoAck: true, Topology: client.Topology{Queues: []client.Queue{{Exclusive: true}}},
	}, p)
	k.ping = p
	k.app.server.AddReporter(p)
	var beat func()
	beat = func() {
		p.send()
		k.Loop.After(every, beat)
	}
	k.Loop.After(every, beat)
}

// send sends a ping, unless the connection is known to be down.
func (p *keepalive) send() {
	if p.consumer.State() != client.Up || !p.link.Client.Ready() {
		p.missed = 0
		return
	}
	if p.missed++; p.missed > pingsMissed {
		p.link.app.log.Warn().Str("connection", p.link.Name).Int("missed", p.missed-1).Msg("pings are not answered: the broker takes messages and delivers none")
	}
	p.out.RoutingKey = p.consumer.Queue()
	if err := p.link.Client.Publish(nil, &p.out, p); err != nil {
		p.Confirmed(err)
	}
}

// Confirmed is called when a ping is confirmed or refused.
func (p *keepalive) Confirmed(err error) {
	if err != nil && p.link.Client.State() == client.Connected {
		p.link.app.log.Warn().Str("connection", p.link.Name).Err(err).Msg("ping")
	}
}

// Deliver receives the answer to a ping.
func (p *keepalive) Deliver(*client.Delivery) {
	p.missed, p.answered = 0, p.link.Loop.Now()
}

// Report says when the last ping was answered.
func (p *keepalive) Report() []publisher.Status {
	s := publisher.Status{Kind: "keepalive", Name: p.name, Ready: true, State: "waiting"}
	switch {
	case p.missed > pingsMissed:
		s.Ready, s.State, s.Detail = false, "silent", fmt.Sprintf("%d pings were not answered", p.missed-1)
	case !p.answered.IsZero():
		s.State = fmt.Sprintf("answered %s ago", p.link.Loop.Now().Sub(p.answered).Round(time.Second))
	}
	return []publisher.Status{s}
}
