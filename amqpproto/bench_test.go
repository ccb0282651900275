package amqpproto_test

import (
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// usualPublishing is the message of docs/bench: 256 octets, content type,
// correlation id, two headers.
var usualPublishing = amqp.Publishing{
	ContentType: "application/json", CorrelationId: "f3b1a2c4-0000-4000-8000-000000000000", DeliveryMode: 2,
	Headers: amqp.Table{"x-attempt": int32(1), "source": "bench"}, Timestamp: time.Unix(1700000000, 0),
	Body: make([]byte, 256),
}

// appendDelivery appends a whole delivery: method, header, body.
func appendDelivery(t testing.TB, dst []byte, channel uint16, tag uint64) []byte {
	raw, err := amqpproto.AppendPublishing(nil, &usualPublishing)
	if err != nil {
		t.Fatal(err)
	}
	dst = amqpproto.AppendBasicDeliver(dst, channel, "ctag1", tag, false, "orders", "order.created")
	dst = amqpproto.AppendContentHeader(dst, channel, amqpproto.ClassBasic, uint64(len(usualPublishing.Body)), raw)
	return amqpproto.AppendBody(dst, channel, usualPublishing.Body, 131072)
}

// receiver takes deliveries the way a machine does.
type receiver struct {
	assembler  amqpproto.Assembler
	deliver    amqpproto.BasicDeliver
	properties amqpproto.Properties
	count      int
}

func (r *receiver) feed(t testing.TB, in []byte) {
	for len(in) > 0 {
		f, n, err := amqpproto.CutFrame(in, 131072)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		in = in[n:]
		done := false
		switch f.Type {
		case amqpproto.FrameMethod:
			id, args, e := f.Method()
			if err = e; err == nil {
				err = r.assembler.Begin(id)
			}
			if err == nil && id == amqpproto.IDBasicDeliver {
				err = r.deliver.DecodeArgs(args)
			}
		case amqpproto.FrameHeader:
			err = r.assembler.Header(f.Payload)
			done = r.assembler.Done()
		case amqpproto.FrameBody:
			done, err = r.assembler.Body(f.Payload)
		}
		if err == nil && done {
			_, err = r.properties.Decode(r.assembler.Content().RawProperties)
			r.count++
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// Nothing on the path of a message allocates.
func TestZeroAllocations(t *testing.T) {
	in := appendDelivery(t, nil, 1, 1)
	var parts []byte // a delivery in several body frames
	raw, _ := amqpproto.AppendPublishing(nil, &usualPublishing)
	parts = amqpproto.AppendBasicDeliver(parts, 1, "c", 2, false, "", "q")
	parts = amqpproto.AppendContentHeader(parts, 1, amqpproto.ClassBasic, 256, raw)
	parts = amqpproto.AppendBody(parts, 1, usualPublishing.Body, 108)
	var r receiver
	r.feed(t, parts) // the buffers of the assembler grow once
	table, _ := amqpproto.AppendTable(nil, everyField)
	out := make([]byte, 0, 4096)
	var p amqpproto.Properties
	if _, err := p.Decode(raw); err != nil {
		t.Fatal(err)
	}
	body := usualPublishing.Body
	for name, fn := range map[string]func(){
		"decode a delivery":              func() { r.feed(t, in) },
		"decode a delivery of parts":     func() { r.feed(t, parts) },
		"encode an ack":                  func() { out = amqpproto.AppendBasicAck(out[:0], 1, 7, true) },
		"encode a nack":                  func() { out = amqpproto.AppendBasicNack(out[:0], 1, 7, true, true) },
		"encode a reject":                func() { out = amqpproto.AppendBasicReject(out[:0], 1, 7, true) },
		"encode a publish":               func() { out = appendPublish(out[:0], raw, body) },
		"encode a publish of Publishing": func() { out, _ = amqpproto.AppendPublishing(out[:0], &usualPublishing) },
		"encode properties":              func() { out, _ = amqpproto.AppendContentHeaderProperties(out[:0], 1, 60, 256, &p) },
		"encode a heartbeat":             func() { out = amqpproto.AppendHeartbeat(out[:0]) },
		"validate a table":               func() { _ = amqpproto.RawTable(table).Validate() },
		"walk a table": func() {
			_ = amqpproto.RawTable(table).Each(func([]byte, amqpproto.Field) bool { return true })
		},
		"look up a field": func() { _, _ = amqpproto.RawTable(table).Lookup("x") },
	} {
		if allocs := testing.AllocsPerRun(100, fn); allocs != 0 {
			t.Errorf("%s: %g allocations", name, allocs)
		}
	}
	if r.count == 0 {
		t.Error("no delivery was decoded")
	}
}

func appendPublish(dst, raw, body []byte) []byte {
	dst = amqpproto.AppendBasicPublish(dst, 1, "orders", "order.created", true, false)
	dst = amqpproto.AppendContentHeader(dst, 1, amqpproto.ClassBasic, uint64(len(body)), raw)
	return amqpproto.AppendBody(dst, 1, body, 131072)
}

func BenchmarkDecodeDelivery(b *testing.B) {
	in := appendDelivery(b, nil, 1, 1)
	var r receiver
	b.SetBytes(int64(len(in)))
	b.ReportAllocs()
	for b.Loop() {
		r.feed(b, in)
	}
}

func BenchmarkEncodeAck(b *testing.B) {
	out := make([]byte, 0, 64)
	b.SetBytes(21)
	b.ReportAllocs()
	for b.Loop() {
		out = amqpproto.AppendBasicAck(out[:0], 1, 1234567, false)
	}
}

func BenchmarkEncodePublish(b *testing.B) {
	raw, _ := amqpproto.AppendPublishing(nil, &usualPublishing)
	out := appendPublish(nil, raw, usualPublishing.Body)
	b.SetBytes(int64(len(out)))
	b.ReportAllocs()
	for b.Loop() {
		out = appendPublish(out[:0], raw, usualPublishing.Body)
	}
}

func BenchmarkEncodePublishing(b *testing.B) {
	out, _ := amqpproto.AppendPublishing(nil, &usualPublishing)
	b.SetBytes(int64(len(out)))
	b.ReportAllocs()
	for b.Loop() {
		out, _ = amqpproto.AppendPublishing(out[:0], &usualPublishing)
	}
}

func BenchmarkDecodeTable(b *testing.B) {
	raw, _ := amqpproto.AppendTable(nil, everyField)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = amqpproto.RawTable(raw).Table()
	}
}

// Two headers, the usual message.
func BenchmarkDecodeHeaders(b *testing.B) {
	raw, _ := amqpproto.AppendTable(nil, usualPublishing.Headers)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		_, _ = amqpproto.RawTable(raw).Table()
	}
}

func BenchmarkValidateTable(b *testing.B) {
	raw, _ := amqpproto.AppendTable(nil, everyField)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		_ = amqpproto.RawTable(raw).Validate()
	}
}

func BenchmarkEncodeTable(b *testing.B) {
	raw, _ := amqpproto.AppendTable(nil, everyField)
	b.SetBytes(int64(len(raw)))
	b.ReportAllocs()
	for b.Loop() {
		raw, _ = amqpproto.AppendTable(raw[:0], everyField)
	}
}
