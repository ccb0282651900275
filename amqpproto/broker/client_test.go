package broker_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// caller is the client's Host, on the broker's clock.
type caller struct {
	f      *fixture
	seed   int64
	client *client.Client
	link   *wiretest.Link
}

func (c *caller) Note(client.Event) {}

func (c *caller) Redial(after time.Duration) { c.f.clock.After(after, c.dial) }

func (c *caller) dial() {
	theirs, ours := wiretest.NewWire(), wiretest.NewWire()
	c.link = wiretest.Join(c.f.t, c.f.clock, c.seed, theirs.Bind(c.client.Connect(theirs)), ours.Bind(c.f.server.Connect(ours, nil)))
}

func newCaller(f *fixture, seed int64, cfg client.Config) *caller {
	c := &caller{f: f, seed: seed}
	c.client = client.New(cfg, c)
	return c
}

// echo acks what it gets, now and then late or by a requeue.
type echo struct {
	bodies map[string]int
	n      int
}

func (e *echo) Deliver(d *client.Delivery) {
	e.n++
	if e.n%7 == 3 && e.bodies[string(d.Body)] == 0 {
		d.Consumer.Nack(d.Epoch, d.Tag, true)
		return
	}
	e.bodies[string(d.Body)]++
	d.Consumer.Ack(d.Epoch, d.Tag)
}

type tally struct {
	t         testing.TB
	ok, other int
}

func (c *tally) Confirmed(err error) {
	if err != nil {
		c.other++
		return
	}
	c.ok++
}

// TestOurClient: the client and the broker of this module talk over a wire that cuts their
// octets anywhere. Confirmed messages are delivered, once each, and unroutable ones come
// back.
func TestOurClient(t *testing.T) {
	for seed := range int64(20) {
		f := newFixture(t, broker.Options{OutputMax: 20_000})
		topology := client.Topology{Queues: []client.Queue{{Name: "work", Durable: true}}}
		consumer, producer := newCaller(f, seed, client.Config{Heartbeat: time.Minute}), newCaller(f, seed+1, client.Config{Heartbeat: time.Minute})
		sink := &echo{bodies: map[string]int{}}
		consumer.client.Consume(client.ConsumerSpec{Name: "w", Prefetch: 10, Topology: topology}, sink)
		consumer.dial()
		f.clock.Advance(time.Second)
		producer.dial()
		f.clock.Advance(time.Second)
		got := &tally{t: t}
		properties, err := amqpproto.AppendPublishing(nil, &amqp.Publishing{DeliveryMode: 2})
		if err != nil {
			t.Fatal(err)
		}
		const n = 60
		for i := range n {
			body := fmt.Appendf(nil, "message %d of %0*d", i, i*i*4, 0) // some of several frames' worth
			if err := producer.client.Publish(nil, &client.Outgoing{RoutingKey: "work", Mandatory: true, RawProperties: properties, Body: body}, got); err != nil {
				t.Fatal(err)
			}
			f.clock.Advance(10 * time.Millisecond)
		}
		if err := producer.client.Publish(nil, &client.Outgoing{RoutingKey: "nowhere", Mandatory: true, Body: []byte("x")}, got); err != nil {
			t.Fatal(err)
		}
		f.clock.Advance(3 * time.Minute) // heartbeats both ways
		if got.ok != n || got.other != 1 || len(sink.bodies) != n {
			t.Fatalf("seed %d: %d confirmed, %d not, %d bodies", seed, got.ok, got.other, len(sink.bodies))
		}
		for body, times := range sink.bodies {
			if times != 1 {
				t.Errorf("seed %d: %.20q acked %d times", seed, body, times)
			}
		}
		if st := f.server.Stats(); st.Messages != 0 || st.Unacked != 0 || st.Connections != 2 {
			t.Errorf("seed %d: %+v", seed, st)
		}
	}
}
