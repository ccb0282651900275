package broker

import (
	"fmt"

	"zamqp/amqpproto"
)

// The errors of this package are for clients, in RabbitMQ's words, because some programs look
// at the text. amqpproto puts the name of the code before it.

func channelFault(code uint16, format string, args []any) error {
	return &amqpproto.ChannelError{Code: code, Text: fmt.Sprintf(format, args...)}
}

func precondition(format string, args ...any) error {
	return channelFault(amqpproto.PreconditionFailed, format, args)
}

func refused(format string, args ...any) error {
	return channelFault(amqpproto.AccessRefused, format, args)
}

func notFound(format string, args ...any) error {
	return channelFault(amqpproto.NotFound, format, args)
}

func locked(format string, args ...any) error {
	return channelFault(amqpproto.ResourceLocked, format, args)
}

// unsupported returns a ConnectionError 540. RabbitMQ uses it where the specification has no
// error for the channel alone.
func unsupported(format string, args ...any) error {
	return &amqpproto.ConnectionError{Code: amqpproto.NotImplemented, Text: fmt.Sprintf(format, args...)}
}

// named returns how errors name an exchange or a queue.
func (v *vhost) named(kind, name string) string {
	return fmt.Sprintf("%s '%s' in vhost '%s'", kind, name, v.name)
}

func (q *queue) String() string    { return q.vhost.named("queue", q.name) }
func (x *exchange) String() string { return x.vhost.named("exchange", x.name) }

// noQueue and noExchange return the 404s.
func (v *vhost) noQueue(name string) error { return notFound("no %s", v.named("queue", name)) }
func (v *vhost) noExchange(name string) error {
	return notFound("no %s", v.named("exchange", name))
}
