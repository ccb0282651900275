package broker_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// bindTrace binds a queue to the firehose.
func bindTrace(p *peer, queue, key string) {
	p.t.Helper()
	p.method(1, &amqpproto.QueueBind{Queue: b(queue), Exchange: b("amq.rabbitmq.trace"), RoutingKey: b(key)}).want("1 queue.bind-ok")
}

func declared(p *peer, queue string, args amqp.Table) {
	p.t.Helper()
	p.method(1, &amqpproto.QueueDeclare{Queue: b(queue), Arguments: table(args)}).want(fmt.Sprintf("1 queue.declare-ok [%s 0 0]", queue))
}

// copies takes all messages out of a queue and returns their keys.
func copies(p *peer, queue string) (keys []string) {
	p.t.Helper()
	for {
		got := p.method(1, &amqpproto.BasicGet{Queue: b(queue), NoAck: true}).hear()
		if strings.Contains(got, "get-empty") {
			return keys
		}
		_, got, _ = strings.Cut(got, "get-ok [")
		got, _, _ = strings.Cut(got, "]")
		words := strings.Split(got, " ")
		keys = append(keys, words[len(words)-2])
	}
}

func wantCopies(p *peer, queue string, want ...string) {
	p.t.Helper()
	if got := strings.Join(copies(p, queue), " "); got != strings.Join(want, " ") {
		p.t.Fatalf("copies: %s, want %s", got, strings.Join(want, " "))
	}
}

// The firehose runs while a queue is bound to it, and it does not copy its own copies.
func TestFirehose(t *testing.T) {
	f := newFixture(t, broker.Options{Vhosts: []string{"/", "other"}})
	p := f.open(2)
	declared(p, "tap", nil)
	declared(p, "q", nil)
	p.publish(1, "", "q", "unseen", props{})
	bindTrace(p, "tap", "#")
	p.publish(1, "", "q", "body", props{}).publish(1, "", "nowhere", "body", props{})
	p.method(1, &amqpproto.BasicGet{Queue: b("q"), NoAck: true}).hear()
	p.method(1, &amqpproto.BasicConsume{Queue: b("q"), ConsumerTag: b("c"), NoAck: true}).hear()
	p.method(1, &amqpproto.BasicCancel{ConsumerTag: b("c")}).hear()
	p.method(1, &amqpproto.BasicGet{Queue: b("tap"), NoAck: true}).want("1 basic.get-ok [3 false amq.rabbitmq.trace publish. 3]",
		"1 header 4 map[channel:1 connection: exchange_name: node:zamqp@localhost properties:map[] routed_queues:[q] routing_keys:[q] user:guest vhost:/]", `1 body "body"`)
	p.method(1, &amqpproto.BasicGet{Queue: b("tap"), NoAck: true}).want("1 basic.get-ok [4 false amq.rabbitmq.trace publish. 2]",
		"1 header 4 map[channel:1 connection: exchange_name: node:zamqp@localhost properties:map[] routed_queues:[] routing_keys:[nowhere] user:guest vhost:/]", `1 body "body"`)
	p.method(1, &amqpproto.BasicGet{Queue: b("tap"), NoAck: true}).want("1 basic.get-ok [5 false amq.rabbitmq.trace deliver.q 1]",
		"1 header 6 map[channel:1 connection: exchange_name: node:zamqp@localhost properties:map[] redelivered:0 routing_keys:[q] user:guest vhost:/]", `1 body "unseen"`)
	wantCopies(p, "tap", "deliver.q")

	o := f.dial("")
	o.handshake("guest", "guest", "other")
	o.method(1, &amqpproto.ChannelOpen{}).publish(1, "", "q", "another virtual host", props{})
	wantCopies(p, "tap")
	p.method(1, &amqpproto.QueueUnbind{Queue: b("tap"), Exchange: b("amq.rabbitmq.trace"), RoutingKey: b("#")}).hear()
	p.publish(1, "", "q", "unseen", props{})
	wantCopies(p, "tap")
	if st := f.server.Stats(); st.Traced != 4 || st.Untraced != 0 {
		t.Errorf("%+v", st)
	}
}

// The firehose does not copy a dead letter of a copy either: otherwise a consumer of the firehose
// would cause copies for ever.
func TestFirehoseDeadLetters(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(2)
	declared(p, "tap", amqp.Table{"x-max-length": 0, "x-dead-letter-exchange": "amq.fanout", "x-dead-letter-routing-key": "copy"})
	for _, q := range []string{"dead", "got"} {
		declared(p, q, nil)
		p.method(1, &amqpproto.QueueBind{Queue: b(q), Exchange: b("amq.fanout")}).hear()
	}
	p.method(2, &amqpproto.BasicConsume{Queue: b("dead"), ConsumerTag: b("d"), NoAck: true}).hear()
	bindTrace(p, "tap", "#")
	p.publish(1, "", "nowhere", "", props{})
	wantCopies(p, "got", "copy")
	p.publish(1, "amq.fanout", "", "", props{}) // and its delivery from dead
	wantCopies(p, "got", "copy", "", "copy", "copy")
	if st := f.server.Stats(); st.Traced != 4 || st.Delivered != 5 {
		t.Errorf("%+v", st)
	}
}

// Bindings select copies by key. An exchange can be bound to the firehose, and can route by the
// headers of the copies.
func TestFirehoseBindings(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	for _, q := range []string{"q", "direct", "deliveries", "second"} {
		declared(p, q, nil)
	}
	bindTrace(p, "direct", "publish.amq.direct")
	bindTrace(p, "deliveries", "deliver.#")
	p.method(1, &amqpproto.ExchangeBind{Destination: b("amq.headers"), Source: b("amq.rabbitmq.trace"), RoutingKey: b("publish.*")}).hear()
	p.method(1, &amqpproto.QueueBind{Queue: b("second"), Exchange: b("amq.headers"), Arguments: table(amqp.Table{"user": "guest"})}).hear()
	p.publish(1, "amq.direct", "nowhere", "", props{}).publish(1, "", "q", "", props{}).method(1, &amqpproto.BasicGet{Queue: b("q"), NoAck: true}).hear()
	wantCopies(p, "direct", "publish.amq.direct")
	wantCopies(p, "deliveries", "deliver.q")
	wantCopies(p, "second", "publish.")
	if st := f.server.Stats(); st.Traced != 3 {
		t.Errorf("%+v", st)
	}
	long := strings.Repeat("x", 255)
	p.method(1, &amqpproto.ExchangeDeclare{Exchange: b(long), Type: b("fanout")}).hear()
	bindTrace(p, "direct", "publish.#")
	p.publish(1, long, "", "", props{})
	wantCopies(p, "direct", "publish."+long[:247])
}

// A queue gets copies as well as messages, is part of a dead-letter circle, and every queue has a
// consumer: there is one copy for each publish and delivery, and it comes to an end.
func TestFirehoseThroughItself(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(2)
	declared(p, "tap", amqp.Table{"x-max-length": 1, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"})
	declared(p, "dead", amqp.Table{"x-message-ttl": 0, "x-dead-letter-exchange": "amq.fanout"})
	declared(p, "end", nil)
	bindTrace(p, "tap", "#")
	p.method(1, &amqpproto.QueueBind{Queue: b("tap"), Exchange: b("amq.fanout")}).hear()
	p.method(1, &amqpproto.QueueBind{Queue: b("end"), Exchange: b("amq.fanout")}).hear()
	p.method(2, &amqpproto.BasicConsume{Queue: b("end"), ConsumerTag: b("e"), NoAck: true}).hear()
	for range 3 {
		p.publish(1, "amq.fanout", "", "body", props{})
	}
	st := f.server.Stats()
	if st.Traced < 6 || st.Traced > st.Published+st.Delivered || st.Messages > 1 {
		t.Errorf("%+v", st)
	}
	p.method(1, &amqpproto.BasicConsume{Queue: b("tap"), ConsumerTag: b("t")}).hear()
	p.method(1, &amqpproto.BasicNack{Multiple: true}).hear()
	p.method(1, &amqpproto.BasicConsume{Queue: b("dead"), ConsumerTag: b("d")}).hear()
	for i := range 6 {
		p.publish(1, "amq.fanout", "", "body", props{})
		p.method(1, &amqpproto.BasicNack{Multiple: true, Requeue: i%2 == 0}).hear()
	}
	if st := f.server.Stats(); st.Traced > st.Published+st.Delivered || st.Untraced != 0 {
		t.Errorf("%+v", st)
	}
	p.lose(nil)
	if st := f.server.Stats(); st.Unacked != 0 || st.Consumers != 0 {
		t.Errorf("%+v", st)
	}
}

// Copies stay within the broker's memory limit, even in a circle.
func TestFirehoseWithinMemory(t *testing.T) {
	const most = 100_000
	f := newFixture(t, broker.Options{MemoryMax: most})
	p := f.open(1)
	declared(p, "tap", nil)
	declared(p, "q", nil)
	bindTrace(p, "tap", "deliver.#")
	p.publish(1, "", "q", strings.Repeat("x", 20_000), props{})
	for range 100 {
		p.method(1, &amqpproto.BasicGet{Queue: b("q")}).method(1, &amqpproto.BasicNack{Multiple: true, Requeue: true}).hear()
	}
	st := f.server.Stats()
	if st.Memory > most || st.Blocked || st.Traced == 0 || st.Untraced != 100-st.Traced {
		t.Errorf("%+v", st)
	}
	p.method(1, &amqpproto.QueuePurge{Queue: b("tap")}).hear()
	p.method(1, &amqpproto.BasicGet{Queue: b("q")}).hear()
	if now := f.server.Stats(); now.Traced != st.Traced+1 {
		t.Errorf("with room again: %+v", now)
	}
}

// The headers of a copy are longer than the message's, but still fit into a frame: the list of
// queues is cut, and if there is no room for the properties there is no copy.
func TestFirehoseWithinAFrame(t *testing.T) {
	f := newFixture(t, broker.Options{FrameMax: amqpproto.FrameMin, ChannelMax: 2047})
	p := f.dial("")
	p.say([]byte(amqpproto.ProtocolHeader)).startOk("PLAIN", b("\x00guest\x00guest"), everything)
	p.method(0, &amqpproto.ConnectionTuneOk{ChannelMax: 10, FrameMax: amqpproto.FrameMin}).method(0, &amqpproto.ConnectionOpen{VirtualHost: b("/")})
	p.method(1, &amqpproto.ChannelOpen{}).hear()
	declared(p, "tap", nil)
	bindTrace(p, "tap", "#")
	for i := range 100 {
		q := fmt.Sprintf("%0100d", i)
		declared(p, q, nil)
		p.method(1, &amqpproto.QueueBind{Queue: b(q), Exchange: b("amq.fanout")}).hear()
	}
	p.publish(1, "amq.fanout", "", "body", props{})
	p.conn.Feed(method(t, nil, 1, &amqpproto.BasicGet{Queue: b("tap"), NoAck: true}))
	out := p.conn.Pending()
	for len(out) > 0 {
		fr, n, err := amqpproto.CutFrame(out, amqpproto.FrameMin)
		if n == 0 || err != nil {
			t.Fatal(err)
		}
		if fr.Type == amqpproto.FrameHeader && len(fr.Payload) < amqpproto.FrameMin-200 {
			t.Errorf("a header of %d octets could have more", len(fr.Payload))
		}
		out = out[n:]
	}
	p.publish(1, "amq.direct", "", "", props{Headers: table(amqp.Table{"x": strings.Repeat("x", 3900)})})
	if st := f.server.Stats(); st.Traced != 1 || st.Untraced != 1 {
		t.Errorf("%+v", st)
	}
}

// A user without the permission to read the exchange cannot bind to it, and nobody can publish to
// it.
func TestFirehosePermissions(t *testing.T) {
	f := newFixture(t, broker.Options{Users: map[string]broker.User{"guest": {}, "narrow": {Vhosts: map[string]broker.Permissions{
		"/": {Configure: ".*", Write: ".*", Read: "^mine"}}}}})
	p := f.dial("")
	p.handshake("narrow", "narrow", "/")
	p.method(1, &amqpproto.ChannelOpen{}).hear()
	declared(p, "mine", nil)
	p.method(1, &amqpproto.QueueBind{Queue: b("mine"), Exchange: b("amq.rabbitmq.trace"), RoutingKey: b("#")}).want(
		"1 channel.close [403 ACCESS_REFUSED - access to exchange 'amq.rabbitmq.trace' in vhost '/' refused for user 'narrow' queue.bind]")
	o := f.open(1)
	o.publish(1, "amq.rabbitmq.trace", "publish.forged", "", props{}).want(
		"1 channel.close [403 ACCESS_REFUSED - cannot publish to internal exchange 'amq.rabbitmq.trace' in vhost '/' basic.publish]")
}

// A connection is named by its addresses or, if it comes from the same process, by the client.
func TestFirehoseNamesConnections(t *testing.T) {
	f := newFixture(t, broker.Options{Node: "broker@here"})
	tap := f.open(1)
	declared(tap, "tap", nil)
	bindTrace(tap, "tap", "#")
	for _, remote := range []string{"", "127.0.0.1:5000"} {
		p := f.dial(remote)
		p.say([]byte(amqpproto.ProtocolHeader)).startOk("PLAIN", b("\x00guest\x00guest"), amqp.Table{"connection_name": "orders"})
		p.method(0, &amqpproto.ConnectionTuneOk{ChannelMax: 10, FrameMax: 4096}).method(0, &amqpproto.ConnectionOpen{VirtualHost: b("/")})
		p.method(9, &amqpproto.ChannelOpen{}).publish(9, "", "nowhere", "", props{})
		got := tap.method(1, &amqpproto.BasicGet{Queue: b("tap"), NoAck: true}).hear()
		want := "connection:" + remote + " "
		if remote == "" {
			want = "connection:orders "
		}
		if !strings.Contains(got, want) || !strings.Contains(got, "channel:9 ") || !strings.Contains(got, "node:broker@here") {
			t.Errorf("no %q in\n%s", want, got)
		}
	}
}
