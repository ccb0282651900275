package config

import (
	"fmt"
	"reflect"

	"zamqp/publisher"
)

var (
	producerSchema = settingsSchema.byName["producer"].table
	consumerSchema = settingsSchema.byName["consumer"].table
)

// producer fills in a producer's defaults, expands names, and reports what will not work.
func (c *planner) producer(name string, p publisher.Producer) publisher.Producer {
	key := "producer." + name
	c.limits(key, reflect.ValueOf(p), producerSchema)
	orDefault(&p.Connection, "default")
	orDefault(&p.Codec, "json")
	brokersType(&p.QueueType)
	c.codec(key, p.Codec)
	c.expandSites(key, reflect.ValueOf(&p).Elem(), producerSchema)
	c.connectionKnown(key+".connection", p.Connection)
	if !p.NoDeclare && !p.NoDeclareExchange {
		c.exchange(p.Connection, p.Exchange, declared{key, p.ExchangeType, p.Transient || p.ExchangeTransient, p.AutoDelete, p.Arguments})
	}
	return p
}

// producerOf is a registered producer as the configuration changes it.
func (c *planner) producerOf(name string) publisher.Producer {
	if own := c.settings.Producers[name]; own != nil {
		return *own
	}
	return c.registry.Producers()[name]
}

// consumer does the same for a consumer.
func (c *planner) consumer(name string, k publisher.Consumer) publisher.Consumer {
	key := "consumer." + name
	c.limits(key, reflect.ValueOf(k), consumerSchema)
	c.consumerDefaults(key, name, &k)
	if k.Codec != "" {
		c.codec(key, k.Codec)
	}
	c.connectionKnown(key+".connection", k.Connection)
	if k.Retry.Min > k.Retry.Max {
		c.declaration(key+".retry.min", FormatDuration(k.Retry.Min),
			fmt.Sprintf("more than retry.max, %s: swap them", FormatDuration(k.Retry.Max)))
	}
	c.contradictions(key, &k)
	if _, err := c.registry.RouteOf(name, k); err != nil {
		c.declaration(key+".route", show(k.Route), err.Error())
	}
	if !k.NoDeclare && !k.NoDeclareExchange {
		c.exchange(k.Connection, k.Exchange, declared{key, k.ExchangeType, k.Transient || k.ExchangeTransient, k.ExchangeAutoDelete, k.ExchangeArguments})
	}
	return k
}

func (c *planner) consumerDefaults(key, name string, k *publisher.Consumer) {
	orDefault(&k.Connection, "default")
	if !k.ServerNamed {
		orDefault(&k.Queue, name)
	}
	brokersType(&k.QueueType)
	c.expandSites(key, reflect.ValueOf(k).Elem(), consumerSchema)
	switch {
	case k.Exchange == "": // this exchange routes to every queue by its name and refuses bindings
		k.RoutingKeys = nil
	case len(k.RoutingKeys) == 0 && !k.ServerNamed:
		k.RoutingKeys = []string{k.Queue}
	}
	if connection := c.settings.Connections[k.Connection]; connection != nil && k.Prefetch == 0 {
		k.Prefetch = connection.Prefetch
	}
	k.Retry = k.Retry.WithDefaults()
	k.Dedupe = k.Dedupe.WithDefaults()
	orDefault(&k.QueueType, k.Type())
	orDefault(&k.Burst, 1)
	if len(k.RouteHeaders) == 0 {
		k.RouteHeaders = nil
	}
	if dead := k.DeadLetterQueue(); dead != "" && k.DeadLetter == "" {
		k.DeadLetter = dead
		c.length(key+".dead_letter", dead)
	}
}

// brokersType turns "default", the type that the broker chooses, into "".
func brokersType(kind *string) {
	if *kind == "default" {
		*kind = ""
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
