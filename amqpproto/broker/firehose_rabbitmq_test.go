package broker_test

import (
	"fmt"
	"net"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wiretest"
)

const firehoseVhost = "broker-firehose"

// witness is a client that waits for what it expects.
type witness interface {
	say(b []byte)
	// await waits for n lines that contain what, and returns everything that came since the last
	// await.
	await(what string, n int) string
}

func (e *ear) count(what string) (n int) {
	for _, said := range e.heard {
		if strings.Contains(said, what) {
			n++
		}
	}
	return n
}

func (e *ear) heardAll() string {
	s := strings.Join(e.heard, "\n")
	e.heard = nil
	return s
}

func (s *socket) await(what string, n int) string {
	s.t.Helper()
	_ = s.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	for buf := make([]byte, 64<<10); s.count(what) < n; {
		k, err := s.conn.Read(buf)
		if s.take(buf[:k]); err != nil {
			s.t.Fatalf("RabbitMQ: no %d times %q: %v, but\n%s", n, what, err, s.heardAll())
		}
	}
	return s.heardAll()
}

func (m inMemory) await(what string, n int) string {
	m.p.t.Helper()
	if m.p.turn(); m.p.count(what) < n {
		m.p.t.Fatalf("no %d times %q, but\n%s", n, what, m.p.heardAll())
	}
	return m.p.heardAll()
}

// ended is a wire that knows its own address.
type ended struct {
	*wiretest.Wire
	local net.Addr
}

func (w ended) LocalAddr() net.Addr { return w.local }

// firehoseScript makes every kind of copy, and returns them as they came.
type firehoseScript struct {
	t         *testing.T
	work, tap witness
	told      []string
}

func (s *firehoseScript) open(w witness) {
	w.say([]byte(amqpproto.ProtocolHeader))
	w.await("connection.start", 1)
	s.call(w, 0, &amqpproto.ConnectionStartOk{ClientProperties: table(amqp.Table{"connection_name": "not shown"}), Mechanism: b("PLAIN"),
		Response: b("\x00guest\x00guest"), Locale: b("en_US")}, "connection.tune")
	s.call(w, 0, &amqpproto.ConnectionTuneOk{ChannelMax: 2047, FrameMax: 131072}, "")
	s.call(w, 0, &amqpproto.ConnectionOpen{VirtualHost: b(firehoseVhost)}, "connection.open-ok")
	for ch := uint16(1); ch <= 4; ch++ {
		s.call(w, ch, &amqpproto.ChannelOpen{}, "channel.open-ok")
	}
}

func (s *firehoseScript) call(w witness, ch uint16, m amqpproto.Method, answer string) {
	s.t.Helper()
	out, err := amqpproto.AppendMethod(nil, ch, m)
	if err != nil {
		s.t.Fatal(err)
	}
	w.say(out)
	if answer != "" {
		w.await(answer, 1)
	}
}

// do sends a method, and writes down the copies that it causes.
func (s *firehoseScript) do(ch uint16, m amqpproto.Method, answer string, copies int) {
	s.t.Helper()
	s.call(s.work, ch, m, answer)
	s.listen(m.ID().String(), copies)
}

func (s *firehoseScript) publish(ch uint16, exchange, key string, p amqpproto.Properties) {
	s.t.Helper()
	s.work.say(publication(s.t, ch, exchange, key, "body", p, false))
	if ch < 4 {
		s.work.await("basic.ack", 1) // it is in its queues
	}
	s.listen(fmt.Sprintf("publish %q %q", exchange, key), 1)
}

func (s *firehoseScript) listen(said string, copies int) {
	s.t.Helper()
	if copies > 0 {
		s.told = append(s.told, said, s.tap.await("body", copies))
	}
}

func (s *firehoseScript) run(dial func() witness) string {
	s.work, s.tap = dial(), dial()
	s.open(s.work)
	s.open(s.tap)
	s.call(s.tap, 1, &amqpproto.QueueDeclare{Queue: b("tap"), Exclusive: true}, "declare-ok")
	s.call(s.tap, 1, &amqpproto.QueueBind{Queue: b("tap"), Exchange: b("amq.rabbitmq.trace"), RoutingKey: b("#")}, "bind-ok")
	s.call(s.tap, 1, &amqpproto.BasicConsume{Queue: b("tap"), ConsumerTag: b("t"), NoAck: true}, "consume-ok")
	for _, q := range []string{"b", "a", "c"} {
		s.call(s.work, 1, &amqpproto.QueueDeclare{Queue: b(q), Exclusive: true}, "declare-ok")
		s.call(s.work, 1, &amqpproto.QueueBind{Queue: b(q), Exchange: b("amq.fanout")}, "bind-ok")
	}
	s.call(s.work, 1, &amqpproto.QueueDeclare{Queue: b("quorum"), Durable: true, Arguments: table(amqp.Table{"x-queue-type": "quorum"})}, "declare-ok")

	for ch := uint16(1); ch < 4; ch++ {
		s.call(s.work, ch, &amqpproto.ConfirmSelect{}, "confirm.select-ok")
	}
	s.publish(1, "", "a", amqpproto.Properties{ContentType: b("ct"), ContentEncoding: b("ce"), DeliveryMode: 2, Priority: 200, CorrelationID: b("ci"),
		Headers: table(amqp.Table{"CC": []any{"b", "c"}, "BCC": []any{"c"}, "z": []any{int8(1), "x", true, nil, amqp.Table{"f": 0.5}}}), ReplyTo: b("rt"),
		Expiration: b("600000"), MessageID: b("mi"), Timestamp: 3 << 31, Type: b("ty"), UserID: b("guest"), AppID: b("ai"), ClusterID: b("cl")})
	s.publish(2, "amq.fanout", "key", amqpproto.Properties{})
	s.publish(1, "amq.topic", "nowhere", amqpproto.Properties{AppID: b("ai")})
	s.do(1, &amqpproto.BasicGet{Queue: b("a")}, "get-ok", 1)
	s.do(1, &amqpproto.BasicReject{DeliveryTag: 1, Requeue: true}, "", 0)
	s.do(1, &amqpproto.BasicGet{Queue: b("a")}, "get-ok", 1)
	s.do(1, &amqpproto.BasicGet{Queue: b("b"), NoAck: true}, "get-ok", 1)
	s.do(3, &amqpproto.BasicConsume{Queue: b("c"), ConsumerTag: b("k")}, "consume-ok", 2)
	s.do(3, &amqpproto.BasicCancel{ConsumerTag: b("k")}, "cancel-ok", 0)
	s.do(3, &amqpproto.BasicNack{DeliveryTag: 2, Requeue: true}, "", 0)
	s.do(3, &amqpproto.BasicConsume{Queue: b("c"), ConsumerTag: b("k"), NoAck: true}, "consume-ok", 1)

	s.publish(1, "", "quorum", amqpproto.Properties{DeliveryMode: 2})
	s.do(2, &amqpproto.BasicGet{Queue: b("quorum")}, "get-ok", 1)
	s.do(2, &amqpproto.BasicNack{DeliveryTag: 1, Requeue: true}, "", 0)
	s.do(2, &amqpproto.BasicConsume{Queue: b("quorum"), ConsumerTag: b("q"), NoAck: true}, "consume-ok", 1)
	s.call(s.work, 2, &amqpproto.QueueDelete{Queue: b("quorum")}, "delete-ok")

	s.call(s.work, 4, &amqpproto.TxSelect{}, "tx.select-ok")
	s.publish(4, "", "a", amqpproto.Properties{})
	s.do(4, &amqpproto.TxRollback{}, "rollback-ok", 0)
	return strings.Join(s.told, "\n")
}

// TestFirehoseAsRabbitMQ: the copies are RabbitMQ's, octet for octet.
func TestFirehoseAsRabbitMQ(t *testing.T) {
	if testing.Short() {
		t.Skip("sets RabbitMQ up")
	}
	node := rabbitmq.Shared(t)
	u, err := url.Parse(node.URL)
	if err != nil {
		t.Fatal(err)
	}
	skipLater(t, node)
	name := node.Ctl(t, "eval", fmt.Sprintf(`catch rabbit_vhost:delete(<<%[1]q>>, <<"test">>), rabbit_vhost:add(<<%[1]q>>, <<"test">>),
		rabbit_auth_backend_internal:set_permissions(<<"guest">>, <<%[1]q>>, <<".*">>, <<".*">>, <<".*">>, <<"test">>),
		rabbit_trace:start(<<%[1]q>>), node().`, firehoseVhost))
	name = strings.Trim(strings.TrimSpace(name), "'")
	var conns []net.Conn
	want := (&firehoseScript{t: t}).run(func() witness {
		conn, err := net.Dial("tcp", u.Host)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = conn.Close() })
		conns = append(conns, conn)
		return &socket{ear: ear{t: t, exact: true}, conn: conn}
	})
	f := newFixture(t, broker.Options{Vhosts: []string{firehoseVhost}, Node: name})
	got := (&firehoseScript{t: t}).run(func() witness {
		p := &peer{ear: ear{t: t, exact: true}, f: f, wire: wiretest.NewWire()}
		p.conn = f.server.Connect(ended{p.wire, conns[0].RemoteAddr()}, conns[0].LocalAddr())
		conns = conns[1:]
		return inMemory{p}
	})
	if got != want {
		t.Errorf("RabbitMQ and this broker differ (-RabbitMQ +ours):\n%s", differ(want, got))
	}
	if n := strings.Count(want, "1 header "); n != 13 {
		t.Errorf("%d copies in\n%s", n, want)
	}
}
