// Package orders takes orders by HTTP, publishes them, and counts them as the
// consumer of its own messages. It demonstrates a transaction over both protocols.
package orders

import (
	"crypto/rand"
	"encoding/hex"

	"zamqp/publisher"
)

// An Order is what a client posts and what the message contains.
type Order struct {
	ID       string `json:"id"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity,omitempty"`
}

// exchange is the exchange of the orders. All names that the demonstration declares begin like
// this, so that it touches no other program's queues on a real RabbitMQ.
const exchange = "zamqp-demo.orders"

func init() {
	publisher.Handle("POST /orders", create)
	publisher.Handle("GET /orders/{id}", show)
	publisher.Produce("orders", publisher.Producer{
		Exchange: exchange, ExchangeType: "topic", Codec: "json", Mandatory: true,
	})
	publisher.Consume("billing", publisher.Consumer{
		Queue: "zamqp-demo.billing", Exchange: exchange, RoutingKeys: []string{"zamqp-demo.order.*"},
	}, bill)
}

// create takes an order. It is published when the call commits, and the answer
// leaves when the broker has confirmed it.
func create(r *publisher.Request) error {
	var o Order
	if err := r.Decode(&o); err != nil {
		return err // 400, or 415
	}
	if o.ID == "" {
		o.ID = newID()
	}
	if len(o.ID) > idMax {
		return publisher.Errorf(400, "an id has %d octets at most", idMax)
	}
	if err := r.Publish("orders", o, publisher.Key("zamqp-demo.order.created"), publisher.MessageID(o.ID)); err != nil {
		return err
	}
	return r.Reply(202, Receipt{o.ID})
}

// idMax is the longest message id, in octets.
const idMax = 255

// A Receipt is the answer to an order.
type Receipt struct {
	ID string `json:"id"`
}

// bill counts an order. A real handler would write to a database, by r.Offload.
func bill(r *publisher.Request) error {
	var o Order
	if err := r.Decode(&o); err != nil {
		return err // to the dead-letter queue
	}
	billed.add(o.ID)
	return nil
}

// A Seen says how often the consumer has seen an order.
type Seen struct {
	ID   string `json:"id"`
	Seen int    `json:"seen"`
}

// show answers with how often the consumer has seen an order.
func show(r *publisher.Request) error {
	id := r.PathValue("id")
	n := billed.count[id]
	if n == 0 {
		return publisher.Errorf(404, "order %s has not been billed", id)
	}
	return r.Reply(200, Seen{ID: id, Seen: n})
}

func newID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // crypto/rand promises never to fail
	return hex.EncodeToString(b[:])
}
