package amqpdoor

import (
	"cmp"
	"sort"

	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// A topology is what one connection declares. Exchanges and queues are identified by name.
// Two declarations of the same name must be equal, or the broker refuses the second. The
// configuration has checked this before.
type topology struct {
	producers []string // sorted
	consumers []string // sorted
	produced  map[string]publisher.Producer
	declared  map[string]publisher.Consumer
	exchanges map[string]client.Exchange
	queues    map[string]client.Queue // of the consumers, by name
	dead      map[string]client.Queue // dead-letter queues; a consumer's own declaration comes first
}

func newTopology(connection string, producers map[string]publisher.Producer, consumers map[string]publisher.Consumer) *topology {
	t := &topology{
		produced: map[string]publisher.Producer{}, declared: map[string]publisher.Consumer{},
		exchanges: map[string]client.Exchange{}, queues: map[string]client.Queue{}, dead: map[string]client.Queue{},
	}
	for name, p := range producers {
		if p.Connection == connection {
			t.produced[name] = p
			t.producers = append(t.producers, name)
		}
	}
	for name, c := range consumers {
		if c.Connection == connection {
			t.declared[name] = c
			t.consumers = append(t.consumers, name)
		}
	}
	sort.Strings(t.producers)
	sort.Strings(t.consumers)
	for _, name := range t.producers {
		p := t.produced[name]
		t.exchange(client.Exchange{Name: p.Exchange, Type: p.ExchangeType, Durable: !p.Transient && !p.ExchangeTransient,
			AutoDelete: p.AutoDelete, Args: p.Arguments})
	}
	for _, name := range t.consumers {
		c := t.declared[name]
		t.exchange(client.Exchange{Name: c.Exchange, Type: c.ExchangeType, Durable: !c.Transient && !c.ExchangeTransient,
			AutoDelete: c.ExchangeAutoDelete, Args: c.ExchangeArguments})
		if !c.ServerNamed && !c.NoDeclare && !c.NoDeclareQueue {
			t.queues[c.Queue] = queueOf(&c)
		}
		if dead := c.DeadLetterQueue(); dead != "" {
			t.deadLetters(dead, c.Type())
		}
	}
	return t
}

// exchange records what one producer or consumer declares about an exchange.
func (t *topology) exchange(e client.Exchange) {
	if old, known := t.exchanges[e.Name]; known {
		if old.Type == "" {
			old.Type = e.Type
		}
		if old.Args == nil {
			old.Args = e.Args
		}
		e = old
	}
	t.exchanges[e.Name] = e
}

// deadLetters records a dead-letter queue. If several consumers share it, it gets the safer
// of their types.
func (t *topology) deadLetters(name, kind string) {
	q := client.Queue{Name: name, Durable: true}
	if kind == publisher.QueueQuorum {
		q.Args = publisher.Table{"x-queue-type": publisher.QueueQuorum}
	}
	if t.dead[name].Args == nil {
		t.dead[name] = q
	}
}

// declare returns the declaration of the exchange, or none if it is not ours to declare.
func (t *topology) declare(name string, noDeclare bool) []client.Exchange {
	if name == "" || noDeclare {
		return nil
	}
	e := t.exchanges[name]
	if e.Type == "" {
		e.Type = "direct"
	}
	return []client.Exchange{e}
}

// producer returns what is declared for a producer before it publishes.
func (t *topology) producer(name string) client.Topology {
	p := t.produced[name]
	top := client.Topology{Exchanges: t.declare(p.Exchange, p.NoDeclare || p.NoDeclareExchange)}
	if p.Queue == "" || p.NoDeclare || p.NoDeclareQueue {
		return top
	}
	q, consumed := t.queues[p.Queue]
	if !consumed {
		q = client.Queue{Name: p.Queue, Durable: true, Args: withType(p.QueueArguments, p.QueueType)}
	}
	top.Queues = []client.Queue{q}
	if dead, ok := q.Args["x-dead-letter-routing-key"].(string); ok && q.Args["x-dead-letter-exchange"] == "" {
		top.Queues = append(top.Queues, t.deadQueue(dead))
	}
	if p.Exchange != "" {
		top.Bindings = []client.Binding{{Exchange: p.Exchange, RoutingKey: p.RoutingKey}}
	}
	return top
}

func (t *topology) deadQueue(name string) client.Queue {
	if q, consumed := t.queues[name]; consumed {
		return q
	}
	if q, known := t.dead[name]; known {
		return q
	}
	return client.Queue{Name: name, NoDeclare: true}
}

// consumer returns what is declared for a consumer: first its own queue, then the queues
// for its failures.
func (t *topology) consumer(name string) client.Topology {
	c := t.declared[name]
	top := client.Topology{Exchanges: t.declare(c.Exchange, c.NoDeclare || c.NoDeclareExchange)}
	if c.NoDeclare || c.NoDeclareQueue {
		top.Queues = []client.Queue{{Name: c.Queue, NoDeclare: true}}
	} else {
		top.Queues = []client.Queue{queueOf(&c)}
		top.Bindings = bindingsOf(&c)
	}
	if dead := c.DeadLetterQueue(); dead != "" {
		top.Queues = append(top.Queues, t.deadQueue(dead))
	}
	if c.RetriesInQueues() {
		for _, delay := range c.Retry.Delays() {
			top.Queues = append(top.Queues, client.Queue{Name: publisher.RetryQueue(c.Queue, delay), Durable: true,
				Args: delayArguments(&c, delay.Milliseconds()), Extension: true})
		}
	}
	if quarantine, ok := t.quarantine(name); ok {
		top.Queues = append(top.Queues, quarantine)
	}
	return top
}

// quarantine returns the queue for messages that were in hand when a process ended.
func (t *topology) quarantine(name string) (client.Queue, bool) {
	c := t.declared[name]
	if !c.Quarantines() {
		return client.Queue{}, false
	}
	args := withType(nil, c.Type())
	spare := deadLetter(args, &c)
	if exchange, given := c.Arguments["x-dead-letter-exchange"]; given {
		// A message that is refused here goes where the consumer's queue sends refused
		// messages. Like a retry, the move to the quarantine loses the message's own routing
		// key.
		args["x-dead-letter-exchange"] = exchange
		args["x-dead-letter-routing-key"] = cmp.Or(c.Arguments["x-dead-letter-routing-key"], any(c.Queue))
	}
	return client.Queue{Name: publisher.QuarantineQueue(c.Queue), Durable: true, Args: args, Spare: spare}, true
}

// delayArguments returns the arguments of a queue without a consumer. Its messages go back
// to the consumer's queue when their time is over. A quorum queue drops a message only
// after the consumer's queue has taken it; RabbitMQ permits that only for queues that
// refuse messages for which they have no room.
func delayArguments(c *publisher.Consumer, ms int64) publisher.Table {
	args := publisher.Table{"x-message-ttl": ms, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": c.Queue}
	if c.Type() == publisher.QueueQuorum {
		args["x-queue-type"] = publisher.QueueQuorum
		args["x-dead-letter-strategy"] = "at-least-once"
		args["x-overflow"] = "reject-publish"
	}
	return args
}

// bindingsOf returns the bindings of the consumer's queue.
func bindingsOf(c *publisher.Consumer) (bindings []client.Binding) {
	if c.Exchange == "" {
		return nil // the default exchange is bound to every queue by its name
	}
	keys := c.RoutingKeys
	if len(keys) == 0 {
		keys = []string{c.Queue}
	}
	for _, key := range keys {
		bindings = append(bindings, client.Binding{Exchange: c.Exchange, RoutingKey: key, Args: c.BindingArguments})
	}
	return bindings
}

// queueOf returns the declaration of the consumer's queue. A queue that is not durable is
// exclusive, because RabbitMQ 4.3 refuses transient queues that others can use.
func queueOf(c *publisher.Consumer) client.Queue {
	q := client.Queue{Name: c.Queue, AutoDelete: c.AutoDelete, Args: withType(c.Arguments, c.QueueType)}
	if c.ServerNamed {
		q.Name = ""
	}
	q.Exclusive = c.Exclusive || c.ServerNamed || c.Transient
	q.Durable = !q.Exclusive
	if c.SingleActive {
		q.Args["x-single-active-consumer"] = true
	}
	if c.Type() != publisher.QueueStream { // a stream has no dead letters
		q.Spare = deadLetter(q.Args, c)
	}
	return q
}

// deadLetter makes the broker move expired and refused messages to the dead-letter queue
// as well. Messages that we give up are published there by us, with headers that say what
// happened. spare names the arguments, for brokers that do not know them.
func deadLetter(args publisher.Table, c *publisher.Consumer) (spare []string) {
	dead := c.DeadLetterQueue()
	if _, given := args["x-dead-letter-exchange"]; dead == "" || given {
		return nil
	}
	args["x-dead-letter-exchange"] = ""
	args["x-dead-letter-routing-key"] = dead
	return []string{"x-dead-letter-exchange", "x-dead-letter-routing-key"}
}

// withType copies arguments and adds the queue's type.
func withType(args publisher.Table, kind string) publisher.Table {
	own := make(publisher.Table, len(args)+2)
	for key, value := range args {
		own[key] = value
	}
	if kind != "" {
		own["x-queue-type"] = kind
	}
	return own
}

// Declared is what one producer or consumer of a connection declares.
type Declared struct {
	Name string // producer.NAME or consumer.NAME
	client.Topology
}

// Declares lists what Link would declare, in the same order, so that one can check first
// whether the broker agrees.
func Declares(connection string, producers map[string]publisher.Producer, consumers map[string]publisher.Consumer) (all []Declared) {
	t := newTopology(connection, producers, consumers)
	for _, name := range t.producers {
		all = append(all, Declared{"producer." + name, t.producer(name)})
	}
	for _, name := range t.consumers {
		top := t.consumer(name)
		all = append(all, Declared{"consumer." + name, top})
	}
	return all
}
