package client_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// consuming returns a connected fixture with one consumer "c".
func consuming(t *testing.T, seed int64, s *sink, change func(*client.ConsumerSpec)) (*fixture, *client.Consumer) {
	f := newFixture(t, seed, client.Config{})
	spec := client.ConsumerSpec{Name: "c", Prefetch: 10, Topology: queue("q")}
	if change != nil {
		change(&spec)
	}
	k := f.client.Consume(spec, s)
	f.connect()
	if k.State() != client.Up {
		t.Fatal(k, k.Err())
	}
	return f, k
}

func TestAcksCoalesce(t *testing.T) {
	s := &sink{}
	f, k := consuming(t, 0, s, nil)
	for range 8 {
		f.broker.deliver("c", "x")
	}
	f.run()
	k.Ack(1, 2)
	k.Ack(1, 1)
	k.Ack(1, 5) // beyond a gap
	k.Ack(1, 3)
	k.Reject(1, 7, true) // leaves first
	k.Ack(1, 7)          // ignored
	k.Ack(1, 99)         // ignored
	f.run()
	k.Nack(1, 4, false)
	k.Ack(1, 6)
	k.Ack(1, 8)
	f.run()
	want := []string{"reject 7 true", "ack 3 true", "ack 5 false", "nack 4 false", "ack 8 true"}
	if !slices.Equal(f.broker.acks, want) {
		t.Fatalf("got  %v\nwant %v", f.broker.acks, want)
	}
	st := f.client.Stats()
	if st.Acked != 6 || st.Rejected != 2 || st.DoubleSettled != 2 || st.AckFrames != 3 || k.Outstanding() != 0 {
		t.Fatalf("%+v", st)
	}
}

func TestAcksWaitForOthers(t *testing.T) {
	s := &sink{}
	f := newFixture(t, 0, client.Config{AckDelay: 2 * time.Millisecond})
	k := f.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 16, Topology: queue("q")}, s)
	f.connect()
	for range 8 {
		f.broker.deliver("c", "x")
	}
	f.run()
	expect := func(what string, want ...string) {
		t.Helper()
		f.run()
		if !slices.Equal(f.broker.acks, want) {
			t.Fatalf("%s: got %v, want %v", what, f.broker.acks, want)
		}
	}
	k.Ack(1, 1)
	expect("one waits")
	k.Ack(1, 2)
	k.Ack(1, 3)
	k.Ack(1, 4)
	expect("a quarter of the prefetch leaves", "ack 4 true")
	k.Ack(1, 5)
	expect("one waits", "ack 4 true")
	f.clock.Advance(2 * time.Millisecond)
	expect("until its time has come", "ack 4 true", "ack 5 true")
	k.Ack(1, 6)
	k.Reject(1, 7, false)
	expect("or something else leaves", "ack 4 true", "ack 5 true", "reject 7 false", "ack 6 true")
	k.Ack(1, 8)
	f.client.Close(nil)
	expect("or the end comes", "ack 4 true", "ack 5 true", "reject 7 false", "ack 6 true", "ack 8 true")
}

func TestNoAckAndDeclareOnly(t *testing.T) {
	s := &sink{ack: true}
	f, k := consuming(t, 0, s, func(spec *client.ConsumerSpec) { spec.NoAck = true })
	for range 200 {
		f.broker.deliver("c", "x")
	}
	f.run()
	if len(s.bodies) != 200 || len(f.broker.acks) != 0 || k.Outstanding() != 0 || f.client.Stats().DoubleSettled != 0 {
		t.Fatal(len(s.bodies), f.broker.acks, f.client.Stats())
	}
	only := f.client.Consume(client.ConsumerSpec{Name: "only", DeclareOnly: true, Topology: queue("d")}, nil)
	none := f.client.Consume(client.ConsumerSpec{Name: "none"}, s)
	f.run()
	if only.State() != client.Up || !slices.Contains(f.broker.log, "3 queue.declare") || f.broker.byQueue["d"] != "" {
		t.Fatal(only, f.broker.log)
	}
	if none.State() != client.AwaitRetry || !strings.Contains(none.Err().Error(), "no queue") {
		t.Fatal(none, none.Err())
	}
	done := false
	only.Cancel(func() { done = true })
	if !done || only.State() != client.Cancelled {
		t.Fatal(only)
	}
}

func TestOneFailedConsumer(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	locked := true
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDBasicConsume] = func(ch uint16, m amqpproto.Method) bool {
			if string(m.(*amqpproto.BasicConsume).Queue) != "bad" || !locked {
				return false
			}
			b.closeChannel(ch, 403, "ACCESS_REFUSED - in exclusive use")
			return true
		}
	}
	s := &sink{ack: true}
	bad := f.client.Consume(client.ConsumerSpec{Name: "bad", Topology: queue("bad")}, s)
	good := f.client.Consume(client.ConsumerSpec{Name: "good", Topology: queue("good")}, s)
	f.connect()
	for range 20 {
		f.clock.Advance(10 * time.Second)
		f.broker.deliver("good", "x")
		f.run()
	}
	if good.State() != client.Up || len(s.bodies) != 20 || f.count(client.EventLost) != 0 || !f.client.Ready() {
		t.Fatal(good, len(s.bodies))
	}
	var ce *amqpproto.ChannelError
	if bad.State() != client.AwaitRetry || !errors.As(bad.Err(), &ce) || ce.Code != 403 {
		t.Fatal(bad, bad.Err())
	}
	// Each second or so while the broker may still be settling, then rarely.
	if n := f.count(client.EventConsumerFailed); n < 30 || n > 70 {
		t.Fatalf("%d tries in 200 s", n)
	}
	locked = false
	f.clock.Advance(time.Minute)
	if bad.State() != client.Up || bad.Err() != nil {
		t.Fatal(bad, bad.Err())
	}
}

// TestConnectionClosedOverOneDeclaration: RabbitMQ ends the whole connection for
// some declarations. The consumer that failed waits for its retry, and the others come back.
func TestConnectionClosedOverOneDeclaration(t *testing.T) {
	f := newFixture(t, 0, client.Config{BackoffMax: 20 * time.Second})
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDExchangeDeclare] = func(ch uint16, m amqpproto.Method) bool {
			if string(m.(*amqpproto.ExchangeDeclare).Type) != "mystery" {
				return false
			}
			b.say(0, &amqpproto.ConnectionClose{ReplyCode: 503, ReplyText: []byte("COMMAND_INVALID - unknown exchange type 'mystery'"), ClassID: 40, MethodID: 10})
			return true
		}
	}
	s := &sink{}
	topology := queue("bad")
	topology.Exchanges = []client.Exchange{{Name: "x", Type: "mystery"}}
	bad := f.client.Consume(client.ConsumerSpec{Name: "bad", Topology: topology}, s)
	good := f.client.Consume(client.ConsumerSpec{Name: "good", Topology: queue("good")}, s)
	f.connect()
	if f.client.State() != client.Disconnected || bad.Err() == nil || !strings.Contains(bad.Err().Error(), `exchange.declare "x"`) {
		t.Fatal(f.client.State(), bad.Err())
	}
	up := 0
	const span = 600
	for range span {
		f.clock.Advance(time.Second)
		if good.State() == client.Up {
			up++
		}
	}
	if up < span/2 {
		t.Fatalf("good was up for %d of %d s", up, span)
	}
	if bad.State() == client.Up || f.count(client.EventConsumerFailed) < 10 {
		t.Fatal(bad, f.count(client.EventConsumerFailed))
	}
}

func TestServerCancel(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		s := &sink{}
		f, k := consuming(t, seed, s, func(spec *client.ConsumerSpec) {
			spec.Queues = []client.Queue{{Exclusive: true}}
			spec.Bindings = []client.Binding{{Exchange: "amq.fanout"}}
		})
		f.broker.deliver("c", "before")
		f.broker.say(f.broker.consumers["c"], &amqpproto.BasicCancel{ConsumerTag: []byte("c"), NoWait: true})
		f.run()
		if k.State() != client.AwaitRetry || f.count(client.EventConsumerCancelled) != 1 {
			t.Fatal(k)
		}
		k.Ack(s.epochs[0], s.tags[0])
		f.run()
		if !slices.Equal(f.broker.acks, []string{"ack 1 true"}) {
			t.Fatal(f.broker.acks)
		}
		f.clock.Advance(2 * time.Second)
		if k.State() != client.Up || k.Queue() != "amq.gen-2" || f.broker.byQueue["amq.gen-2"] != "c" {
			t.Fatal(k, k.Queue(), f.broker.byQueue)
		}
		f.broker.deliver("c", "after")
		f.run()
		if !slices.Equal(s.tags, []uint64{1, 2}) || s.epochs[1] != s.epochs[0] {
			t.Fatal(s.tags, s.epochs)
		}
	})
}

// TestServerNamedQueueIsNotHeapedUp: if a consumer fails after its queue was declared, it goes on
// with this queue and declares no further one.
func TestServerNamedQueueIsNotHeapedUp(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	missing := true
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDQueueBind] = func(ch uint16, _ amqpproto.Method) bool {
			if missing {
				b.closeChannel(ch, 404, "NOT_FOUND - no exchange 'x'")
			}
			return missing
		}
	}
	k := f.client.Consume(client.ConsumerSpec{Name: "c", Topology: client.Topology{
		Queues: []client.Queue{{Exclusive: true}}, Bindings: []client.Binding{{Exchange: "x"}}}}, &sink{})
	f.connect()
	f.clock.Advance(time.Minute)
	missing = false
	f.clock.Advance(time.Minute)
	if k.State() != client.Up || f.broker.queues != 1 || f.count(client.EventConsumerFailed) < 3 {
		t.Fatal(k, f.broker.queues)
	}
}

func TestBodyMaxHurtsItsConsumerOnly(t *testing.T) {
	f := newFixture(t, 0, client.Config{BodyMax: 1000})
	s := &sink{ack: true}
	k := f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, s)
	other := f.client.Consume(client.ConsumerSpec{Name: "d", Topology: queue("d")}, s)
	f.connect()
	var code uint16
	f.broker.on[amqpproto.IDChannelClose] = func(_ uint16, m amqpproto.Method) bool {
		code = m.(*amqpproto.ChannelClose).ReplyCode
		return false
	}
	f.broker.deliver("c", strings.Repeat("x", 1000))
	f.broker.deliver("c", strings.Repeat("x", 1001))
	f.broker.deliver("d", "y")
	f.run()
	if len(s.bodies) != 2 || code != 311 || k.State() != client.AwaitRetry || other.State() != client.Up {
		t.Fatal(len(s.bodies), code, k, other)
	}
	if !strings.Contains(k.Err().Error(), "1001 octets") {
		t.Fatal(k.Err())
	}
	f.clock.Advance(2 * time.Second)
	if k.State() != client.Up {
		t.Fatal(k)
	}
}

func TestCancel(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		s := &sink{}
		f, k := consuming(t, seed, s, nil)
		for range 3 {
			f.broker.deliver("c", "x")
		}
		f.run()
		f.broker.deliver("c", "on its way")
		done := 0
		k.Cancel(func() { done++ })
		k.Cancel(func() { done++ })
		if done != 0 {
			t.Fatal("done before the broker knew")
		}
		f.run()
		if done != 2 || k.State() != client.Cancelled || len(s.bodies) != 3 || !slices.Equal(f.broker.acks, []string{"nack 4 true"}) {
			t.Fatal(done, k, len(s.bodies), f.broker.acks)
		}
		if slices.Contains(f.broker.log, "2 channel.close") {
			t.Fatal("closed with deliveries outstanding")
		}
		k.Ack(1, 1)
		k.Ack(1, 2)
		k.Reject(1, 3, false)
		f.run()
		if !slices.Equal(f.broker.acks, []string{"nack 4 true", "reject 3 false", "ack 2 true"}) {
			t.Fatal(f.broker.acks)
		}
		if f.broker.log[len(f.broker.log)-1] != "2 channel.close" || f.client.Stats().HandedBack != 1 {
			t.Fatal(f.broker.log)
		}
		f.link.Cut(errors.New("pulled"))
		f.clock.Advance(2 * time.Second)
		if len(f.broker.consumers) != 0 {
			t.Fatal("a cancelled consumer came back")
		}
	})
}

// TestCancelInEveryState cancels after each octet that the broker sends, and once without a
// connection.
func TestCancelInEveryState(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	k := f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, &sink{})
	told := false
	k.Cancel(func() { told = true })
	if !told || k.State() != client.Cancelled {
		t.Fatal(k)
	}
	f.connect()
	if len(f.broker.consumers) != 0 {
		t.Fatal("it consumes")
	}
	for _, id := range []amqpproto.MethodID{amqpproto.IDConnectionOpen, amqpproto.IDChannelOpen, amqpproto.IDQueueDeclare,
		amqpproto.IDBasicQos, amqpproto.IDBasicConsume, amqpproto.IDBasicCancel} {
		for _, cut := range []bool{false, true} {
			f := newFixture(t, 0, client.Config{})
			f.manual = true
			s := &sink{}
			k := f.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 1, Topology: queue("q")}, s)
			told := 0
			f.prepare = func(b *fakeBroker) {
				b.on[id] = func(uint16, amqpproto.Method) bool {
					k.Cancel(func() { told++ })
					return false
				}
			}
			f.connect()
			k.Cancel(nil)
			if cut {
				f.link.Cut(errors.New("pulled"))
			} else {
				f.run()
			}
			if k.State() != client.Cancelled || told == 0 && !cut {
				t.Fatalf("%v, cut %v: %v, told %d", id, cut, k, told)
			}
			if !cut && (f.client.State() != client.Connected || f.broker.log[len(f.broker.log)-1] == "2 channel.open") {
				t.Fatalf("%v: %v %v", id, f.client.State(), f.broker.log)
			}
		}
	}
}

func TestCallbacksMayCallAnything(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		c := &confirms{}
		s := &sink{ack: true}
		f, k := consuming(t, seed, s, nil)
		var inner *client.Consumer
		closed := false
		s.then = func(d *client.Delivery) {
			switch string(d.Body) {
			case "publish":
				f.publish(nil, to("a"), c)
			case "consume":
				inner = f.client.Consume(client.ConsumerSpec{Name: "inner", Topology: queue("inner")}, s)
			case "cancel":
				inner.Cancel(nil)
			case "close":
				f.client.Close(func(error) { closed = true })
			}
		}
		for _, body := range []string{"publish", "consume", "cancel", "publish"} {
			f.broker.deliver("c", body)
		}
		f.run()
		if len(c.got) != 2 || inner.State() != client.Cancelled || k.Outstanding() != 0 {
			t.Fatal(c.got, inner, k.Outstanding())
		}
		f.broker.deliver("c", "close")
		f.broker.deliver("c", "too late")
		f.run()
		if !closed || f.client.State() != client.Closed || s.bodies[len(s.bodies)-1] != "close" {
			t.Fatal(closed, f.client.State(), s.bodies)
		}
	})
}

func TestAckOfAnEpochThatIsGone(t *testing.T) {
	s := &sink{}
	f, k := consuming(t, 0, s, nil)
	f.broker.deliver("c", "x")
	f.run()
	k.Ack(1, 1) // encoded by a Pending that never comes
	f.link.Cut(errors.New("pulled"))
	f.clock.Advance(2 * time.Second)
	f.broker.deliver("c", "x")
	f.run()
	k.Ack(1, 1)
	f.run()
	if len(f.broker.acks) != 0 || k.Outstanding() != 1 || f.client.Stats().OldEpoch != 1 {
		t.Fatal(f.broker.acks, k.Outstanding())
	}
	k.Ack(2, 1)
	f.run()
	if !slices.Equal(f.broker.acks, []string{"ack 1 true"}) || k.Outstanding() != 0 {
		t.Fatal(f.broker.acks, k.Outstanding())
	}
}

func TestManyChannels(t *testing.T) {
	f := newFixture(t, 0, client.Config{ChannelMax: 5})
	var all []*client.Consumer
	for _, name := range []string{"a", "b", "c", "d", "e", "f"} {
		all = append(all, f.client.Consume(client.ConsumerSpec{Name: name, Topology: queue(name)}, &sink{}))
	}
	f.connect()
	up := 0
	for _, k := range all {
		if k.State() == client.Up {
			up++
		} else if !strings.Contains(k.Err().Error(), "channel_max") {
			t.Fatal(k.Err())
		}
	}
	if up != 4 { // one channel is for publishes
		t.Fatal(up)
	}
	all[0].Cancel(nil)
	f.run()
	f.clock.Advance(3 * time.Minute)
	up = 0
	for _, k := range all[1:] {
		if k.State() == client.Up {
			up++
		}
	}
	if up != 4 {
		t.Fatal(up)
	}
}
