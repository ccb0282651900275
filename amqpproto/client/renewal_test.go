package client_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// opens counts the channels that a broker was asked for.
func opens(f *fixture) (n int) {
	for _, line := range f.broker.log {
		if strings.HasSuffix(line, "channel.open") {
			n++
		}
	}
	return n
}

// TestPoisonedChannel: the broker refuses everything on old channels, as RabbitMQ does after
// a failover, while it serves new ones.
func TestPoisonedChannel(t *testing.T) {
	user := amqpproto.Properties{Flags: amqpproto.FlagUserID, UserID: []byte("another")} // by the other channel
	other, err := user.Append(nil)
	must(t, err)
	for _, raw := range [][]byte{nil, other} {
		wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
			f := newFixture(t, seed, client.Config{}).connect()
			publish := func(i int) *numbered {
				c := &numbered{t: t, n: i}
				f.publish(nil, client.Outgoing{RoutingKey: "q", RawProperties: raw, Body: []byte(fmt.Sprint(i))}, c)
				return c
			}
			first := publish(0)
			f.run()
			poisoned := map[uint16]bool{f.broker.taken[0].ch: true}
			f.broker.nacks = func(ch uint16, _ *amqpproto.BasicPublish, _ string) bool { return poisoned[ch] }
			f.broker.on[amqpproto.IDChannelOpen] = func(ch uint16, _ amqpproto.Method) bool {
				delete(poisoned, ch)
				return false
			}
			f.broker.taken = nil
			all := []*numbered{first}
			for i := 1; i <= 60; i++ {
				all = append(all, publish(i))
				if i%7 == 0 {
					f.run()
				}
			}
			f.run()
			for i, c := range all {
				if c.told != 1 || c.err != nil {
					t.Fatalf("publish %d was told %d times: %v", i, c.told, c.err)
				}
			}
			var got []string
			for _, m := range f.broker.taken {
				if m.ch != 1 || len(poisoned) > 0 {
					got = append(got, m.body)
				}
			}
			got = got[len(got)-60:]
			for i, body := range got {
				if body != fmt.Sprint(i+1) {
					t.Fatalf("taken %v", got)
				}
			}
			s := f.client.Stats()
			if s.Renewed != 1 || s.Nacked != 0 || s.Resent == 0 || s.ResentIndeterminate != 0 || f.count(client.EventPublishChannelRenewed) != 1 || !f.client.Ready() {
				t.Fatalf("%+v", s)
			}
			settledAll(t, f)
		})
	}
}

// TestFullQueue: a queue refuses everything permanently. Each publish gets that outcome, no
// channel is opened for each, and publishes to other queues continue.
func TestFullQueue(t *testing.T) {
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		f := newFixture(t, seed, client.Config{}).connect()
		f.broker.nacks = func(_ uint16, m *amqpproto.BasicPublish, _ string) bool { return string(m.RoutingKey) == "full" }
		const total = 600
		var full, free []*numbered
		for i := range total {
			a, b := &numbered{t: t, n: i}, &numbered{t: t, n: i}
			full, free = append(full, a), append(free, b)
			f.publish(nil, to("full"), a)
			f.publish(nil, to("free"), b)
			f.run()
			f.clock.Advance(100 * time.Millisecond)
			if i > 0 && full[i-1].told == 0 {
				f.clock.Advance(time.Second)
			}
			if a.told == 0 && i > 0 && full[i-1].told == 0 {
				t.Fatalf("publish %d waits for its nack", i)
			}
		}
		for i := range total {
			if full[i].told != 1 || !errors.Is(full[i].err, client.ErrNacked) || free[i].told != 1 || free[i].err != nil {
				t.Fatalf("publish %d: %v and %v", i, full[i].err, free[i].err)
			}
		}
		// A minute of nacks: 1 s, 2 s, 4 s, … between two renewals, with the jitter.
		if s := f.client.Stats(); s.Nacked != total || s.Renewed == 0 || s.Renewed > 20 || opens(f) > 22 {
			t.Fatalf("%+v, %d channels", s, opens(f))
		}
		settledAll(t, f)
	})
}

// TestNackedAndOvertaken: a refused publish is not sent again after a later one of its queue
// was accepted.
func TestNackedAndOvertaken(t *testing.T) {
	f := newFixture(t, 0, client.Config{}).connect()
	f.broker.silent = true
	var a, b, other numbered
	a.t, b.t, other.t = t, t, t
	f.publish(nil, to("q"), &a)
	f.publish(nil, to("other"), &other)
	f.publish(nil, to("q"), &b)
	f.run()
	ch := f.broker.pubChan
	f.broker.say(ch, &amqpproto.BasicNack{DeliveryTag: 2, Multiple: true})
	f.run()
	if a.told != 0 || other.told != 0 {
		t.Fatal(a.err, other.err)
	}
	f.broker.say(ch, &amqpproto.BasicAck{DeliveryTag: 3})
	f.run()
	if !errors.Is(a.err, client.ErrNacked) || b.told != 1 || b.err != nil || other.told != 0 {
		t.Fatal(a.err, b.err, other.err)
	}
	f.broker.confirm()
	f.run()
	if other.told != 1 || other.err != nil || a.told != 1 {
		t.Fatal(other.err)
	}
	settledAll(t, f)
}

// TestStalledConfirms: one publish gets no confirm while later ones get theirs. New ones use
// another channel, and that one keeps its own outcome.
func TestStalledConfirms(t *testing.T) {
	f := newFixture(t, 0, client.Config{ConfirmTimeout: 30 * time.Second}).connect()
	f.broker.silent = true
	stuck, other := &numbered{t: t}, &numbered{t: t}
	f.publish(nil, to("stuck"), stuck)
	f.publish(nil, to("other"), other)
	f.run()
	old := f.broker.pubChan
	clear(f.broker.owes)
	f.broker.say(old, &amqpproto.BasicAck{DeliveryTag: 2})
	f.run()
	f.clock.Advance(9 * time.Second)
	if f.client.Stats().Renewed != 0 {
		t.Fatal("too early")
	}
	f.clock.Advance(2 * time.Second)
	f.broker.silent = false
	fresh := &numbered{t: t}
	f.publish(nil, to("stuck"), fresh)
	f.run()
	f.clock.Advance(2 * time.Second)
	if s := f.client.Stats(); s.Renewed != 1 || s.Resent != 0 || fresh.err != nil || fresh.told != 1 || stuck.told != 0 {
		t.Fatalf("%+v %v", s, fresh)
	}
	f.broker.say(old, &amqpproto.BasicAck{DeliveryTag: 1})
	f.run()
	if stuck.told != 1 || stuck.err != nil || !slices.Contains(f.broker.log, fmt.Sprint(old, " channel.close")) {
		t.Fatal(stuck, f.broker.log)
	}
	settledAll(t, f)
}

// TestSlowBroker confirms nothing for long, and then all: no channel is opened,
// and nothing is sent again.
func TestSlowBroker(t *testing.T) {
	f := newFixture(t, 0, client.Config{ConfirmTimeout: 30 * time.Second}).connect()
	f.broker.silent = true
	var all []*numbered
	for i := range 50 {
		all = append(all, &numbered{t: t, n: i})
		f.publish(nil, to("q"), all[i])
		f.run()
		f.clock.Advance(500 * time.Millisecond)
	}
	f.broker.confirm()
	f.run()
	if s := f.client.Stats(); s.Renewed != 0 || s.Resent != 0 || s.Confirmed != 50 {
		t.Fatalf("%+v", s)
	}
}

// TestPoisonedAndLost ends the connection in each stage of a renewal.
func TestPoisonedAndLost(t *testing.T) {
	for stage := range 4 {
		f := newFixture(t, 0, client.Config{ConfirmTimeout: 20 * time.Second}).connect()
		f.broker.silent = true
		var all []*numbered
		for i := range 6 {
			all = append(all, &numbered{t: t, n: i})
			f.publish(nil, to("q"), all[i])
		}
		f.run()
		ch := f.broker.pubChan
		if stage == 1 {
			f.broker.on[amqpproto.IDChannelOpen] = func(uint16, amqpproto.Method) bool { return true }
		}
		f.broker.say(ch, &amqpproto.BasicNack{DeliveryTag: 3, Multiple: true})
		f.run()
		if stage == 2 {
			f.clock.Advance(3 * time.Second)
		}
		if stage == 3 {
			f.broker.closeChannel(ch, 541, "INTERNAL_ERROR")
			f.run()
		}
		f.manual = true
		f.link.Cut(errors.New("pulled"))
		for i, c := range all {
			var lost *client.LostError
			if c.told != 1 || !errors.As(c.err, &lost) {
				t.Fatalf("stage %d, publish %d was told %d times: %v", stage, i, c.told, c.err)
			}
		}
		settledAll(t, f)
		f.connect()
		after := &numbered{t: t}
		f.publish(nil, to("q"), after)
		f.run()
		if after.told != 1 || after.err != nil {
			t.Fatalf("stage %d: %v", stage, after)
		}
	}
}
