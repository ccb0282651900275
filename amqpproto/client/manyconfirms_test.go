package client_test

import (
	"errors"
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// settleMax is how many publishes one Feed may settle.
const settleMax = 1024

// confirmAll is a client with n publishes that the broker has, and its answer to those up to
// tag.
func confirmAll(t *testing.T, seed int64, n int, answer amqpproto.Method) (f *fixture, all []*numbered, log *[]int, frame []byte) {
	f = newFixture(t, seed, client.Config{PublishMax: 1 << 30}).connect()
	f.broker.silent = true
	log = &[]int{}
	for i := range n {
		c := &numbered{t: t, n: i, log: log}
		all = append(all, c)
		f.publish(nil, client.Outgoing{RoutingKey: "q", Body: []byte("b"), Mandatory: i%7 == 0}, c)
		if i%1000 == 999 {
			f.run()
		}
	}
	f.run()
	frame, err := amqpproto.AppendMethod(nil, f.broker.pubChan, answer)
	if err != nil {
		t.Fatal(err)
	}
	return f, all, log, frame
}

// TestManyConfirmsInSlices: one ack of very many publishes is told to so many of them a turn,
// in order, and what comes behind it waits.
func TestManyConfirmsInSlices(t *testing.T) {
	const n = 100_000
	for name, answer := range map[string]amqpproto.Method{
		"ack":           &amqpproto.BasicAck{DeliveryTag: n, Multiple: true},
		"ack of all":    &amqpproto.BasicAck{Multiple: true},
		"ack of a part": &amqpproto.BasicAck{DeliveryTag: n / 2, Multiple: true},
	} {
		f, all, log, in := confirmAll(t, 0, n, answer)
		late := &numbered{t: t, n: n, log: log}
		all[10].then = func(error) { f.publish(nil, to("late"), late) } // is not in the answer
		in = amqpproto.AppendHeartbeat(in)
		want := n
		if name == "ack of a part" {
			want /= 2
		}
		for len(in) > 0 {
			before := len(*log)
			took, err := f.conn.Feed(in)
			if err != nil {
				t.Fatal(err)
			}
			if told := len(*log) - before; told > settleMax || told == 0 {
				t.Fatalf("%s: one Feed told %d publishes", name, told)
			}
			in = in[took:]
			f.conn.Sent(len(f.conn.Pending()))
		}
		if len(*log) != want {
			t.Fatalf("%s: %d were told, not %d", name, len(*log), want)
		}
		for i, got := range *log {
			if got != i || all[i].err != nil {
				t.Fatalf("%s: the %d-th was told to %d: %v", name, i, got, all[i].err)
			}
		}
		if late.told != 0 {
			t.Errorf("%s: a publish that came later was confirmed with those before it", name)
		}
	}
}

// TestManyConfirmsAndTheEnd: the broker closes the connection behind its ack, in order or not.
// What it has confirmed is confirmed, and its reason is known.
func TestManyConfirmsAndTheEnd(t *testing.T) {
	const n, acked = 5000, 4500
	wiretest.Seeds(t, 20, func(t *testing.T, seed int64) {
		for _, cut := range []bool{false, true} {
			f, all, log, frame := confirmAll(t, seed, n, &amqpproto.BasicAck{DeliveryTag: acked, Multiple: true})
			f.manual = true
			if cut {
				if took, err := f.conn.Feed(frame); took > 0 || err != nil {
					t.Fatal(took, err)
				}
				f.conn.Lost(errors.New("reset"))
			} else {
				end, err := amqpproto.AppendMethod(frame, 0, &amqpproto.ConnectionClose{ReplyCode: 320, ReplyText: []byte("CONNECTION_FORCED - bye")})
				if err != nil {
					t.Fatal(err)
				}
				f.broker.script.Say(end...)
				f.broker.script.Shut()
				f.run()
			}
			f.tickOut(t, log)
			for i, c := range all {
				var lost *client.LostError
				if c.told != 1 || (i < acked) != (c.err == nil) || c.err != nil && !errors.As(c.err, &lost) {
					t.Fatalf("cut %v: publish %d was told %d times: %v", cut, i, c.told, c.err)
				}
				if lost != nil && !cut {
					var ce *amqpproto.ConnectionError
					if !errors.As(c.err, &ce) || ce.Code != 320 {
						t.Fatalf("the reason was lost: %v", c.err)
					}
				}
			}
			if left, octets := f.client.Unconfirmed(); left != 0 || octets != 0 {
				t.Fatalf("cut %v: %d publishes of %d octets are counted still", cut, left, octets)
			}
		}
	})
}

// tickOut ticks until nothing more is told, and checks that no Tick tells too many.
func (f *fixture) tickOut(t *testing.T, log *[]int) {
	t.Helper()
	for before := -1; before != len(*log); {
		before = len(*log)
		if f.client.Tick(f.clock.Now()); len(*log)-before > settleMax {
			t.Fatalf("one Tick told %d publishes", len(*log)-before)
		}
	}
}

// TestManyLostInSlices: the end of a connection is told to so many publishes at a time, and the
// client can be closed meanwhile.
func TestManyLostInSlices(t *testing.T) {
	const n = 100_000
	for _, closes := range []bool{false, true} {
		f, all, log, _ := confirmAll(t, 0, n, &amqpproto.BasicAck{})
		f.manual = true
		f.conn.Lost(errors.New("reset"))
		if len(*log) == 0 || len(*log) > settleMax {
			t.Fatalf("%d publishes were told at once", len(*log))
		}
		if closes {
			f.client.Close(func(error) {
				if len(*log) != n {
					t.Errorf("closed, and only %d were told", len(*log))
				}
			})
		}
		f.tickOut(t, log)
		for i, c := range all {
			var lost *client.LostError
			if c.told != 1 || !errors.As(c.err, &lost) {
				t.Fatalf("publish %d was told %d times: %v", i, c.told, c.err)
			}
		}
		if left, octets := f.client.Unconfirmed(); left != 0 || octets != 0 {
			t.Errorf("%d publishes of %d octets are counted still", left, octets)
		}
	}
}
