package broker_test

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/tests/kit/crashfs"
)

// TestDiskLow: publishers are told and blocked at their first publish, and go on
// when there is room. A client that does not publish notices nothing.
func TestDiskLow(t *testing.T) {
	f := newFixture(t, broker.Options{DataDir: t.TempDir()})
	p, other := f.open(1), f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")}).want("1 queue.declare-ok [q 0 0]")
	f.server.DiskRoom(f.server.DiskMark(), 0, 1000)
	if !f.server.Stats().Blocked {
		t.Error("not blocked")
	}
	p.publish(1, "", "q", "first", amqpproto.Properties{}).want("0 connection.blocked low on disk")
	p.publish(1, "", "q", "second", amqpproto.Properties{}).want()
	other.method(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true}).want("1 queue.declare-ok [q 0 0]")
	f.server.DiskRoom(f.server.DiskMark(), 1000, 1000) // not enough as yet
	p.turn()
	p.want()
	f.server.DiskRoom(f.server.DiskMark(), 1001, 1000)
	p.turn()
	p.want("0 connection.unblocked")
	other.method(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true}).want("1 queue.declare-ok [q 2 0]")
}

// TestDiskRoomIsCounted: messages between two measurements of the disk count, even bodies
// that have only begun to arrive, and the next measurement is requested in time.
func TestDiskRoomIsCounted(t *testing.T) {
	looks := 0
	f := newFixture(t, broker.Options{DataDir: t.TempDir(), LookAtDisk: func() { looks++ }})
	p := f.open(2)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("d"), Durable: true})
	f.sync(p)
	p.hear()
	f.server.DiskRoom(f.server.DiskMark(), 100_000, 0)
	body := strings.Repeat("x", 10_000)
	for i := range 10 {
		if f.server.Blocked() != "" {
			t.Fatalf("blocked after %d", i)
		}
		p.publish(1, "", "d", body, persistent)
		if want := min(i/4, 1); i < 9 && looks != want {
			t.Errorf("%d looks after %d messages, want %d", looks, i+1, want)
		}
	}
	if f.server.Blocked() != "low on disk" {
		t.Error("the room is used up and nobody waits")
	}
	f.sync(p)
	p.hear()
	f.server.DiskRoom(f.server.DiskMark(), 100_000, 0)
	// The header of a body that is larger than what is left.
	b, _ := amqpproto.AppendMethod(nil, 2, &amqpproto.BasicPublish{RoutingKey: []byte("d")})
	b = amqpproto.AppendContentHeader(b, 2, amqpproto.ClassBasic, 200_000, []byte{0x10, 0, 2})
	p.say(b)
	if f.server.Blocked() != "low on disk" {
		t.Error("a body that is to come does not count")
	}
	p.method(2, &amqpproto.ChannelClose{}).hear()
	f.server.DiskRoom(f.server.DiskMark(), 100_000, 0)
	if f.server.Blocked() != "" {
		t.Error("a body that will not come counts:", f.server.Blocked())
	}
}

// TestATroubledDiskHoldsPublishers: on a full disk nothing is confirmed and nothing refused,
// publishers wait, and the reserve keeps acks. When there is space, everything continues
// without a restart.
func TestATroubledDiskHoldsPublishers(t *testing.T) {
	fs := crashfs.New()
	f := newFixture(t, broker.Options{DataDir: "d", Files: fs, Reserve: 300_000, SegmentSize: 600_000})
	p, c := f.open(1), f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("d"), Durable: true})
	f.sync(p)
	p.method(1, &amqpproto.ConfirmSelect{}).hear()
	fs.Room = 1
	body := strings.Repeat("x", 100_000)
	sent := 0
	for f.server.Blocked() == "" {
		p.publish(1, "", "d", body, persistent)
		f.sync(p)
		sent++
	}
	if f.server.Blocked() != "low on disk" {
		t.Error(f.server.Blocked())
	}
	if e := f.last(broker.StoreTroubled); e.Err == nil {
		t.Error("nobody is told why")
	}
	if n := strings.Count(p.hear(), "basic.ack"); n != sent {
		t.Errorf("%d confirms of %d: the reserve should have taken the last one", n, sent)
	}
	p.publish(1, "", "d", "waits", persistent).want("0 connection.blocked low on disk")
	for range sent {
		c.method(1, &amqpproto.BasicGet{Queue: []byte("d")}).hear()
	}
	c.method(1, &amqpproto.BasicAck{DeliveryTag: uint64(sent), Multiple: true})
	f.sync(c)
	after := newFixture(t, broker.Options{DataDir: "d", Files: fs.Kill()})
	after.open(1).method(1, &amqpproto.QueueDeclare{Queue: []byte("d"), Passive: true}).want("1 queue.declare-ok [d 0 0]")
	fs.Room = 0
	f.clock.Advance(time.Minute)
	f.sync(p)
	f.sync(p)
	f.last(broker.StoreRecovered)
	if said := p.hear(); !strings.Contains(said, "0 connection.unblocked") || !strings.Contains(said, "1 basic.ack") {
		t.Error(said)
	}
}

// TestDescriptorsComeBack: without them a new segment waits; and with it its publishes.
func TestDescriptorsComeBack(t *testing.T) {
	fs := crashfs.New()
	f := newFixture(t, broker.Options{DataDir: "d", Files: fs, SegmentSize: 1000})
	p := f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("d"), Durable: true})
	f.sync(p)
	p.method(1, &amqpproto.ConfirmSelect{}).hear()
	fs.FailAt, fs.Fail = fs.Steps+1, syscall.EMFILE
	p.publish(1, "", "d", "one", persistent)
	f.sync(p)
	p.want()
	p.publish(1, "", "d", "two", persistent).want("0 connection.blocked disk: journal: write: too many open files")
	f.clock.Advance(time.Minute)
	if said := p.hear(); strings.Contains(said, "1 basic") {
		t.Error(said)
	}
	fs.FailAt = 0
	f.clock.Advance(time.Minute)
	f.sync(p)
	f.sync(p)
	if said := p.hear(); !strings.Contains(said, "0 connection.unblocked") || !strings.Contains(said, "DeliveryTag:2") {
		t.Error(said)
	}
}
