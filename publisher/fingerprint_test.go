package publisher_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// fingerprint is that of a message of queue q.
func fingerprint(t testing.TB, b *bench, exchange, key string, p publisher.Publishing) uint64 {
	t.Helper()
	var props amqpproto.Properties
	if err := props.SetPublishing(p); err != nil {
		t.Fatal(err)
	}
	raw, err := props.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	r := b.server.NewCall()
	defer b.server.Discard(r)
	if err := r.SetMessage(&publisher.Message{Connection: "default", Consumer: "c", Queue: "q", Exchange: []byte(exchange),
		RoutingKey: []byte(key), Properties: raw, Body: p.Body}); err != nil {
		t.Fatal(err)
	}
	return r.Fingerprint()
}

// TestFingerprint: it stays the same whatever happens to a message on its way, in every
// version, and differs for other messages.
func TestFingerprint(t *testing.T) {
	b := newBench(t)
	b.start(publisher.Options{})
	long := strings.Repeat("x", 10000)
	base := publisher.Publishing{MessageId: "m", CorrelationId: "c", Type: "t", Timestamp: time.Unix(1e9, 0), Body: []byte("body")}
	of := func(change func(p *publisher.Publishing)) uint64 {
		p := base
		change(&p)
		return fingerprint(t, b, "x", "k", p)
	}
	want := of(func(*publisher.Publishing) {})
	if want != 0x29f8b2e23015b31b {
		t.Errorf("%#x: it is not what other processes have written", want)
	}
	same := fingerprint(t, b, "", "q.quarantine", publisher.Publishing{MessageId: "m", CorrelationId: "c", Type: "t", Timestamp: time.Unix(1e9, 0),
		Body: []byte("body"), DeliveryMode: 2, Headers: publisher.Table{publisher.TraceExchange: "x", publisher.TraceRoutingKey: "k",
			publisher.TraceCrashes: int64(2), "x-delivery-count": int64(3)}})
	if same != want {
		t.Error("its copy in the quarantine has another")
	}
	for name, other := range map[string]uint64{
		"exchange": fingerprint(t, b, "y", "k", base), "key": fingerprint(t, b, "x", "l", base), "neither": fingerprint(t, b, "xk", "", base),
		"id":          of(func(p *publisher.Publishing) { p.MessageId = "n" }),
		"correlation": of(func(p *publisher.Publishing) { p.CorrelationId = "" }),
		"time":        of(func(p *publisher.Publishing) { p.Timestamp = time.Unix(1e9+1, 0) }),
		"type":        of(func(p *publisher.Publishing) { p.Type = "" }),
		"body":        of(func(p *publisher.Publishing) { p.Body = []byte("bodx") }),
		"long":        of(func(p *publisher.Publishing) { p.Body = []byte(long) }),
		"longer":      of(func(p *publisher.Publishing) { p.Body = []byte(long + "x") }),
	} {
		if other == want {
			t.Errorf("%s does not count", name)
		}
	}
}

func BenchmarkFingerprint(b *testing.B) {
	x := newBench(b)
	x.start(publisher.Options{})
	var props amqpproto.Properties
	_ = props.SetPublishing(publisher.Publishing{MessageId: "0123456789abcdef", Timestamp: time.Unix(1e9, 0)})
	raw, _ := props.Append(nil)
	r := x.server.NewCall()
	if err := r.SetMessage(&publisher.Message{Connection: "default", Consumer: "c", Queue: "orders", Exchange: []byte("orders"),
		RoutingKey: []byte("order.created"), Properties: raw, Body: make([]byte, 256)}); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		r.Fingerprint()
	}
}
