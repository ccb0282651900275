package client_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// numbered is a Confirm that knows which publish it is for.
type numbered struct {
	t    *testing.T
	n    int
	err  error
	told int
	log  *[]int
	then func(error)
}

func (c *numbered) Confirmed(err error) {
	if c.told++; c.told > 1 {
		c.t.Errorf("publish %d was told twice", c.n)
	}
	c.err = err
	if c.log != nil {
		*c.log = append(*c.log, c.n)
	}
	if c.then != nil {
		c.then(err)
	}
}

func (f *fixture) publish(p *client.Producer, o client.Outgoing, c client.Confirm) {
	f.t.Helper()
	if err := f.client.Publish(p, &o, c); err != nil {
		f.t.Fatal(err)
	}
}

func to(key string) client.Outgoing {
	return client.Outgoing{RoutingKey: key, Body: []byte(key)}
}

// TestConfirmsInAnyOrder lets the broker answer a hundred publishes at random:
// singly, by multiple, acks and nacks, with returns before.
func TestConfirmsInAnyOrder(t *testing.T) {
	wiretest.Seeds(t, 30, func(t *testing.T, seed int64) {
		rnd := rand.New(rand.NewPCG(uint64(seed), 3))
		f := newFixture(t, seed, client.Config{}).connect()
		b := f.broker
		b.silent = true
		const total = 100
		want := make([]string, total)
		all := make([]*numbered, total)
		for i := range total {
			all[i] = &numbered{t: t, n: i}
			o := to(fmt.Sprint("key", i%3))
			o.Mandatory = rnd.IntN(3) > 0
			o.Body = fmt.Append(nil, "body", rnd.IntN(5))
			f.publish(nil, o, all[i])
			if o.Mandatory && rnd.IntN(2) == 0 {
				want[i] = "returned"
				p := method(t, b.pubChan, &amqpproto.BasicReturn{ReplyCode: 312, ReplyText: []byte("NO_ROUTE"), RoutingKey: []byte(o.RoutingKey)})
				p = amqpproto.AppendContentHeader(p, b.pubChan, 60, uint64(len(o.Body)), []byte{0, 0})
				f.run()
				b.script.Say(amqpproto.AppendBody(p, b.pubChan, o.Body, 4096)...)
			}
			f.run()
		}
		open := map[uint64]bool{}
		for i := range uint64(total) {
			open[i+1] = true
		}
		for len(open) > 0 {
			tag := 1 + rnd.Uint64N(total)
			nack, multiple := rnd.IntN(4) == 0, rnd.IntN(6) == 0
			if multiple && rnd.IntN(5) == 0 {
				tag = 0
			}
			any := false
			for seq := range uint64(total) {
				if seq++; open[seq] && (seq == tag || multiple && (seq < tag || tag == 0)) {
					any = true
					delete(open, seq)
					if nack {
						want[seq-1] = "nacked"
					} else if want[seq-1] == "" {
						want[seq-1] = "ok"
					}
				}
			}
			if !any {
				continue
			}
			if nack {
				b.say(b.pubChan, &amqpproto.BasicNack{DeliveryTag: tag, Multiple: multiple})
			} else {
				b.say(b.pubChan, &amqpproto.BasicAck{DeliveryTag: tag, Multiple: multiple})
			}
			f.run()
		}
		// What was nacked is sent once more, over another channel.
		if f.clock.Advance(2 * time.Second); f.client.Stats().Resent > 0 {
			b.say(b.pubChan, &amqpproto.BasicAck{Multiple: true})
			f.run()
		}
		// Equal publishes may have been taken for each other: what counts is that
		// the same number of each kind got each outcome.
		got, expect := map[string]int{}, map[string]int{}
		for i, c := range all {
			var re *client.ReturnError
			kind := "ok"
			switch {
			case errors.As(c.err, &re):
				kind = "returned"
			case errors.Is(c.err, client.ErrNacked):
				kind = "nacked"
			case c.err != nil:
				t.Fatalf("publish %d: %v", i, c.err)
			}
			if c.told != 1 {
				t.Fatalf("publish %d was told %d times", i, c.told)
			}
			got[kind]++
			expect[want[i]]++
		}
		if n, octets := f.client.Unconfirmed(); n != 0 || octets != 0 {
			t.Fatal(n, octets)
		}
		if fmt.Sprint(got) != fmt.Sprint(expect) {
			t.Logf("%v, want %v", got, expect)
			// A nack may fall on one of two equal ones; nothing else may differ.
			if got["ok"]+got["returned"]+got["nacked"] != total {
				t.Fatal("some are missing")
			}
		}
	})
}

// TestReturnIsAttributed publishes to one route and has the third come back.
func TestReturnIsAttributed(t *testing.T) {
	props := func(id string) []byte {
		p := amqpproto.Properties{MessageID: []byte(id)}
		p.SetFlags()
		raw, err := p.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	long := strings.Repeat("x", 20000)
	for _, row := range []struct {
		name   string
		out    []client.Outgoing
		back   client.Outgoing
		expect int
	}{
		{"by body", []client.Outgoing{to("a"), {RoutingKey: "a", Body: []byte("b")}, {RoutingKey: "a", Body: []byte("c")}},
			client.Outgoing{RoutingKey: "a", Body: []byte("c")}, 2},
		{"by long body", []client.Outgoing{to("a"), {RoutingKey: "a", Body: []byte(long + "b")}, {RoutingKey: "a", Body: []byte(long + "c")}},
			client.Outgoing{RoutingKey: "a", Body: []byte(long + "c")}, 2},
		{"by id", []client.Outgoing{{RoutingKey: "a", RawProperties: props("1")}, {RoutingKey: "a", RawProperties: props("2")}},
			client.Outgoing{RoutingKey: "a", RawProperties: props("2")}, 1},
		{"by key", []client.Outgoing{to("a"), to("b"), to("c")}, to("b"), 1},
		{"by route if the content is new", []client.Outgoing{to("b"), to("a"), to("a")}, client.Outgoing{RoutingKey: "a", Body: []byte("?")}, 1},
		{"equal ones in order", []client.Outgoing{to("a"), to("a")}, to("a"), 0},
		{"unknown", []client.Outgoing{to("a"), to("b")}, to("z"), -1},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, 0, client.Config{}).connect()
			f.broker.silent = true
			var all []*numbered
			for i, o := range row.out {
				o.Mandatory = true
				all = append(all, &numbered{t: t, n: i})
				f.publish(nil, o, all[i])
			}
			f.run()
			ch := f.broker.pubChan
			f.broker.say(ch, &amqpproto.BasicReturn{ReplyCode: 312, ReplyText: []byte("NO_ROUTE"), RoutingKey: []byte(row.back.RoutingKey)})
			raw := row.back.RawProperties
			if row.expect >= 0 {
				raw = f.broker.raws[row.expect] // with the id that the client gave it
			} else if raw == nil {
				raw = []byte{0, 0}
			}
			f.broker.script.Say(amqpproto.AppendContentHeader(nil, ch, 60, uint64(len(row.back.Body)), raw)...)
			f.broker.script.Say(amqpproto.AppendBody(nil, ch, row.back.Body, 131072)...)
			f.broker.say(ch, &amqpproto.BasicAck{Multiple: true})
			f.run()
			for i, c := range all {
				if c.told != 1 || (c.err != nil) != (i == row.expect) {
					t.Errorf("publish %d: %v", i, c.err)
				}
			}
			if e := f.last(client.EventReturned); (e.Text != "") != (row.expect < 0) {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestWaitingExpiresUnsent(t *testing.T) {
	f := newFixture(t, 0, client.Config{ConfirmTimeout: 10 * time.Second})
	f.manual = true
	early, late := &numbered{t: t}, &numbered{t: t}
	f.publish(nil, to("early"), early)
	f.clock.Advance(8 * time.Second)
	f.publish(nil, to("late"), late)
	f.clock.Advance(4 * time.Second)
	if early.told != 1 || !errors.Is(early.err, client.ErrConfirmTimeout) || late.told != 0 {
		t.Fatal(early.err, late.told)
	}
	f.connect()
	if late.told != 1 || late.err != nil || !slices.Equal(f.broker.bodies, []string{"late"}) {
		t.Fatal(late, f.broker.bodies)
	}
	if n, octets := f.client.Unconfirmed(); n != 0 || octets != 0 || f.client.Stats().Expired != 1 {
		t.Fatal(n, octets, f.client.Stats())
	}
}

func TestUnconfirmedExpires(t *testing.T) {
	f := newFixture(t, 0, client.Config{ConfirmTimeout: 10 * time.Second}).connect()
	f.broker.silent = true
	a, b := &numbered{t: t}, &numbered{t: t}
	f.publish(nil, to("a"), a)
	f.run()
	f.clock.Advance(5 * time.Second)
	f.publish(nil, to("b"), b)
	f.run()
	f.clock.Advance(5500 * time.Millisecond)
	if !errors.Is(a.err, client.ErrConfirmTimeout) || b.told != 0 {
		t.Fatal(a.err, b.told)
	}
	// The broker's late answer is matched, and nobody gets an outcome twice.
	f.broker.say(f.broker.pubChan, &amqpproto.BasicAck{DeliveryTag: 2, Multiple: true})
	f.run()
	if a.told != 1 || b.told != 1 || b.err != nil {
		t.Fatal(a.told, b.err)
	}
	if n, octets := f.client.Unconfirmed(); n != 0 || octets != 0 {
		t.Fatal(n, octets)
	}
}

// patient is a Confirm that waits for more than ConfirmTimeout.
type patient struct {
	numbered
	late int
}

func (c *patient) Late() { c.late++ }

// TestLateConfirmWaitsForTheChannel: a sent publish gets Late once, and then its outcome:
// from the broker, or with its connection. One that was not sent is over.
func TestLateConfirmWaitsForTheChannel(t *testing.T) {
	f := newFixture(t, 0, client.Config{ConfirmTimeout: 10 * time.Second}).connect()
	f.broker.silent = true
	acked, nacked, lost := &patient{numbered: numbered{t: t}}, &patient{numbered: numbered{t: t}}, &patient{numbered: numbered{t: t}}
	for _, c := range []*patient{acked, nacked, lost} {
		f.publish(nil, to("a"), c)
	}
	f.run()
	f.clock.Advance(35 * time.Second)
	if n, octets := f.client.Unconfirmed(); n != 3 || octets == 0 || f.client.Stats().Expired != 3 {
		t.Fatal(n, octets, f.client.Stats())
	}
	for _, c := range []*patient{acked, nacked, lost} {
		if c.late != 1 || c.told != 0 {
			t.Fatalf("told late %d times, told the outcome %d times", c.late, c.told)
		}
	}
	f.broker.say(f.broker.pubChan, &amqpproto.BasicAck{DeliveryTag: 1})
	f.broker.say(f.broker.pubChan, &amqpproto.BasicNack{DeliveryTag: 2})
	f.run()
	f.manual = true
	f.link.Cut(errors.New("pulled"))
	var le *client.LostError
	if acked.told != 1 || acked.err != nil || nacked.told != 1 || !errors.Is(nacked.err, client.ErrNacked) ||
		lost.told != 1 || !errors.As(lost.err, &le) {
		t.Fatal(acked.err, nacked.err, lost.err)
	}
	unsent := &patient{numbered: numbered{t: t}}
	f.publish(nil, to("b"), unsent)
	f.clock.Advance(11 * time.Second)
	if unsent.late != 0 || unsent.told != 1 || !errors.Is(unsent.err, client.ErrConfirmTimeout) {
		t.Fatal(unsent.late, unsent.told, unsent.err)
	}
	if n, octets := f.client.Unconfirmed(); n != 0 || octets != 0 {
		t.Fatal(n, octets)
	}
}

// TestPublishedByThoseWhoHear publishes from each kind of callback, and expects the deadline
// of that publish to run as well.
func TestPublishedByThoseWhoHear(t *testing.T) {
	f := newFixture(t, 0, client.Config{ConfirmTimeout: 10 * time.Second}).connect()
	f.broker.silent = true
	second := &numbered{t: t}
	first := &numbered{t: t, then: func(error) { f.publish(nil, to("second"), second) }}
	f.publish(nil, to("first"), first)
	f.run()
	f.clock.Advance(10100 * time.Millisecond)
	if first.told != 1 || second.told != 0 || f.broker.publishes != 2 {
		t.Fatal(first, second, f.broker.publishes)
	}
	f.clock.Advance(10100 * time.Millisecond)
	if second.told != 1 || !errors.Is(second.err, client.ErrConfirmTimeout) {
		t.Fatal(second)
	}
	third := &numbered{t: t}
	lost := &numbered{t: t, then: func(error) { f.publish(nil, to("third"), third) }}
	f.publish(nil, to("lost"), lost)
	f.run()
	f.link.Cut(errors.New("pulled"))
	var le *client.LostError
	if !errors.As(lost.err, &le) || third.told != 0 {
		t.Fatal(lost.err)
	}
	f.clock.Advance(3 * time.Second)
	if third.err != nil || third.told != 1 {
		t.Fatal(third)
	}
}

func TestBlockedParksPublishesOnly(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	s := &sink{ack: true}
	f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, s)
	f.connect()
	f.broker.say(0, &amqpproto.ConnectionBlocked{Reason: []byte("low on memory")})
	f.run()
	if blocked, why := f.client.Blocked(); !blocked || why != "low on memory" || f.last(client.EventBlocked).Text != why {
		t.Fatal(blocked, why)
	}
	c := &numbered{t: t}
	f.publish(nil, to("a"), c)
	f.broker.deliver("c", "x")
	f.run()
	if f.broker.publishes != 0 || !slices.Equal(f.broker.acks, []string{"ack 1 true"}) {
		t.Fatal(f.broker.publishes, f.broker.acks)
	}
	f.broker.say(0, &amqpproto.ConnectionUnblocked{})
	f.run()
	if c.told != 1 || c.err != nil || f.count(client.EventUnblocked) != 1 {
		t.Fatal(c)
	}
	// Lost while blocked: the next connection is not.
	f.broker.say(0, &amqpproto.ConnectionBlocked{Reason: []byte("again")})
	f.run()
	f.link.Cut(errors.New("pulled"))
	f.clock.Advance(2 * time.Second)
	if blocked, _ := f.client.Blocked(); blocked || !f.client.Ready() {
		t.Fatal("still blocked")
	}
}

func TestFlowParksPublishes(t *testing.T) {
	f := newFixture(t, 0, client.Config{}).connect()
	f.broker.say(f.broker.pubChan, &amqpproto.ChannelFlow{Active: false})
	f.run()
	c := &numbered{t: t}
	f.publish(nil, to("a"), c)
	f.run()
	if f.broker.publishes != 0 {
		t.Fatal("published against channel.flow")
	}
	f.broker.say(f.broker.pubChan, &amqpproto.ChannelFlow{Active: true})
	f.run()
	if c.told != 1 || c.err != nil || f.broker.log[len(f.broker.log)-2] != "1 channel.flow-ok" {
		t.Fatal(c, f.broker.log)
	}
}

func TestPublishLimits(t *testing.T) {
	f := newFixture(t, 0, client.Config{PublishMax: 1400})
	f.manual = true
	c := &confirms{}
	o := client.Outgoing{Body: make([]byte, 400)}
	f.publish(nil, o, c)
	f.publish(nil, o, c)
	if err := f.client.Publish(nil, &o, c); !errors.Is(err, client.ErrPublishMax) {
		t.Fatal(err)
	}
	if n, octets := f.client.Unconfirmed(); n != 2 || octets != 2*(400+256) {
		t.Fatal(n, octets)
	}
	f.connect()
	if len(c.got) != 2 {
		t.Fatal(c.got)
	}
	f.publish(nil, o, c)
	other := client.New(client.Config{}, quiet{})
	for _, bad := range []client.Outgoing{
		{Exchange: strings.Repeat("x", 256)},
		{RoutingKey: strings.Repeat("x", 256)},
		{RawProperties: make([]byte, 131072)},
		{RawProperties: []byte{0}},
		{RawProperties: []byte{0, 0, 0}},
		{RawProperties: []byte{0x80, 0, 9}},
		{Body: make([]byte, 1200)},
	} {
		if err := f.client.Publish(nil, &bad, c); err == nil {
			t.Errorf("%.50v was accepted", bad)
		}
	}
	if err := f.client.Publish(other.Produce(client.ProducerSpec{Name: "p"}), &client.Outgoing{}, c); err == nil {
		t.Error("another client's producer was accepted")
	}
}

// TestLowerFrameMax publishes properties that fit before the broker has said how
// large a frame may be, and no longer after.
func TestLowerFrameMax(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	f.prepare = func(b *fakeBroker) { b.tune.FrameMax = 4096 }
	raw := append([]byte{0x20, 0, 0, 0, 0x20, 0}, make([]byte, 0x2000)...) // headers of 8 KiB
	large, small := &numbered{t: t}, &numbered{t: t}
	f.publish(nil, client.Outgoing{RawProperties: raw}, large)
	f.publish(nil, client.Outgoing{Body: make([]byte, 10000)}, small)
	f.connect()
	if large.told != 1 || large.err == nil || small.told != 1 || small.err != nil {
		t.Fatal(large, small)
	}
}

func TestProducersGateTheirOwn(t *testing.T) {
	f := newFixture(t, 0, client.Config{ConfirmTimeout: 20 * time.Second})
	refused := true
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDExchangeDeclare] = func(ch uint16, m amqpproto.Method) bool {
			if string(m.(*amqpproto.ExchangeDeclare).Exchange) != "bad" || !refused {
				return false
			}
			b.closeChannel(ch, 406, "PRECONDITION_FAILED - inequivalent arg")
			return true
		}
	}
	producer := func(name string) *client.Producer {
		return f.client.Produce(client.ProducerSpec{Name: name, Topology: client.Topology{Exchanges: []client.Exchange{{Name: name, Type: "topic"}}}})
	}
	bad, good := producer("bad"), producer("good")
	var order []int
	for i := range 6 {
		p := bad
		if i%2 == 0 {
			p = good
		}
		f.publish(p, to(fmt.Sprint(i)), &numbered{t: t, n: i, log: &order})
	}
	f.connect()
	if good.State() != client.Up || bad.State() != client.AwaitRetry || !slices.Equal(order, []int{0, 2, 4}) {
		t.Fatal(good, bad, order)
	}
	if e := f.last(client.EventProducerFailed); e.Name != "bad" || !strings.Contains(e.Err.Error(), `bad: exchange.declare "bad"`) {
		t.Fatal(e)
	}
	late := &numbered{t: t}
	f.publish(bad, to("late"), late)
	refused = false
	f.clock.Advance(3 * time.Second)
	if bad.State() != client.Up || bad.Err() != nil || !slices.Equal(order, []int{0, 2, 4, 1, 3, 5}) || late.err != nil {
		t.Fatal(bad, order, late)
	}
	if f.client.Stats().ChannelErrors == 0 || f.client.State() != client.Connected {
		t.Fatal(f.client.Stats())
	}
}

// TestBackPressure publishes more than the output takes, while nothing is sent.
func TestBackPressure(t *testing.T) {
	d := newDirect(t, client.Config{}, &acker{})
	c := &counter{}
	const total = 100
	other := d.client.Produce(client.ProducerSpec{Name: "other"})
	publish := func(i int) {
		p := other
		if i%2 == 0 {
			p = nil
		}
		body := make([]byte, 20000)
		body[0] = byte(i)
		if err := d.client.Publish(p, &client.Outgoing{Body: body}, c); err != nil {
			t.Fatal(err)
		}
	}
	for i := range total {
		publish(i)
	}
	if n := len(d.conn.Pending()); n < 512<<10 || n > 600<<10 {
		t.Fatalf("%d octets pending", n)
	}
	published := total
	var sent []byte
	for {
		d.conn.Tick(d.now)
		p := d.conn.Pending()
		if len(p) == 0 {
			break
		}
		if len(p) > 600<<10 {
			t.Fatalf("%d octets pending", len(p))
		}
		n := min(len(p), 30000)
		sent = append(sent, p[:n]...)
		d.conn.Sent(n)
		if published < 2*total { // there is room again, but others wait for it
			publish(published)
			published++
		}
	}
	for i := 0; len(sent) > 0; {
		f, n, err := amqpproto.CutFrame(sent, 0)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		if f.Type == amqpproto.FrameBody {
			if f.Payload[0] != byte(i) {
				t.Fatalf("publish %d came as number %d", f.Payload[0], i)
			}
			i++
		}
		sent = sent[n:]
	}
	d.turn(method(t, publishChannel, &amqpproto.BasicAck{DeliveryTag: uint64(published), Multiple: true}))
	if c.ok != published {
		t.Fatal(*c)
	}
}

func TestNoConfirms(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		f := newFixture(t, seed, client.Config{NoConfirms: true})
		f.manual = true
		f.prepare = func(b *fakeBroker) { b.silent = true }
		var order []int
		for i := range 5 {
			f.publish(nil, client.Outgoing{Body: make([]byte, 1000)}, &numbered{t: t, n: i, log: &order})
		}
		f.connect()
		if !slices.Equal(order, []int{0, 1, 2, 3, 4}) || slices.Contains(f.broker.log, "1 confirm.select") {
			t.Fatal(order, f.broker.log)
		}
		c := &numbered{t: t}
		f.publish(nil, to("x"), c)
		if c.told != 0 {
			t.Fatal("told within Publish")
		}
		f.run()
		if c.told != 1 || c.err != nil {
			t.Fatal(c)
		}
	})
}
