package broker_test

import (
	"errors"
	"io"
	"testing"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/journal"
)

var persistent = amqpproto.Properties{DeliveryMode: 2}

// sync runs what Offload holds back: the journal's writer.
func (f *fixture) sync(p *peer) {
	for range 10 {
		f.clock.Advance(0)
		held := f.held
		f.held = nil
		for _, work := range held {
			work()
		}
	}
	p.turn()
}

// durable is a broker that keeps things, with nothing written before sync.
func durable(t *testing.T, fs journal.FS) (*fixture, *peer) {
	f := newFixture(t, broker.Options{DataDir: t.TempDir(), Files: fs})
	f.hold = true
	p := f.open(2)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("d"), Durable: true})
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")})
	f.sync(p)
	p.hear()
	return f, p
}

// A persistent message in a durable queue is confirmed when it is on disk, and later
// publishes of the channel wait, too; nothing else waits.
func TestConfirmsWaitForTheDisk(t *testing.T) {
	f, p := durable(t, nil)
	p.method(1, &amqpproto.ConfirmSelect{}).hear()
	p.method(2, &amqpproto.ConfirmSelect{}).hear()
	p.publish(1, "", "q", "transient queue", persistent).want("1 basic.ack {DeliveryTag:1 Multiple:false}")
	p.publish(1, "", "d", "transient message", amqpproto.Properties{}).want("1 basic.ack {DeliveryTag:2 Multiple:false}")
	p.publish(1, "", "d", "both", persistent).want()
	p.publish(1, "", "q", "behind", amqpproto.Properties{}).want()
	p.publish(2, "", "q", "on another channel", amqpproto.Properties{}).want("2 basic.ack {DeliveryTag:1 Multiple:false}")
	p.method(2, &amqpproto.BasicGet{Queue: []byte("d"), NoAck: true}).hear() // delivered is not yet on disk
	p.method(2, &amqpproto.BasicGet{Queue: []byte("d"), NoAck: true}).hear()
	f.sync(p)
	p.want("1 basic.ack {DeliveryTag:4 Multiple:true}")
}

func TestCommitWaitsForTheDisk(t *testing.T) {
	f, p := durable(t, nil)
	p.method(1, &amqpproto.TxSelect{}).hear()
	p.publish(1, "", "d", "x", persistent)
	p.method(1, &amqpproto.TxCommit{}).method(2, &amqpproto.QueueDeclare{Queue: []byte("d"), Passive: true}).want("2 queue.declare-ok [d 1 0]")
	f.sync(p)
	p.want("1 tx.commit-ok")
	p.method(1, &amqpproto.BasicGet{Queue: []byte("d")}).hear()
	p.method(1, &amqpproto.BasicAck{DeliveryTag: 1}).method(1, &amqpproto.TxCommit{}).want()
	f.sync(p)
	p.want("1 tx.commit-ok")
	p.publish(1, "", "q", "x", amqpproto.Properties{})
	p.method(1, &amqpproto.TxCommit{}).want("1 tx.commit-ok")
	p.publish(1, "", "d", "x", persistent)
	p.method(1, &amqpproto.TxCommit{})
	p.lose(io.EOF) // while it waits
	f.sync(p)
}

// RabbitMQ accepts nothing after a commit with publishes until commit-ok is sent, on disk or
// not, except the end of the channel, and commits that only acked.
func TestBehindACommit(t *testing.T) {
	for _, key := range []string{"d", "q"} {
		f, p := durable(t, nil)
		both := func(behind amqpproto.Method) *peer {
			p.publish(1, "", key, "x", persistent)
			b, _ := amqpproto.AppendMethod(nil, 1, &amqpproto.TxCommit{})
			b, _ = amqpproto.AppendMethod(b, 1, behind)
			return p.say(b)
		}
		p.method(1, &amqpproto.TxSelect{}).hear()
		both(&amqpproto.ChannelClose{})
		f.sync(p)
		p.want("1 channel.close-ok")
		p.method(1, &amqpproto.ChannelOpen{}).method(1, &amqpproto.TxSelect{}).hear()
		both(&amqpproto.ChannelFlow{Active: true}).want(
			"0 connection.close [504 CHANNEL_ERROR - unexpected command while processing 'tx.commit' channel.flow]")
		f.sync(p)
		p.method(0, &amqpproto.ConnectionCloseOk{}).want("eof")
		p = f.open(1)
		p.method(1, &amqpproto.TxSelect{}).method(1, &amqpproto.BasicGet{Queue: []byte(key)}).hear()
		b, _ := amqpproto.AppendMethod(nil, 1, &amqpproto.BasicAck{DeliveryTag: 1})
		b, _ = amqpproto.AppendMethod(b, 1, &amqpproto.TxCommit{})
		b, _ = amqpproto.AppendMethod(b, 1, &amqpproto.ChannelFlow{Active: true})
		p.say(b)
		f.sync(p)
		p.want("1 tx.commit-ok", "1 channel.flow-ok {Active:true}")
	}
}

// fullDisk fails to sync when told so.
type fullDisk struct {
	journal.FS
	full *bool
}

func (d fullDisk) Open(name string, flag int) (journal.File, error) {
	file, err := d.FS.Open(name, flag)
	return fullFile{file, d.full}, err
}

type fullFile struct {
	journal.File
	full *bool
}

func (f fullFile) Sync() error {
	if *f.full {
		return errors.New("no space left on device")
	}
	return f.File.Sync()
}

// A disk that has failed confirms nothing any more.
func TestFailedDisk(t *testing.T) {
	full := false
	f, p := durable(t, fullDisk{journal.OS{}, &full})
	p.method(1, &amqpproto.ConfirmSelect{}).method(2, &amqpproto.TxSelect{}).hear()
	full = true
	p.publish(1, "", "d", "lost", persistent).publish(1, "", "d", "lost", persistent).want()
	f.sync(p)
	p.want("1 basic.nack {DeliveryTag:1 Multiple:false Requeue:true}", "1 basic.nack {DeliveryTag:2 Multiple:false Requeue:true}")
	if e := f.last(broker.StoreFailed); e.Err == nil {
		t.Error("nobody is told why")
	}
	p.publish(1, "", "d", "lost", persistent)
	f.sync(p)
	p.want("1 basic.nack {DeliveryTag:3 Multiple:false Requeue:true}")
	p.publish(1, "", "q", "transient", amqpproto.Properties{}).want("1 basic.ack {DeliveryTag:4 Multiple:false}")
	p.publish(2, "", "d", "lost", persistent).method(2, &amqpproto.TxCommit{})
	f.sync(p)
	p.want("2 channel.close [406 PRECONDITION_FAILED - partial tx completion tx.commit]")
}
