package config

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
		overrideType(&p.QueueType, o.QueueType)
		override(&p.Gzip, o.Gzip)
		override(&p.Expiration, o.Expiration)
		override(&p.ReplyTo, o.ReplyTo)
		override(&p.AppID, o.AppID)
		override(&p.UserID, o.UserID)
		override(&p.Timestamp, o.Timestamp)
		if o.Priority != nil {
			p.Priority = uint8(*o.Priority)
		}
		overrideNot(&p.Transient, o.Durable)
		overrideNot(&p.ExchangeTransient, o.ExchangeDurable)
		overrideNot(&p.NoDeclare, o.AutoDeclare)
		overrideNot(&p.NoDeclareExchange, o.AutoDeclareExchange)
		overrideNot(&p.NoDeclareQueue, o.AutoDeclareQueue)
		overrideNot(&p.NoMandatory, o.Mandatory)
		override(&p.Mandatory, o.Mandatory)
		overrideTable(&p.Arguments, o.Arguments)
		overrideTable(&p.QueueArguments, o.QueueArgs)
	}
	key := "producer." + name
	orDefault(&p.Connection, "default")
	orDefault(&p.Codec, "json")
	c.codec(key, p.Codec)
	c.site(key+".exchange", &p.Exchange)
	c.site(key+".routing_key", &p.RoutingKey)
	c.site(key+".queue", &p.Queue)
	c.site(key+".reply_to", &p.ReplyTo)
	c.site(key+".app_id", &p.AppID)
	c.site(key+".user_id", &p.UserID)
	p.Arguments = c.siteTable(key+".arguments", p.Arguments)
	p.QueueArguments = c.siteTable(key+".queue_arguments", p.QueueArguments)
	c.connectionKnown(key, p.Connection)
	if !p.NoDeclare && !p.NoDeclareExchange {
		c.exchange(p.Connection, p.Exchange, declared{key, p.ExchangeType, p.Transient || p.ExchangeTransient, p.AutoDelete, p.Arguments})
	}
	return p
}

func (c *planner) consumer(name string, k publisher.Consumer, o *Consumer) publisher.Consumer {
	if o != nil {
		overrideConsumer(&k, o)
	}
	key := "consumer." + name
	c.consumerDefaults(key, name, &k)
	if k.Codec != "" {
		c.codec(key, k.Codec)
	}
	c.connectionKnown(key, k.Connection)
	if k.Retry.Min > k.Retry.Max {
		c.declaration(key+".retry.min", FormatDuration(k.Retry.Min),
			fmt.Sprintf("more than retry.max, %s: swap them", FormatDuration(k.Retry.Max)))
	}
	if o != nil && o.Rate != nil {
		var ok bool
		if k.Rate, ok = c.rate(key+".rate", *o.Rate); !ok {
			k.Burst = 0 // one problem is enough
		}
	}
	c.contradictions(key, &k)
	if !k.NoDeclare && !k.NoDeclareExchange {
		c.exchange(k.Connection, k.Exchange, declared{key, k.ExchangeType, k.Transient || k.ExchangeTransient, k.ExchangeAutoDelete, k.ExchangeArguments})
	}
	return k
}

// overrideConsumer sets what the configuration says.
func overrideConsumer(k *publisher.Consumer, o *Consumer) {
	override(&k.Connection, o.Connection)
	override(&k.Queue, o.Queue)
	override(&k.Exchange, o.Exchange)
	override(&k.ExchangeType, o.ExchangeType)
	override(&k.AutoDelete, o.AutoDelete)
	override(&k.Exclusive, o.Exclusive)
	override(&k.ServerNamed, o.ServerNamed)
	overrideType(&k.QueueType, o.QueueType)
	override(&k.DeclareOnly, o.DeclareOnly)
	override(&k.ExchangeAutoDelete, o.ExchangeAutoDelete)
	override(&k.NoAck, o.NoAck)
	override(&k.AutoAck, o.AutoAck)
	override(&k.Priority, o.Priority)
	override(&k.ExclusiveConsumer, o.ExclusiveConsumer)
	override(&k.SingleActive, o.SingleActive)
	override(&k.StreamOffset, o.StreamOffset)
	override(&k.Marker, o.Marker)
	override(&k.Codec, o.Codec)
	override(&k.HeadersContentType, o.HeadersContentType)
	override(&k.Prefetch, o.Prefetch)
	override(&k.Lane, o.Lane)
	override(&k.Burst, o.Burst)
	override(&k.DeadLetter, o.DeadLetter)
	override(&k.Retry.Attempts, o.Retry.Attempts)
	override(&k.Retry.Min, o.Retry.Min)
	override(&k.Retry.Max, o.Retry.Max)
	override(&k.Retry.InPlace, o.Retry.InPlace)
	if o.Retry.Crashes != nil {
		k.Retry.Crashes = *o.Retry.Crashes
		orDefault(&k.Retry.Crashes, -1) // "off"
	}
	overrideNot(&k.Transient, o.Durable)
	overrideNot(&k.ExchangeTransient, o.ExchangeDurable)
	overrideNot(&k.NoDeclare, o.AutoDeclare)
	overrideNot(&k.NoDeclareExchange, o.AutoDeclareExchange)
	overrideNot(&k.NoDeclareQueue, o.AutoDeclareQueue)
	if o.RoutingKeys != nil {
		k.RoutingKeys = o.RoutingKeys
	}
	overrideTable(&k.Arguments, o.Arguments)
	overrideTable(&k.ExchangeArguments, o.ExchangeArguments)
	overrideTable(&k.BindingArguments, o.BindingArguments)
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
	orDefault(&k.Retry.Crashes, publisher.RetryCrashes)
	c.site(key+".dead_letter", &k.DeadLetter)
	k.Arguments = c.siteTable(key+".arguments", k.Arguments)
	k.ExchangeArguments = c.siteTable(key+".exchange_arguments", k.ExchangeArguments)
	k.BindingArguments = c.siteTable(key+".binding_arguments", k.BindingArguments)
	orDefault(&k.QueueType, k.Type())
	orDefault(&k.Burst, 1)
	if dead := k.DeadLetterQueue(); dead != "" && k.DeadLetter == "" {
		k.DeadLetter = dead
		c.length(key+".dead_letter", dead)
	}
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

// overrideType is override for a queue's type, of which the broker has a default.
func overrideType(field, value *string) {
	if override(field, value); *field == "default" {
		*field = ""
	}
}

func overrideTable(field *publisher.Table, value publisher.Table) {
	if value != nil {
		*field = value
	}
}

func orDefault[T comparable](field *T, value T) {
	var zero T
	if *field == zero {
		*field = value
	}
}
