package client_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// chaos does to one client everything that may happen to it, in random order, and then lets it
// recover. The broker checks the rules: no unknown delivery tag, no frame on a channel that is
// not open, no channel opened twice.
type chaos struct {
	*fixture
	rnd       *rand.Rand
	consumers []*client.Consumer
	producers []*client.Producer
	held      []client.Delivery // not settled; only Acknowledger, Epoch and Tag
	stale     []client.Delivery // settled, or its channel has ended
	published []*numbered
	names     int
	cancelled int
	asked     int // gets and other questions without an outcome
	requests  []*answered
}

// answered counts the outcomes of a request.
type answered struct {
	id        client.RequestID
	told      int
	forgotten bool
	then      func()
}

func (a *answered) Replied(*client.Delivery, error) {
	a.told++
	if a.then != nil {
		a.then()
	}
}

func (x *chaos) request() {
	a := &answered{}
	if x.rnd.IntN(8) == 0 {
		a.then = func() { x.request() }
	}
	o := to(fmt.Sprint("k", x.rnd.IntN(3)))
	if x.rnd.IntN(20) == 0 {
		o.Body = make([]byte, 30000)
	}
	var p *client.Producer
	if i := x.rnd.IntN(3); i < 2 {
		p = x.producers[i]
	}
	id, err := x.client.Request(p, &o, time.Duration(1+x.rnd.IntN(10000))*time.Millisecond, a)
	if a.id = id; err == nil {
		x.requests = append(x.requests, a)
	}
}

// ask asks one of the questions that get exactly one answer.
func (x *chaos) ask() {
	var err error
	done := func(error) {
		x.asked--
		if x.rnd.IntN(8) == 0 {
			x.ask()
		}
	}
	x.asked++
	switch x.rnd.IntN(4) {
	case 0:
		err = x.client.QueueInfo("q", func(_, _ uint32, err error) { done(err) })
	case 1:
		t := queue("declared")
		t.Bindings = []client.Binding{{Exchange: "amq.topic", RoutingKey: "k"}}
		err = x.client.Declare(&t, func(_ []string, err error) { done(err) })
	default:
		noAck := x.rnd.IntN(3) == 0
		err = x.client.Get(fmt.Sprint("g", x.rnd.IntN(3)), noAck, func(d *client.Delivery, err error) {
			if d != nil && !noAck {
				x.held = append(x.held, client.Delivery{Acknowledger: d.Acknowledger, Epoch: d.Epoch, Tag: d.Tag})
			}
			done(err)
		})
	}
	if err != nil {
		x.asked--
	}
}

// pause stops or starts a consumer.
func (x *chaos) pause() {
	k := x.consumers[x.rnd.IntN(len(x.consumers))]
	if k.IsPaused() {
		k.Resume()
	} else {
		k.Pause()
	}
}

// answerRequest answers a request, returns it, or refuses it.
func (x *chaos) answerRequest() {
	b := x.broker
	i := x.rnd.IntN(len(b.requests))
	q := b.requests[i]
	b.requests = append(b.requests[:i:i], b.requests[i+1:]...)
	if b.requestTag[q.ch] == "" || b.closing[q.ch] {
		return
	}
	switch x.rnd.IntN(6) {
	case 0:
		b.say(q.ch, &amqpproto.BasicNack{DeliveryTag: q.number})
		return
	case 1:
		b.say(q.ch, &amqpproto.BasicAck{DeliveryTag: q.number})
	}
	b.reply(q, q.body)
}

func (x *chaos) Deliver(d *client.Delivery) {
	x.held = append(x.held, client.Delivery{Acknowledger: d.Acknowledger, Epoch: d.Epoch, Tag: d.Tag})
	if x.rnd.IntN(4) == 0 {
		x.settle(len(x.held) - 1)
	}
	if x.rnd.IntN(8) == 0 {
		x.publish()
	}
}

func (x *chaos) settle(i int) {
	d := x.held[i]
	x.held = append(x.held[:i], x.held[i+1:]...)
	x.stale = append(x.stale, d)
	switch x.rnd.IntN(5) {
	case 0:
		d.Acknowledger.Reject(d.Epoch, d.Tag, true)
	case 1:
		d.Acknowledger.Nack(d.Epoch, d.Tag, false)
	default:
		d.Acknowledger.Ack(d.Epoch, d.Tag)
	}
}

func (x *chaos) publish() {
	c := &numbered{t: x.t.(*testing.T), n: len(x.published)}
	if x.rnd.IntN(10) == 0 {
		c.then = func(error) { x.publish() }
	}
	o := to(fmt.Sprint("k", x.rnd.IntN(3)))
	o.Mandatory = x.rnd.IntN(2) == 0
	if x.rnd.IntN(20) == 0 {
		o.Body = make([]byte, 60000)
	}
	var p *client.Producer
	if i := x.rnd.IntN(3); i < 2 {
		p = x.producers[i]
	}
	if err := x.client.Publish(p, &o, c); err == nil {
		x.published = append(x.published, c)
	} else if !errors.Is(err, client.ErrPublishMax) {
		x.t.Fatal(err)
	}
}

func (x *chaos) consume() {
	x.names++
	t := queue(fmt.Sprint("q", x.names))
	if x.rnd.IntN(2) == 0 {
		t.Queues = []client.Queue{{Exclusive: true}}
	}
	t.Exchanges = []client.Exchange{{Name: "x", Type: "topic"}, {Name: "y"}}
	t.ExchangeBindings = []client.ExchangeBinding{{Source: "x", Destination: "y", RoutingKey: "#"}}
	t.Bindings = []client.Binding{{Exchange: "y", RoutingKey: "k"}}
	x.consumers = append(x.consumers, x.client.Consume(client.ConsumerSpec{
		Name: fmt.Sprint("c", x.names), Prefetch: 5, Topology: t, SingleActive: x.rnd.IntN(2) == 0}, x))
}

// channel picks one that is open.
func (x *chaos) channel() (uint16, bool) {
	for ch := range x.broker.asm {
		if !x.broker.closing[ch] {
			return ch, true
		}
	}
	return 0, false
}

// step does one thing.
func (x *chaos) step() {
	b := x.broker
	switch n := x.rnd.IntN(125); {
	case n >= 118:
		x.ask()
	case n >= 115:
		x.pause()
	case n >= 108 && len(b.requests) > 0:
		x.answerRequest()
	case n >= 101:
		x.request()
	case n >= 100 && len(x.requests) > 0:
		a := x.requests[x.rnd.IntN(len(x.requests))]
		a.forgotten = x.client.Forget(a.id) || a.forgotten
	case n < 30:
		for tag := range b.consumers {
			b.deliver(tag, "x")
			break
		}
	case n < 50 && len(x.held) > 0:
		x.settle(x.rnd.IntN(len(x.held)))
	case n < 53 && len(x.stale) > 0:
		d := x.stale[x.rnd.IntN(len(x.stale))]
		d.Acknowledger.Ack(d.Epoch, d.Tag)
	case n < 68:
		x.publish()
	case n < 78 && len(b.open) > 0 && b.pubChan != 0 && !b.closing[b.pubChan]:
		i := x.rnd.IntN(len(b.open))
		m := &amqpproto.BasicAck{DeliveryTag: b.open[i], Multiple: x.rnd.IntN(2) == 0}
		if b.open = append(b.open[:i:i], b.open[i+1:]...); m.Multiple {
			b.open = b.open[i:]
		}
		b.say(b.pubChan, m)
	case n < 80:
		if ch, ok := x.channel(); ok {
			b.closeChannel(ch, 404, "NOT_FOUND")
		}
	case n < 82:
		for tag, ch := range b.consumers {
			delete(b.consumers, tag)
			b.say(ch, &amqpproto.BasicCancel{ConsumerTag: []byte(tag), NoWait: true})
			break
		}
	case n < 84:
		if blocked, _ := x.client.Blocked(); blocked {
			b.say(0, &amqpproto.ConnectionUnblocked{})
		} else if x.client.State() == client.Connected {
			b.say(0, &amqpproto.ConnectionBlocked{Reason: []byte("alarm")})
		}
	case n < 86:
		x.link.Cut(errors.New("pulled"))
	case n < 87:
		b.say(0, &amqpproto.ConnectionClose{ReplyCode: 320, ReplyText: []byte("CONNECTION_FORCED")})
	case n < 89:
		i := x.rnd.IntN(len(x.consumers))
		x.consumers[i].Cancel(func() { x.cancelled-- })
		x.cancelled++
		x.consumers = append(x.consumers[:i], x.consumers[i+1:]...)
		x.consume()
	case n < 95:
		x.clock.Advance(time.Duration(x.rnd.IntN(3000)) * time.Millisecond)
	}
	if x.rnd.IntN(3) > 0 {
		x.run()
	}
}

func TestChaos(t *testing.T) {
	wiretest.Seeds(t, 20, func(t *testing.T, seed int64) {
		x := &chaos{fixture: newFixture(t, seed, client.Config{ConfirmTimeout: 20 * time.Second, PublishMax: 2 << 20, Heartbeat: 20 * time.Second, Seed: uint64(seed)}),
			rnd: rand.New(rand.NewPCG(uint64(seed), 9))}
		healed := false
		x.prepare = func(b *fakeBroker) {
			b.silent = !healed
			b.gets = func(string) (string, bool) { return "got", x.rnd.IntN(3) > 0 }
			b.tune.Heartbeat = 0 // the broker sets none, so the client's interval applies
			b.on[amqpproto.IDConnectionTuneOk] = func(uint16, amqpproto.Method) bool { return true }
		}
		for _, name := range []string{"x", "z"} {
			x.producers = append(x.producers, x.client.Produce(client.ProducerSpec{Name: name, Topology: client.Topology{
				Exchanges: []client.Exchange{{Name: name, Type: "topic"}}}}))
		}
		for range 3 {
			x.consume()
		}
		x.connect()
		for range 400 {
			x.step()
		}
		healed = true
		x.broker.silent = false
		x.link.Cut(errors.New("to heal"))
		for _, k := range x.consumers {
			k.Resume()
		}
		for range 100 {
			x.clock.Advance(2 * time.Second)
			x.broker.script.Say(amqpproto.AppendHeartbeat(nil)...)
			x.run()
		}
		if !x.client.Ready() {
			t.Fatal("not ready", x.client.State(), x.client.Err())
		}
		for _, k := range x.consumers {
			if k.State() != client.Up || k.Err() != nil {
				t.Error(k, k.Err())
			}
		}
		if n, octets := x.client.Unconfirmed(); n != 0 || octets != 0 {
			t.Errorf("%d publishes of %d octets are left", n, octets)
		}
		for _, c := range x.published {
			if c.told != 1 {
				t.Errorf("publish %d was told %d times", c.n, c.told)
			}
		}
		for i, a := range x.requests {
			if a.told == 0 != a.forgotten || a.told > 1 {
				t.Errorf("request %d was told %d times, forgotten %v", i, a.told, a.forgotten)
			}
		}
		if x.asked != 0 || x.client.Requests() != 0 {
			t.Errorf("%d questions and %d requests have no outcome", x.asked, x.client.Requests())
		}
		if x.cancelled != 0 {
			t.Errorf("%d cancels were not told", x.cancelled)
		}
		if testing.Verbose() {
			t.Logf("%+v", x.client.Stats())
		}
		if ended, err := false, error(nil); true {
			x.client.Close(func(e error) { ended, err = true, e })
			x.run()
			if !ended || err != nil {
				t.Error("close", ended, err)
			}
		}
	})
}
