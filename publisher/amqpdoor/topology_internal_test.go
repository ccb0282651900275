package amqpdoor

import (
	"fmt"
	"reflect"
	"testing"

	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

func TestTopology(t *testing.T) {
	dead := publisher.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "q.dead"}
	for _, row := range []struct {
		name     string
		producer *publisher.Producer
		consumer publisher.Consumer
		want     client.Topology
	}{
		{"plain queue", nil, publisher.Consumer{Queue: "q"}, client.Topology{
			Queues: []client.Queue{{Name: "q", Durable: true, Args: dead}, {Name: "q.dead", Durable: true}},
		}},
		{"the producer says the exchange's type and arguments", &publisher.Producer{Exchange: "e", ExchangeType: "topic", Arguments: publisher.Table{"alternate-exchange": "a"}},
			publisher.Consumer{Queue: "q", Exchange: "e", RoutingKeys: []string{"a.*", "b"}}, client.Topology{
				Exchanges: []client.Exchange{{Name: "e", Type: "topic", Durable: true, Args: publisher.Table{"alternate-exchange": "a"}}},
				Queues:    []client.Queue{{Name: "q", Durable: true, Args: dead}, {Name: "q.dead", Durable: true}},
				Bindings:  []client.Binding{{Exchange: "e", RoutingKey: "a.*"}, {Exchange: "e", RoutingKey: "b"}},
			}},
		{"no key binds by the queue's name", nil, publisher.Consumer{Queue: "q", Exchange: "e", DeadLetter: "off"}, client.Topology{
			Exchanges: []client.Exchange{{Name: "e", Type: "direct", Durable: true}},
			Queues:    []client.Queue{{Name: "q", Durable: true, Args: publisher.Table{}}},
			Bindings:  []client.Binding{{Exchange: "e", RoutingKey: "q"}},
		}},
		{"server-named is exclusive", nil, publisher.Consumer{ServerNamed: true}, client.Topology{
			Queues: []client.Queue{{Exclusive: true, Args: publisher.Table{}}},
		}},
		{"not durable is exclusive", nil, publisher.Consumer{Queue: "q", Transient: true}, client.Topology{
			Queues: []client.Queue{{Name: "q", Exclusive: true, Args: publisher.Table{}}},
		}},
		{"own dead-letter exchange", nil, publisher.Consumer{Queue: "q", Arguments: publisher.Table{"x-dead-letter-exchange": "dlx"}}, client.Topology{
			Queues: []client.Queue{{Name: "q", Durable: true, Args: publisher.Table{"x-dead-letter-exchange": "dlx"}}},
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
	if got := top.producer("p"); !reflect.DeepEqual(got.Queues, top.consumer("c").Queues) || len(got.Bindings) != 1 {
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
	message := func(i int) *publisher.Request {
		r := s.NewRequest()
		if err := r.SetMessage(&publisher.Message{Properties: []byte{0, 0}, Body: fmt.Append(nil, i), Attempt: 1}); err != nil {
			t.Fatal(err)
		}
		return r
	}
	for range 3 { // the same message thrice: each has its count
		a.put(message(0))
	}
	for want := range 4 {
		if got := a.take(message(0)); (want < 3) != (got == 2) {
			t.Errorf("take %d: attempt %d", want, got)
		}
	}
	for i := range attemptsMax + 1000 {
		a.put(message(i))
	}
	if a.size > attemptsMax {
		t.Errorf("%d remembered", a.size)
	}
}
