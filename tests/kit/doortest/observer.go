package doortest

import (
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// observer is a client of the test itself, on a calm wire that is never cut.
type observer struct {
	w      *World
	client *client.Client
}

func (o *observer) Redial(time.Duration) {}
func (o *observer) Note(client.Event)    {}

func (w *World) observe() *client.Client {
	if w.observer == nil {
		o := &observer{w: w}
		o.client = client.New(client.Config{Name: "observer"}, o)
		w.observer = o
		ours, theirs := wiretest.NewWire(), wiretest.NewWire()
		w.links = append(w.links, wiretest.Join(w.T, w.Clock, 0, ours.Bind(o.client.Connect(ours)), theirs.Bind(w.Broker.Connect(theirs, nil))))
		w.Advance(time.Second)
	}
	return w.observer.client
}

type told func(error)

func (fn told) Confirmed(err error) { fn(err) }

// Put publishes a message to a queue, and waits until the broker has it.
func (w *World) Put(queue string, p amqp.Publishing) {
	w.T.Helper()
	raw, err := amqpproto.AppendPublishing(nil, &p)
	if err != nil {
		w.T.Fatal(err)
	}
	over := false
	c := w.observe()
	err = c.Publish(nil, &client.Outgoing{RoutingKey: queue, Mandatory: true, RawProperties: raw, Body: p.Body}, told(func(err error) {
		if over = true; err != nil {
			w.T.Fatalf("put into %s: %v", queue, err)
		}
	}))
	if err != nil {
		w.T.Fatal(err)
	}
	w.Until("the broker has a message", time.Minute, func() bool { return over })
}

// Declare declares a topology.
func (w *World) Declare(t client.Topology) {
	w.T.Helper()
	over := false
	if err := w.observe().Declare(&t, func(_ []string, err error) {
		if over = true; err != nil {
			w.T.Fatal(err)
		}
	}); err != nil {
		w.T.Fatal(err)
	}
	w.Until("a declaration", time.Minute, func() bool { return over })
}

// Delete deletes a queue with all its messages.
func (w *World) Delete(queue string) {
	w.T.Helper()
	over := false
	if err := w.observe().DeleteQueue(queue, false, false, func(_ uint32, err error) {
		if over = true; err != nil {
			w.T.Fatal(err)
		}
	}); err != nil {
		w.T.Fatal(err)
	}
	w.Until("a queue is deleted", time.Minute, func() bool { return over })
}

// Message is a message that was taken out of a queue.
type Message struct {
	amqp.Publishing
	Exchange, RoutingKey string
	Redelivered          bool
}

// Take takes all ready messages out of a queue.
func (w *World) Take(queue string) (all []Message) {
	w.T.Helper()
	for c := w.observe(); ; {
		over, empty := false, false
		err := c.Get(queue, true, func(d *client.Delivery, err error) {
			over, empty = true, d == nil
			switch {
			case err != nil:
				w.T.Fatalf("get from %s: %v", queue, err)
			case d != nil:
				var props amqpproto.Properties
				if _, err := props.Decode(d.RawProperties); err != nil {
					w.T.Fatal(err)
				}
				p, err := props.Publishing()
				if err != nil {
					w.T.Fatal(err)
				}
				p.Body = append([]byte(nil), d.Body...)
				all = append(all, Message{p, string(d.Exchange), string(d.RoutingKey), d.Redelivered})
			}
		})
		if err != nil {
			w.T.Fatal(err)
		}
		w.Until("an answer to basic.get", time.Minute, func() bool { return over })
		if empty {
			return all
		}
	}
}

// Messages returns how many messages are in a queue, unacked ones included; -1
// means that there is no such queue.
func (w *World) Messages(queue string) int {
	for _, q := range w.Broker.QueueStats(1 << 20) {
		if q.Name == queue {
			return q.Messages + q.Unacked
		}
	}
	return -1
}
