package app

import (
	"fmt"
	"slices"

	"zamqp/publisher"
)

func (c *planner) producer(name string, p publisher.Producer, o *Producer) publisher.Producer {
	if o != nil {
		override(&p.Connection, o.Connection)
		override(&p.Exchange, o.Exchange)
		override(&p.ExchangeType, o.ExchangeType)
		override(&p.RoutingKey, o.RoutingKey)
		override(&p.Queue, o.Queue)
		override(&p.Codec, o.Codec)
		override(&p.AutoDelete, o.AutoDelete)
		overrideNot(&p.Transient, o.Durable)
		overrideNot(&p.NoDeclare, o.AutoDeclare)
		overrideNot(&p.NoMandatory, o.Mandatory)
		override(&p.Mandatory, o.Mandatory)
		if o.Arguments != nil {
			p.Arguments = o.Arguments
		}
	}
	key := "producer." + name
	orDefault(&p.Connection, "default")
	orDefault(&p.Codec, "json")
	c.codec(key, p.Codec)
	c.site(key+".exchange", &p.Exchange)
	c.site(key+".routing_key", &p.RoutingKey)
	c.site(key+".queue", &p.Queue)
	p.Arguments = c.siteTable(key+".arguments", p.Arguments)
	c.connectionKnown(key, p.Connection)
	if !p.NoDeclare {
		c.exchange(p.Connection, p.Exchange, declared{key, p.ExchangeType, p.Transient, p.AutoDelete})
	}
	return p
}

func (c *planner) consumer(name string, k publisher.Consumer, o *Consumer) publisher.Consumer {
	if o != nil {
		override(&k.Connection, o.Connection)
		override(&k.Queue, o.Queue)
		override(&k.Exchange, o.Exchange)
		override(&k.ExchangeType, o.ExchangeType)
		override(&k.AutoDelete, o.AutoDelete)
		override(&k.Exclusive, o.Exclusive)
		override(&k.ServerNamed, o.ServerNamed)
		override(&k.NoAck, o.NoAck)
		override(&k.Priority, o.Priority)
		override(&k.Codec, o.Codec)
		override(&k.Prefetch, o.Prefetch)
		override(&k.DeadLetter, o.DeadLetter)
		override(&k.Retry.Attempts, o.Retry.Attempts)
		override(&k.Retry.Min, o.Retry.Min)
		override(&k.Retry.Max, o.Retry.Max)
		overrideNot(&k.Transient, o.Durable)
		overrideNot(&k.NoDeclare, o.AutoDeclare)
		if o.RoutingKeys != nil {
			k.RoutingKeys = o.RoutingKeys
		}
		if o.Arguments != nil {
			k.Arguments = o.Arguments
		}
	}
	key := "consumer." + name
	c.consumerDefaults(key, name, &k)
	if k.Codec != "" {
		c.codec(key, k.Codec)
	}
	c.connectionKnown(key, k.Connection)
	if k.Retry.Min > k.Retry.Max {
		c.declaration(key+".retry.min", formatDuration(k.Retry.Min),
			fmt.Sprintf("more than retry.max, %s: swap them", formatDuration(k.Retry.Max)))
	}
	if !k.NoDeclare {
		c.exchange(k.Connection, k.Exchange, declared{key, k.ExchangeType, k.Transient, false})
	}
	return k
}

// consumerDefaults fills what neither handler nor configuration said.
func (c *planner) consumerDefaults(key, name string, k *publisher.Consumer) {
	orDefault(&k.Connection, "default")
	c.site(key+".exchange", &k.Exchange)
	if !k.ServerNamed {
		orDefault(&k.Queue, name)
	}
	c.site(key+".queue", &k.Queue)
	k.RoutingKeys = slices.Clone(k.RoutingKeys) // the registered slice stays as it is
	for i := range k.RoutingKeys {
		c.site(key+".routing_keys", &k.RoutingKeys[i])
	}
	switch {
	case k.Exchange == "": // routes to every queue by its name and refuses bindings
		k.RoutingKeys = nil
	case len(k.RoutingKeys) == 0 && !k.ServerNamed:
		k.RoutingKeys = []string{k.Queue}
	}
	if connection := c.settings.Connections[k.Connection]; connection != nil && k.Prefetch == 0 {
		k.Prefetch = connection.Prefetch
	}
	orDefault(&k.Retry.Attempts, publisher.RetryAttempts)
	orDefault(&k.Retry.Min, publisher.RetryMin)
	orDefault(&k.Retry.Max, max(publisher.RetryMax, k.Retry.Min))
	c.site(key+".dead_letter", &k.DeadLetter)
	k.Arguments = c.siteTable(key+".arguments", k.Arguments)
	if k.DeadLetter == "" && givesUpToQueue(k) {
		k.DeadLetter = k.Queue + ".dead"
		c.length(key+".dead_letter", k.DeadLetter)
	}
}

// givesUpToQueue tells whether the consumer's queue gets one for its dead
// letters without being asked to: where it outlives the connection itself, is
// ours to declare, and names no dead-letter exchange of its own.
func givesUpToQueue(k *publisher.Consumer) bool {
	_, given := k.Arguments["x-dead-letter-exchange"]
	return !k.ServerNamed && !k.Exclusive && !k.Transient && !k.AutoDelete && !k.NoDeclare && !k.NoAck && !given
}

// override sets a field to what the configuration says, if it says something.
func override[T any](field *T, value *T) {
	if value != nil {
		*field = *value
	}
}

// overrideNot is override for fields that say the opposite: a zero Consumer
// has to be durable, the configuration speaks of durable = false.
func overrideNot(field *bool, value *bool) {
	if value != nil {
		*field = !*value
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
