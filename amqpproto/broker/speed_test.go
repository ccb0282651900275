package broker_test

import (
	"strings"
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// feeder drives a Conn with hardly anything around it, for what is measured.
type feeder struct {
	tb   testing.TB
	conn *broker.Conn
	f    *fixture
}

// newFeeder opens a connection with channel 1.
func newFeeder(tb testing.TB, f *fixture) *feeder {
	p := f.open(1)
	return &feeder{tb: tb, conn: p.conn, f: f}
}

func (d *feeder) method(m amqpproto.Method) {
	b, err := amqpproto.AppendMethod(nil, 1, m)
	if err != nil {
		d.tb.Fatal(err)
	}
	d.turn(b)
}

// turn is one turn of a loop; it returns how many octets left.
func (d *feeder) turn(in []byte) int {
	if n, err := d.conn.Feed(in); n != len(in) || err != nil {
		d.tb.Fatalf("Feed took %d of %d: %v", n, len(in), err)
	}
	return d.flush()
}

func (d *feeder) flush() int {
	d.conn.Tick(d.f.clock.Now())
	out := d.conn.Pending()
	n := len(out)
	d.conn.Sent(n)
	return n
}

const batch = 50

// publishes are batch publishes to the default exchange.
func publishes(tb testing.TB, key string, props amqpproto.Properties) (b []byte) {
	for range batch {
		b = append(b, publication(tb, 1, "", key, strings.Repeat("x", 256), props, false)...)
	}
	return b
}

// pair is a publisher with confirms and a consumer.
func pair(tb testing.TB, noAck bool) (f *fixture, pub, con *feeder) {
	f = newFixture(tb, broker.Options{})
	pub, con = newFeeder(tb, f), newFeeder(tb, f)
	pub.method(&amqpproto.ConfirmSelect{})
	pub.method(&amqpproto.QueueDeclare{Queue: []byte("q")})
	con.method(&amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("c"), NoAck: noAck})
	return f, pub, con
}

func TestPublishDeliverAckAllocatesNothing(t *testing.T) {
	for _, row := range []struct {
		name  string
		props amqpproto.Properties
	}{{"no properties", amqpproto.Properties{}},
		{"usual properties", amqpproto.Properties{ContentType: []byte("application/json"), DeliveryMode: 2, MessageID: []byte("4711"), Headers: amqpproto.RawTable("\x01kS\x00\x00\x00\x01v")}}} {
		f, pub, con := pair(t, false)
		in := publishes(t, "q", row.props)
		tag := uint64(0)
		var ack []byte
		round := func() {
			if pub.turn(in) == 0 {
				t.Fatal("no confirm")
			}
			if con.flush() < batch*256 {
				t.Fatal("no deliveries")
			}
			ack = ack[:0]
			for range batch / 2 {
				tag++
				ack = amqpproto.AppendBasicAck(ack, 1, tag, false)
			}
			tag += batch / 2
			con.turn(amqpproto.AppendBasicAck(ack, 1, tag, true))
		}
		for range 20 {
			round()
		}
		if n := testing.AllocsPerRun(100, round); n != 0 {
			t.Errorf("%s: %v allocations for %d messages, want none", row.name, n, batch)
		}
		if st := f.server.Stats(); st.Unacked != 0 || st.Messages != 0 || st.Acked == 0 {
			t.Errorf("%s: %+v", row.name, st)
		}
	}
}

// A consumer of the firehose costs no garbage either: neither one whose binding
// matches nothing, nor one that gets all copies.
func TestFirehoseAllocatesNothing(t *testing.T) {
	for key, copies := range map[string]uint64{"publish.nothing": 0, "#": 2} {
		f, pub, con := pair(t, true)
		tap := newFeeder(t, f)
		tap.method(&amqpproto.QueueDeclare{Queue: []byte("tap")})
		tap.method(&amqpproto.QueueBind{Queue: []byte("tap"), Exchange: []byte("amq.rabbitmq.trace"), RoutingKey: []byte(key)})
		tap.method(&amqpproto.BasicConsume{Queue: []byte("tap"), NoAck: true, ConsumerTag: []byte("t")})
		in := publishes(t, "q", amqpproto.Properties{ContentType: []byte("application/json"), DeliveryMode: 2, Headers: amqpproto.RawTable("\x01kS\x00\x00\x00\x01v")})
		round := func() { pub.turn(in); con.flush(); tap.flush() }
		for range 20 {
			round()
		}
		before := f.server.Stats()
		if n := testing.AllocsPerRun(100, round); n != 0 {
			t.Errorf("%q: %v allocations for %d messages, want none", key, n, batch)
		}
		if st := f.server.Stats(); st.Traced-before.Traced != copies*101*batch || st.Messages != 0 || st.Memory != 0 {
			t.Errorf("%q: %+v", key, st)
		}
	}
}

func TestPublishIntoABacklogAllocatesNothing(t *testing.T) {
	f := newFixture(t, broker.Options{})
	pub := newFeeder(t, f)
	pub.method(&amqpproto.ConfirmSelect{})
	pub.method(&amqpproto.QueueDeclare{Queue: []byte("q")})
	in := publishes(t, "q", amqpproto.Properties{})
	var get []byte
	for range batch {
		get, _ = amqpproto.AppendMethod(get, 1, &amqpproto.BasicGet{Queue: []byte("q"), NoAck: true})
	}
	round := func() { pub.turn(in); pub.turn(in); pub.turn(get); pub.turn(get) }
	for range 50 {
		round()
	}
	// A get answers with a method built from its struct, so it may cost one each;
	// the publishes may not.
	if n := testing.AllocsPerRun(100, round); n > 2*batch {
		t.Errorf("%v allocations for %d publishes and gets", n, 2*batch)
	}
}

func BenchmarkPublishConfirm(b *testing.B) {
	f := newFixture(b, broker.Options{})
	pub := newFeeder(b, f)
	pub.method(&amqpproto.ConfirmSelect{})
	in := publishes(b, "nowhere", amqpproto.Properties{})
	b.ReportAllocs()
	b.SetBytes(256)
	for i := 0; i < b.N; i += batch {
		pub.turn(in)
	}
}

func BenchmarkPublishDeliverAck(b *testing.B) {
	_, pub, con := pair(b, false)
	in := publishes(b, "q", amqpproto.Properties{})
	var ack []byte
	tag := uint64(0)
	b.ReportAllocs()
	b.SetBytes(256)
	for i := 0; i < b.N; i += batch {
		pub.turn(in)
		con.flush()
		ack = ack[:0]
		for range batch {
			tag++
			ack = amqpproto.AppendBasicAck(ack, 1, tag, false)
		}
		con.turn(ack)
	}
}
