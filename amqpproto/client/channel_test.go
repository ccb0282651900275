package client_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
)

// TestBothCloseAChannel: our close and the broker's cross. The number is free
// only when ours was answered, too.
func TestBothCloseAChannel(t *testing.T) {
	s := &sink{}
	f, k := consuming(t, 0, s, nil)
	ch := f.broker.consumers["c"]
	f.broker.on[amqpproto.IDChannelClose] = func(ch uint16, _ amqpproto.Method) bool {
		f.broker.on[amqpproto.IDChannelClose] = nil
		f.broker.closeChannel(ch, 404, "NOT_FOUND")
		return true
	}
	k.Cancel(nil)
	f.run()
	other := f.client.Consume(client.ConsumerSpec{Name: "d", Topology: queue("d")}, s)
	f.run()
	if other.State() != client.Up || f.broker.consumers["d"] == ch {
		t.Fatal(other, f.broker.consumers, "and the number was free too early")
	}
	f.broker.say(ch, &amqpproto.ChannelCloseOk{})
	f.run()
	next := f.client.Consume(client.ConsumerSpec{Name: "e", Topology: queue("e")}, s)
	f.broker.forget(ch)
	f.run()
	if next.State() != client.Up || f.broker.consumers["e"] != ch || f.count(client.EventLost) != 0 {
		t.Fatal(next, f.broker.consumers)
	}
}

// TestBothCancel: our cancel and the broker's cross.
func TestBothCancel(t *testing.T) {
	f, k := consuming(t, 0, &sink{}, nil)
	f.broker.on[amqpproto.IDBasicCancel] = func(ch uint16, m amqpproto.Method) bool {
		f.broker.say(ch, &amqpproto.BasicCancel{ConsumerTag: []byte("c"), NoWait: true})
		return false
	}
	done := 0
	k.Cancel(func() { done++ })
	f.run()
	if done != 1 || k.State() != client.Cancelled || f.client.State() != client.Connected {
		t.Fatal(done, k, f.client.Err())
	}
}

// TestCancelIsAnswered: a broker's cancel that is not no-wait gets its answer.
func TestCancelIsAnswered(t *testing.T) {
	f, k := consuming(t, 0, &sink{}, nil)
	var tag string
	f.broker.on[amqpproto.IDBasicCancelOk] = func(_ uint16, m amqpproto.Method) bool {
		tag = string(m.(*amqpproto.BasicCancelOk).ConsumerTag)
		return true
	}
	ch := f.broker.consumers["c"]
	delete(f.broker.consumers, "c")
	f.broker.say(ch, &amqpproto.BasicCancel{ConsumerTag: []byte("c")})
	f.run()
	if tag != "c" || k.State() != client.AwaitRetry {
		t.Fatal(tag, k)
	}
	k.Cancel(nil) // while it waits for its retry, on a channel that is still there
	f.run()
	if k.State() != client.Cancelled || len(f.broker.asm) != 1 {
		t.Fatal(k, f.broker.asm)
	}
}

// TestCloseOkNeverComes: a broker that does not even answer channel.close.
func TestCloseOkNeverComes(t *testing.T) {
	f := newFixture(t, 0, client.Config{HandshakeTimeout: 5 * time.Second})
	f.manual = true
	k := f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, &sink{})
	f.connect()
	f.broker.on[amqpproto.IDChannelClose] = func(uint16, amqpproto.Method) bool { return true }
	k.Cancel(nil)
	f.run()
	f.clock.Advance(6 * time.Second)
	if f.client.State() != client.Disconnected || !strings.Contains(f.client.Err().Error(), "channel 2 awaitChannelCloseOk: no answer within 5s") {
		t.Fatal(f.client.State(), f.client.Err())
	}
}

// TestPublishChannelDoesNotOpen: a broker that has confirms forbidden. It is
// tried again, with a backoff, and told of.
func TestPublishChannelDoesNotOpen(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	refuse := true
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDConfirmSelect] = func(ch uint16, _ amqpproto.Method) bool {
			if refuse {
				b.closeChannel(ch, 403, "ACCESS_REFUSED")
			}
			return refuse
		}
	}
	c := &numbered{t: t}
	f.publish(nil, to("a"), c)
	f.connect()
	f.clock.Advance(10 * time.Second)
	if n := f.count(client.EventPublishChannelClosed); n < 2 || n > 12 || f.client.Ready() || f.client.State() != client.Connected {
		t.Fatal(n, f.client.Ready())
	}
	refuse = false
	f.clock.Advance(20 * time.Second)
	if !f.client.Ready() || c.told != 1 || c.err != nil || f.count(client.EventReady) != 1 {
		t.Fatal(f.client.Ready(), c)
	}
}

// TestConnectionClosedOverProducer is TestConnectionClosedOverOneDeclaration for a producer:
// RabbitMQ 4.3 says 541 to a transient queue that is not exclusive.
func TestConnectionClosedOverProducer(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	f.manual = true
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDQueueDeclare] = func(uint16, amqpproto.Method) bool {
			b.say(0, &amqpproto.ConnectionClose{ReplyCode: 541, ReplyText: []byte("INTERNAL_ERROR - transient_nonexcl_queues"), ClassID: 50, MethodID: 10})
			return true
		}
	}
	p := f.client.Produce(client.ProducerSpec{Name: "p", Topology: client.Topology{Queues: []client.Queue{{Name: "transient"}}}})
	k := f.client.Consume(client.ConsumerSpec{Name: "only", DeclareOnly: true}, nil)
	c := &numbered{t: t}
	f.publish(p, to("transient"), c)
	f.connect()
	var te *client.TopologyError
	if !errors.As(p.Err(), &te) || te.Step != `queue.declare "transient"` || p.State() != client.AwaitRetry {
		t.Fatal(p, p.Err())
	}
	f.connect()
	if f.client.State() != client.Connected || k.State() != client.Up || !f.client.Ready() {
		t.Fatal(f.client.State(), k)
	}
	f.clock.Advance(500 * time.Millisecond)
	if c.told != 0 {
		t.Fatal(c)
	}
}

// TestBurstMemoryIsGivenBack: after large publishes the output shrinks.
func TestBurstMemoryIsGivenBack(t *testing.T) {
	d := newDirect(t, client.Config{}, &acker{})
	c := &counter{}
	if err := d.client.Publish(nil, &client.Outgoing{Body: make([]byte, 8<<20)}, c); err != nil {
		t.Fatal(err)
	}
	for len(d.flush()) > 0 { // a large one leaves in pieces
	}
	for tag := uint64(1); tag < 200; tag++ {
		d.turn(method(t, publishChannel, &amqpproto.BasicAck{DeliveryTag: tag}))
		if err := d.client.Publish(nil, &client.Outgoing{Body: make([]byte, 100)}, c); err != nil {
			t.Fatal(err)
		}
		d.flush()
	}
	if n := cap(d.conn.Pending()); n > 1<<20 {
		t.Fatalf("the output still holds %d octets", n)
	}
}
