package amqpdoor

import (
	"sort"

	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// A topology is what one connection declares. Exchanges and queues are known
// by name: a producer knows an exchange's arguments, a consumer its queue's, and
// whoever declares it as well says the same, or the broker refuses it. The app
// has made sure before that nobody contradicts.
type topology struct {
	producers []string // sorted
	consumers []string // sorted
	produced  map[string]publisher.Producer
	declared  map[string]publisher.Consumer
	exchanges map[string]client.Exchange
	queues    map[string][]client.Queue
}

func newTopology(connection string, producers map[string]publisher.Producer, consumers map[string]publisher.Consumer) *topology {
	t := &topology{
		produced: map[string]publisher.Producer{}, declared: map[string]publisher.Consumer{},
		exchanges: map[string]client.Exchange{}, queues: map[string][]client.Queue{},
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
		t.exchange(client.Exchange{Name: p.Exchange, Type: p.ExchangeType, Durable: !p.Transient, AutoDelete: p.AutoDelete, Args: p.Arguments})
	}
	for _, name := range t.consumers {
		c := t.declared[name]
		t.exchange(client.Exchange{Name: c.Exchange, Type: c.ExchangeType, Durable: !c.Transient})
		if !c.ServerNamed {
			t.queues[c.Queue] = queuesOf(c)
		}
	}
	return t
}

// exchange takes note of what one producer or consumer says of an exchange. The
// producers come first: only they can name arguments.
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

// declare is the exchange's declaration; none where somebody else's is used.
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

// producer is what is declared for a producer before it publishes.
func (t *topology) producer(name string) client.Topology {
	p := t.produced[name]
	top := client.Topology{Exchanges: t.declare(p.Exchange, p.NoDeclare)}
	if p.Queue == "" || p.NoDeclare {
		return top
	}
	top.Queues = t.queues[p.Queue]
	if top.Queues == nil {
		top.Queues = []client.Queue{{Name: p.Queue, Durable: true}}
	}
	if p.Exchange != "" {
		top.Bindings = []client.Binding{{Exchange: p.Exchange, RoutingKey: p.RoutingKey}}
	}
	return top
}

// consumer is what is declared for a consumer; its own queue is the first.
func (t *topology) consumer(name string) client.Topology {
	c := t.declared[name]
	if c.NoDeclare {
		return client.Topology{Queues: []client.Queue{{Name: c.Queue, NoDeclare: true}}}
	}
	top := client.Topology{Exchanges: t.declare(c.Exchange, false), Queues: queuesOf(c)}
	if c.Exchange == "" {
		return top // the default exchange is bound to every queue by its name
	}
	for _, key := range c.RoutingKeys {
		top.Bindings = append(top.Bindings, client.Binding{Exchange: c.Exchange, RoutingKey: key})
	}
	if len(c.RoutingKeys) == 0 {
		top.Bindings = []client.Binding{{Exchange: c.Exchange, RoutingKey: c.Queue}}
	}
	return top
}

// queuesOf are the consumer's queue and the one for its dead letters. What is
// not durable is exclusive: a transient queue that others can use is refused
// by RabbitMQ 4.3.
func queuesOf(c publisher.Consumer) []client.Queue {
	q := client.Queue{Name: c.Queue, AutoDelete: c.AutoDelete, Args: publisher.Table{}}
	if c.ServerNamed {
		q.Name = ""
	}
	q.Exclusive = c.Exclusive || c.ServerNamed || c.Transient
	q.Durable = !q.Exclusive
	for key, value := range c.Arguments {
		q.Args[key] = value
	}
	dead := c.DeadLetter
	if dead == "" && !q.Exclusive && !q.AutoDelete {
		dead = c.Queue + ".dead"
	}
	_, given := q.Args["x-dead-letter-exchange"]
	if dead == "" || dead == "off" || given || c.NoAck {
		return []client.Queue{q}
	}
	q.Args["x-dead-letter-exchange"] = ""
	q.Args["x-dead-letter-routing-key"] = dead
	return []client.Queue{q, {Name: dead, Durable: true}}
}
