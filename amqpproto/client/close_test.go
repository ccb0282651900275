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

// closing collects the errors with which Close calls done.
type closing struct{ got []error }

func (c *closing) done(err error) { c.got = append(c.got, err) }

func TestCloseAwaitsConfirmsAndAcks(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		s := &sink{}
		f, k := consuming(t, seed, s, nil)
		f.broker.deliver("c", "x")
		f.run()
		f.broker.silent = true
		c := &numbered{t: t}
		f.publish(nil, to("a"), c)
		k.Ack(1, 1)
		var end closing
		f.client.Close(end.done)
		f.run()
		if len(end.got) != 0 || f.client.State() != client.Closing {
			t.Fatal("closed without the confirm")
		}
		f.broker.deliver("c", "nobody wants it")
		f.broker.say(f.broker.pubChan, &amqpproto.BasicAck{DeliveryTag: 1})
		f.run()
		if len(end.got) != 1 || end.got[0] != nil || c.err != nil || c.told != 1 {
			t.Fatal(end.got, c)
		}
		if !slices.Equal(f.broker.acks, []string{"ack 1 true"}) || f.broker.log[len(f.broker.log)-1] != "0 connection.close" {
			t.Fatal(f.broker.acks, f.broker.log)
		}
		if f.client.State() != client.Closed || k.State() != client.Cancelled || len(f.redials) != 0 {
			t.Fatal(f.client.State(), k, f.redials)
		}
		if f.client.Consume(client.ConsumerSpec{Name: "late"}, s).Err() != client.ErrClosed {
			t.Fatal("consumes after Close")
		}
		w := wiretest.NewWire()
		f.client.Connect(w)
		if !errors.Is(w.Cause(), client.ErrClosed) {
			t.Fatal("connects after Close")
		}
	})
}

func TestCloseWithoutConnection(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	c := &numbered{t: t}
	f.publish(nil, to("a"), c)
	var end closing
	f.client.Close(end.done)
	f.client.Close(end.done)
	if !slices.Equal(end.got, []error{nil, nil}) || !errors.Is(c.err, client.ErrClosed) || f.client.State() != client.Closed {
		t.Fatal(end.got, c, f.client.State())
	}
	f.client.DialFailed(errors.New("too late"))
	if len(f.redials) != 0 {
		t.Fatal("it redials")
	}
}

func TestCloseInTheHandshake(t *testing.T) {
	for _, id := range []amqpproto.MethodID{amqpproto.IDConnectionStart, amqpproto.IDConnectionStartOk, amqpproto.IDConnectionOpen} {
		for _, answers := range []bool{false, true} {
			f := newFixture(t, 0, client.Config{})
			var end closing
			c := &numbered{t: t}
			f.publish(nil, to("a"), c)
			f.prepare = func(b *fakeBroker) {
				b.on[id] = func(uint16, amqpproto.Method) bool {
					f.client.Close(end.done)
					return !answers
				}
			}
			f.connect()
			if len(end.got) != 1 || end.got[0] != nil || c.told != 1 || f.client.State() != client.Closed {
				t.Fatalf("%v: %v, %v, %v", id, end.got, c, f.client.State())
			}
		}
	}
}

func TestCloseIsBroken(t *testing.T) {
	f := newFixture(t, 0, client.Config{}).connect()
	f.broker.silent = true
	c := &numbered{t: t}
	f.publish(nil, to("a"), c)
	f.run()
	var end closing
	f.client.Close(end.done)
	f.link.Cut(errors.New("pulled"))
	var lost *client.LostError
	if len(end.got) != 1 || end.got[0] == nil || !errors.As(c.err, &lost) || len(f.redials) != 0 {
		t.Fatal(end.got, c.err, f.redials)
	}
}

func TestCloseIsNotAnswered(t *testing.T) {
	f := newFixture(t, 0, client.Config{}).connect()
	f.broker.on[amqpproto.IDConnectionClose] = func(uint16, amqpproto.Method) bool { return true }
	var end closing
	f.client.Close(end.done)
	f.run()
	f.clock.Advance(31 * time.Second)
	if len(end.got) != 1 || end.got[0] == nil || !strings.Contains(end.got[0].Error(), "no answer to connection.close within 30s") {
		t.Fatal(end.got)
	}
}

func TestCloseGivesUpWithTheConfirms(t *testing.T) {
	f := newFixture(t, 0, client.Config{ConfirmTimeout: 5 * time.Second}).connect()
	f.broker.say(0, &amqpproto.ConnectionBlocked{Reason: []byte("alarm")})
	f.run()
	c := &numbered{t: t}
	f.publish(nil, to("a"), c)
	var end closing
	f.client.Close(end.done)
	f.run()
	f.clock.Advance(6 * time.Second)
	if len(end.got) != 1 || end.got[0] != nil || !errors.Is(c.err, client.ErrConfirmTimeout) || !strings.Contains(c.err.Error(), "alarm") {
		t.Fatal(end.got, c.err)
	}
}

// TestBrokerClosesInEveryState makes the broker send connection.close at each step.
func TestBrokerClosesInEveryState(t *testing.T) {
	for _, id := range []amqpproto.MethodID{amqpproto.IDConnectionStart, amqpproto.IDConnectionStartOk, amqpproto.IDConnectionOpen,
		amqpproto.IDChannelOpen, amqpproto.IDConfirmSelect, amqpproto.IDQueueDeclare, amqpproto.IDBasicConsume,
		amqpproto.IDBasicPublish, amqpproto.IDConnectionClose} {
		f := newFixture(t, 0, client.Config{})
		f.manual = true
		answered := false
		f.prepare = func(b *fakeBroker) {
			b.on[id] = func(uint16, amqpproto.Method) bool {
				b.say(0, &amqpproto.ConnectionClose{ReplyCode: 320, ReplyText: []byte("CONNECTION_FORCED - shutdown")})
				return true
			}
			b.on[amqpproto.IDConnectionCloseOk] = func(uint16, amqpproto.Method) bool { answered = true; return true }
		}
		k := f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, &sink{})
		c := &numbered{t: t}
		f.publish(nil, to("a"), c)
		f.connect()
		if id == amqpproto.IDConnectionClose {
			f.client.Close(nil)
			f.run()
			if f.client.State() != client.Closed || !answered {
				t.Fatalf("%v: %v", id, f.client.State())
			}
			continue
		}
		if f.client.State() != client.Disconnected || !answered || k.State() == client.Up {
			t.Fatalf("%v: %v, answered %v, %v, %v, %v", id, f.client.State(), answered, k, f.client.Err(), f.broker.log)
		}
		connectionError(t, f.client.Err(), 320)
		if f.last(client.EventLost).After == 0 || len(f.redials) != 1 {
			t.Fatalf("%v: %v", id, f.redials)
		}
	}
}

func TestDialFailures(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	f.manual = true
	f.client.DialFailed(errors.New("connection refused"))
	c := &numbered{t: t}
	f.publish(nil, to("a"), c)
	f.clock.Advance(31 * time.Second)
	if c.told != 1 || !strings.Contains(c.err.Error(), "connection refused") {
		t.Fatal(c.err)
	}
}
