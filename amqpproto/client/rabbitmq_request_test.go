package client_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
)

// replies collects the outcomes of requests by number.
type replies struct {
	bodies map[int]string
	errs   map[int]error
}

func newReplies() *replies { return &replies{map[int]string{}, map[int]error{}} }

func (r *replies) len() int { return len(r.bodies) + len(r.errs) }

// reply is one of them.
type reply struct {
	*replies
	n int
}

func (r reply) Replied(d *client.Delivery, err error) {
	if _, twice := r.bodies[r.n]; twice || r.errs[r.n] != nil {
		panic("a second outcome")
	}
	if err != nil {
		r.errs[r.n] = err
		return
	}
	r.bodies[r.n] = string(d.Body)
}

// answerer is the other side of a request: it echoes, except that it says nothing to
// a request for silence.
func answerer(p *pump, queue string) *sink {
	s := &sink{ack: true}
	s.then = func(d *client.Delivery) {
		var props amqpproto.Properties
		if _, err := props.Decode(d.RawProperties); err != nil || len(props.ReplyTo) == 0 {
			p.t.Errorf("a request without reply_to: %v", err)
		}
		if strings.HasPrefix(string(d.Body), "silence") {
			return
		}
		answer := amqpproto.Properties{Flags: amqpproto.FlagCorrelationID, CorrelationID: props.CorrelationID}
		raw, err := answer.Append(nil)
		must(p.t, err)
		o := client.Outgoing{RoutingKey: string(props.ReplyTo), RawProperties: raw, Body: fmt.Appendf(nil, "%s of type %s", d.Body, props.Type)}
		must(p.t, p.client.Publish(nil, &o, nil))
	}
	p.client.Consume(client.ConsumerSpec{Name: "answerer", Prefetch: 100, Topology: client.Topology{Queues: []client.Queue{{Name: queue, Exclusive: true}}}}, s)
	return s
}

func outgoingRequest(t *testing.T, queue, body string) *client.Outgoing {
	props := amqpproto.Properties{Type: []byte("greeting"), CorrelationID: []byte("the caller's own"), DeliveryMode: 1}
	props.SetFlags()
	raw, err := props.Append(nil)
	must(t, err)
	return &client.Outgoing{RoutingKey: queue, Mandatory: true, RawProperties: raw, Body: []byte(body)}
}

func TestRabbitMQRequest(t *testing.T) {
	for _, own := range []bool{false, true} {
		t.Run(fmt.Sprintf("reply queue %v", own), func(t *testing.T) {
			q := fmt.Sprint("zamqp.client.call.", own)
			p := newPump(t, func(c *client.Config) { c.ReplyQueue = own })
			answerer(p, q)
			r := newReplies()
			request := func(n int, queue, body string, timeout time.Duration) {
				t.Helper()
				_, err := p.client.Request(nil, outgoingRequest(t, queue, body), timeout, reply{r, n})
				must(t, err)
			}
			const total = 500
			for i := range total {
				body := fmt.Sprint("hello ", i)
				if i%50 == 49 {
					body += strings.Repeat("!", 200000)
				}
				request(i, q, body, time.Minute) // before there is a connection
			}
			p.dial()
			p.until("all replies", func() bool { return r.len() == total })
			for i := range total {
				if r.errs[i] != nil || !strings.HasPrefix(r.bodies[i], fmt.Sprint("hello ", i)) || !strings.HasSuffix(r.bodies[i], " of type greeting") {
					t.Fatalf("%d: %.60q %v", i, r.bodies[i], r.errs[i])
				}
			}
			r = newReplies()
			request(0, q, "silence", 100*time.Millisecond)
			request(1, "zamqp.client.nowhere", "", time.Minute)
			request(2, q, "again", time.Minute)
			id, err := p.client.Request(nil, outgoingRequest(t, q, "forgotten"), time.Second, reply{r, 3})
			must(t, err)
			if !p.client.Forget(id) || p.client.Forget(id) {
				t.Fatal("Forget")
			}
			p.until("three outcomes", func() bool { return r.len() == 3 && p.client.Stats().LateReplies == 1 })
			var re *client.ReturnError
			if !errors.Is(r.errs[0], client.ErrReplyTimeout) || !errors.As(r.errs[1], &re) || r.bodies[2] != "again of type greeting" {
				t.Fatal(r.errs, r.bodies)
			}
			// An exchange that is not there ends the request to it, and no others.
			r = newReplies()
			request(0, q, "silence", time.Minute)
			p.turn(time.Now().Add(100 * time.Millisecond))
			o := outgoingRequest(t, q, "")
			o.Exchange = "zamqp.client.none"
			id, err = p.client.Request(nil, o, time.Minute, reply{r, 1})
			must(t, err)
			p.until("an error", func() bool { return r.len() == 1 })
			wantChannelError(t, r.errs[1], amqpproto.NotFound)
			request(2, q, "on the same channel", time.Minute)
			p.until("a reply", func() bool { return r.len() == 2 })
			if r.errs[2] != nil || p.client.Requests() != 1 {
				t.Fatal(r.errs[2], p.client.Requests())
			}
			o.Exchange = "zamqp.client.none.either"
			_, err = p.client.Request(nil, o, time.Minute, reply{r, 3})
			must(t, err)
			request(4, q, "beside it", time.Minute)
			p.until("both outcomes", func() bool { return r.len() == 4 })
			if !isChannelError(r.errs[3], 404, "'zamqp.client.none.either'") || r.errs[4] != nil || p.client.Forget(id) {
				t.Fatal(r.errs)
			}
			// The end of the connection ends all; what had not left waits for the next.
			r = newReplies()
			request(0, q, "silence", time.Minute)
			p.turn(time.Now().Add(100 * time.Millisecond))
			_ = p.nc.Close()
			p.until("an error", func() bool { return r.len() == 1 })
			var lost *client.LostError
			if !errors.As(r.errs[0], &lost) {
				t.Fatal(r.errs[0])
			}
			request(1, q, "afterwards", time.Minute)
			p.until("a reply", func() bool { return r.len() == 2 })
			if r.errs[1] != nil {
				t.Fatal(r.errs[1])
			}
			// The reply may come before the confirm of the request.
			p.until("the books to be empty", func() bool {
				n, held := p.client.Unconfirmed()
				return p.client.Requests() == 0 && n == 0 && held == 0
			})
			p.finish()
		})
	}
}

func TestRabbitMQTx(t *testing.T) {
	p := newPump(t, func(c *client.Config) { c.TxSelect = true })
	s := &sink{ack: true}
	k := p.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 100, Topology: client.Topology{Queues: []client.Queue{{Exclusive: true}}}}, s)
	p.dial()
	p.until("up", func() bool { return k.State() == client.Up && p.client.Ready() })
	done := confirms{}
	publish := func(exchange, key string, size int) {
		t.Helper()
		must(t, p.client.Publish(nil, &client.Outgoing{Exchange: exchange, RoutingKey: key, Mandatory: true, Body: make([]byte, size)}, &done))
	}
	const total = 300
	for range total { // more than fits into the output at once
		publish("", k.Queue(), 10000)
	}
	publish("", "zamqp.client.nowhere", 1)
	p.until("the commit", func() bool { return len(done.got) == total+1 })
	must(t, errors.Join(done.got[:total]...))
	var re *client.ReturnError
	if !errors.As(done.got[total], &re) {
		t.Fatal(done.got[total])
	}
	p.until("deliveries", func() bool { return len(s.bodies) == total })
	// One bad publish takes all of its request's with it, and no other's.
	done = confirms{}
	group := new(int)
	var others confirms
	for _, o := range []client.Outgoing{{RoutingKey: k.Queue()}, {Exchange: "zamqp.client.none"}, {RoutingKey: k.Queue()}} {
		o.Body, o.Group = []byte("never"), group
		must(t, p.client.Publish(nil, &client.Outgoing{RoutingKey: "zamqp.client.nowhere"}, &others))
		must(t, p.client.Publish(nil, &o, &done))
	}
	p.until("three errors", func() bool { return len(done.got) == 3 && len(others.got) == 3 })
	for _, err := range done.got {
		wantChannelError(t, err, amqpproto.NotFound)
	}
	must(t, errors.Join(others.got...))
	publish("", k.Queue(), 2)
	p.until("the next", func() bool { return len(done.got) == 4 && len(s.bodies) == total+1 })
	if done.got[3] != nil || len(s.bodies[total]) != 2 {
		t.Fatal(done.got[3], len(s.bodies[total]))
	}
	p.finish()
}

func TestRabbitMQUpdateSecret(t *testing.T) {
	p := opened(t, nil)
	p.client.UpdateSecret("another")
	updated := func() bool {
		for _, e := range p.events {
			if e.Kind == client.EventSecretUpdated {
				return true
			}
		}
		return false
	}
	p.until("the agreement", updated)
	_ = p.nc.Close()
	p.until("the refusal", func() bool { return p.client.Err() != nil && strings.Contains(p.client.Err().Error(), "login refused") })
	p.client.UpdateSecret("guest")
	p.until("the way back", p.client.Ready)
	p.finish()
}
