package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// Plan is what a server with these settings and these handlers would run: the
// registered declarations with the configuration's overrides, ${site_id} and
// the defaults filled in.
type Plan struct {
	Settings *Settings
	Routes   []*publisher.Route
	// Consumers are the enabled ones. Of each, Connection, Queue, ExchangeType,
	// RoutingKeys, Prefetch, Retry and DeadLetter are set, so that nobody below
	// has to know the defaults. Queue stays empty where the broker names it,
	// RoutingKeys where there is nothing to bind to, DeadLetter where the queue
	// gets none; a Prefetch of 0 is one that the connection turned off.
	Consumers map[string]publisher.Consumer
	Producers map[string]publisher.Producer
	// Disabled are the consumers that enabled = false took out, sorted.
	Disabled []string
	// Connections are the names of those in use, sorted; others are not opened.
	Connections []string
}

// embeds tells whether the plan needs a broker in this process, and for which
// connection first.
func (p *Plan) Embeds() (connection string, yes bool) {
	for _, name := range p.Connections {
		if p.Settings.Connections[name].Embedded() {
			return name, true
		}
	}
	return "", false
}

// compiledIn is the origin of what handler packages registered.
var compiledIn = Origin{Source: "compiled-in handlers"}

// Resolve makes the plan. The error is a Problems: declarations that name no
// known connection, that contradict each other, or that want a site's id.
func Resolve(s *Settings, registry *publisher.Registry) (*Plan, error) {
	p := &Plan{
		Settings:  s,
		Routes:    registry.Routes(),
		Consumers: map[string]publisher.Consumer{},
		Producers: registry.Producers(),
	}
	c := &planner{checker: checker{settings: s}, exchanges: map[string]declared{}}
	used := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(p.Producers)) {
		producer := p.Producers[name]
		if own := s.Producers[name]; own != nil {
			producer = *own
		}
		producer = c.producer(name, producer)
		p.Producers[name] = producer
		used[producer.Connection] = true
	}
	consumers := registry.Consumers()
	for _, name := range slices.Sorted(maps.Keys(consumers)) {
		consumer := consumers[name]
		if own := s.Consumers[name]; own != nil {
			consumer = *own
		}
		if consumer.Disabled {
			p.Disabled = append(p.Disabled, name)
			continue
		}
		consumer = c.consumer(name, consumer)
		p.Consumers[name] = consumer
		used[consumer.Connection] = true
	}
	for name, connection := range s.Connections {
		if connection.leftover(name) {
			used[name] = true
		}
	}
	p.Connections = slices.Sorted(maps.Keys(used))
	c.exchangeTypes(p)
	if err := c.problems.err(); err != nil {
		return nil, err
	}
	return p, nil
}

// planner merges declarations and looks for what will not work.
type planner struct {
	checker
	exchanges map[string]declared // by connection and name
}

// declared is how one declaration describes an exchange. The broker refuses the
// second of two that differ, when it is too late to be understood easily.
type declared struct {
	by         string // consumer.NAME or producer.NAME
	kind       string
	transient  bool
	autoDelete bool
	arguments  publisher.Table // nil where it says nothing of them
}

// declaration reports a problem of a key that the configuration or else the
// handler package set.
func (c *planner) declaration(key, shown, text string) {
	origin, ok := c.settings.origins[key]
	if !ok {
		origin = compiledIn
	}
	c.problems = append(c.problems, &Problem{Origin: origin, Key: key, Value: shown, Text: text})
}

func (c *planner) connectionKnown(key, name string) {
	if _, configured := c.settings.origins[key+".connection"]; configured {
		return // Load has looked at it
	}
	if c.settings.Connections[name] == nil {
		c.declaration(key+".connection", show(name), UnknownConnection(name, c.settings))
	}
}

func (c *planner) codec(key, name string) {
	if _, err := publisher.FindCodec(name); err != nil {
		c.declaration(key+".codec", show(name), err.Error()+": json, text, csv, msgpack, pickle, or one that a handler package registers")
	}
}

// length is for names that have got longer than they were written.
func (c *planner) length(key, name string) {
	if len(name) > amqpproto.ShortstrMax {
		c.declaration(key, show(name), TooLong(name))
	}
}

// exchange compares what is said about one exchange by all who declare it.
func (c *planner) exchange(connection, name string, d declared) {
	if name == "" || strings.HasPrefix(name, "amq.") {
		return // the broker's own, never declared
	}
	id := connection + "\x00" + name
	first, known := c.exchanges[id]
	if !known {
		c.exchanges[id] = d
		return
	}
	switch "" { // who names no type takes the others'
	case d.kind:
		d.kind = first.kind
	case first.kind:
		first.kind = d.kind
		c.exchanges[id] = first
	}
	switch {
	case len(d.arguments) == 0:
		d.arguments = first.arguments
	case len(first.arguments) == 0:
		first.arguments = d.arguments
		c.exchanges[id] = first
	}
	for _, difference := range []struct {
		key, here, there string
	}{
		{"exchange_type", show(d.kind), show(first.kind)},
		{"durable", fmt.Sprint(!d.transient), fmt.Sprint(!first.transient)},
		{"auto_delete", fmt.Sprint(d.autoDelete), fmt.Sprint(first.autoDelete)},
		{"arguments", fmt.Sprint(d.arguments), fmt.Sprint(first.arguments)},
	} {
		if difference.here != difference.there {
			if _, consumer := strings.CutPrefix(d.by, "consumer."); consumer && strings.HasPrefix(difference.key, "a") {
				difference.key = "exchange_" + difference.key
			}
			c.declaration(d.by+"."+difference.key, difference.here,
				fmt.Sprintf("%s declares the exchange %q with %s: the broker would refuse one of them, make them agree", first.by, name, difference.there))
		}
	}
}

// exchangeTypes gives the declarations that name no type that of the others of
// the same exchange, or else the default.
func (c *planner) exchangeTypes(p *Plan) {
	kind := func(connection, exchange, own string) string {
		orDefault(&own, c.exchanges[connection+"\x00"+exchange].kind)
		orDefault(&own, "direct")
		return own
	}
	for name, producer := range p.Producers {
		producer.ExchangeType = kind(producer.Connection, producer.Exchange, producer.ExchangeType)
		p.Producers[name] = producer
	}
	for name, consumer := range p.Consumers {
		consumer.ExchangeType = kind(consumer.Connection, consumer.Exchange, consumer.ExchangeType)
		p.Consumers[name] = consumer
	}
}
