package amqpdoor

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// retries are the queues that a durable queue q gets for its failures.
func retries(args publisher.Table) []client.Queue {
	delay := func(name string, ms int64) client.Queue {
		return client.Queue{Name: name, Durable: true, Args: publisher.Table{
			"x-message-ttl": ms, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q"}}
	}
	return []client.Queue{delay("q.retry.1s", 1000), delay("q.retry.2s", 2000), delay("q.retry.4s", 4000), delay("q.retry.8s", 8000),
		{Name: "q.quarantine", Durable: true, Args: args}}
}

// spare marks what a broker without RabbitMQ's arguments is not asked for: the queues that
// only delay, and dead letters of expired messages.
func spare(queues []client.Queue) {
	for i := range queues {
		q := &queues[i]
		q.Extension = strings.Contains(q.Name, ".retry.")
		if q.Args["x-dead-letter-exchange"] == "" && !q.Extension {
			q.Spare = []string{"x-dead-letter-exchange", "x-dead-letter-routing-key"}
		}
	}
}

func TestTopology(t *testing.T) {
	dead := publisher.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q.dead"}
	for _, row := range []struct {
		name     string
		producer *publisher.Producer
		consumer publisher.Consumer
		want     client.Topology
	}{
		{"plain queue", nil, publisher.Consumer{Queue: "q"}, client.Topology{
			Queues: append([]client.Queue{{Name: "q", Durable: true, Args: dead}, {Name: "q.dead", Durable: true}}, retries(dead)...),
		}},
		{"the producer says the exchange's type and arguments", &publisher.Producer{Exchange: "e", ExchangeType: "topic", Arguments: publisher.Table{"alternate-exchange": "a"}},
			publisher.Consumer{Queue: "q", Exchange: "e", RoutingKeys: []string{"a.*", "b"}}, client.Topology{
				Exchanges: []client.Exchange{{Name: "e", Type: "topic", Durable: true, Args: publisher.Table{"alternate-exchange": "a"}}},
				Queues:    append([]client.Queue{{Name: "q", Durable: true, Args: dead}, {Name: "q.dead", Durable: true}}, retries(dead)...),
				Bindings:  []client.Binding{{Exchange: "e", RoutingKey: "a.*"}, {Exchange: "e", RoutingKey: "b"}},
			}},
		{"no key binds by the queue's name", nil, publisher.Consumer{Queue: "q", Exchange: "e", DeadLetter: "off"}, client.Topology{
			Exchanges: []client.Exchange{{Name: "e", Type: "direct", Durable: true}},
			Queues:    append([]client.Queue{{Name: "q", Durable: true, Args: publisher.Table{}}}, retries(publisher.Table{})...),
			Bindings:  []client.Binding{{Exchange: "e", RoutingKey: "q"}},
		}},
		{"server-named is exclusive", nil, publisher.Consumer{ServerNamed: true}, client.Topology{
			Queues: []client.Queue{{Exclusive: true, Args: publisher.Table{}}},
		}},
		{"quorum, all of it", nil, publisher.Consumer{Queue: "q", QueueType: "quorum", Retry: publisher.Retry{Attempts: 2, Min: 90 * time.Second}}, client.Topology{
			Queues: []client.Queue{
				{Name: "q", Durable: true, Args: publisher.Table{"x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q.dead"}},
				{Name: "q.dead", Durable: true, Args: publisher.Table{"x-queue-type": "quorum"}},
				{Name: "q.retry.1m30s", Durable: true, Args: publisher.Table{"x-message-ttl": int64(90000), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q",
					"x-queue-type": "quorum", "x-dead-letter-strategy": "at-least-once", "x-overflow": "reject-publish"}},
				{Name: "q.quarantine", Durable: true, Args: publisher.Table{"x-queue-type": "quorum", "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q.dead"}},
			},
		}},
		{"stream", nil, publisher.Consumer{Queue: "q", QueueType: "stream"}, client.Topology{
			Queues: []client.Queue{{Name: "q", Durable: true, Args: publisher.Table{"x-queue-type": "stream"}}, {Name: "q.dead", Durable: true}},
		}},
		{"in place", nil, publisher.Consumer{Queue: "q", Retry: publisher.Retry{InPlace: true}, SingleActive: true, DeadLetter: "gone"}, client.Topology{
			Queues: []client.Queue{{Name: "q", Durable: true, Args: publisher.Table{"x-single-active-consumer": true,
				"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "gone"}}, {Name: "gone", Durable: true}},
		}},
		{"headers exchange", nil, publisher.Consumer{Queue: "q", Exchange: "e", ExchangeType: "headers", ExchangeTransient: true, ExchangeAutoDelete: true,
			ExchangeArguments: publisher.Table{"x": 1}, BindingArguments: publisher.Table{"x-match": "any"}, NoAck: true}, client.Topology{
			Exchanges: []client.Exchange{{Name: "e", Type: "headers", AutoDelete: true, Args: publisher.Table{"x": 1}}},
			Queues:    []client.Queue{{Name: "q", Durable: true, Args: publisher.Table{}}},
			Bindings:  []client.Binding{{Exchange: "e", RoutingKey: "q", Args: publisher.Table{"x-match": "any"}}},
		}},
		{"only the queue", nil, publisher.Consumer{Queue: "q", Exchange: "e", NoDeclareExchange: true, AutoDelete: true}, client.Topology{
			Queues:   []client.Queue{{Name: "q", Durable: true, AutoDelete: true, Args: publisher.Table{}}},
			Bindings: []client.Binding{{Exchange: "e", RoutingKey: "q"}},
		}},
		{"only the exchange", nil, publisher.Consumer{Queue: "q", Exchange: "e", NoDeclareQueue: true}, client.Topology{
			Exchanges: []client.Exchange{{Name: "e", Type: "direct", Durable: true}},
			Queues:    []client.Queue{{Name: "q", NoDeclare: true}},
		}},
		{"not durable is exclusive", nil, publisher.Consumer{Queue: "q", Transient: true}, client.Topology{
			Queues: []client.Queue{{Name: "q", Exclusive: true, Args: publisher.Table{}}},
		}},
		{"own dead-letter exchange", nil, publisher.Consumer{Queue: "q", Arguments: publisher.Table{"x-dead-letter-exchange": "dlx"}}, client.Topology{
			Queues: append([]client.Queue{{Name: "q", Durable: true, Args: publisher.Table{"x-dead-letter-exchange": "dlx"}}},
				retries(publisher.Table{"x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": "q"})...),
		}},
		{"own dead-letter routing key", nil, publisher.Consumer{Queue: "q", Arguments: publisher.Table{"x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": "bin"}}, client.Topology{
			Queues: append([]client.Queue{{Name: "q", Durable: true, Args: publisher.Table{"x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": "bin"}}},
				retries(publisher.Table{"x-dead-letter-exchange": "dlx", "x-dead-letter-routing-key": "bin"})...),
		}},
		{"no declare", nil, publisher.Consumer{Queue: "q", Exchange: "e", NoDeclare: true}, client.Topology{
			Queues: []client.Queue{{Name: "q", NoDeclare: true}},
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			row.consumer.Connection = "default"
			producers := map[string]publisher.Producer{}
			if row.producer != nil {
				row.producer.Connection = "default"
				producers["p"] = *row.producer
			}
			top := newTopology("default", producers, map[string]publisher.Consumer{"c": row.consumer, "other": {Connection: "elsewhere"}})
			spare(row.want.Queues)
			if got := top.consumer("c"); !reflect.DeepEqual(got, row.want) {
				t.Errorf("\n got %+v\nwant %+v", got, row.want)
			}
		})
	}
}

func TestProducersQueueIsTheConsumers(t *testing.T) {
	top := newTopology("default",
		map[string]publisher.Producer{"p": {Connection: "default", Queue: "q", RoutingKey: "q", Exchange: "e"}, "p2": {Connection: "default", Queue: "r"}},
		map[string]publisher.Consumer{"c": {Connection: "default", Queue: "q"}})
	if got := top.producer("p"); !reflect.DeepEqual(got.Queues, top.consumer("c").Queues[:2]) || len(got.Bindings) != 1 {
		t.Errorf("%+v", got)
	}
	if got := top.producer("p2"); len(got.Queues) != 1 || !got.Queues[0].Durable || len(got.Bindings) != 0 {
		t.Errorf("%+v", got)
	}
}

func TestAttemptsAreBounded(t *testing.T) {
	a := newAttempts()
	s, err := publisher.NewServer(publisher.NewRegistry(), nil, nil, publisher.Options{})
	if err != nil {
		t.Fatal(err)
	}
	message := func(i int) *publisher.Call {
		r := s.NewCall()
		if err := r.SetMessage(&publisher.Message{Properties: []byte{0, 0}, Body: fmt.Append(nil, i)}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for range 3 { // the same message thrice: each has its count
		a.put(a.hash(message(0)), 1)
	}
	for want := range 4 {
		if got, known := a.take(message(0)); known != (want < 3) || known && got != 1 {
			t.Errorf("take %d: %d failed, %v", want, got, known)
		}
	}
	for i := range attemptsMax + 1000 {
		a.put(a.hash(message(i)), 1)
	}
	if a.size > attemptsMax {
		t.Errorf("%d remembered", a.size)
	}
}
