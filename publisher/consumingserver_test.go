package publisher_test

import (
	"strings"
	"testing"

	"zamqp/publisher"
)

// TestSiteOfAMessage: names in what a handler publishes are those of the site, and so is the
// exchange of an error handler.
func TestSiteOfAMessage(t *testing.T) {
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{})
	b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		_, err := r.Queue("parked-${site_id}").Len()
		return err
	})
	b.reg.OnError("${site_id}", func(r *publisher.Request, err error) error {
		return r.Publish("out", r.Site()+" "+r.User()+" "+err.Error(), publisher.Exchange("e-${site_id}"), publisher.Key("k-${site_id}"))
	})
	b.reg.Handle("/", func(r *publisher.Request) error { return r.Text(200, r.Site()+"|"+r.User()+"|"+r.URL("/x")) })
	b.start(publisher.Options{ConsumingServers: map[string]publisher.ConsumingServer{"eu": {Site: "orders", User: "clerk"}}})
	b.message("c@eu", 1, publisher.Publishing{})
	if len(b.sent) != 1 {
		t.Fatal("the error handler was not asked")
	}
	if s := b.sent[0]; s.exchange != "e-orders" || s.key != "k-orders" || !strings.HasPrefix(s.body, `"orders clerk `) {
		t.Errorf("%+v", s)
	}
	b.confirm(0, nil)
	// This request uses the struct of the earlier message again.
	b.request("GET", "/", "", "")
	if o := b.last(); o.body != "||http://localhost/x" {
		t.Errorf("%+v", o)
	}
	if s := b.server; s.Consumes("c") || !s.Consumes("c@eu") || len(s.Consumers()) != 1 {
		t.Errorf("%v", s.Consumers())
	}
}

func TestConsumingServersDoNotAllocate(t *testing.T) {
	if debugging {
		t.Skip("each call has a request of its own")
	}
	b := newBench(t)
	base, err := publisher.ParseBaseURL("https://shop.example")
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		seen += len(r.Site()) + len(r.User()) + len(r.Host()) + len(r.Scheme())
		return nil
	})
	b.start(publisher.Options{ConsumingServers: map[string]publisher.ConsumingServer{"eu": {Site: "orders", User: "clerk", BaseURL: base}}})
	b.discard = true
	m := publisher.Message{Connection: "default", Consumer: "c@eu", RoutingKey: []byte("key"), Properties: []byte{0, 0}, Body: make([]byte, 256)}
	if n := testing.AllocsPerRun(1000, func() {
		r := b.server.NewCall()
		if err := r.SetMessage(&m); err != nil {
			t.Fatal(err)
		}
		b.server.Dispatch(r, b)
	}); n != 0 || seen == 0 {
		t.Errorf("%v allocations, seen %d", n, seen)
	}
}
