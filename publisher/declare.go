package publisher

import (
	"time"

	"github.com/streadway/amqp"
)

// These are types of github.com/streadway/amqp, which AMQP users of Go know.
type (
	Publishing = amqp.Publishing
	Delivery   = amqp.Delivery
	Table      = amqp.Table
)

// A Producer says where publishes go and what is declared for them. The zero value publishes
// to the default exchange, as json.
//
// The tags of a field say what the configuration may make of it in
// [producer.NAME]: see [Settings]. A field with not instead of key has the opposite
// of the key's value.
type Producer struct {
	// Connection is the [connection.NAME]; "" is "default".
	Connection string `key:"connection"`
	// Exchange "" is the default exchange, which routes to the queue of the key's name.
	Exchange string `key:"exchange" kind:"name"`
	// ExchangeType is direct (default), fanout, topic, headers or x-…
	ExchangeType string `key:"exchange_type" oneof:"direct fanout topic headers x-"`
	// RoutingKey is used when a publish names no key; "" falls back to Queue.
	RoutingKey string `key:"routing_key" kind:"name"`
	// Queue, if named, is declared and bound, so that publishes are not lost for lack of a
	// queue.
	Queue string `key:"queue" kind:"name"`

	// Codec by name: json (default), text, csv, msgpack, pickle, or a registered one.
	Codec string `key:"codec"`
	// Gzip compresses each body.
	Gzip bool `key:"gzip"`
	// Transient is delivery mode 1, and an exchange that does not survive the broker.
	Transient bool `not:"durable"`
	// NoMandatory makes an unroutable publish no error, even where a queue is named.
	NoMandatory bool `not:"mandatory"`
	// Mandatory makes an unroutable publish an error even where no queue is named.
	Mandatory bool `key:"mandatory"`
	// Expiration is the time after which the broker drops a message from its queue; 0 is
	// never.
	Expiration time.Duration `key:"expiration" min:"1ms" max:"8760h" off:"messages do not expire" unit:"ms"`
	// Priority of the messages; 0 sets none.
	Priority uint8 `key:"priority" min:"1" max:"255" off:"messages have none"`
	// ReplyTo is the queue that answers go to.
	ReplyTo string `key:"reply_to" kind:"name"`
	AppID   string `key:"app_id" kind:"name"`
	// UserID must be the login's name: RabbitMQ compares them.
	UserID string `key:"user_id" kind:"name"`
	// Timestamp sets the property timestamp of each publish to the current time.
	Timestamp bool `key:"timestamp"`

	// NoDeclare: exchange, queue and binding exist already and are not declared.
	NoDeclare bool `not:"auto_declare"`
	// NoDeclareExchange: the exchange exists already.
	NoDeclareExchange bool `not:"auto_declare_exchange"`
	// NoDeclareQueue: the queue and its binding exist already.
	NoDeclareQueue bool `not:"auto_declare_queue"`
	// ExchangeTransient is an exchange that does not survive the broker, while messages do.
	ExchangeTransient bool `not:"exchange_durable"`
	// AutoDelete deletes the exchange when its last binding is removed.
	AutoDelete bool `key:"auto_delete"`
	// Arguments are of the exchange.
	Arguments Table `key:"arguments"`
	// QueueType is classic, quorum or stream, for a queue that no consumer declares.
	QueueType string `key:"queue_type" oneof:"default classic quorum stream"`
	// QueueArguments are the arguments of that queue.
	QueueArguments Table `key:"queue_arguments"`

	// Doc is what the documents of the interface say: its Body is what is published, its
	// Answer the reply.
	Doc Doc
}

// IsMandatory reports whether unroutable publishes are errors.
func (p *Producer) IsMandatory() bool { return (p.Queue != "" || p.Mandatory) && !p.NoMandatory }

// A Consumer says what is declared and consumed. The zero value consumes the durable queue
// that has the consumer's name.
//
// The tags of a field say what the configuration may make of it in
// [consumer.NAME]: see [Settings]. A field with not instead of key has the opposite
// of the key's value.
type Consumer struct {
	// Disabled declares nothing and consumes nothing, until the configuration enables it.
	Disabled bool `not:"enabled"`
	// Connection is the [connection.NAME]; "" is "default".
	Connection string `key:"connection"`
	// Exchange "" is the default exchange: no binding is needed.
	Exchange string `key:"exchange" kind:"name"`
	// ExchangeType is direct (default), fanout, topic, headers or x-…
	ExchangeType string `key:"exchange_type" oneof:"direct fanout topic headers x-"`
	// RoutingKeys make one binding each. Without any, the binding has the queue's name.
	RoutingKeys []string `key:"routing_keys" kind:"name"`
	// Queue "" is the consumer's name.
	Queue string `key:"queue" kind:"name"`

	// ServerNamed: the broker names the queue, which is exclusive.
	ServerNamed bool `key:"server_named"`
	// Exclusive: the queue belongs to this connection and ends with it.
	Exclusive bool `key:"exclusive"`
	// Transient is an exchange that does not survive the broker, and an exclusive queue.
	Transient bool `not:"durable"`
	// AutoDelete: the queue ends with its last consumer.
	AutoDelete bool `key:"auto_delete"`
	// QueueType is classic (default), quorum or stream.
	QueueType string `key:"queue_type" oneof:"default classic quorum stream"`
	// Arguments are of the queue.
	Arguments Table `key:"arguments"`

	// NoDeclare: exchange, queue and bindings exist already and are not declared.
	NoDeclare bool `not:"auto_declare"`
	// NoDeclareExchange: the exchange exists already.
	NoDeclareExchange bool `not:"auto_declare_exchange"`
	// NoDeclareQueue: the queue and its bindings exist already.
	NoDeclareQueue bool `not:"auto_declare_queue"`
	// ExchangeTransient is an exchange that does not survive the broker, while the queue
	// does.
	ExchangeTransient bool `not:"exchange_durable"`
	// ExchangeAutoDelete: the exchange ends with its last binding.
	ExchangeAutoDelete bool `key:"exchange_auto_delete"`
	// ExchangeArguments are of the exchange.
	ExchangeArguments Table `key:"exchange_arguments"`
	// BindingArguments are of each binding, as a headers exchange wants them.
	BindingArguments Table `key:"binding_arguments"`

	// DeclareOnly declares everything and consumes nothing.
	DeclareOnly bool `key:"declare_only"`
	// Prefetch is the number of unacked messages that the broker sends at most; 0 is the
	// connection's.
	Prefetch int `key:"prefetch" min:"1" max:"65535"`
	// Priority of the consumer, x-priority.
	Priority int `key:"priority" min:"-1000" max:"1000"`
	// ExclusiveConsumer: nobody else may consume the queue.
	ExclusiveConsumer bool `key:"exclusive_consumer"`
	// SingleActive: of all consumers of the queue, only one at a time gets messages.
	SingleActive bool `key:"single_active"`
	// StreamOffset is where a stream is read from: first, last, next (default), an offset,
	// a time or an age like "1h".
	StreamOffset string `key:"stream_offset"`
	// NoAck: the broker forgets a message when it is sent; a failure loses it.
	NoAck bool `key:"no_ack"`
	// AutoAck acks before the handler is called. A failure loses the message, unless there is
	// a dead-letter queue.
	AutoAck bool `key:"auto_ack"`

	// Codec is for messages whose content type says nothing: none, application/octet-stream
	// or application/data.
	Codec string `key:"codec"`
	// Marker is the name whose subscribers also see the messages.
	Marker string `key:"marker"`
	// Lane is "routing_key", "queue" or "header:NAME". Messages with the same key are handled
	// in order, one after the other.
	Lane string `key:"lane"`
	// Timeout is how long a call may take, waits included, in place of server.call_timeout; 0
	// uses that. A call that takes longer fails, and its message is tried again.
	Timeout time.Duration `key:"timeout" min:"1ms" max:"24h" off:"server.call_timeout is the limit"`
	// Rate is the number of messages a second at most; 0 is no limit.
	Rate float64 `key:"rate"`
	// Burst is how many may come at once within Rate; 0 is 1.
	Burst int `key:"burst" min:"1" max:"1000000"`

	// Dedupe handles messages with the same id once.
	Dedupe Dedupe `key:"dedupe"`

	// HeadersContentType: the content type of a message without one is in its headers table,
	// at properties.content_type.
	HeadersContentType bool `key:"headers_content_type"`

	// Route is the request line of a route, such as "POST /orders": each message runs the
	// route's HTTP handler, and its answer is the reply. A part of the path may be
	// {routing_key}, {message_id}, {correlation_id}, {type} or {header:NAME}, which each
	// message fills in. The consumer has no handler of its own then.
	Route string `key:"route"`
	// RouteHeaders are the keys of the headers table that the handler sees as header
	// fields, besides those that describe the body, the condition and the trace.
	RouteHeaders []string `key:"route_headers"`

	// Retry says what follows a temporary failure.
	Retry Retry `key:"retry"`
	// DeadLetter is the queue for messages that are given up. "" is the queue's name with
	// ".dead" appended. "off" is no queue: the broker drops them.
	DeadLetter string `key:"dead_letter" kind:"name"`

	// Doc is what the documents of the interface say.
	Doc Doc
}

// The types of queues.
const (
	QueueClassic = "classic"
	QueueQuorum  = "quorum"
	QueueStream  = "stream"
)
