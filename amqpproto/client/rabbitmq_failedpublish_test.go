package client_test

import (
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
)

// orderly collects what a queue has got, without second copies.
type orderly struct {
	bodies []string
	ids    map[string]bool
	copies int
}

func (o *orderly) Deliver(d *client.Delivery) {
	var p amqpproto.Properties
	if _, err := p.Decode(d.RawProperties); err == nil && o.ids[string(p.MessageID)] {
		o.copies++
	} else {
		o.ids[string(p.MessageID)] = true
		o.bodies = append(o.bodies, string(d.Body))
	}
	d.Consumer.Ack(d.Epoch, d.Tag)
}

// TestRabbitMQManyBadPublishes publishes in bursts, one of ten bad: those arrive
// that are good, in order, and each bad one hears its own error.
func TestRabbitMQManyBadPublishes(t *testing.T) {
	user := amqpproto.Properties{Flags: amqpproto.FlagUserID, UserID: []byte("mallory")}
	rawUser, err := user.Append(nil)
	must(t, err)
	soon := amqpproto.Properties{Flags: amqpproto.FlagExpiration, Expiration: []byte("soon")}
	rawSoon, err := soon.Append(nil)
	must(t, err)
	p := newPump(t, nil)
	got := &orderly{ids: map[string]bool{}}
	k := p.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 500, Topology: client.Topology{
		// The name is as if it were declared, and is not: by the common channel.
		Exchanges: []client.Exchange{{Name: "zamqp.client.gone", Type: "fanout", AutoDelete: true}},
		Queues:    []client.Queue{{Exclusive: true}}}}, got)
	p.dial()
	p.until("up", func() bool { return k.State() == client.Up && p.client.Ready() })
	deleteExchange(p, "zamqp.client.gone")
	bad := []struct {
		out  client.Outgoing
		text string
	}{
		{client.Outgoing{Exchange: "zamqp.client.gone"}, "no exchange 'zamqp.client.gone'"},
		{client.Outgoing{Exchange: "zamqp.client.none"}, "no exchange 'zamqp.client.none'"},
		{client.Outgoing{RoutingKey: k.Queue(), RawProperties: rawUser}, "'mallory'"},
		{client.Outgoing{RoutingKey: k.Queue(), RawProperties: rawSoon}, "soon"},
	}
	const total = 2000
	var all []*numbered
	var want []string
	for i := range total {
		o := client.Outgoing{RoutingKey: k.Queue(), Body: []byte(fmt.Sprint(i)), Mandatory: i%2 == 0}
		if i%10 == 5 {
			b := bad[i/10%len(bad)]
			o.Exchange, o.RoutingKey, o.RawProperties = b.out.Exchange, b.out.RoutingKey, b.out.RawProperties
		} else {
			want = append(want, string(o.Body))
		}
		all = append(all, &numbered{t: t, n: i})
		must(t, p.client.Publish(nil, &o, all[i]))
		if i%100 == 99 {
			p.until("half of them", func() bool { return all[i-50].told > 0 })
		}
	}
	p.until("all outcomes", func() bool { n, _ := p.client.Unconfirmed(); return n == 0 })
	p.until("all messages", func() bool { return len(got.bodies) >= len(want) })
	for i, c := range all {
		if text := bad[i/10%len(bad)].text; i%10 != 5 && c.err != nil || i%10 == 5 && !isAnyChannelError(c.err, text) {
			t.Errorf("publish %d: %v", i, c.err)
		}
	}
	if fmt.Sprint(got.bodies) != fmt.Sprint(want) {
		t.Errorf("got %v", got.bodies)
	}
	if s := p.client.Stats(); got.copies > int(s.ResentIndeterminate) {
		t.Errorf("%d copies, %+v", got.copies, s)
	} else {
		t.Logf("%d copies, %d sent again, %d of them indeterminate", got.copies, s.Resent, s.ResentIndeterminate)
	}
	p.finish()
}

func isAnyChannelError(err error, text string) bool {
	return isChannelError(err, 404, text) || isChannelError(err, 406, text) || isChannelError(err, 403, text)
}

// TestRabbitMQManyBadRequests sends in bursts, one of ten bad: no request is handled
// twice, each bad one hears its own error, and none to what is trusted is harmed.
func TestRabbitMQManyBadRequests(t *testing.T) {
	user := amqpproto.Properties{Flags: amqpproto.FlagUserID, UserID: []byte("mallory")}
	rawUser, err := user.Append(nil)
	must(t, err)
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprintf("reply queue %v", own), func(t *testing.T) {
			q := fmt.Sprint("zamqp.client.badcalls.", own)
			p := newPump(t, func(c *client.Config) { c.ReplyQueue = own })
			got := answerer(p, q)
			p.dial()
			p.until("up", p.client.Ready)
			const total = 500
			exchange := func(i int) string { return fmt.Sprint("zamqp.client.rpc.", own, i/50) }
			made := 0
			for i := 0; i < total; i += 50 { // a Declare is no promise for later, so they are not trusted
				must(t, p.client.Declare(&client.Topology{
					Exchanges: []client.Exchange{{Name: exchange(i), Type: "fanout", AutoDelete: true}},
					Bindings:  []client.Binding{{Queue: q, Exchange: exchange(i)}},
				}, func(_ []string, err error) { must(t, err); made++ }))
			}
			p.until("the exchanges", func() bool { return made == total/50 })
			r := newReplies()
			for i := range total {
				o := client.Outgoing{RoutingKey: q, Body: []byte(fmt.Sprint(i))}
				switch i % 10 {
				case 3:
					o.Exchange = "zamqp.client.none"
				case 5:
					o.RawProperties = rawUser
				case 1, 4, 6: // it is there, and nothing here declares it
					o.Exchange, o.RoutingKey = exchange(i), "k"
				}
				_, err := p.client.Request(nil, &o, time.Minute, reply{r, i})
				must(t, err)
				if i%50 == 49 {
					p.until("half of them", func() bool { return r.len() > i-25 })
				}
			}
			p.until("all outcomes", func() bool { return r.len() == total })
			handled := map[string]int{}
			for _, body := range got.bodies {
				handled[body]++
			}
			lost := 0
			for i := range total {
				n := handled[fmt.Sprint(i)]
				switch {
				case i%10 == 3 && isChannelError(r.errs[i], 404, "'zamqp.client.none'") && n == 0:
				case i%10 == 5 && isChannelError(r.errs[i], 406, "'mallory'") && n == 0:
				case i%10 != 3 && i%10 != 5 && r.errs[i] == nil && n == 1:
				case (i%10 == 1 || i%10 == 4 || i%10 == 6) && !own && isReplyLost(r.errs[i]) && n == 1:
					lost++
				default:
					t.Errorf("request %d was handled %d times: %q %v", i, n, r.bodies[i], r.errs[i])
				}
			}
			t.Logf("%d replies were lost", lost)
			if lost > 75 { // half of those that were not trusted
				t.Errorf("%d replies were lost", lost)
			}
			p.finish()
		})
	}
}

// deleteExchange deletes one behind the client's back.
func deleteExchange(p *pump, name string) {
	p.t.Helper()
	conn, err := amqp.Dial(os.Getenv("ZAMQP_TEST_AMQP_URL"))
	must(p.t, err)
	defer conn.Close()
	ch, err := conn.Channel()
	must(p.t, err)
	must(p.t, ch.ExchangeDelete(name, false, false))
}

// TestRabbitMQFullQueue: a queue that rejects what it has no room for says so of
// each, at once, and others are served.
func TestRabbitMQFullQueue(t *testing.T) {
	p := newPump(t, nil)
	k := p.client.Consume(client.ConsumerSpec{Name: "c", DeclareOnly: true, Topology: client.Topology{Queues: []client.Queue{
		{Name: "zamqp.client.full", Exclusive: true, Args: amqp.Table{"x-max-length": int32(5), "x-overflow": "reject-publish"}},
		{Name: "zamqp.client.free", Exclusive: true}}}}, &sink{})
	p.dial()
	p.until("up", func() bool { return k.State() == client.Up && p.client.Ready() })
	const total = 300
	taken, refused := 0, 0
	for i := range total {
		full, free := &numbered{t: t}, &numbered{t: t}
		must(t, p.client.Publish(nil, &client.Outgoing{RoutingKey: "zamqp.client.full", Body: []byte(fmt.Sprint(i))}, full))
		must(t, p.client.Publish(nil, &client.Outgoing{RoutingKey: "zamqp.client.free", Body: []byte(fmt.Sprint(i))}, free))
		p.until("both outcomes", func() bool { return full.told > 0 && free.told > 0 })
		must(t, free.err)
		switch {
		case full.err == nil:
			taken++
		case errors.Is(full.err, client.ErrNacked):
			refused++
		default:
			t.Fatal(full.err)
		}
	}
	if s := p.client.Stats(); taken < 5 || taken > 7 || refused != total-taken || s.Renewed == 0 || s.ResentIndeterminate > 0 || p.client.State() != client.Connected {
		t.Errorf("%d taken, %d refused, %+v", taken, refused, s)
	}
	p.finish()
}
