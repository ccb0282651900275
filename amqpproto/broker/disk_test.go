package broker_test

import (
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// TestDiskLow: publishers are told and held at their first publish, and go on when
// there is room; who does not publish notices nothing.
func TestDiskLow(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p, other := f.open(1), f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")}).want("1 queue.declare-ok [q 0 0]")
	f.server.DiskLow(true)
	if !f.server.Stats().Blocked {
		t.Error("not blocked")
	}
	p.publish(1, "", "q", "first", amqpproto.Properties{}).want("0 connection.blocked low on disk")
	p.publish(1, "", "q", "second", amqpproto.Properties{}).want()
	other.method(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true}).want("1 queue.declare-ok [q 0 0]")
	f.server.DiskLow(false)
	p.turn()
	p.want("0 connection.unblocked")
	other.method(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true}).want("1 queue.declare-ok [q 2 0]")
}
