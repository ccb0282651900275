package publisher

import (
	"time"

	"github.com/streadway/amqp"
)

// The vocabulary of Go's AMQP users: the types of github.com/streadway/amqp.
type (
	Publishing = amqp.Publishing
	Delivery   = amqp.Delivery
	Table      = amqp.Table
)

// A Producer says where publishes go and what is declared for them. The zero
// value publishes to the default exchange, as json. Each field can be
// overridden in config.toml by [producer.NAME].
type Producer struct {
	Connection   string // the [connection.NAME]; "" is "default"
	Exchange     string // "" is the default exchange, which routes to the queue of the key's name
	ExchangeType string // direct (default), fanout, topic, headers, x-…
	RoutingKey   string // used when a publish names no key; "" falls back to Queue
	Queue        string // declared and bound when named, so that nothing is published into the void

	Codec         string        // by name: json (default), text, csv, msgpack, pickle, or a registered one
	Gzip          bool          // pack each body
	Transient     bool          // delivery mode 1, and an exchange that does not survive the broker
	NoMandatory   bool          // an unroutable publish is no error; mandatory is on where a queue is named
	Mandatory     bool          // an unroutable publish is an error, also where no queue is named
	Expiration    time.Duration // after which the broker drops a message from its queue; 0 is never
	Priority      uint8         // of the messages; 0 sets none
	ReplyTo       string        // queue that answers go to
	AppID, UserID string        // RabbitMQ checks the user id against the login
	Timestamp     bool          // stamp each publish with the time

	NoDeclare         bool   // exchange, queue and binding exist already and are not declared
	NoDeclareExchange bool   // the exchange exists already
	NoDeclareQueue    bool   // the queue and its binding exist already
	ExchangeTransient bool   // an exchange that does not survive the broker, while messages do
	AutoDelete        bool   // of the exchange
	Arguments         Table  // of the exchange
	QueueType         string // classic, quorum or stream, of a queue that no consumer declares
	QueueArguments    Table  // of the same
}

// IsMandatory reports whether unroutable publishes are errors.
func (p *Producer) IsMandatory() bool { return (p.Queue != "" || p.Mandatory) && !p.NoMandatory }

// A Consumer says what is declared and consumed. The zero value consumes the
// durable queue that has the consumer's name. Each field can be overridden in
// config.toml by [consumer.NAME].
type Consumer struct {
	Connection   string   // the [connection.NAME]; "" is "default"
	Exchange     string   // "" is the default exchange: no binding is needed
	ExchangeType string   // direct (default), fanout, topic, headers, x-…
	RoutingKeys  []string // one binding each; none binds the queue's name
	Queue        string   // "" is the consumer's name

	ServerNamed bool   // the broker names the queue, which is exclusive
	Exclusive   bool   // the queue belongs to this connection and ends with it
	Transient   bool   // an exchange that does not survive the broker, an exclusive queue
	AutoDelete  bool   // the queue ends with its last consumer
	QueueType   string // classic (default), quorum or stream
	Arguments   Table  // of the queue

	NoDeclare          bool  // exchange, queue and bindings exist already and are not declared
	NoDeclareExchange  bool  // the exchange exists already
	NoDeclareQueue     bool  // the queue and its bindings exist already
	ExchangeTransient  bool  // an exchange that does not survive the broker, a queue that does
	ExchangeAutoDelete bool  // the exchange ends with its last binding
	ExchangeArguments  Table // of the exchange
	BindingArguments   Table // of each binding, as a headers exchange wants them

	DeclareOnly       bool   // declare everything, consume nothing
	Prefetch          int    // messages in hand at once; 0 is the connection's
	Priority          int    // consumer priority, x-priority
	ExclusiveConsumer bool   // nobody else may consume the queue
	SingleActive      bool   // of all consumers of the queue, one at a time is given messages
	StreamOffset      string // where a stream is read from: first, last, next (default), an offset, a time or an age like "1h"
	NoAck             bool   // the broker forgets a message when it is sent; a failure loses it
	AutoAck           bool   // acked before the handler is called; a failure loses it, but for the dead-letter queue

	Codec  string  // for messages whose content type says nothing: none, application/octet-stream or application/data
	Marker string  // whose subscribers see the messages
	Lane   string  // "routing_key", "queue" or "header:NAME": messages of one key in order, one after the other
	Rate   float64 // messages a second at most, 0 is no bound
	Burst  int     // that may come at once within Rate; 0 is 1

	HeadersContentType bool // a message without a content type has it in its headers, at properties.content_type

	Retry      Retry  // what follows a failure that may pass
	DeadLetter string // queue of the given-up; "" is the queue's name + ".dead", "off" is none
}

// The types of queues.
const (
	QueueClassic = "classic"
	QueueQuorum  = "quorum"
	QueueStream  = "stream"
)
