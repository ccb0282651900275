package broker_test

import (
	"strings"
	"testing"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// greeting is a handshake with two channels opened, all in one piece: a client
// need not wait for answers that it knows.
func greeting(tb testing.TB) []byte {
	b := []byte(amqpproto.ProtocolHeader)
	for _, m := range []struct {
		ch uint16
		m  amqpproto.Method
	}{
		{0, &amqpproto.ConnectionStartOk{ClientProperties: table(everything), Mechanism: []byte("PLAIN"), Response: []byte("\x00guest\x00guest"), Locale: []byte("en_US")}},
		{0, &amqpproto.ConnectionTuneOk{ChannelMax: 16, FrameMax: 8192}},
		{0, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")}},
		{1, &amqpproto.ChannelOpen{}}, {2, &amqpproto.ChannelOpen{}},
	} {
		b = method(tb, b, m.ch, m.m)
	}
	return b
}

func method(tb testing.TB, b []byte, ch uint16, m amqpproto.Method) []byte {
	b, err := amqpproto.AppendMethod(b, ch, m)
	if err != nil {
		tb.Fatal(err)
	}
	return b
}

// framed makes whole frames of what the fuzzer has: else nearly all that it tries
// would end at the first frame. A record is type, channel, length and payload.
func framed(b []byte) (out []byte) {
	for len(b) >= 3 {
		n := min(int(b[2]), len(b)-3)
		out = amqpproto.AppendFrame(out, 1+b[0]%3, uint16(b[1]%4), b[3:3+n])
		b = b[3+n:]
	}
	return out
}

// unframed is the reverse, for seeds.
func unframed(b []byte) (out []byte) {
	for {
		f, n, err := amqpproto.CutFrame(b, 0)
		if n == 0 || err != nil {
			return out
		}
		if f.Type != amqpproto.FrameHeartbeat && len(f.Payload) < 256 {
			out = append(append(out, f.Type-1, byte(f.Channel), byte(len(f.Payload))), f.Payload...)
		}
		b = b[n:]
	}
}

// outcome feeds a broker in chunks of n octets, 0 being all at once, while
// another client consumes; it shows what both heard and what was left.
func outcome(t *testing.T, in []byte, n int) string {
	// No bound for output: when Feed stops depends on when octets leave, which is
	// what must not matter here.
	f := newFixture(t, broker.Options{OutputMax: 1 << 40, MemoryMax: 1 << 40})
	other := f.open(1)
	other.method(1, &amqpproto.QueueDeclare{Queue: []byte("other")})
	other.method(1, &amqpproto.BasicConsume{Queue: []byte("other"), ConsumerTag: []byte("o")}).hear()
	p := f.dial("")
	for len(in) > 0 && !p.over {
		k := len(in)
		if n > 0 {
			k = min(n, k)
		}
		p.kept = append(p.kept, in[:k]...)
		in = in[k:]
		lent := append([]byte(nil), p.kept...)
		taken, err := p.conn.Feed(lent)
		if taken < 0 || taken > len(lent) {
			t.Fatalf("Feed took %d of %d", taken, len(lent))
		}
		p.kept = p.kept[taken:]
		p.conn.Tick(f.clock.Now())
		if err != nil {
			p.flush()
			p.lose(err)
		}
	}
	if !p.over {
		p.turn()
	}
	heard := strings.Join(p.heard, "\n") + "\nother:\n" + other.hear()
	st := f.server.Stats()
	if st.Memory < 0 || st.Unacked < 0 || st.Messages < 0 {
		t.Fatalf("%+v", st)
	}
	p.lose(nil)
	other.lose(nil)
	if st = f.server.Stats(); st.Connections != 0 || st.Channels != 0 || st.Consumers != 0 || st.Unacked != 0 || st.Messages == 0 && st.Memory != 0 {
		t.Fatalf("after all have gone: %+v", st)
	}
	return heard
}

func FuzzServer(f *testing.F) {
	seed := func(raw []byte) {
		f.Add(false, raw)
		f.Add(true, unframed(raw))
	}
	var b []byte
	b = method(f, b, 1, &amqpproto.QueueDeclare{Queue: []byte("q"), Arguments: table(amqp.Table{"x-max-length": 3, "x-message-ttl": 1000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "other"})})
	b = method(f, b, 1, &amqpproto.ConfirmSelect{})
	b = method(f, b, 1, &amqpproto.BasicQos{PrefetchCount: 2})
	b = method(f, b, 1, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("c")})
	for range 6 {
		b = append(b, publication(f, 1, "", "q", "body", amqpproto.Properties{Expiration: []byte("10"), Headers: table(amqp.Table{"CC": []any{"other"}})}, true)...)
	}
	b = amqpproto.AppendBasicAck(b, 1, 1, false)
	b = amqpproto.AppendBasicNack(b, 1, 2, true, true)
	b = amqpproto.AppendBasicReject(b, 1, 3, false)
	b = method(f, b, 1, &amqpproto.BasicRecover{Requeue: true})
	b = method(f, b, 1, &amqpproto.BasicGet{Queue: []byte("q")})
	seed(b)
	b = method(f, nil, 2, &amqpproto.TxSelect{})
	b = append(b, publication(f, 2, "", "other", "body", amqpproto.Properties{DeliveryMode: 2}, false)...)
	b = method(f, b, 2, &amqpproto.TxRollback{})
	b = append(b, publication(f, 2, "", "other", "body", amqpproto.Properties{DeliveryMode: 2}, false)...)
	b = method(f, b, 2, &amqpproto.TxCommit{})
	b = method(f, b, 2, &amqpproto.ChannelClose{ReplyCode: 200})
	seed(b)
	b = method(f, nil, 1, &amqpproto.ExchangeDeclare{Exchange: []byte("x"), Type: []byte("headers"), AutoDelete: true})
	b = method(f, b, 1, &amqpproto.QueueDeclare{Exclusive: true, Arguments: table(amqp.Table{"x-queue-type": "classic", "x-max-priority": 3})})
	b = method(f, b, 1, &amqpproto.QueueBind{Exchange: []byte("x"), Arguments: table(amqp.Table{"x-match": "any", "k": "v"})})
	b = method(f, b, 1, &amqpproto.ExchangeBind{Destination: []byte("x"), Source: []byte("amq.topic"), RoutingKey: []byte("a.#")})
	b = append(b, publication(f, 1, "amq.topic", "a.b", "body", amqpproto.Properties{Headers: table(amqp.Table{"k": "v"})}, true)...)
	b = method(f, b, 1, &amqpproto.QueuePurge{})
	b = method(f, b, 1, &amqpproto.QueueDelete{})
	b = method(f, b, 1, &amqpproto.BasicConsume{Queue: []byte("amq.rabbitmq.reply-to"), NoAck: true})
	b = append(b, publication(f, 1, "", "other", "body", amqpproto.Properties{ReplyTo: []byte("amq.rabbitmq.reply-to")}, true)...)
	b = method(f, b, 0, &amqpproto.ConnectionClose{ReplyCode: 200})
	seed(b)
	b = method(f, nil, 1, &amqpproto.QueueDeclare{Queue: []byte("t"), Arguments: table(amqp.Table{"x-max-length": 2, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "other"})})
	b = method(f, b, 1, &amqpproto.QueueBind{Queue: []byte("t"), Exchange: []byte("amq.rabbitmq.trace"), RoutingKey: []byte("#")})
	b = method(f, b, 2, &amqpproto.BasicConsume{Queue: []byte("t"), ConsumerTag: []byte("t")})
	b = append(b, publication(f, 1, "", "other", "body", amqpproto.Properties{Timestamp: 5, Headers: table(amqp.Table{"CC": []any{"t"}, "BCC": []any{"none"}})}, true)...)
	b = amqpproto.AppendBasicNack(b, 2, 0, true, true)
	b = method(f, b, 1, &amqpproto.BasicGet{Queue: []byte("t"), NoAck: true})
	seed(b)
	hello := greeting(f)
	f.Fuzz(func(t *testing.T, records bool, in []byte) {
		if len(in) > 16<<10 {
			return
		}
		if records {
			in = framed(in)
		}
		in = append(append([]byte(nil), hello...), in...)
		whole := outcome(t, in, 0)
		for _, n := range []int{1, 7, 61} {
			if len(in)/n > 4096 {
				continue
			}
			if cut := outcome(t, in, n); cut != whole {
				t.Fatalf("in pieces of %d:\n%s\nwhole:\n%s", n, cut, whole)
			}
		}
	})
}

// FuzzHandshake is the same from the first octet.
func FuzzHandshake(f *testing.F) {
	f.Add(greeting(f))
	f.Add([]byte("AMQP\x00\x00\x09\x00"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		if len(in) > 4096 {
			return
		}
		if whole, cut := outcome(t, in, 0), outcome(t, in, 1); cut != whole {
			t.Fatalf("octet by octet:\n%s\nwhole:\n%s", cut, whole)
		}
	})
}
