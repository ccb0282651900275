package client

import (
	"errors"
	"fmt"
	"strings"

	"zamqp/amqpproto"
)

const exchangeTypes = "use direct, fanout, topic or headers, or enable the plugin that brings this type"

// explain completes the error of a declaration: which argument it is about, and
// what to do. It parses RabbitMQ's text, because the error has no other field that
// says so. With the text of another broker the fields stay empty.
func explain(e *TopologyError) *TopologyError {
	var code uint16
	var text string
	var method amqpproto.MethodID
	var ce *amqpproto.ChannelError
	var conn *amqpproto.ConnectionError
	switch {
	case errors.As(e.Err, &ce):
		code, text, method = ce.Code, ce.Text, ce.Method
	case errors.As(e.Err, &conn):
		code, text, method = conn.Code, conn.Text, conn.Method
	}
	switch code {
	case amqpproto.PreconditionFailed:
		e.precondition(text)
	case amqpproto.NotFound:
		e.Remedy = "it does not exist, and nothing here declares it: declare it, or check its name and the vhost"
	case amqpproto.ResourceLocked:
		e.Remedy = "it is the exclusive queue of another connection, or it exists and is not exclusive: choose another name, or declare it as it is"
	case amqpproto.AccessRefused:
		e.accessRefused(text, method)
	case amqpproto.CommandInvalid: // RabbitMQ 4 has PRECONDITION_FAILED
		if strings.Contains(text, "exchange type") {
			e.Remedy = exchangeTypes
		}
	case amqpproto.InternalError:
		if strings.Contains(text, "transient") {
			e.Remedy = "this broker takes no transient queue that is not exclusive: make it durable or exclusive"
		}
	case amqpproto.NotImplemented:
		e.Remedy = "the type of the queue does not offer this"
	}
	return e
}

// precondition parses texts such as this one: PRECONDITION_FAILED - inequivalent
// arg 'x-max-length' for queue 'q' in vhost '/': received the value '5' of type
// 'long' but current is none.
func (e *TopologyError) precondition(text string) {
	_, rest, found := strings.Cut(text, "inequivalent arg '")
	if !found {
		switch {
		case strings.Contains(text, "exchange type"):
			e.Remedy = exchangeTypes
		case strings.Contains(text, "prefetch"):
			e.Remedy = "a stream is consumed with a prefetch: set one"
		case strings.Contains(text, "server-named"):
			e.Remedy = "a queue of this type needs a name of its own: give it one"
		default:
			e.Remedy = "change the setting that the text names: the broker does not accept it for a queue or exchange of this type"
		}
		return
	}
	e.Argument, rest, _ = strings.Cut(rest, "'")
	what, rest, _ := strings.Cut(strings.TrimPrefix(rest, " for "), " in vhost ")
	_, rest, _ = strings.Cut(rest, ": received ")
	received, current, _ := strings.Cut(rest, " but current is ")
	e.Received, e.Current = argumentValue(received), argumentValue(current)
	shown := e.Current
	if shown == "" {
		shown = `""`
	}
	e.Remedy = fmt.Sprintf("it exists with another %s: declare it with %s, or delete the %s and let it be declared again", e.Argument, shown, what)
	if e.Current == "none" {
		e.Remedy = fmt.Sprintf("it exists without %s: leave that out, or delete the %s and let it be declared again", e.Argument, what)
	}
}

// argumentValue returns the value from a text such as "the value '5' of type
// 'long'" or "'true'".
func argumentValue(text string) string {
	_, quoted, found := strings.Cut(text, "'")
	if !found {
		return strings.TrimSpace(text)
	}
	// The value may contain quotes, but the name of its type does not.
	if i := strings.LastIndex(quoted, "' of type '"); i >= 0 {
		return quoted[:i]
	}
	return strings.TrimSuffix(quoted, "'")
}

func (e *TopologyError) accessRefused(text string, method amqpproto.MethodID) {
	switch {
	case strings.Contains(text, "exclusive use"):
		e.Remedy = "another consumer has it for itself: end that one, or consume without exclusive; this one tries again"
	case strings.Contains(text, "reserved prefix"):
		e.Remedy = "names that begin with amq. are the broker's own: choose another"
	default:
		e.Remedy = permission(method)
	}
}

// permission says which of RabbitMQ's permissions a method needs.
func permission(method amqpproto.MethodID) string {
	const give = "give the user "
	switch method {
	case amqpproto.IDBasicPublish:
		return give + "write permission on the exchange"
	case amqpproto.IDBasicConsume, amqpproto.IDBasicGet:
		return give + "read permission on the queue"
	case amqpproto.IDQueueBind:
		return give + "write permission on the queue and read permission on the exchange"
	case amqpproto.IDExchangeBind:
		return give + "write permission on the exchange that is bound and read permission on the one it is bound to"
	}
	return give + "configure permission on it, and if it names a dead-letter or alternate exchange, read on it and write on that"
}

// explainUse does the same for a channel that was closed while it was in use: by a
// publish, by a get, or because a consumer held a message for too long.
func explainUse(cause error) error {
	var ce *amqpproto.ChannelError
	if !errors.As(cause, &ce) {
		return cause
	}
	remedy := ""
	switch {
	case ce.Code == amqpproto.AccessRefused && strings.Contains(ce.Text, "internal exchange"):
		remedy = "publish to an exchange that it is bound to"
	case ce.Code == amqpproto.AccessRefused && ce.Method != 0:
		remedy = permission(ce.Method)
	case ce.Code == amqpproto.NotFound:
		remedy = "declare it, or check its name and the vhost"
	case ce.Code == amqpproto.PreconditionFailed && strings.Contains(ce.Text, "delivery acknowledgement"):
		remedy = "a message was in hand for longer than the broker's consumer_timeout: lower the consumer's prefetch, let its handler take less time, " +
			"or raise consumer_timeout in the broker's configuration"
	case ce.Code == amqpproto.PreconditionFailed && strings.Contains(ce.Text, "message size"):
		remedy = "make the message smaller, keep the body elsewhere and publish where it is, or raise max_message_size in the broker's configuration"
	default:
		return cause
	}
	return fmt.Errorf("%w: %s", cause, remedy)
}
