package publisher_test

import (
	"strings"
	"testing"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// TestWhatIsAskedForByTheLogDoesNotAllocate: neither the ids nor the access log do.
func TestIDsAndAccessLogDoNotAllocate(t *testing.T) {
	if debugging {
		t.Skip("each call has a request of its own")
	}
	b := newBench(t)
	b.reg.Handle("GET /hello", func(r *publisher.Request) error { return r.Text(200, "Hello, World!") })
	b.reg.Consume("c", publisher.Consumer{}, func(*publisher.Request) error { return nil })
	b.start(publisher.Options{RequestID: publisher.RequestIDAccept, AccessLog: publisher.AccessLog{Enabled: true, Sample: 1}})
	b.discard = true
	b.log.Grow(16 << 20)
	method, target, host := []byte("GET"), []byte("/hello?x=1"), []byte("localhost")
	for name, fields := range map[string][]publisher.Field{
		"none": nil, "accepted": {{Name: []byte("x-request-id"), Value: []byte("abc-1")}}, "refused": {{Name: []byte("x-request-id"), Value: []byte("a b")}},
	} {
		if n := testing.AllocsPerRun(1000, func() {
			r := b.server.NewCall()
			r.SetHTTP(method, target, host, fields, nil)
			b.server.Dispatch(r, b)
		}); n != 0 {
			t.Errorf("a GET with an id that is %s: %v allocations", name, n)
		}
	}
	raw, err := (&amqpproto.Properties{Flags: amqpproto.FlagContentType, ContentType: []byte("text/plain")}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	m := publisher.Message{Connection: "default", Consumer: "c", RoutingKey: []byte("key"), Properties: raw, Body: make([]byte, 256)}
	if n := testing.AllocsPerRun(1000, func() {
		r := b.server.NewCall()
		if err := r.SetMessage(&m); err != nil {
			t.Fatal(err)
		}
		b.server.Dispatch(r, b)
	}); n != 0 {
		t.Errorf("a message: %v allocations", n)
	}
	if log := b.log.String(); strings.Count(log, `"message":"access"`) < 4000 {
		t.Errorf("too few lines: %.300s", log)
	}
}
