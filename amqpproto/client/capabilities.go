package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// capabilities are RabbitMQ's extensions of AMQP 0-9-1, as far as the broker says
// in connection.start that it has them. What is missing is decided here, in one
// place: adapt replaces it, or missingArguments refuses what needs it, before it
// costs a connection.
type capabilities struct {
	confirms         bool // publisher_confirms; else class tx
	nack             bool // basic.nack; else basic.reject, one by one
	cancelNotify     bool // consumer_cancel_notify; without it nobody tells that a queue is gone
	directReply      bool // direct_reply_to; else a queue of our own
	exchangeBindings bool // exchange_exchange_bindings
	arguments        bool // of queues and exchanges, such as x-message-ttl; no list names them
}

var everything = capabilities{true, true, true, true, true, true}

// capabilitiesOf reads what the server says of itself. Who has none of RabbitMQ's
// extensions has no list of them.
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
		return everything // it says nothing of itself, so nothing is held against it
	}
	// Qpid Broker-J has confirms and says so in its own way.
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

// adapt makes do with what the broker has, for this connection.
func (c *Client) adapt(has capabilities) {
	c.has = has
	c.cfg.TxSelect = c.asked.TxSelect || !has.confirms && !c.cfg.NoConfirms
	c.cfg.ReplyQueue = c.asked.ReplyQueue || !has.directReply
}

// HasArguments tells whether the broker takes RabbitMQ's arguments of queues, as
// far as it is known: before the first connection, it is supposed to.
func (c *Client) HasArguments() bool { return c.has.arguments }

// confirmsRequests tells whether the channel of the requests has confirms.
func (c *Client) confirmsRequests() bool { return !c.cfg.NoConfirms && c.has.confirms }

// appendGiveBack appends what returns one delivery, to its queue or to where its
// dead letters go.
func (has capabilities) appendGiveBack(dst []byte, channel uint16, tag uint64, requeue bool) []byte {
	if has.nack {
		return amqpproto.AppendBasicNack(dst, channel, tag, false, requeue)
	}
	return amqpproto.AppendBasicReject(dst, channel, tag, requeue)
}

// missingArguments is the error for arguments that are RabbitMQ's, on a broker
// that is none: Qpid closes the connection for them. Its own, and the one that it
// has taken over, pass.
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

// errExpiration refuses what would be lost without a word.
var errExpiration = errors.New("amqp client: an expiration in milliseconds is RabbitMQ's, and this broker does not list RabbitMQ's extensions: " +
	"Qpid would take it for a date long past, and drop the message: leave it out")

// missingExpiration is the error for a message that is to expire. What the field
// means is left to the broker by the specification.
func (has capabilities) missingExpiration(p *amqpproto.Properties) error {
	if !has.arguments && p.Has(amqpproto.FlagExpiration) {
		return errExpiration
	}
	return nil
}

// argumentsFor are the queue's arguments, without those that it can do without
// where the broker does not take them.
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
