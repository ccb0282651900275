// Command orders is the orders service as a good Go team would write it with the
// usual parts: net/http in front, amqp091-go behind, one process.
// POST /orders answers 202 after the broker has confirmed order.created; a
// consumer goroutine in the same process bills each order; GET /orders/{id}
// says how often it has.
package main

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"log"
	"net/http"
	"sync"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

const (
	exchange       = "bench.orders"
	queue          = "bench.billing"
	bodyMax        = 1 << 20 // octets of one request
	prefetch       = 100
	confirmTimeout = 30 * time.Second
)

// order is a customer's order, in HTTP and in AMQP.
type order struct {
	ID       string `json:"id"`
	Item     string `json:"item"`
	Quantity int    `json:"quantity,omitempty"`
}

// receipt answers an order, and seen answers a question about one.
type (
	receipt struct {
		ID string `json:"id"`
	}
	seen struct {
		ID   string `json:"id"`
		Seen int    `json:"seen"`
	}
)

// service joins HTTP and AMQP.
type service struct {
	publisher *amqp.Channel // has its own lock

	mu     sync.Mutex
	billed map[string]int // times an order was seen by the consumer
}

func main() {
	addr := flag.String("addr", "127.0.0.1:8080", "address to listen on")
	url := flag.String("url", "amqp://guest:guest@127.0.0.1/", "broker")
	flag.Parse()
	s := &service{billed: make(map[string]int)}
	if err := s.run(*addr, *url); err != nil {
		log.Fatal(err)
	}
}

// run uses one connection for each direction, as RabbitMQ advises: flow control of
// a publishing connection must not delay deliveries.
func (s *service) run(addr, url string) error {
	out, err := openChannel(url)
	if err != nil {
		return err
	}
	if err := out.Confirm(false); err != nil {
		return err
	}
	s.publisher = out
	in, err := openChannel(url)
	if err != nil {
		return err
	}
	deliveries, err := subscribe(in)
	if err != nil {
		return err
	}
	failed := make(chan error, 2)
	go func() { failed <- s.bill(deliveries) }()

	mux := http.NewServeMux()
	mux.HandleFunc("POST /orders", s.create)
	mux.HandleFunc("GET /orders/{id}", s.show)
	go func() { failed <- http.ListenAndServe(addr, mux) }()
	return <-failed
}

func openChannel(url string) (*amqp.Channel, error) {
	conn, err := amqp.Dial(url)
	if err != nil {
		return nil, err
	}
	return conn.Channel()
}

func subscribe(ch *amqp.Channel) (<-chan amqp.Delivery, error) {
	if err := ch.ExchangeDeclare(exchange, "topic", true, false, false, false, nil); err != nil {
		return nil, err
	}
	if _, err := ch.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		return nil, err
	}
	if err := ch.QueueBind(queue, "order.*", exchange, false, nil); err != nil {
		return nil, err
	}
	if err := ch.Qos(prefetch, 0, false); err != nil {
		return nil, err
	}
	return ch.Consume(queue, "", false, false, false, false, nil)
}

func (s *service) create(w http.ResponseWriter, r *http.Request) {
	var o order
	if err := json.NewDecoder(http.MaxBytesReader(w, r.Body, bodyMax)).Decode(&o); err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	if o.ID == "" {
		o.ID = rand.Text()
	}
	if err := s.publish(r.Context(), &o); err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	answer(w, http.StatusAccepted, receipt{o.ID})
}

// publish returns when the broker has confirmed the order.
func (s *service) publish(ctx context.Context, o *order) error {
	body, err := json.Marshal(o)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, confirmTimeout)
	defer cancel()
	confirm, err := s.publisher.PublishWithDeferredConfirmWithContext(ctx, exchange, "order.created", false, false, amqp.Publishing{
		ContentType:  "application/json",
		DeliveryMode: amqp.Persistent,
		MessageId:    o.ID,
		Body:         body,
	})
	if err != nil {
		return err
	}
	acked, err := confirm.WaitContext(ctx)
	if err == nil && !acked {
		err = errors.New("the broker refused the order")
	}
	return err
}

func (s *service) show(w http.ResponseWriter, r *http.Request) {
	id := r.PathValue("id")
	s.mu.Lock()
	times := s.billed[id]
	s.mu.Unlock()
	if times == 0 {
		http.Error(w, "order "+id+" has not been billed", http.StatusNotFound)
		return
	}
	answer(w, http.StatusOK, seen{id, times})
}

// bill is the consumer; it returns when the broker is gone.
func (s *service) bill(deliveries <-chan amqp.Delivery) error {
	for d := range deliveries {
		var o order
		if err := json.Unmarshal(d.Body, &o); err != nil {
			if err := d.Reject(false); err != nil {
				return err
			}
			continue
		}
		s.mu.Lock()
		s.billed[o.ID]++
		s.mu.Unlock()
		if err := d.Ack(false); err != nil {
			return err
		}
	}
	return fmt.Errorf("no more deliveries from %s", queue)
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v) // the client has left; nobody to tell
}
