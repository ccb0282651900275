package app

import (
	"time"

	"github.com/streadway/amqp"
)

// Consumer is one [consumer.NAME]: what the configuration changes of a consumer
// that a handler package registered. A nil field was not set.
type Consumer struct {
	Enabled      *bool    `key:"enabled"` // nil = enabled
	Connection   *string  `key:"connection"`
	Queue        *string  `key:"queue"`
	Exchange     *string  `key:"exchange"`
	ExchangeType *string  `key:"exchange_type" oneof:"direct fanout topic headers x-"`
	RoutingKeys  []string `key:"routing_keys"` // nil = not set, empty = bind nothing
	Durable      *bool    `key:"durable"`
	AutoDelete   *bool    `key:"auto_delete"`
	Exclusive    *bool    `key:"exclusive"`
	ServerNamed  *bool    `key:"server_named"`
	AutoDeclare  *bool    `key:"auto_declare"`
	NoAck        *bool    `key:"no_ack"`
	Priority     *int     `key:"priority" min:"-1000" max:"1000"`
	Codec        *string  `key:"codec"`
	Prefetch     *int     `key:"prefetch" min:"1" max:"65535"`
	Retry        Retry    `key:"retry"`
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
}

// Producer is one [producer.NAME]: what the configuration changes of a producer
// that a handler package registered. A nil field was not set.
type Producer struct {
	Connection   *string    `key:"connection"`
	Exchange     *string    `key:"exchange"`
	ExchangeType *string    `key:"exchange_type" oneof:"direct fanout topic headers x-"`
	RoutingKey   *string    `key:"routing_key"`
	Queue        *string    `key:"queue"`
	Durable      *bool      `key:"durable"`
	AutoDelete   *bool      `key:"auto_delete"`
	AutoDeclare  *bool      `key:"auto_declare"`
	Codec        *string    `key:"codec"`
	Mandatory    *bool      `key:"mandatory"`
	Arguments    amqp.Table `key:"arguments"` // replaces all registered ones; nil = not set
}
