package app

import (
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto/client"
)

// broker is a [connection.NAME] with its client.
type broker struct {
	dialer
	app  *application
	name string
}

// connect makes the client of a connection, hands it the producers and
// consumers, and dials.
func (a *application) connect(name string) {
	c := a.plan.Settings.Connections[name]
	b := &broker{app: a, name: name}
	b.dialer = dialer{loop: a.loop, settings: c, client: client.New(clientConfig(name, c), b)}
	enabled := func(consumer string) bool { _, ok := a.plan.Consumers[consumer]; return ok }
	a.amqp.Link(name, b.client, c.Prefetch, enabled)
	a.brokers = append(a.brokers, b)
	b.dial()
	b.tick()
}

// Redial is the client's wish for another socket.
func (b *broker) Redial(after time.Duration) { b.loop.After(after, b.dial) }

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
