package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// method encodes one method frame.
func method(t testing.TB, ch uint16, m amqpproto.Method) []byte {
	t.Helper()
	b, err := amqpproto.AppendMethod(nil, ch, m)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestHostileBroker sends one wrong thing to an open connection with a consumer "c" and three
// unconfirmed publishes, and expects it to be closed with the right code.
func TestHostileBroker(t *testing.T) {
	header := func(ch, class uint16, size uint64) []byte {
		return amqpproto.AppendContentHeader(nil, ch, class, size, []byte{0, 0})
	}
	deliver := func(ch uint16, tag string, number uint64) []byte {
		return amqpproto.AppendBasicDeliver(nil, ch, tag, number, false, "", "q")
	}
	for _, row := range []struct {
		name string
		code uint16
		text string // part of it
		say  func(con, pub uint16) [][]byte
	}{
		{"tag zero", 503, "delivery tag 0, expected 1", func(con, _ uint16) [][]byte { return [][]byte{delivery(con, "c", 0, "x")} }},
		{"tag ahead", 503, "delivery tag 2, expected 1", func(con, _ uint16) [][]byte { return [][]byte{delivery(con, "c", 2, "x")} }},
		{"tag twice", 503, "delivery tag 1, expected 2", func(con, _ uint16) [][]byte {
			return [][]byte{delivery(con, "c", 1, "x"), delivery(con, "c", 1, "x")}
		}},
		{"unknown consumer tag", 503, `consumer tag "d"`, func(con, _ uint16) [][]byte { return [][]byte{delivery(con, "d", 1, "x")} }},
		{"delivery on the publish channel", 503, "basic.deliver", func(_, pub uint16) [][]byte { return [][]byte{delivery(pub, "c", 1, "x")} }},
		{"return on a consumer's channel", 503, "basic.return", func(con, _ uint16) [][]byte {
			return [][]byte{method(t, con, &amqpproto.BasicReturn{ReplyCode: 312})}
		}},
		{"channel never opened", 504, "channel 77", func(_, _ uint16) [][]byte { return [][]byte{delivery(77, "c", 1, "x")} }},
		{"content never announced", 505, "", func(con, _ uint16) [][]byte { return [][]byte{header(con, 60, 1)} }},
		{"body without header", 505, "", func(con, _ uint16) [][]byte {
			return [][]byte{deliver(con, "c", 1), amqpproto.AppendBody(nil, con, []byte("x"), 4096)}
		}},
		{"method in the middle of a body", 505, "in the middle of a content", func(con, _ uint16) [][]byte {
			return [][]byte{deliver(con, "c", 1), header(con, 60, 2), deliver(con, "c", 2)}
		}},
		{"body too long", 501, "", func(con, _ uint16) [][]byte {
			return [][]byte{deliver(con, "c", 1), header(con, 60, 2), amqpproto.AppendBody(nil, con, []byte("xyz"), 4096)}
		}},
		{"wrong class", 505, "", func(con, _ uint16) [][]byte { return [][]byte{deliver(con, "c", 1), header(con, 50, 2)} }},
		{"content on channel 0", 505, "channel 0", func(_, _ uint16) [][]byte { return [][]byte{header(0, 60, 2)} }},
		{"frame over frame_max", 501, "frame_max", func(con, _ uint16) [][]byte {
			return [][]byte{{1, 0, byte(con), 0x7f, 0xff, 0xff, 0xff}}
		}},
		{"bad frame end", 501, "0xce", func(con, _ uint16) [][]byte { return [][]byte{{8, 0, 0, 0, 0, 0, 0, 0xcd}} }},
		{"unknown frame type", 501, "type 9", func(con, _ uint16) [][]byte { return [][]byte{{9, 0, 0, 0, 0, 0, 0, 0xce}} }},
		{"heartbeat on a channel", 501, "heartbeat", func(con, _ uint16) [][]byte { return [][]byte{{8, 0, 1, 0, 0, 0, 0, 0xce}} }},
		{"unknown method", 503, "", func(con, _ uint16) [][]byte {
			return [][]byte{amqpproto.AppendFrame(nil, amqpproto.FrameMethod, con, []byte{0, 60, 1, 1})}
		}},
		{"unknown class", 540, "", func(con, _ uint16) [][]byte {
			return [][]byte{amqpproto.AppendFrame(nil, amqpproto.FrameMethod, con, []byte{9, 9, 1, 1})}
		}},
		{"method without arguments", 501, "", func(con, _ uint16) [][]byte {
			return [][]byte{amqpproto.AppendFrame(nil, amqpproto.FrameMethod, con, []byte{0, 60, 0, 60})}
		}},
		{"a client's method", 503, "queue.declare", func(con, _ uint16) [][]byte {
			return [][]byte{method(t, con, &amqpproto.QueueDeclare{Queue: []byte("q")})}
		}},
		{"answer to nothing", 503, "queue.declare-ok", func(con, _ uint16) [][]byte {
			return [][]byte{method(t, con, &amqpproto.QueueDeclareOk{Queue: []byte("q")})}
		}},
		{"channel.open-ok again", 503, "channel.open-ok", func(con, _ uint16) [][]byte {
			return [][]byte{method(t, con, &amqpproto.ChannelOpenOk{})}
		}},
		{"tune again", 503, "open: unexpected connection.tune", func(_, _ uint16) [][]byte {
			return [][]byte{method(t, 0, &amqpproto.ConnectionTune{})}
		}},
		{"connection method on a channel", 503, "", func(con, _ uint16) [][]byte {
			return [][]byte{method(t, con, &amqpproto.ConnectionBlocked{})}
		}},
		{"channel method on channel 0", 503, "", func(_, _ uint16) [][]byte {
			return [][]byte{method(t, 0, &amqpproto.BasicAck{DeliveryTag: 1})}
		}},
		{"cancel of another tag", 503, "cancel", func(con, _ uint16) [][]byte {
			return [][]byte{method(t, con, &amqpproto.BasicCancel{ConsumerTag: []byte("d"), NoWait: true})}
		}},
		{"delivery after cancel", 503, "basic.deliver", func(con, _ uint16) [][]byte {
			return [][]byte{method(t, con, &amqpproto.BasicCancel{ConsumerTag: []byte("c"), NoWait: true}), delivery(con, "c", 1, "x")}
		}},
		{"confirm of nothing", 503, "publish 4 was never sent", func(_, pub uint16) [][]byte {
			return [][]byte{method(t, pub, &amqpproto.BasicAck{DeliveryTag: 4})}
		}},
		{"confirm of zero", 503, "publish 0", func(_, pub uint16) [][]byte {
			return [][]byte{method(t, pub, &amqpproto.BasicNack{DeliveryTag: 0})}
		}},
		{"confirm twice", 503, "publish 2", func(_, pub uint16) [][]byte {
			return [][]byte{method(t, pub, &amqpproto.BasicAck{DeliveryTag: 2}), method(t, pub, &amqpproto.BasicNack{DeliveryTag: 2})}
		}},
		{"confirm twice by multiple", 503, "publish 2", func(_, pub uint16) [][]byte {
			return [][]byte{method(t, pub, &amqpproto.BasicAck{DeliveryTag: 2, Multiple: true}), method(t, pub, &amqpproto.BasicAck{DeliveryTag: 2, Multiple: true})}
		}},
		{"confirm on a consumer's channel", 503, "basic.ack", func(con, _ uint16) [][]byte {
			return [][]byte{method(t, con, &amqpproto.BasicAck{DeliveryTag: 1})}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			wiretest.Seeds(t, 6, func(t *testing.T, seed int64) { hostile(t, seed, row.code, row.text, row.say) })
		})
	}
}

func hostile(t *testing.T, seed int64, code uint16, text string, say func(con, pub uint16) [][]byte) {
	f := newFixture(t, seed, client.Config{})
	f.manual = true
	f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, &sink{})
	f.connect()
	f.broker.silent = true
	done := confirms{}
	for range 3 {
		if err := f.client.Publish(nil, &client.Outgoing{RoutingKey: "q"}, &done); err != nil {
			t.Fatal(err)
		}
	}
	f.run()
	var close *amqpproto.ConnectionClose
	f.broker.on[amqpproto.IDConnectionClose] = func(_ uint16, m amqpproto.Method) bool {
		close = m.(*amqpproto.ConnectionClose)
		close.ReplyText = append([]byte(nil), close.ReplyText...)
		return false
	}
	for _, b := range say(f.broker.consumers["c"], f.broker.pubChan) {
		f.broker.script.Say(b...)
	}
	f.run()
	if f.client.State() != client.Disconnected || close == nil {
		t.Fatalf("state %v, close %v", f.client.State(), close)
	}
	if close.ReplyCode != code || !strings.Contains(string(close.ReplyText), text) {
		t.Errorf("closed with %d %q, want %d %q", close.ReplyCode, close.ReplyText, code, text)
	}
	connectionError(t, f.client.Err(), code)
	if len(done.got) != 3 {
		t.Errorf("outcomes %v", done.got)
	}
	for _, err := range done.got {
		var lost *client.LostError
		if err != nil && !errors.As(err, &lost) {
			t.Errorf("outcome %v", err)
		}
	}
}

// TestCutAnywhere ends the stream after each octet of a whole conversation.
func TestCutAnywhere(t *testing.T) {
	record := func(cut int) (total int) {
		f := newFixture(t, 0, client.Config{})
		f.manual = true
		s := &sink{ack: true}
		f.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 1, Topology: queue("q")}, s)
		done := confirms{}
		if err := f.client.Publish(nil, &client.Outgoing{RoutingKey: "nowhere", Mandatory: true}, &done); err != nil {
			t.Fatal(err)
		}
		f.broker = newFakeBroker(t)
		conn := f.client.Connect(silentWire{})
		now := wiretest.Epoch
		over := false
		for !over {
			conn.Tick(now)
			p := append([]byte(nil), conn.Pending()...)
			conn.Sent(len(p))
			for len(p) > 0 {
				n, err := f.broker.feed(p)
				if err != nil || n == 0 {
					t.Fatal(n, err)
				}
				p = p[n:]
			}
			if f.broker.consumers["c"] != 0 && f.broker.tags[f.broker.consumers["c"]] == 0 {
				f.broker.deliver("c", "hello")
				f.broker.script.Say(method(t, 0, &amqpproto.ConnectionClose{ReplyCode: 320, ReplyText: []byte("CONNECTION_FORCED")})...)
			}
			in := append([]byte(nil), f.broker.script.Pending()...)
			f.broker.script.Sent(len(in))
			if cut >= 0 && total+len(in) > cut {
				in, over = in[:cut-total], true
			}
			total += len(in)
			_, err := conn.Feed(in)
			over = over || err != nil || len(in) == 0
		}
		conn.Lost(nil)
		if f.client.State() != client.Disconnected || f.client.Err() == nil || len(f.redials) != 1 {
			t.Fatalf("cut at %d: %v, %v, %v", cut, f.client.State(), f.client.Err(), f.redials)
		}
		return total
	}
	total := record(-1)
	if total < 300 {
		t.Fatalf("only %d octets", total)
	}
	for cut := range total {
		record(cut)
	}
}

func TestUnansweredMethodClosesItsChannelOnly(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	s := &sink{}
	unansweredOnce := true
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDQueueBind] = func(uint16, amqpproto.Method) bool { defer func() { unansweredOnce = false }(); return unansweredOnce }
	}
	topology := queue("slow")
	topology.Bindings = []client.Binding{{Exchange: "amq.topic", RoutingKey: "#"}}
	slow := f.client.Consume(client.ConsumerSpec{Name: "slow", Topology: topology}, s)
	quick := f.client.Consume(client.ConsumerSpec{Name: "quick", Topology: queue("quick")}, s)
	f.connect()
	if quick.State() != client.AwaitConnection || f.client.Ready() {
		t.Fatal("quick did not wait for its turn")
	}
	f.clock.Advance(turnMax)
	if quick.State() != client.Up || slow.State() != client.AwaitTopology || !f.client.Ready() {
		t.Fatal(quick, slow, f.client.Ready())
	}
	f.clock.Advance(31e9)
	if f.client.State() != client.Connected || quick.State() != client.Up || slow.State() != client.Up || slow.Err() != nil {
		t.Fatal(quick, slow, slow.Err())
	}
	want := `slow: queue.bind "slow" to "amq.topic", routing key "#": channel 2 open awaiting queue.bind-ok: no answer within 30s`
	if got := fmt.Sprint(f.last(client.EventConsumerFailed).Err); got != want {
		t.Fatalf("got  %s\nwant %s", got, want)
	}
}

const turnMax = 1001e6

// TestDeafChannelIsLeftAlone: a channel waits for a queue that is broken, and does
// not even answer channel.close. The other consumers keep their connection; the
// broken one is tried again on other channels, a bounded number of them.
func TestDeafChannelIsLeftAlone(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	unanswered := map[uint16]bool{}
	whole := false
	f.prepare = func(b *fakeBroker) {
		clear(unanswered)
		b.on[amqpproto.IDBasicConsume] = func(ch uint16, m amqpproto.Method) bool {
			unanswered[ch] = string(m.(*amqpproto.BasicConsume).Queue) == "broken" && !whole
			return unanswered[ch]
		}
		b.on[amqpproto.IDChannelClose] = func(ch uint16, _ amqpproto.Method) bool { return unanswered[ch] }
	}
	s := &sink{ack: true}
	broken := f.client.Consume(client.ConsumerSpec{Name: "broken", Topology: queue("broken")}, s)
	good := f.client.Consume(client.ConsumerSpec{Name: "good", Topology: queue("good")}, s)
	f.connect()
	f.clock.Advance(30 * time.Minute)
	if f.client.Stats().Connects != 1 || good.State() != client.Up {
		t.Fatal(f.client.Stats().Connects, good, f.client.Err())
	}
	if n := f.count(client.EventConsumerFailed); n < 15 || n > 30 || len(unanswered) < 15 {
		t.Fatalf("%d tries on %d channels", n, len(unanswered))
	}
	// The queue works again: the channels answer their old requests.
	whole = true
	for ch := range unanswered {
		if unanswered[ch] {
			f.broker.say(ch, &amqpproto.ChannelCloseOk{})
			f.broker.forget(ch)
		}
	}
	f.run()
	f.clock.Advance(3 * time.Minute)
	if broken.State() != client.Up || f.client.Stats().Connects != 1 {
		t.Fatal(broken, broken.Err())
	}
}
