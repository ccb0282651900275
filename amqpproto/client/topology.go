package client

import (
	"errors"
	"fmt"
	"strings"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// Exchange is an exchange to declare. The default exchange and those named amq.*
// exist and are never declared.
type Exchange struct {
	Name, Type                    string // Type defaults to direct
	Durable, AutoDelete, Internal bool
	NoDeclare                     bool // it belongs to somebody else: only bind to it
	Passive                       bool // only check that it exists
	Args                          amqp.Table
}

// Queue is a queue to declare. If Name is empty, the broker gives it a new name
// after each connect. Queues named amq.* are never declared.
type Queue struct {
	Name                           string
	Durable, Exclusive, AutoDelete bool
	NoDeclare                      bool // it belongs to somebody else: only consume from it
	Passive                        bool // only check that it exists
	Args                           amqp.Table

	// Extension says that the queue is useless without RabbitMQ's arguments. It is not
	// declared if the broker does not support them.
	Extension bool
	// Spare names the arguments that are left out if the broker does not support them.
	Spare []string
}

// Binding binds a queue to an exchange. Bindings to the default exchange exist
// for every queue and are skipped.
type Binding struct {
	Queue                string // a queue of the topology by its Name, or any other; "" = Queues[0]
	Exchange, RoutingKey string
	Args                 amqp.Table
}

// ExchangeBinding binds the exchange Destination to the exchange Source: messages go
// from Source to Destination.
type ExchangeBinding struct {
	Source, Destination, RoutingKey string
	Args                            amqp.Table
}

// Topology is what must exist before a consumer or producer starts. It is declared
// in the order of the fields, so that everything exists before it is bound.
type Topology struct {
	Exchanges        []Exchange
	ExchangeBindings []ExchangeBinding
	Queues           []Queue // the consumed one first
	Bindings         []Binding
}

// declaration is the progress through one Topology: a list of synchronous
// methods, one in flight.
type declaration struct {
	topology *Topology
	has      *capabilities // of the broker
	step     int           // index of the next method, counted over all four lists
	queues   []string      // names of topology.Queues in the broker
	what     string        // describes the method in flight, for errors
	declares int           // index+1 of the queue in flight; 0 = none
}

// reset starts from the beginning. With keepNames it keeps the names that the
// broker has given, because the queues still exist on the same connection, and
// each retry would declare more of them.
func (d *declaration) reset(t *Topology, has *capabilities, keepNames bool) {
	d.has = has
	d.topology, d.step, d.declares, d.what = t, 0, 0, ""
	if keepNames && len(d.queues) == len(t.Queues) {
		return
	}
	d.queues = d.queues[:0]
	for i := range t.Queues {
		d.queues = append(d.queues, t.Queues[i].Name)
	}
}

// empty reports whether there is nothing to send.
func (d *declaration) empty() bool {
	for i := 0; ; i++ {
		m, _, end, err := d.method(i)
		if end {
			return true
		}
		if m != nil || err != nil {
			return false
		}
	}
}

// next sends the next method. done means that there was none left.
func (d *declaration) next(ch *channel) (done bool, err error) {
	for {
		m, answer, end, err := d.method(d.step)
		d.step++
		switch {
		case end:
			d.what = ""
			return true, nil
		case err != nil:
			return false, err
		case m != nil:
			return false, ch.request(m, answer)
		}
	}
}

// took handles the answer to the method that next sent.
func (d *declaration) took(id amqpproto.MethodID, args []byte) error {
	if id != amqpproto.IDQueueDeclareOk {
		return nil
	}
	var m amqpproto.QueueDeclareOk
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if d.declares > 0 {
		d.queues[d.declares-1] = string(m.Queue)
		d.declares = 0
	}
	return nil
}

// method returns the method of step i and the expected answer. The method is nil if
// the step is skipped. It also sets d.what and d.declares for this step.
func (d *declaration) method(i int) (m amqpproto.Method, answer amqpproto.MethodID, end bool, err error) {
	t := d.topology
	if i < len(t.Exchanges) {
		m, err = d.exchange(&t.Exchanges[i])
		return m, amqpproto.IDExchangeDeclareOk, false, err
	}
	if i -= len(t.Exchanges); i < len(t.ExchangeBindings) {
		m, err = d.exchangeBinding(&t.ExchangeBindings[i])
		return m, amqpproto.IDExchangeBindOk, false, err
	}
	if i -= len(t.ExchangeBindings); i < len(t.Queues) {
		m, err = d.queue(&t.Queues[i], i)
		return m, amqpproto.IDQueueDeclareOk, false, err
	}
	if i -= len(t.Queues); i < len(t.Bindings) {
		m, err = d.binding(&t.Bindings[i])
		return m, amqpproto.IDQueueBindOk, false, err
	}
	return nil, 0, true, nil
}

// reserved are names that only the broker may declare. §3.1.3.1.
func reserved(name string) bool { return strings.HasPrefix(name, "amq.") }

func (d *declaration) exchange(x *Exchange) (amqpproto.Method, error) {
	if x.NoDeclare || x.Name == "" || reserved(x.Name) {
		return nil, nil
	}
	d.what = fmt.Sprintf("exchange.declare %q", x.Name)
	kind := x.Type
	if kind == "" {
		kind = "direct"
	}
	if err := d.has.missingArguments(x.Args); err != nil {
		return nil, err
	}
	args, err := amqpproto.AppendTable(nil, x.Args)
	return &amqpproto.ExchangeDeclare{
		Exchange: []byte(x.Name), Type: []byte(kind), Passive: x.Passive,
		Durable: x.Durable, AutoDelete: x.AutoDelete, Internal: x.Internal, Arguments: args,
	}, err
}

func (d *declaration) exchangeBinding(b *ExchangeBinding) (amqpproto.Method, error) {
	d.what = fmt.Sprintf("exchange.bind %q to %q, routing key %q", b.Destination, b.Source, b.RoutingKey)
	if !d.has.exchangeBindings {
		return nil, errors.New("this broker binds no exchanges to exchanges (server-properties.capabilities): bind the queue to both")
	}
	args, err := amqpproto.AppendTable(nil, b.Args)
	return &amqpproto.ExchangeBind{
		Destination: []byte(b.Destination), Source: []byte(b.Source), RoutingKey: []byte(b.RoutingKey), Arguments: args,
	}, err
}

func (d *declaration) queue(q *Queue, i int) (amqpproto.Method, error) {
	if q.NoDeclare || reserved(q.Name) || q.Extension && !d.has.arguments {
		return nil, nil
	}
	d.what = fmt.Sprintf("queue.declare %q", q.Name)
	d.declares = i + 1
	own := q.argumentsFor(d.has)
	if err := d.has.missingArguments(own); err != nil {
		return nil, err
	}
	args, err := amqpproto.AppendTable(nil, own)
	if q.Name == "" && d.queues[i] != "" {
		// The broker named it on an earlier try. Such a name is reserved, so we may only
		// check that the queue exists.
		return &amqpproto.QueueDeclare{Queue: []byte(d.queues[i]), Passive: true}, nil
	}
	return &amqpproto.QueueDeclare{
		Queue: []byte(q.Name), Passive: q.Passive,
		Durable: q.Durable, Exclusive: q.Exclusive, AutoDelete: q.AutoDelete, Arguments: args,
	}, err
}

func (d *declaration) binding(b *Binding) (amqpproto.Method, error) {
	if b.Exchange == "" {
		return nil, nil
	}
	queue := b.Queue
	if queue == "" {
		if len(d.queues) == 0 {
			return nil, fmt.Errorf("binding to exchange %q names no queue, and there is none in the topology", b.Exchange)
		}
		queue = d.queues[0]
	}
	d.what = fmt.Sprintf("queue.bind %q to %q, routing key %q", queue, b.Exchange, b.RoutingKey)
	args, err := amqpproto.AppendTable(nil, b.Args)
	return &amqpproto.QueueBind{
		Queue: []byte(queue), Exchange: []byte(b.Exchange), RoutingKey: []byte(b.RoutingKey), Arguments: args,
	}, err
}
