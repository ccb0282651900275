package client_test

import (
	"errors"
	"slices"
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// soles are the ways to be the only consumer of a queue that gets messages.
var soles = map[string]func(*client.ConsumerSpec){
	"exclusive": func(s *client.ConsumerSpec) { s.Exclusive = true },
	"told":      func(s *client.ConsumerSpec) { s.SingleActive = true },
	"declared": func(s *client.ConsumerSpec) {
		s.Queues[0].Args = map[string]any{"x-single-active-consumer": true}
	},
}

// leaving is a consumer with three deliveries in hand, and one on its way when
// stop is called.
func leaving(t *testing.T, seed int64, how func(*client.ConsumerSpec), stop func(*client.Consumer)) (*fixture, *client.Consumer, *sink) {
	s := &sink{}
	f, k := consuming(t, seed, s, how)
	for range 3 {
		f.broker.deliver("c", "x")
	}
	f.run()
	f.broker.deliver("c", "on its way")
	stop(k)
	f.run()
	return f, k, s
}

// TestCancelOfTheOnlyConsumer: there is no basic.cancel. Messages in work are settled, the
// others go back with the channel, which is closed after the last ack.
func TestCancelOfTheOnlyConsumer(t *testing.T) {
	for name, how := range soles {
		t.Run(name, func(t *testing.T) {
			wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
				done := 0
				f, k, s := leaving(t, seed, how, func(k *client.Consumer) {
					k.Cancel(func() { done++ })
					k.Nack(1, 2, true) // it was not begun yet
				})
				if done != 0 || len(s.bodies) != 3 || len(f.broker.acks) != 0 {
					t.Fatal(done, s.bodies, f.broker.acks)
				}
				k.Ack(1, 1)
				f.run()
				f.broker.deliver("c", "for the ack")
				f.run()
				if done != 0 || len(s.bodies) != 3 || f.broker.log[len(f.broker.log)-1] != "2 basic.ack" {
					t.Fatal(done, s.bodies, f.broker.log)
				}
				k.Ack(1, 3)
				f.run()
				if done != 1 || k.State() != client.Cancelled || !slices.Equal(f.broker.acks, []string{"ack 1 true", "ack 3 false"}) {
					t.Fatal(done, k, f.broker.acks)
				}
				if n := len(f.broker.log); !slices.Equal(f.broker.log[n-2:], []string{"2 basic.ack", "2 channel.close"}) ||
					slices.Contains(f.broker.log, "2 basic.cancel") || f.client.Stats().HandedBack != 3 {
					t.Fatal(f.broker.log, f.client.Stats().HandedBack)
				}
			})
		})
	}
}

// TestPauseOfTheOnlyConsumer: the same for Pause; Resume consumes on another
// channel, or, where calls still run, gives back what it kept and goes on.
func TestPauseOfTheOnlyConsumer(t *testing.T) {
	settle := func(f *fixture, k *client.Consumer, tags ...uint64) {
		for _, tag := range tags {
			k.Ack(1, tag)
		}
		f.run()
	}
	exclusive := soles["exclusive"]
	wiretest.Seeds(t, 10, func(t *testing.T, seed int64) {
		f, k, _ := leaving(t, seed, exclusive, (*client.Consumer).Pause)
		settle(f, k, 1, 2)
		if k.State() != client.AwaitPauseOk {
			t.Fatal(k)
		}
		settle(f, k, 3)
		if k.State() != client.Paused || slices.Contains(f.broker.log, "2 basic.cancel") || f.broker.log[len(f.broker.log)-1] != "2 channel.close" {
			t.Fatal(k, f.broker.log)
		}
		k.Resume()
		f.run()
		if k.State() != client.Up {
			t.Fatal(k)
		}

		// Resumed while a call runs.
		f, k, s := leaving(t, seed, exclusive, (*client.Consumer).Pause)
		settle(f, k, 1)
		k.Resume()
		f.run()
		if k.State() != client.Up || !slices.Contains(f.broker.acks, "nack 4 true") || slices.Contains(f.broker.log, "2 channel.close") {
			t.Fatal(k, f.broker.acks)
		}
		f.broker.deliver("c", "again")
		f.run()
		settle(f, k, 2, 3, 5)
		if len(s.bodies) != 4 || k.Outstanding() != 0 {
			t.Fatal(s.bodies, k.Outstanding())
		}

		// Resumed while the close is on its way, cancelled, and cut off.
		f, k, _ = leaving(t, seed, exclusive, (*client.Consumer).Pause)
		f.broker.on[amqpproto.IDChannelClose] = func(ch uint16, _ amqpproto.Method) bool {
			k.Resume()
			return false
		}
		settle(f, k, 1, 2, 3)
		if k.State() != client.Up {
			t.Fatal(k)
		}
		f, k, _ = leaving(t, seed, exclusive, (*client.Consumer).Pause)
		done := false
		k.Cancel(func() { done = true })
		f.run()
		settle(f, k, 1, 2, 3)
		if !done || k.State() != client.Cancelled {
			t.Fatal(done, k)
		}
		f, k, _ = leaving(t, seed, exclusive, (*client.Consumer).Pause)
		f.link.Cut(errors.New("pulled"))
		f.connect()
		if k.State() != client.Paused {
			t.Fatal(k)
		}
	})
}

// TestLeavesNothingToWaitFor: without calls the channel closes at once, and a
// consumer without acks, which cannot give back, is cancelled as others are.
func TestLeavesNothingToWaitFor(t *testing.T) {
	f, k := consuming(t, 0, &sink{}, soles["told"])
	done := false
	k.Cancel(func() { done = true })
	f.run()
	if !done || f.broker.log[len(f.broker.log)-1] != "2 channel.close" {
		t.Fatal(done, f.broker.log)
	}
	f, k = consuming(t, 0, &sink{}, func(s *client.ConsumerSpec) { s.Exclusive, s.NoAck = true, true })
	k.Cancel(nil)
	f.run()
	if !slices.Contains(f.broker.log, "2 basic.cancel") {
		t.Fatal(f.broker.log)
	}
}
