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
	Codec        string // by name: json (default), text, csv, msgpack
	Transient    bool   // delivery mode 1, and an exchange that does not survive the broker
	NoMandatory  bool   // an unroutable publish is no error; mandatory is on where a queue is named
	Mandatory    bool   // an unroutable publish is an error, also where no queue is named
	NoDeclare    bool   // exchange, queue and binding exist already and are not declared
	AutoDelete   bool   // of the exchange
	Arguments    Table  // of the exchange
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
	ServerNamed  bool     // the broker names the queue, which is exclusive
	Exclusive    bool     // the queue belongs to this connection and ends with it
	Transient    bool     // an exchange that does not survive the broker, an exclusive queue
	AutoDelete   bool     // the queue ends with its last consumer
	NoDeclare    bool     // exchange, queue and bindings exist already and are not declared
	Prefetch     int      // messages in hand at once; 0 is the connection's
	Priority     int      // consumer priority, x-priority
	NoAck        bool     // the broker forgets a message when it is sent; a failure loses it
	Codec        string   // for messages without a content type
	Marker       string   // whose subscribers see the messages
	Arguments    Table    // of the queue
	Retry        Retry    // what follows a failure that may pass
	DeadLetter   string   // queue of the given-up; "" is the queue's name + ".dead", "off" is none
}

// Retry bounds the attempts for a message whose handler failed in a way that
// may pass. The zero value means 5 attempts, 1 s to 60 s apart.
type Retry struct {
	Attempts int           // in all, the first included
	Min, Max time.Duration // the delay doubles from Min to Max
}

// Defaults of [Retry].
const (
	RetryAttempts = 5
	RetryMin      = time.Second
	RetryMax      = time.Minute
)

// Delay returns the pause before the attempt that follows the given number of
// failed ones, and whether there is to be one.
func (r Retry) Delay(failed int) (time.Duration, bool) {
	if r.Attempts == 0 {
		r.Attempts = RetryAttempts
	}
	if failed >= r.Attempts {
		return 0, false
	}
	if r.Min == 0 {
		r.Min = RetryMin
	}
	if r.Max == 0 {
		r.Max = max(RetryMax, r.Min)
	}
	d := r.Min
	for i := 1; i < failed && d < r.Max; i++ {
		d *= 2
	}
	return min(d, r.Max), true
}
