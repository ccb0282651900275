package guide_test

import (
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/config"
	"zamqp/publisher/publishertest"
)

// Order is what comes by either wire.
type Order struct {
	Item string `json:"item"`
}

func init() {
	publisher.Handle("POST /orders", create)
	publisher.Consume("orders-in", publisher.Consumer{Route: "POST /orders"}, nil)
	publisher.Produce("shipping", publisher.Producer{Queue: "shipping"})
}

func create(r *publisher.Request) error {
	var o Order
	if err := r.Decode(&o); err != nil {
		return err // 400, or the dead-letter queue
	}
	if o.Item == "" {
		return r.Reply(422, "an order has an item")
	}
	r.Publish("shipping", o)
	return r.Reply(201, o)
}

func init() {
	publisher.Handle("PUT /items/{id}", put)
	publisher.Consume("items-in", publisher.Consumer{Route: "PUT /items/{header:item}?source=queue", RouteHeaders: []string{"X-Tenant"}}, nil)
}

func put(r *publisher.Request) error {
	return r.Text(200, r.PathValue("id")+" of "+r.Header("X-Tenant")+" by "+r.Query().Get("source"))
}

// TestOneHandlerForBothWires: what the page says of its handler.
func TestOneHandlerForBothWires(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	for body, want := range map[string]struct {
		status     int
		settlement publisher.Settlement
		published  int
	}{
		`{"item":"tea"}`: {201, publisher.SettleAck, 1},
		`{}`:             {422, publisher.SettleDeadLetter, 0},
		`{`:              {400, publisher.SettleDeadLetter, 0},
	} {
		if got := s.Request("POST", "/orders", "application/json", body); got.Status != want.status || len(s.Published()) != want.published {
			t.Errorf("%s: %+v", body, got)
		}
		got := s.Deliver("orders-in", publisher.Publishing{ContentType: "application/json", Body: []byte(body), ReplyTo: "answers"})
		if got.Settlement != want.settlement || len(s.Published()) != want.published || got.Reply == nil {
			t.Errorf("%s: %+v", body, got)
		} else if status, _ := got.Reply.Headers["x-status"].(int32); want.status >= 400 && status != int32(want.status) {
			t.Errorf("%s: %+v", body, got.Reply)
		}
	}
	got := s.Deliver("items-in", publisher.Publishing{Headers: publisher.Table{"item": "a/7", "X-Tenant": "acme"}, ReplyTo: "answers"})
	if got.Reply == nil || string(got.Reply.Body) != "a/7 of acme by queue" {
		t.Errorf("%+v, %+v", got.Outcome, got.Reply)
	}
}

// TestRouteSettings: the page's line of configuration is taken, and its mistake found.
func TestRouteSettings(t *testing.T) {
	for route, want := range map[string]string{"POST /orders": "", "PUT /items/{id}": "the wildcard {id} has no value"} {
		s, err := config.Load(config.Sources{Options: []string{"consumer.orders-in.route=" + route}}, publisher.Default)
		if err != nil {
			t.Fatal(err)
		}
		if _, err = config.Resolve(s, publisher.Default); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", route, err)
		}
	}
}

func init() {
	publisher.Handle("POST /link", link)
	publisher.Consume("links-in", publisher.Consumer{Route: "POST /link"}, nil)
}

func link(r *publisher.Request) error {
	return r.Reply(201, r.URL("/orders/7"))
}

// TestLinks: both wires make the same link.
func TestLinks(t *testing.T) {
	s := publishertest.New(t, publisher.Default)
	if got := s.Request("POST", "/link", "", ""); got.Body != "http://localhost/orders/7" {
		t.Errorf("%+v", got)
	}
	if got := s.Deliver("links-in", publisher.Publishing{ReplyTo: "answers"}); got.Reply == nil || string(got.Reply.Body) != "http://localhost/orders/7" {
		t.Errorf("%+v", got)
	}
}
