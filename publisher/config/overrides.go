package config

import (
	"time"

	"github.com/streadway/amqp"
)

// Consumer is one [consumer.NAME]: what the configuration changes of a consumer
// that a handler package registered. A nil field was not set.
type Consumer struct {
	Enabled             *bool    `key:"enabled"` // nil = enabled
	Connection          *string  `key:"connection"`
	Queue               *string  `key:"queue"`
	Exchange            *string  `key:"exchange"`
	ExchangeType        *string  `key:"exchange_type" oneof:"direct fanout topic headers x-"`
	RoutingKeys         []string `key:"routing_keys"` // nil = not set, empty = bind nothing
	Durable             *bool    `key:"durable"`
	AutoDelete          *bool    `key:"auto_delete"`
	Exclusive           *bool    `key:"exclusive"`
	ServerNamed         *bool    `key:"server_named"`
	QueueType           *string  `key:"queue_type" oneof:"default classic quorum stream"`
	AutoDeclare         *bool    `key:"auto_declare"` // of all, before the two below
	AutoDeclareExchange *bool    `key:"auto_declare_exchange"`
	AutoDeclareQueue    *bool    `key:"auto_declare_queue"`
	DeclareOnly         *bool    `key:"declare_only"`

	ExchangeDurable    *bool      `key:"exchange_durable"`
	ExchangeAutoDelete *bool      `key:"exchange_auto_delete"`
	ExchangeArguments  amqp.Table `key:"exchange_arguments"`
	BindingArguments   amqp.Table `key:"binding_arguments"`

	NoAck             *bool   `key:"no_ack"`
	AutoAck           *bool   `key:"auto_ack"`
	Priority          *int    `key:"priority" min:"-1000" max:"1000"`
	ExclusiveConsumer *bool   `key:"exclusive_consumer"`
	SingleActive      *bool   `key:"single_active"`
	StreamOffset      *string `key:"stream_offset"`
	Marker            *string `key:"marker"`
	Codec             *string `key:"codec"`
	Prefetch          *int    `key:"prefetch" min:"1" max:"65535"`
	Lane              *string `key:"lane"`
	Rate              *string `key:"rate"` // "10/s"
	Burst             *int    `key:"burst" min:"1" max:"1000000"`
	Retry             Retry   `key:"retry"`
	// HeadersContentType reads properties.content_type of the headers.
	HeadersContentType *bool `key:"headers_content_type"`
	// DeadLetter names the queue for messages that failed for good; "" is the
	// queue's name with ".dead" behind it, "off" drops them at the broker.
	DeadLetter *string    `key:"dead_letter"`
	Arguments  amqp.Table `key:"arguments"` // replaces all registered ones; nil = not set
}

// Retry is consumer.NAME.retry: how often and how late a failed message comes back.
type Retry struct {
	Attempts *int           `key:"attempts" min:"1" max:"1000"` // in all; 1 = dead-letter at once
	Min      *time.Duration `key:"min" min:"1ms" max:"24h"`
	Max      *time.Duration `key:"max" min:"1ms" max:"168h"`
	InPlace  *bool          `key:"in_place"`
	Crashes  *int           `key:"crashes" min:"1" max:"1000" off:"a message may end the process any number of times"`
}

// Producer is one [producer.NAME]: what the configuration changes of a producer
// that a handler package registered. A nil field was not set.
type Producer struct {
	Connection          *string    `key:"connection"`
	Exchange            *string    `key:"exchange"`
	ExchangeType        *string    `key:"exchange_type" oneof:"direct fanout topic headers x-"`
	RoutingKey          *string    `key:"routing_key"`
	Queue               *string    `key:"queue"`
	QueueType           *string    `key:"queue_type" oneof:"default classic quorum stream"`
	QueueArgs           amqp.Table `key:"queue_arguments"`
	Durable             *bool      `key:"durable"`
	ExchangeDurable     *bool      `key:"exchange_durable"`
	AutoDelete          *bool      `key:"auto_delete"`
	AutoDeclare         *bool      `key:"auto_declare"` // of all, before the two below
	AutoDeclareExchange *bool      `key:"auto_declare_exchange"`
	AutoDeclareQueue    *bool      `key:"auto_declare_queue"`

	Codec      *string        `key:"codec"`
	Gzip       *bool          `key:"gzip"`
	Mandatory  *bool          `key:"mandatory"`
	Expiration *time.Duration `key:"expiration" min:"1ms" max:"8760h" off:"messages do not expire"`
	Priority   *int           `key:"priority" min:"1" max:"255" off:"messages have none"`
	ReplyTo    *string        `key:"reply_to"`
	AppID      *string        `key:"app_id"`
	UserID     *string        `key:"user_id"`
	Timestamp  *bool          `key:"timestamp"`
	Arguments  amqp.Table     `key:"arguments"` // replaces all registered ones; nil = not set
}
