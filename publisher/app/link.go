package app

import (
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto/client"
	"zamqp/publisher/dial"
)

// link is a [connection.NAME] with its client.
type link struct {
	dial.Dialer
	app   *application
	ping  *keepalive           // nil = none
	quiet map[failing]repeated // failures that were logged last, by what fails
	open  bool                 // the connection has been open since it was last lost
}

// failing identifies something that may fail again and again: the connection, or one of its
// consumers and producers.
type failing struct {
	kind client.EventKind
	name string
}

// repeated is a failure that has been logged already.
type repeated struct {
	at   time.Time
	text string
	more int // how often it came since then
}

// repeatedEvery is how often a failure that repeats is logged.
const repeatedEvery = 30 * time.Second

// repeats reports whether an event only repeats a failure, and is not logged. If it is
// logged, more is how many repetitions were not.
func (k *link) repeats(e *client.Event) (more int, quiet bool) {
	text := ""
	switch e.Kind {
	case client.EventConnected, client.EventConsumerUp, client.EventProducerUp:
		for what := range k.quiet {
			if what.name == e.Name {
				delete(k.quiet, what)
			}
		}
		return 0, false
	case client.EventDialFailed: // the text has all nodes, in any order
	case client.EventLost, client.EventConsumerFailed, client.EventProducerFailed:
		if e.Err == nil {
			return 0, false // the connection was closed on purpose
		}
		text = e.Err.Error()
	default:
		return 0, false
	}
	what, now := failing{e.Kind, e.Name}, k.Loop.Now()
	last, known := k.quiet[what]
	if known && last.text == text && now.Sub(last.at) < repeatedEvery {
		last.more++
		k.quiet[what] = last
		return 0, true
	}
	k.quiet[what] = repeated{at: now, text: text}
	return last.more, false
}

// connect makes the client of a connection, registers the producers and consumers with it,
// and dials.
func (a *application) connect(name string) {
	c := a.plan.Settings.Connections[name]
	k := &link{app: a, quiet: map[failing]repeated{}, Dialer: dial.Dialer{Loop: a.loop, Name: name, Settings: c}}
	config := dial.ClientConfig(name, c)
	if c.Embedded() {
		k.Join = a.embedded.join
		a.embedded.own++
		config.Username, config.Password, config.Mechanism = ownUser, ownUser, "PLAIN"
	}
	k.Client = client.New(config, k)
	enabled := func(consumer string) bool { _, ok := a.plan.Consumers[consumer]; return ok }
	a.amqp.Link(name, k.Client, c.Prefetch, enabled)
	a.links = append(a.links, k)
	k.Dial()
	k.Tick()
	k.watchPassword()
	k.keepAlive()
}

// Redial is called by the client when it needs another socket.
func (k *link) Redial(after time.Duration) {
	k.Loop.After(after, k.Dial)
	k.TickSoon()
}

// word returns the text of an event for the log. A connection that was never open is not
// "lost".
func (k *link) word(e *client.Event) string {
	switch e.Kind {
	case client.EventConnected:
		k.open = true
	case client.EventLost:
		was := k.open
		k.open = false
		switch {
		case e.Err == nil:
			return "closed"
		case !was:
			return "login failed"
		}
	}
	return e.Kind.String()
}

// Note logs the events of the connection.
func (k *link) Note(e client.Event) {
	if e.Kind == client.EventConnected {
		k.Opened()
	}
	more, quiet := k.repeats(&e)
	level := zerolog.InfoLevel
	switch e.Kind {
	case client.EventLost, client.EventDialFailed, client.EventBlocked, client.EventConsumerFailed,
		client.EventConsumerCancelled, client.EventProducerFailed, client.EventPublishChannelClosed,
		client.EventRequestChannelClosed, client.EventPublishChannelRenewed:
		level = zerolog.WarnLevel
	case client.EventReturned, client.EventReady, client.EventProducerUp:
		level = zerolog.DebugLevel
	}
	if quiet {
		level = zerolog.DebugLevel
	}
	what := k.word(&e)
	if e.Kind == client.EventLost && e.Err == nil {
		level = zerolog.InfoLevel
	}
	entry := k.app.log.WithLevel(level).Str("connection", k.Name)
	if e.Name != "" {
		entry = entry.Str("name", e.Name)
	}
	if e.Text != "" {
		entry = entry.Str("text", e.Text)
	}
	if e.Err != nil {
		entry = entry.Err(e.Err)
	}
	if more > 0 {
		entry = entry.Int("repeated", more)
	}
	if e.After > 0 {
		entry = entry.Dur("again_in", e.After.Round(time.Millisecond))
	}
	if e.Kind == client.EventConnected && !k.Settings.Embedded() {
		entry = entry.Str("node", k.Node.Address())
	}
	entry.Msg(what)
}
