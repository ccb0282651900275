package broker_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// begun is a publish to q without its body.
func begun(channel uint16, size int) []byte {
	b := amqpproto.AppendBasicPublish(nil, channel, "", "q", false, false)
	return amqpproto.AppendContentHeader(b, channel, amqpproto.ClassBasic, uint64(size), []byte{0, 0})
}

// part is a piece of a body.
func part(channel uint16, size int) []byte {
	return amqpproto.AppendBody(nil, channel, make([]byte, size), 131072)
}

const bodyPart = 100_000

// drainer consumes everything that comes to q.
func drainer(f *fixture) *peer {
	p := f.open(1)
	p.method(1, &amqpproto.BasicConsume{Queue: b("q"), NoAck: true})
	return p
}

// bodies counts the bodies that came.
func (p *peer) bodies() int { return strings.Count(p.hear(), " basic.deliver ") }

// A body counts from its first octet: many unfinished bodies raise the alarm and block
// publishers. When there is room, they are finished.
func TestBodiesThatAreComingCount(t *testing.T) {
	f := newFixture(t, broker.Options{MemoryMax: 8 << 20})
	p, other := f.open(30), f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: b("q")})
	const parts = 10
	for ch := range uint16(30) {
		p.say(begun(ch+1, parts*bodyPart))
	}
	for i := range parts - 1 {
		for ch := range uint16(30) {
			p.say(part(ch+1, bodyPart))
		}
		if i == 3 && (!f.server.Stats().Blocked || f.server.Stats().Memory < 8<<20) {
			t.Fatalf("30 bodies with %d octets each received: %+v", 4*bodyPart, f.server.Stats())
		}
	}
	other.hear()
	other.publish(1, "", "q", "x", amqpproto.Properties{}).want("0 connection.blocked low on memory")
	for ch := range uint16(30) {
		p.say(part(ch+1, bodyPart))
	}
	got := 0
	d := drainer(f)
	for range 100 {
		f.clock.Advance(time.Second)
		p.turn()
		got += d.bodies()
	}
	if got != 30 {
		t.Errorf("%d of 30 bodies came", got)
	}
	f.clock.Advance(2 * time.Second)
	if other.want("0 connection.unblocked"); f.server.Stats().Blocked {
		t.Errorf("%+v", f.server.Stats())
	}
}

// The unfinished bodies of many connections use no more memory than messages may use, and one
// body more. They do not wait for each other for ever, even if one of them stops coming.
func TestBodiesOfManyConnections(t *testing.T) {
	const most = 4 << 20
	f := newFixture(t, broker.Options{MemoryMax: most, OutputMax: 16 << 20, Heartbeat: -1})
	first := f.open(1)
	first.method(1, &amqpproto.QueueDeclare{Queue: b("q")})
	const parts = 20
	var all []*peer
	for range 10 {
		p := f.open(1)
		p.say(begun(1, parts*bodyPart))
		all = append(all, p)
	}
	for i := range parts {
		for k, p := range all {
			if k > 0 || i < 3 { // the first one stops
				p.say(part(1, bodyPart))
			}
			// A buffer can be twice as large as its content.
			if used := f.server.Stats().Memory; used > most+2*parts*bodyPart+1<<20 {
				t.Fatalf("%d octets are used, %d may be", used, most)
			}
		}
	}
	if !f.server.Stats().Blocked {
		t.Fatal("no alarm")
	}
	d := drainer(f)
	got := 0
	for range 100 {
		f.clock.Advance(time.Second)
		for _, p := range all {
			p.turn()
		}
		if used := f.server.Stats().Memory; used > most+4*parts*bodyPart+1<<20 { // one waits to be sent, too
			t.Fatalf("%d octets are used, %d may be", used, most)
		}
		got += d.bodies()
	}
	if got != 9 {
		t.Errorf("%d of 9 bodies came", got)
	}
}

// A connection whose unfinished bodies alone need more memory than all messages may use gets an
// error.
func TestBodiesOfOneConnectionAreBounded(t *testing.T) {
	f := newFixture(t, broker.Options{MemoryMax: 2 << 20, BodyMax: 1 << 20})
	p := f.open(30)
	p.method(1, &amqpproto.QueueDeclare{Queue: b("q")}).hear()
	for ch := range uint16(30) {
		p.say(begun(ch+1, 1<<20))
	}
	for range 10 {
		for ch := range uint16(30) {
			p.say(part(ch+1, bodyPart))
		}
	}
	if heard := p.hear(); !strings.Contains(heard, "connection.close [506 RESOURCE_ERROR - incomplete bodies take") {
		t.Errorf("heard %s", heard)
	}
	f.clock.Advance(2 * time.Second)
	if st := f.server.Stats(); st.Memory > 1<<20 || st.Blocked {
		t.Errorf("%+v", st)
	}
}

// Unacked messages, and messages that wait to be sent, count as well.
func TestUnackedAndUnsentCount(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: b("q")})
	for range 1000 {
		p.publish(1, "", "q", "x", amqpproto.Properties{})
	}
	ready := f.server.Stats().Memory
	p.method(1, &amqpproto.BasicConsume{Queue: b("q")})
	if held := f.server.Stats().Memory; held <= ready {
		t.Errorf("1000 unacked messages take %d octets, ready ones %d", held, ready)
	}
	p.method(1, &amqpproto.BasicAck{Multiple: true})
	if left := f.server.Stats().Memory; left > 64<<10 {
		t.Errorf("%d octets are left", left)
	}
	con := newFeeder(t, f)
	con.method(&amqpproto.BasicConsume{Queue: b("q"), NoAck: true})
	p.publish(1, "", "q", strings.Repeat("x", 500_000), amqpproto.Properties{})
	if n := len(con.conn.Pending()); int(f.server.Stats().Memory) < n-64<<10 {
		t.Errorf("%d octets wait to be sent, %d count", n, f.server.Stats().Memory)
	}
}
