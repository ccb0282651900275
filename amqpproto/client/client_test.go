package client_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

func TestConsumeAndPublishUnderAnyChunking(t *testing.T) {
	wiretest.Seeds(t, 8, func(t *testing.T, seed int64) {
		f := newFixture(t, seed, client.Config{})
		s := &sink{ack: true}
		spec := client.ConsumerSpec{Name: "billing", Prefetch: 10, Topology: client.Topology{
			Exchanges: []client.Exchange{{Name: "orders", Type: "topic", Durable: true}, {Name: "amq.topic"}, {Name: ""}},
			Queues:    []client.Queue{{Name: "billing", Durable: true}},
			Bindings:  []client.Binding{{Exchange: "orders", RoutingKey: "order.*"}, {Exchange: ""}},
		}}
		k := f.client.Consume(spec, s)
		p := f.client.Produce(client.ProducerSpec{Name: "orders", Topology: client.Topology{
			Exchanges: []client.Exchange{{Name: "orders", Type: "topic", Durable: true}}}})
		var done confirms
		for i := range 5 {
			body := strings.Repeat("x", i*40000)
			if err := f.client.Publish(p, &client.Outgoing{Exchange: "orders", RoutingKey: "order.created", Body: []byte(body)}, &done); err != nil {
				t.Fatal(err)
			}
		}
		f.connect()
		if !f.client.Ready() || k.State() != client.Up || p.State() != client.Up {
			t.Fatalf("ready %v, %v, %v; events %v", f.client.Ready(), k, p, f.events)
		}
		if len(done.got) != 5 || slices.ContainsFunc(done.got, func(err error) bool { return err != nil }) {
			t.Fatalf("confirms %v", done.got)
		}
		if len(f.broker.bodies) != 5 || len(f.broker.bodies[4]) != 160000 {
			t.Fatalf("%d bodies", len(f.broker.bodies))
		}
		for i := range 30 {
			f.broker.deliver("billing", strings.Repeat(fmt.Sprint(i), i*1000))
		}
		f.run()
		if len(s.bodies) != 30 || s.bodies[29] != strings.Repeat("29", 29000) {
			t.Fatalf("%d deliveries", len(s.bodies))
		}
		if k.Outstanding() != 0 || f.client.Stats().Acked != 30 {
			t.Fatalf("outstanding %d, stats %+v", k.Outstanding(), f.client.Stats())
		}
		if last := f.broker.acks[len(f.broker.acks)-1]; last != "ack 30 true" {
			t.Fatalf("acks %v", f.broker.acks)
		}
		var closed []error
		f.client.Close(func(err error) { closed = append(closed, err) })
		f.run()
		if len(closed) != 1 || closed[0] != nil || f.client.State() != client.Closed {
			t.Fatalf("closed %v, %v", closed, f.client.State())
		}
		if err := f.client.Publish(nil, &client.Outgoing{}, nil); err != client.ErrClosed {
			t.Fatal(err)
		}
	})
}

func TestReplayOrderAndReconnect(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	s := &sink{}
	k1 := f.client.Consume(client.ConsumerSpec{Name: "one", Prefetch: 1, Topology: client.Topology{Queues: []client.Queue{{Exclusive: true}},
		Bindings: []client.Binding{{Exchange: "amq.topic", RoutingKey: "#"}}}}, s)
	k2 := f.client.Consume(client.ConsumerSpec{Name: "two", Topology: queue("two")}, s)
	f.client.Produce(client.ProducerSpec{Name: "p", Topology: client.Topology{Exchanges: []client.Exchange{{Name: "x"}}}})
	f.connect()
	want := []string{"0 connection.start-ok", "0 connection.tune-ok", "0 connection.open",
		"1 channel.open", "2 channel.open", "1 confirm.select", "2 exchange.declare", "2 channel.close", "3 channel.open",
		"3 queue.declare", "3 queue.bind", "3 basic.qos", "2 channel.open", "3 basic.consume", "2 queue.declare", "2 basic.consume"}
	if got := f.broker.log; !slices.Equal(got, want) {
		t.Fatalf("got  %q\nwant %q", got, want)
	}
	if k1.Queue() != "amq.gen-1" || k2.Queue() != "two" {
		t.Fatal(k1.Queue(), k2.Queue())
	}
	f.broker.deliver("one", "hello")
	f.run()
	epoch, tag := s.epochs[0], s.tags[0]
	first := f.broker
	f.link.Cut(fmt.Errorf("pulled"))
	if f.client.State() != client.Disconnected || k1.State() != client.AwaitConnection {
		t.Fatal(f.client.State(), k1.State())
	}
	f.clock.Advance(2 * time.Second)
	if f.broker == first || k1.State() != client.Up || k2.State() != client.Up {
		t.Fatal(k1, k2)
	}
	k1.Ack(epoch, tag)
	f.run()
	if len(f.broker.acks) != 0 || f.client.Stats().OldEpoch != 1 || f.client.Stats().Reconnects != 1 {
		t.Fatalf("%v %+v", f.broker.acks, f.client.Stats())
	}
}
