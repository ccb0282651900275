package client_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// large is a delivery with a header of so many octets.
func large(t testing.TB, ch uint16, number uint64, octets int, body string) (wire, properties []byte) {
	t.Helper()
	headers, err := amqpproto.AppendTable(nil, amqp.Table{"big": strings.Repeat("h", octets)})
	if err != nil {
		t.Fatal(err)
	}
	p := amqpproto.Properties{Headers: headers, MessageID: fmt.Append(nil, "m", number)}
	p.SetFlags()
	if properties, err = p.Append(nil); err != nil {
		t.Fatal(err)
	}
	wire = amqpproto.AppendBasicDeliver(nil, ch, "c", number, false, "", "q")
	wire = amqpproto.AppendContentHeader(wire, ch, amqpproto.ClassBasic, uint64(len(body)), properties)
	return amqpproto.AppendBody(wire, ch, []byte(body), 4096), properties
}

// TestLargeHeaders: a broker's header frames are over frame_max, as RabbitMQ sends
// them once it has added x-death. Each costs at most its own message.
func TestLargeHeaders(t *testing.T) {
	wiretest.Seeds(t, 6, func(t *testing.T, seed int64) {
		f := newFixture(t, seed, client.Config{FrameMax: 4096, BodyMax: 2 << 20})
		type got struct {
			properties, body string
			fault            bool
		}
		var all []got
		s := &sink{then: func(d *client.Delivery) {
			all = append(all, got{string(d.RawProperties), string(d.Body), d.Fault != nil})
		}}
		f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, s)
		f.connect()
		ch := f.broker.consumers["c"]
		var want []got
		for i, row := range []struct {
			octets int
			body   string
			fault  bool
		}{
			{10, "small", false},
			{4060, "just over frame_max", false},
			{5000, "", false},
			{1 << 20 >> 1, strings.Repeat("long", 5000), false},
			{1 << 20, "over the bound", true},
			{2<<20 - 1000, "far over it", true},
			{20, "small again", false},
		} {
			wire, properties := large(t, ch, uint64(i+1), row.octets, row.body)
			f.broker.script.Say(wire...)
			want = append(want, got{string(properties), row.body, row.fault})
		}
		f.run()
		for i := range want {
			if i >= len(all) || all[i] != want[i] {
				t.Fatalf("delivery %d of %d is another, the client is %v: %v", i, len(all), f.client.State(), f.client.Err())
			}
		}
		if f.client.State() != client.Connected || f.client.Stats().Connects != 1 {
			t.Errorf("%v %+v", f.client.State(), f.client.Stats())
		}
	})
}

// TestHeaderOverBodyMax costs its consumer what a body of that size does: the
// message stays in the queue, and the others of the connection go on.
func TestHeaderOverBodyMax(t *testing.T) {
	f := newFixture(t, 1, client.Config{FrameMax: 4096, BodyMax: 1 << 20})
	s, other := &sink{}, &sink{}
	k := f.client.Consume(client.ConsumerSpec{Name: "c", Topology: queue("q")}, s)
	f.client.Consume(client.ConsumerSpec{Name: "other", Topology: queue("other")}, other)
	f.connect()
	wire, _ := large(t, f.broker.consumers["c"], 1, 3<<20, "x")
	f.broker.script.Say(wire...)
	f.broker.deliver("other", "hello")
	f.run()
	if len(s.bodies) != 0 || k.Err() == nil || !strings.Contains(k.Err().Error(), "a content header of") {
		t.Errorf("%q, %v", s.bodies, k.Err())
	}
	if len(other.bodies) != 1 || f.client.State() != client.Connected {
		t.Errorf("%q, %v", other.bodies, f.client.State())
	}
}

// TestLargeHeaderEnds: the end of the frame is checked as that of others.
func TestLargeHeaderEnds(t *testing.T) {
	hostile(t, 1, amqpproto.FrameError, "0xce", func(con, _ uint16) [][]byte {
		wire, _ := large(t, con, 1, 200_000, "")
		wire[len(wire)-1] = 0
		return [][]byte{wire}
	})
}
