package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// Plan says what a server with these settings and these handlers runs: the registered
// declarations with the changes of the configuration, with ${site_id} expanded and the
// defaults filled in.
type Plan struct {
	Settings *Settings
	Routes   []*publisher.Route // also declarations that make calls by themselves, such as clocks
	// Consumers are the enabled consumers; with consuming servers their instances, as
	// publisher.InstanceName names them. Connection, Queue, ExchangeType, RoutingKeys,
	// Prefetch, Retry and DeadLetter are set, so that no other package has to know the
	// defaults. Queue is empty if the broker names it, RoutingKeys if there is nothing to
	// bind to, DeadLetter if the queue has none. Prefetch is 0 if the connection turned it
	// off.
	Consumers map[string]publisher.Consumer
	// Producers are the registered ones, and those of a consuming server, as
	// publisher.InstanceName calls them, whose names are others there.
	Producers map[string]publisher.Producer
	// ConsumingServers are those of the configuration; without any, each consumer runs
	// once, under its own name.
	ConsumingServers map[string]publisher.ConsumingServer
	// Unserved are the names of enabled consumers that no consuming server runs, sorted.
	Unserved []string
	// Warnings say what works, but is probably not meant.
	Warnings []string
	// Disabled are the names of consumers that are not enabled, sorted.
	Disabled []string
	// Connections are the names of the connections in use, sorted. Others are not opened.
	Connections []string
	// Others describes the registered declarations of other kinds, by table and name.
	Others []Other
}

// Embeds reports whether the plan needs a broker in this process, and names the first
// connection that does.
func (p *Plan) Embeds() (connection string, yes bool) {
	for _, name := range p.Connections {
		if p.Settings.Connections[name].Embedded() {
			return name, true
		}
	}
	return "", false
}

// compiledIn is the origin of declarations that handler packages registered.
var compiledIn = Origin{Source: "compiled-in handlers"}

// Resolve makes the plan. The error is a Problems: declarations that name an unknown
// connection, contradict each other, or need a site's id that is not set.
func Resolve(s *Settings, registry *publisher.Registry) (*Plan, error) {
	p := &Plan{
		Settings:  s,
		Routes:    registry.Listing(),
		Consumers: map[string]publisher.Consumer{},
		Producers: registry.Producers(),
	}
	c := &planner{checker: checker{settings: s}, registry: registry, exchanges: map[string]declared{}, site: s.Site.ID}
	for _, name := range slices.Sorted(maps.Keys(p.Producers)) {
		p.Producers[name] = c.producer(name, c.producerOf(name))
	}
	c.consumers(p)
	used := map[string]bool{}
	for _, producer := range p.Producers {
		used[producer.Connection] = true
	}
	for _, consumer := range p.Consumers {
		used[consumer.Connection] = true
	}
	c.leaders(used)
	for name, connection := range s.Connections {
		if connection.leftover(name) || connection.Outbox == OutboxSQL {
			used[name] = true
		}
	}
	c.outboxes()
	p.Connections = slices.Sorted(maps.Keys(used))
	c.others(p, registry)
	c.exchangeTypes(p)
	if err := c.problems.err(); err != nil {
		return nil, err
	}
	var added []string
	if s.HTTP.Documents {
		added = []string{"GET /openapi.json", "GET /asyncapi.json"}
	}
	if err := registry.CheckMiddleware(added...); err != nil {
		return nil, err
	}
	return p, nil
}

// planner completes declarations and reports what will not work.
type planner struct {
	checker
	registry  *publisher.Registry
	exchanges map[string]declared // by connection and name
	server    string              // the consuming server that is planned; "" = none
	site      string              // its site_id, or site.id
}

// declared is one description of an exchange. If two differ, the broker refuses the
// second one, with an error that is hard to understand.
type declared struct {
	by         string // consumer.NAME or producer.NAME
	kind       string
	transient  bool
	autoDelete bool
	arguments  publisher.Table // nil if it says nothing about them
}

// declaration reports a problem with a key. Its origin is the configuration, or else the
// handler package.
func (c *planner) declaration(key, shown, text string) {
	origin, ok := c.settings.origins[key]
	if !ok {
		origin = compiledIn
	}
	p := &Problem{Origin: origin, Key: key, Value: shown, Text: text}
	for _, other := range c.problems {
		if *other == *p { // of another instance
			return
		}
	}
	c.problems = append(c.problems, p)
}

// connectionKnown checks the connection that a key names.
func (c *planner) connectionKnown(key, name string) {
	if _, configured := c.settings.origins[key]; configured {
		return // Load has checked it
	}
	if c.settings.Connections[name] == nil {
		c.declaration(key, show(name), UnknownConnection(name, c.settings))
	}
}

func (c *planner) codec(key, name string) {
	if _, err := publisher.FindCodec(name); err != nil {
		c.declaration(key+".codec", show(name), err.Error()+": json, text, csv, msgpack, pickle, or one that a handler package registers")
	}
}

// length checks names that have become longer when they were expanded.
func (c *planner) length(key, name string) {
	if len(name) > amqpproto.ShortstrMax {
		c.declaration(key, show(name), TooLong(name))
	}
}

// exchange compares all declarations of one exchange.
func (c *planner) exchange(connection, name string, d declared) {
	if name == "" || strings.HasPrefix(name, "amq.") {
		return // the broker's own exchanges are never declared
	}
	id := connection + "\x00" + name
	first, known := c.exchanges[id]
	if !known {
		c.exchanges[id] = d
		return
	}
	switch "" { // a declaration without a type takes the type of the others
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

// exchangeTypes sets the type of declarations without one: it is the type of the other
// declarations of the same exchange, or else the default.
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
