package broker_test

import (
	"io"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/journal"
)

// declare-ok promises that the queue will be there after a crash.
func TestAnswersOfDurableThingsWaitForTheDisk(t *testing.T) {
	f, p := durable(t, nil)
	other := f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("new"), Durable: true}).want()
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true}).want() // in its order
	other.method(1, &amqpproto.QueueDeclare{Queue: []byte("new"), Durable: true}).want()
	f.sync(p)
	p.want("1 queue.declare-ok [new 0 0]", "1 queue.declare-ok [q 0 0]")
	other.turn()
	other.want("1 queue.declare-ok [new 0 0]")
	for _, m := range []amqpproto.Method{
		&amqpproto.ExchangeDeclare{Exchange: []byte("x"), Type: []byte("direct"), Durable: true},
		&amqpproto.QueueBind{Queue: []byte("new"), Exchange: []byte("x")},
		&amqpproto.QueueUnbind{Queue: []byte("new"), Exchange: []byte("x")},
		&amqpproto.ExchangeDelete{Exchange: []byte("x")},
		&amqpproto.QueueDelete{Queue: []byte("new")},
	} {
		p.method(1, m).want()
		f.sync(p)
		if got := p.hear(); strings.Count(got, "-ok") != 1 {
			t.Errorf("%T: %q", m, got)
		}
	}
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("transient")}).want("1 queue.declare-ok [transient 0 0]")
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("last"), Durable: true})
	p.lose(io.EOF) // while it waits
	f.sync(other)
	other.want()
}

// As on RabbitMQ, where a client may close the connection on the cancel.
func TestCancelsComeAfterTheAnswerToTheDelete(t *testing.T) {
	f, p := durable(t, nil)
	p.method(1, &amqpproto.BasicConsume{Queue: []byte("d"), ConsumerTag: []byte("a")}).want("1 basic.consume-ok a")
	p.method(2, &amqpproto.BasicConsume{Queue: []byte("d"), ConsumerTag: []byte("b")}).want("2 basic.consume-ok b")
	p.method(1, &amqpproto.QueueDelete{Queue: []byte("d")}).want()
	f.sync(p)
	p.want("1 queue.delete-ok {MessageCount:0}", "1 basic.cancel a", "2 basic.cancel b")
}

func TestNothingDurableIsDeclaredOnAFailedDisk(t *testing.T) {
	full := false
	f, p := durable(t, fullDisk{journal.OS{}, &full})
	other := f.open(1)
	full = true
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("new"), Durable: true}).want()
	f.sync(p)
	p.want("0 connection.close [541 INTERNAL_ERROR - the store has failed: journal: sync: no space left on device queue.declare]")
	other.method(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true}).want("1 queue.declare-ok [q 0 0]")
	other.method(1, &amqpproto.QueueDeclare{Queue: []byte("more"), Durable: true}).
		want("0 connection.close [541 INTERNAL_ERROR - the store has failed: journal: sync: no space left on device queue.declare]")
}

// What the disk has not taken is in memory, though its messages have gone on.
func TestASlowDiskBlocksPublishers(t *testing.T) {
	f := newFixture(t, broker.Options{DataDir: t.TempDir(), MemoryMax: 1 << 20})
	p := f.open(1)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("d"), Durable: true})
	f.sync(p)
	f.hold = true
	body := strings.Repeat("x", 100_000)
	for range 12 {
		p.publish(1, "", "d", body, persistent)
		p.method(1, &amqpproto.BasicGet{Queue: []byte("d"), NoAck: true}).hear()
	}
	f.last(broker.MemoryBlocked)
	f.sync(p)
	f.clock.Advance(time.Second)
	f.last(broker.MemoryUnblocked)
}
