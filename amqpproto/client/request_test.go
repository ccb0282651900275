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

func (f *fixture) request(r *replies, n int, key string, timeout time.Duration) client.RequestID {
	f.t.Helper()
	o := to(key)
	o.Mandatory = true
	id, err := f.client.Request(nil, &o, timeout, reply{r, n})
	must(f.t, err)
	return id
}

func TestRequestUnderAnyChunking(t *testing.T) {
	for _, own := range []bool{false, true} {
		wiretest.Seeds(t, 6, func(t *testing.T, seed int64) {
			f := newFixture(t, seed, client.Config{ReplyQueue: own})
			r := newReplies()
			for i := range 40 {
				f.request(r, i, strings.Repeat("k", i), time.Minute) // waits for the connection
			}
			f.connect()
			for i := 40; i < 80; i++ {
				f.request(r, i, strings.Repeat("k", i), time.Minute)
			}
			f.run()
			for i := range 80 {
				if r.errs[i] != nil || r.bodies[i] != "re: "+strings.Repeat("k", i) {
					t.Fatalf("%d: %q %v", i, r.bodies[i], r.errs[i])
				}
			}
			if s := f.client.Stats(); s.Requests != 80 || s.Replies != 80 || f.client.Requests() != 0 {
				t.Fatalf("%+v", s)
			}
		})
	}
}

// TestRequestOutcomes has one request for each way in which a request can end.
func TestRequestOutcomes(t *testing.T) {
	f := newFixture(t, 1, client.Config{}).connect()
	r := newReplies()
	f.broker.silent = true
	for i := range 8 {
		f.request(r, i, fmt.Sprint("k", i), time.Duration(1+i)*time.Minute)
	}
	f.run()
	q := f.broker.requests
	if len(q) != 8 || q[0].target != "amq.rabbitmq.reply-to" || len(q[0].correlation) != 24 {
		t.Fatalf("%+v", q)
	}
	b := f.broker
	// The reply comes before the confirm, twice, and after a correlation id of
	// somebody else.
	b.reply(asked{q[0].ch, 0, "else", q[0].target, ""}, "x")
	b.reply(asked{q[0].ch, 0, strings.Repeat("f", 24), q[0].target, ""}, "x")
	b.reply(q[0], "first")
	b.reply(q[0], "second")
	b.say(q[0].ch, &amqpproto.BasicAck{DeliveryTag: q[2].number, Multiple: true})
	b.say(q[3].ch, &amqpproto.BasicNack{DeliveryTag: q[3].number})
	// The fifth comes back.
	p := amqpproto.Properties{Flags: amqpproto.FlagCorrelationID, CorrelationID: []byte(q[4].correlation)}
	raw, err := p.Append(nil)
	must(t, err)
	in := method(t, q[4].ch, &amqpproto.BasicReturn{ReplyCode: 312, ReplyText: []byte("NO_ROUTE"), RoutingKey: []byte("k4")})
	in = amqpproto.AppendContentHeader(in, q[4].ch, 60, 2, raw)
	b.script.Say(amqpproto.AppendBody(in, q[4].ch, []byte("k4"), 4096)...)
	b.say(q[4].ch, &amqpproto.BasicAck{DeliveryTag: q[4].number})
	f.run()
	var re *client.ReturnError
	if r.bodies[0] != "first" || !errors.Is(r.errs[3], client.ErrNacked) || !errors.As(r.errs[4], &re) || r.len() != 3 {
		t.Fatalf("%+v", r)
	}
	if s := f.client.Stats(); s.LateReplies != 3 || s.Replies != 1 || s.Nacked != 1 || s.Returned != 1 {
		t.Fatalf("%+v", s)
	}
	for range 6 {
		f.clock.Advance(25 * time.Second)
		b.script.Say(amqpproto.AppendHeartbeat(nil)...)
		f.run()
	}
	if r.errs[1] != client.ErrReplyTimeout || r.len() != 4 {
		t.Fatalf("%+v", r)
	}
	b.reply(q[1], "too late")
	b.closeChannel(q[2].ch, 404, "NOT_FOUND - no exchange 'x'")
	f.run()
	for _, i := range []int{2, 5, 6, 7} {
		wantChannelError(t, r.errs[i], amqpproto.NotFound)
	}
	if n, octets := f.client.Unconfirmed(); n != 0 || octets != 0 || f.client.Requests() != 0 || f.client.Stats().LateReplies != 4 {
		t.Fatal(n, octets, f.client.Requests(), f.client.Stats())
	}
	b.silent = false
	f.request(r, 8, "k", time.Minute)
	f.run()
	if r.bodies[8] != "re: k" {
		t.Fatalf("%+v", r)
	}
}

func TestRequestBounds(t *testing.T) {
	f := newFixture(t, 0, client.Config{RequestsMax: 3, PublishMax: 20000})
	r := newReplies()
	for i := range 3 {
		f.request(r, i, "k", time.Second)
	}
	o := to("k")
	if _, err := f.client.Request(nil, &o, time.Second, reply{r, 9}); !errors.Is(err, client.ErrBusy) {
		t.Fatal(err)
	}
	f.clock.Advance(3 * time.Second)
	if r.len() != 3 || !errors.Is(r.errs[0], client.ErrReplyTimeout) || !strings.Contains(r.errs[0].Error(), "is not open") {
		t.Fatalf("%+v", r)
	}
	o.Body = make([]byte, 30000)
	if _, err := f.client.Request(nil, &o, time.Second, reply{r, 9}); !errors.Is(err, client.ErrPublishMax) {
		t.Fatal(err)
	}
	o = to(strings.Repeat("k", 256))
	if _, err := f.client.Request(nil, &o, time.Second, reply{r, 9}); err == nil {
		t.Fatal("a routing key that no frame takes")
	}
	id := f.request(r, 4, "k", time.Second)
	if !f.client.Forget(id) {
		t.Fatal("Forget")
	}
	f.request(r, 5, "k", time.Minute)
	f.client.Close(nil)
	if r.len() != 4 || !errors.Is(r.errs[5], client.ErrClosed) {
		t.Fatalf("%+v", r)
	}
	if _, err := f.client.Request(nil, &o, time.Second, reply{r, 9}); !errors.Is(err, client.ErrClosed) {
		t.Fatal(err)
	}
}

// TestRequestSetupFails: a broker without direct reply-to fails the requests that wait,
// and is asked again later and not at once.
func TestRequestSetupFails(t *testing.T) {
	f := newFixture(t, 0, client.Config{BackoffMax: 5 * time.Second})
	tries, refuse := 0, true
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDBasicConsume] = func(ch uint16, m amqpproto.Method) bool {
			if tries++; refuse {
				b.closeChannel(ch, 404, "NOT_FOUND - no queue 'amq.rabbitmq.reply-to'")
			}
			return refuse
		}
	}
	f.connect()
	r := newReplies()
	f.request(r, 0, "k", time.Minute)
	f.run()
	wantChannelError(t, r.errs[0], amqpproto.NotFound)
	f.request(r, 1, "k", time.Minute)
	f.run()
	if tries != 1 || r.len() != 1 {
		t.Fatal(tries, r)
	}
	refuse = false
	f.clock.Advance(5 * time.Second)
	if tries != 2 || r.bodies[1] != "re: k" {
		t.Fatal(tries, r)
	}
	// While the broker blocks, requests wait. The error of one that was blocked for too long says
	// so.
	f.broker.say(0, &amqpproto.ConnectionBlocked{Reason: []byte("low on memory")})
	f.run()
	f.request(r, 2, "k", time.Second)
	f.request(r, 3, "k", time.Minute)
	f.clock.Advance(2 * time.Second)
	if r.len() != 3 || !strings.Contains(r.errs[2].Error(), "low on memory") {
		t.Fatal(r)
	}
	f.broker.say(0, &amqpproto.ConnectionUnblocked{})
	f.run()
	if r.bodies[3] != "re: k" {
		t.Fatal(r)
	}
}

// TestRequestHostile feeds what no broker may send on a channel of requests.
func TestRequestHostile(t *testing.T) {
	for _, row := range []struct {
		name string
		say  func(b *fakeBroker, ch uint16)
		code uint16
	}{
		{"ack of what was never sent", func(b *fakeBroker, ch uint16) { b.say(ch, &amqpproto.BasicAck{DeliveryTag: 9}) }, 503},
		{"ack twice", func(b *fakeBroker, ch uint16) {
			b.say(ch, &amqpproto.BasicAck{DeliveryTag: 2})
			b.say(ch, &amqpproto.BasicAck{DeliveryTag: 2})
		}, 503},
		{"another consumer's tag", func(b *fakeBroker, ch uint16) { b.script.Say(delivery(ch, "other", 1, "x")...) }, 503},
		{"get-ok", func(b *fakeBroker, ch uint16) { b.say(ch, &amqpproto.BasicGetOk{}) }, 503},
		{"reply to nobody", func(b *fakeBroker, ch uint16) { b.script.Say(delivery(ch, b.requestTag[ch], 1, "x")...) }, 0},
		{"reply with broken properties", func(b *fakeBroker, ch uint16) {
			p := amqpproto.AppendBasicDeliver(nil, ch, b.requestTag[ch], 1, false, "", "q")
			p = amqpproto.AppendContentHeader(p, ch, amqpproto.ClassBasic, 1, []byte{0xff, 0xff})
			b.script.Say(amqpproto.AppendBody(p, ch, []byte("x"), 4096)...)
		}, 0},
		{"reply over body_max", func(b *fakeBroker, ch uint16) {
			p := amqpproto.AppendBasicDeliver(nil, ch, b.requestTag[ch], 1, false, "", "q")
			b.script.Say(amqpproto.AppendContentHeader(p, ch, amqpproto.ClassBasic, 1<<40, []byte{0, 0})...)
		}, 0},
		{"cancel", func(b *fakeBroker, ch uint16) {
			b.say(ch, &amqpproto.BasicCancel{ConsumerTag: []byte(b.requestTag[ch]), NoWait: true})
		}, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, 0, client.Config{}).connect()
			f.broker.silent = true
			r := newReplies()
			f.request(r, 0, "k", time.Minute)
			f.request(r, 1, "k", time.Minute)
			f.run()
			row.say(f.broker, f.broker.requests[0].ch)
			f.run()
			if row.code == 0 {
				if f.client.State() != client.Connected {
					t.Fatal(f.client.Err())
				}
				return
			}
			connectionError(t, f.client.Err(), row.code)
			if r.len() != 2 {
				t.Fatal(r)
			}
		})
	}
}

// requestBatches returns a function that makes a batch of requests. Their replies come at once.
func requestBatches(tb testing.TB) func() {
	d := newDirect(tb, client.Config{Seed: 7}, &acker{})
	const ch = 3
	c := &replyCounter{}
	o := client.Outgoing{Exchange: "amq.topic", RoutingKey: "order.created", Mandatory: true, RawProperties: typicalProperties(tb), Body: make([]byte, 256)}
	request := func() {
		if _, err := d.client.Request(nil, &o, time.Second, c); err != nil {
			tb.Fatal(err)
		}
	}
	request()
	d.flush()
	for _, m := range []amqpproto.Method{&amqpproto.ChannelOpenOk{}, &amqpproto.ConfirmSelectOk{}, &amqpproto.BasicConsumeOk{ConsumerTag: []byte("t")}} {
		b, err := amqpproto.AppendMethod(nil, ch, m)
		if err != nil {
			tb.Fatal(err)
		}
		d.turn(b)
	}
	var in []byte
	tag := uint64(0)
	// answer replies to every request in out.
	answer := func(out []byte) {
		in = in[:0]
		for len(out) > 0 {
			f, n, err := amqpproto.CutFrame(out, 131072)
			if err != nil || n == 0 {
				tb.Fatal(n, err)
			}
			out = out[n:]
			if f.Type != amqpproto.FrameHeader {
				continue
			}
			var h amqpproto.ContentHeader
			var p amqpproto.Properties
			if err := h.Decode(f.Payload); err != nil {
				tb.Fatal(err)
			}
			if _, err := p.Decode(h.RawProperties); err != nil {
				tb.Fatal(err)
			}
			tag++
			in = amqpproto.AppendBasicDeliver(in, ch, "t", tag, false, "", "r")
			in = amqpproto.AppendContentHeader(in, ch, amqpproto.ClassBasic, 2, h.RawProperties)
			in = amqpproto.AppendBody(in, ch, []byte("ok"), 131072)
		}
		in = amqpproto.AppendBasicAck(in, ch, tag, true)
		d.turn(in)
	}
	answer(append([]byte(nil), d.flush()...))
	var out []byte
	step := func() {
		for range batch {
			request()
		}
		out = append(out[:0], d.flush()...)
		answer(out)
		if c.failed > 0 || uint64(c.ok) != tag {
			tb.Fatalf("%+v of %d", *c, tag)
		}
	}
	d.client.Tick(d.now)
	c.ok, c.failed = int(tag), 0
	step()
	return step
}

type replyCounter struct{ ok, failed int }

func (c *replyCounter) Replied(_ *client.Delivery, err error) {
	if err != nil {
		c.failed++
	} else {
		c.ok++
	}
}

func TestZeroAllocationRequest(t *testing.T) {
	step := requestBatches(t)
	if n := testing.AllocsPerRun(200, step); n != 0 {
		t.Errorf("%v allocations for %d requests, want 0", n, batch)
	}
}

func BenchmarkRequest(b *testing.B) {
	step := requestBatches(b)
	b.ReportAllocs()
	for n := 0; n < b.N; n += batch {
		step()
	}
}
