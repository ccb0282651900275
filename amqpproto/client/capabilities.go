package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// capabilities are RabbitMQ's extensions of AMQP 0-9-1 that the broker says it has in
// connection.start. What to do without one is decided here, in one place: adapt uses
// a replacement, or missingArguments refuses what needs it, because the broker would
// close the connection.
type capabilities struct {
	confirms         bool // publisher_confirms; else class tx
	nack             bool // basic.nack; else basic.reject, one by one
	cancelNotify     bool // consumer_cancel_notify; else the broker does not tell us that a queue is gone
	directReply      bool // direct_reply_to; else a queue of our own
	exchangeBindings bool // exchange_exchange_bindings
	arguments        bool // arguments of queues and exchanges, such as x-message-ttl; the list of capabilities does not name them
}

var everything = capabilities{true, true, true, true, true, true}

// capabilitiesOf reads the server's properties. A broker without RabbitMQ's
// extensions sends no list of capabilities.
func capabilitiesOf(properties amqpproto.RawTable) (has capabilities) {
	value := func(key string) any {
		if f, ok := properties.Lookup(key); ok {
			if v, err := f.Value(); err == nil {
				return v
			}
		}
		return nil
	}
	if list, ok := value("capabilities").(amqp.Table); ok {
		is := func(key string) bool { b, _ := list[key].(bool); return b }
		return capabilities{confirms: is("publisher_confirms"), nack: is("basic.nack"), cancelNotify: is("consumer_cancel_notify"),
			directReply: is("direct_reply_to"), exchangeBindings: is("exchange_exchange_bindings"), arguments: true}
	}
	if value("product") == nil {
		return everything // it says nothing about itself, so we assume that it has all
	}
	// Qpid Broker-J has confirms, but says so in another property.
	has.confirms = value("qpid.confirmed_publish_supported") == "true"
	return has
}

// missing names what the broker lacks; "" if nothing.
func (has capabilities) missing() string {
	var names []string
	for _, c := range []struct {
		has  bool
		name string
	}{
		{has.confirms, "publisher confirms (publishes are committed by tx)"},
		{has.nack, "basic.nack (basic.reject takes its place)"},
		{has.cancelNotify, "consumer cancel notification"},
		{has.directReply, "direct reply-to (a queue takes its place)"},
		{has.exchangeBindings, "bindings of exchanges"},
		{has.arguments, "RabbitMQ's arguments of queues (retries wait in this process)"},
	} {
		if !c.has {
			names = append(names, c.name)
		}
	}
	return strings.Join(names, ", ")
}

// adapt adjusts the configuration to what the broker has, for this connection.
func (c *Client) adapt(has capabilities) {
	c.has = has
	c.cfg.TxSelect = c.asked.TxSelect || !has.confirms && !c.cfg.NoConfirms
	c.cfg.ReplyQueue = c.asked.ReplyQueue || !has.directReply
}

// HasArguments reports whether the broker supports RabbitMQ's queue arguments. Before
// the first connection it assumes that it does.
func (c *Client) HasArguments() bool { return c.has.arguments }

// confirmsRequests reports whether request channels use confirms.
func (c *Client) confirmsRequests() bool { return !c.cfg.NoConfirms && c.has.confirms }

// appendGiveBack appends the method that returns one delivery, to its queue or to its
// dead letter exchange.
func (has capabilities) appendGiveBack(dst []byte, channel uint16, tag uint64, requeue bool) []byte {
	if has.nack {
		return amqpproto.AppendBasicNack(dst, channel, tag, false, requeue)
	}
	return amqpproto.AppendBasicReject(dst, channel, tag, requeue)
}

// missingArguments returns an error for RabbitMQ's arguments on a broker that does not
// support them: Qpid closes the connection for them. Qpid's own arguments, and the one
// that it shares with RabbitMQ, are allowed.
func (has capabilities) missingArguments(args amqp.Table) error {
	if has.arguments {
		return nil
	}
	for name := range args {
		own := strings.HasPrefix(name, "x-qpid-") || name == "x-single-active-consumer"
		if name == "alternate-exchange" || strings.HasPrefix(name, "x-") && !own {
			return fmt.Errorf("the argument %s is one of RabbitMQ's, and this broker does not list RabbitMQ's extensions (server-properties.capabilities): leave it out", name)
		}
	}
	return nil
}

// errExpiration is the error for a message that the broker would silently drop.
var errExpiration = errors.New("amqp client: an expiration in milliseconds is RabbitMQ's, and this broker does not list RabbitMQ's extensions: " +
	"Qpid would take it for a date long past, and drop the message: leave it out")

// missingExpiration returns an error for a message with an expiration, if the broker
// is not known to treat it as RabbitMQ does. The specification leaves its meaning to
// the broker.
func (has capabilities) missingExpiration(p *amqpproto.Properties) error {
	if !has.arguments && p.Has(amqpproto.FlagExpiration) {
		return errExpiration
	}
	return nil
}

// argumentsFor returns the queue's arguments. If the broker does not support
// RabbitMQ's arguments, it leaves those in Spare out.
func (q *Queue) argumentsFor(has *capabilities) amqp.Table {
	if has.arguments || len(q.Spare) == 0 {
		return q.Args
	}
	args := amqp.Table{}
	for name, value := range q.Args {
		args[name] = value
	}
	for _, name := range q.Spare {
		delete(args, name)
	}
	return args
}
