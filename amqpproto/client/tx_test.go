package client_test

import (
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// transcript is what came on the publish channel: p for each publish, C for each
// commit.
func transcript(log []string) string {
	var s strings.Builder
	for _, line := range log {
		switch {
		case strings.HasSuffix(line, "basic.publish"):
			s.WriteByte('p')
		case strings.HasSuffix(line, "tx.commit"):
			s.WriteByte('C')
		}
	}
	return s.String()
}

func TestTx(t *testing.T) {
	wiretest.Seeds(t, 6, func(t *testing.T, seed int64) {
		f := newFixture(t, seed, client.Config{TxSelect: true})
		var done confirms
		publish := func(n, size int) {
			for range n {
				f.publish(nil, client.Outgoing{RoutingKey: "q", Mandatory: true, Body: make([]byte, size)}, &done)
			}
		}
		publish(3, 10)
		f.connect()
		if got := transcript(f.broker.log); got != "pppC" || len(done.got) != 3 {
			t.Fatal(got, done.got)
		}
		// What was published in one turn is one transaction, even where it is more
		// than the output takes at once.
		f.broker.log = nil
		publish(5, 400000)
		f.run()
		if got := transcript(f.broker.log); got != "pppppC" || len(done.got) != 8 {
			t.Fatal(got, len(done.got))
		}
		// What comes while a commit is in flight waits for the next: RabbitMQ takes
		// nothing meanwhile.
		f.broker.log = nil
		held := false
		f.broker.on[amqpproto.IDTxCommit] = func(uint16, amqpproto.Method) bool { held = true; return true }
		publish(1, 10)
		f.run()
		publish(2, 10)
		f.run()
		if got := transcript(f.broker.log); got != "pC" || len(done.got) != 8 || !held {
			t.Fatal(got, len(done.got))
		}
		delete(f.broker.on, amqpproto.IDTxCommit)
		f.broker.say(f.broker.pubChan, &amqpproto.TxCommitOk{})
		f.run()
		if got := transcript(f.broker.log); got != "pCppC" || len(done.got) != 11 || errors.Join(done.got...) != nil {
			t.Fatal(got, done.got)
		}
		// An error of the channel is that of the whole transaction.
		f.broker.on[amqpproto.IDTxCommit] = func(ch uint16, _ amqpproto.Method) bool {
			f.broker.closeChannel(ch, 404, "NOT_FOUND - no exchange 'x'")
			return true
		}
		publish(2, 10)
		f.run()
		delete(f.broker.on, amqpproto.IDTxCommit)
		for _, err := range done.got[11:] {
			wantChannelError(t, err, amqpproto.NotFound)
		}
		publish(1, 10)
		f.run()
		if len(done.got) != 14 || done.got[13] != nil {
			t.Fatal(done.got)
		}
		f.broker.say(f.broker.pubChan, &amqpproto.BasicAck{DeliveryTag: 1})
		f.run()
		connectionError(t, f.client.Err(), amqpproto.CommandInvalid)
	})
}

func TestPause(t *testing.T) {
	s := &sink{}
	f, k := consuming(t, 3, s, func(spec *client.ConsumerSpec) { spec.Prefetch = 10 })
	f.broker.deliver("c", "one")
	f.run()
	k.Pause()
	f.broker.deliver("c", "on its way") // before the broker has seen the cancel
	f.run()
	if k.State() != client.Paused || !k.IsPaused() || !slices.Equal(s.bodies, []string{"one"}) || !slices.Equal(f.broker.acks, []string{"nack 2 true"}) {
		t.Fatal(k, s.bodies, f.broker.acks)
	}
	k.Ack(s.epochs[0], s.tags[0])
	f.run()
	if !slices.Contains(f.broker.acks, "ack 1 true") && !slices.Contains(f.broker.acks, "ack 1 false") {
		t.Fatal(f.broker.acks)
	}
	// A pause outlives the connection.
	f.link.Cut(errors.New("pulled"))
	f.clock.Advance(3 * time.Second)
	if k.State() != client.Paused || len(f.broker.consumers) != 0 || !slices.Contains(f.broker.log, "2 queue.declare") {
		t.Fatal(k, f.broker.log)
	}
	k.Resume()
	f.run()
	f.broker.deliver("c", "two")
	f.run()
	if k.State() != client.Up || len(s.bodies) != 2 {
		t.Fatal(k, s.bodies)
	}
	// Changing one's mind before the broker has agreed.
	k.Pause()
	k.Resume()
	k.Pause()
	f.run()
	if k.State() != client.Paused {
		t.Fatal(k)
	}
	k.Resume()
	k.Pause()
	k.Resume()
	f.run()
	if k.State() != client.Up {
		t.Fatal(k)
	}
	k.Pause()
	cancelled := 0
	k.Cancel(func() { cancelled++ })
	f.run()
	k.Resume()
	k.Pause()
	if k.State() != client.Cancelled || cancelled != 1 {
		t.Fatal(k, cancelled)
	}
}

func TestPauseBeforeConnecting(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	k := f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, &sink{})
	k.Pause()
	f.connect()
	if k.State() != client.Paused || len(f.broker.consumers) != 0 || !f.client.Ready() {
		t.Fatal(k, f.client.Ready())
	}
	k.Resume()
	f.run()
	if k.State() != client.Up {
		t.Fatal(k)
	}
	// The broker cancels while we do: the answer to ours still comes.
	k.Pause()
	f.broker.say(f.broker.consumers["c"], &amqpproto.BasicCancel{ConsumerTag: []byte("c"), NoWait: true})
	f.run()
	if k.State() != client.Paused {
		t.Fatal(k)
	}
	k.Resume()
	f.run()
	if k.State() != client.Up {
		t.Fatal(k)
	}
}

// TestStreamOffset: a consumer of a stream goes on where it was.
func TestStreamOffset(t *testing.T) {
	f := newFixture(t, 0, client.Config{})
	var asked []any
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDBasicConsume] = func(_ uint16, m amqpproto.Method) bool {
			args, err := m.(*amqpproto.BasicConsume).Arguments.Table()
			must(t, err)
			asked = append(asked, args["x-stream-offset"])
			return false
		}
	}
	s := &sink{}
	k := f.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 100, Args: amqp.Table{"x-stream-offset": "first"}, Topology: queue("s")}, s)
	f.connect()
	deliver := func(offsets ...int64) {
		for _, n := range offsets {
			headers, err := amqpproto.AppendTable(nil, amqp.Table{"x-stream-offset": n})
			must(t, err)
			p := amqpproto.Properties{Headers: headers}
			p.SetFlags()
			raw, err := p.Append(nil)
			must(t, err)
			ch := f.broker.consumers["c"]
			f.broker.tags[ch]++
			f.broker.unacked[ch][f.broker.tags[ch]] = true
			in := amqpproto.AppendBasicDeliver(nil, ch, "c", f.broker.tags[ch], false, "", "s")
			f.broker.script.Say(amqpproto.AppendContentHeader(in, ch, amqpproto.ClassBasic, 0, raw)...)
		}
		f.run()
	}
	again := func() {
		f.link.Cut(errors.New("pulled"))
		f.clock.Advance(3 * time.Second)
	}
	var many []int64
	for i := range int64(100) { // with gaps, and more than the first ring holds
		many = append(many, 10+3*i)
	}
	deliver(many...)
	for i := range 100 {
		if i != 70 {
			k.Ack(s.epochs[i], s.tags[i])
		}
	}
	again()
	deliver(10+3*70, 10+3*71)
	k.Ack(s.epochs[100], s.tags[100])
	k.Ack(s.epochs[101], s.tags[101])
	again()
	again()
	if want := []any{"first", int64(220), int64(224), int64(224)}; !slices.Equal(asked, want) {
		t.Fatal(asked)
	}
}
