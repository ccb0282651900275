package app

import (
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto/client"
)

// link is a [connection.NAME] with its client.
type link struct {
	dialer
	app  *application
	ping *keepalive // nil = none
}

// connect makes the client of a connection, hands it the producers and
// consumers, and dials.
func (a *application) connect(name string) {
	c := a.plan.Settings.Connections[name]
	k := &link{app: a, dialer: dialer{loop: a.loop, name: name, settings: c}}
	config := clientConfig(name, c)
	if c.Embedded() {
		k.embedded = a.embedded
		k.embedded.own++
		config.Username, config.Password, config.Mechanism = ownUser, ownUser, "PLAIN"
	}
	k.client = client.New(config, k)
	enabled := func(consumer string) bool { _, ok := a.plan.Consumers[consumer]; return ok }
	a.amqp.Link(name, k.client, c.Prefetch, enabled)
	a.links = append(a.links, k)
	k.dial()
	k.tick()
	k.watchPassword()
	k.keepAlive()
}

// Redial is the client's wish for another socket.
func (k *link) Redial(after time.Duration) { k.loop.After(after, k.dial) }

// Note logs what happens to the connection.
func (k *link) Note(e client.Event) {
	if e.Kind == client.EventConnected {
		k.opened()
	}
	level := zerolog.InfoLevel
	switch e.Kind {
	case client.EventLost, client.EventDialFailed, client.EventBlocked, client.EventConsumerFailed,
		client.EventConsumerCancelled, client.EventProducerFailed, client.EventPublishChannelClosed,
		client.EventCallChannelClosed, client.EventPublishChannelRenewed:
		level = zerolog.WarnLevel
	case client.EventReturned, client.EventReady, client.EventProducerUp:
		level = zerolog.DebugLevel
	}
	what := e.Kind.String()
	if e.Kind == client.EventLost && e.Err == nil {
		level, what = zerolog.InfoLevel, "closed"
	}
	entry := k.app.log.WithLevel(level).Str("connection", k.name)
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
		entry = entry.Dur("again_in", e.After.Round(time.Millisecond))
	}
	if e.Kind == client.EventConnected && !k.settings.Embedded() {
		entry = entry.Str("node", k.node.address())
	}
	entry.Msg(what)
}
