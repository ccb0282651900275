package client_test

import (
	"encoding/binary"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// silentWire is a Wire that does nothing.
type silentWire struct{}

func (silentWire) Wake()       {}
func (silentWire) Close()      {}
func (silentWire) Abort(error) {}

// quiet is a Host that does nothing.
type quiet struct{}

func (quiet) Redial(time.Duration) {}
func (quiet) Note(client.Event)    {}

// acker acks each delivery.
type acker struct{ n int }

func (a *acker) Deliver(d *client.Delivery) {
	a.n++
	d.Consumer.Ack(d.Epoch, d.Tag)
}

// counter counts confirms.
type counter struct{ ok, failed int }

func (c *counter) Confirmed(err error) {
	if err != nil {
		c.failed++
	} else {
		c.ok++
	}
}

// direct drives a Conn with hardly anything around it, for what is measured.
type direct struct {
	tb     testing.TB
	client *client.Client
	conn   *client.Conn
	now    time.Time
	buf    []byte
}

const (
	publishChannel = 1 // the channels as a fresh connection numbers them
	consumeChannel = 2
)

// newDirect returns an open connection with one consumer "c" and confirms on.
func newDirect(tb testing.TB, cfg client.Config, sink client.Sink) *direct {
	d := &direct{tb: tb, client: client.New(cfg, quiet{}), now: wiretest.Epoch}
	d.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 1000, Topology: queue("q")}, sink)
	d.conn = d.client.Connect(silentWire{})
	d.turn(nil)
	for _, m := range []struct {
		ch uint16
		m  amqpproto.Method
	}{
		{0, &amqpproto.ConnectionStart{VersionMinor: 9, Mechanisms: []byte("PLAIN"), Locales: []byte("en_US")}},
		{0, &amqpproto.ConnectionTune{ChannelMax: 2047, FrameMax: 131072, Heartbeat: 60}},
		{0, &amqpproto.ConnectionOpenOk{}},
		{publishChannel, &amqpproto.ChannelOpenOk{}},
		{consumeChannel, &amqpproto.ChannelOpenOk{}},
		{publishChannel, &amqpproto.ConfirmSelectOk{}},
		{consumeChannel, &amqpproto.QueueDeclareOk{Queue: []byte("q")}},
		{consumeChannel, &amqpproto.BasicQosOk{}},
		{consumeChannel, &amqpproto.BasicConsumeOk{ConsumerTag: []byte("c")}},
	} {
		b, err := amqpproto.AppendMethod(nil, m.ch, m.m)
		if err != nil {
			tb.Fatal(err)
		}
		d.turn(b)
	}
	if !d.client.Ready() {
		tb.Fatal("not ready")
	}
	return d
}

// turn is one turn of a loop, or several if there is much to confirm. It returns the octets that
// left, until the next.
func (d *direct) turn(in []byte) []byte {
	for turns := 0; ; turns++ {
		n, err := d.conn.Feed(in)
		if err != nil || turns > 1000 {
			d.tb.Fatalf("Feed took %d of %d: %v", n, len(in), err)
		}
		out := d.flush()
		if in = in[n:]; len(in) == 0 {
			return out
		}
	}
}

func (d *direct) flush() []byte {
	d.now = d.now.Add(time.Microsecond)
	d.conn.Tick(d.now)
	d.buf = append(d.buf[:0], d.conn.Pending()...)
	d.conn.Sent(len(d.buf))
	return d.buf
}

const batch = 64

// appendDeliveries appends a batch of typical messages, from tag on.
func appendDeliveries(dst []byte, tag uint64, raw, body []byte) []byte {
	for i := range uint64(batch) {
		dst = amqpproto.AppendBasicDeliver(dst, consumeChannel, "c", tag+i, false, "orders", "order.created")
		dst = amqpproto.AppendContentHeader(dst, consumeChannel, amqpproto.ClassBasic, uint64(len(body)), raw)
		dst = amqpproto.AppendBody(dst, consumeChannel, body, 131072)
	}
	return dst
}

func typicalProperties(tb testing.TB) []byte {
	headers, err := amqpproto.AppendTable(nil, map[string]any{"tenant": "acme", "attempt": int32(1)})
	if err != nil {
		tb.Fatal(err)
	}
	p := amqpproto.Properties{ContentType: []byte("application/json"), CorrelationID: []byte("6ba7b810-9dad-11d1"), Headers: headers}
	p.SetFlags()
	raw, err := p.Append(nil)
	if err != nil {
		tb.Fatal(err)
	}
	return raw
}

// deliverBatches returns a function that delivers one batch, whose acks leave.
func deliverBatches(tb testing.TB) (step func(), size int) {
	a := &acker{}
	d := newDirect(tb, client.Config{}, a)
	raw, body := typicalProperties(tb), make([]byte, 256)
	in := appendDeliveries(nil, 1, raw, body)
	size = len(in) / batch
	// Only the tags are written again, so that the encoder is not measured as well.
	const tagAt = 7 + 4 + 1 + len("c")
	tag := uint64(1)
	step = func() {
		for i := range batch {
			binary.BigEndian.PutUint64(in[i*size+tagAt:], tag)
			tag++
		}
		if out := d.turn(in); len(out) != 21 {
			tb.Fatalf("%d octets of ack, want one frame of 21", len(out))
		}
	}
	step()
	return step, size
}

// publishBatches returns a function that publishes one batch, whose confirm comes
// as one multiple ack.
func publishBatches(tb testing.TB, mandatory bool) (step func(), size int) {
	d := newDirect(tb, client.Config{}, &acker{})
	o := client.Outgoing{Exchange: "amq.topic", RoutingKey: "order.created", Mandatory: mandatory, Lent: true,
		RawProperties: typicalProperties(tb), Body: make([]byte, 256)}
	c := &counter{}
	tag := uint64(0)
	var in []byte
	step = func() {
		for range batch {
			if err := d.client.Publish(nil, &o, c); err != nil {
				tb.Fatal(err)
			}
		}
		size = len(d.flush()) / batch
		tag += batch
		in = amqpproto.AppendBasicAck(in[:0], publishChannel, tag, true)
		d.turn(in)
		if c.failed > 0 || c.ok != int(tag) {
			tb.Fatalf("%+v of %d", *c, tag)
		}
	}
	step()
	return step, size
}

func TestZeroAllocation(t *testing.T) {
	deliver, _ := deliverBatches(t)
	publish, _ := publishBatches(t, false)
	mandatory, _ := publishBatches(t, true)
	for name, step := range map[string]func(){"deliver and ack": deliver, "publish and confirm": publish, "mandatory": mandatory} {
		if n := testing.AllocsPerRun(200, step); n != 0 {
			t.Errorf("%s: %v allocations for %d messages, want 0", name, n, batch)
		}
	}
}

// TestZeroAllocationInPieces holds the same for deliveries that are cut anywhere.
func TestZeroAllocationInPieces(t *testing.T) {
	d := newDirect(t, client.Config{}, &acker{})
	raw, body := typicalProperties(t), make([]byte, 256)
	var in []byte
	tag := uint64(1)
	step := func() {
		in = appendDeliveries(in[:0], tag, raw, body)
		tag += batch
		rest := in
		for end := 100; len(rest) > 0; end += 100 {
			chunk := rest[:min(end, len(rest))]
			n, err := d.conn.Feed(chunk)
			if err != nil {
				t.Fatal(err)
			}
			if n > 0 {
				rest, end = rest[n:], 0
			}
			d.flush()
		}
	}
	step()
	if n := testing.AllocsPerRun(50, step); n != 0 {
		t.Errorf("%v allocations for %d messages, want 0", n, batch)
	}
}

func BenchmarkDeliverAck(b *testing.B) {
	step, size := deliverBatches(b)
	b.ReportAllocs()
	b.SetBytes(int64(size))
	for n := 0; n < b.N; n += batch {
		step()
	}
}

// BenchmarkTurn is what each turn costs besides its messages: one message a turn.
func BenchmarkTurn(b *testing.B) {
	d := newDirect(b, client.Config{Heartbeat: time.Minute}, &acker{})
	in := delivery(consumeChannel, "c", 1, "hello")
	b.ReportAllocs()
	for n := range b.N {
		binary.BigEndian.PutUint64(in[7+4+1+len("c"):], uint64(n+1))
		d.turn(in)
	}
}

func BenchmarkPublishConfirm(b *testing.B) {
	for _, row := range []struct {
		name      string
		mandatory bool
	}{{"plain", false}, {"mandatory", true}} {
		b.Run(row.name, func(b *testing.B) {
			step, size := publishBatches(b, row.mandatory)
			b.ReportAllocs()
			b.SetBytes(int64(size))
			for n := 0; n < b.N; n += batch {
				step()
			}
		})
	}
}
