package amqpdoor

import (
	"errors"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// An oldQuarantine moves the messages that an older version left in X.suspects back to
// X, once: most of them were there without a reason. It drops their counts of crashes.
// It never declares the queue, and deletes it when it is empty. A quorum queue stays,
// because RabbitMQ does not delete a quorum queue on a condition.
type oldQuarantine struct {
	k     *consumer
	queue string
	asked int // attempts to delete the queue
	under int // gets and publishes under way
	moved int
	over  bool // the queue was empty, or there was an error
	again bool // there was an error: try again
}

// oldQuarantineAtOnce is how many messages are moved at once.
const oldQuarantineAtOnce = 32

// oldQuarantineAsks bounds the attempts to delete the queue: if it is a quorum queue,
// each attempt ends the connection.
const oldQuarantineAsks = 3

// oldQuarantineAgain is how long to wait after an error, and while there is no
// connection.
const oldQuarantineAgain = time.Second

func (k *consumer) emptyOldQuarantine() {
	x := &oldQuarantine{k: k, queue: publisher.OldQuarantineQueue(k.declared.Queue)}
	x.look()
}

func (x *oldQuarantine) look() {
	k := x.k
	if k.stopped {
		return
	}
	again := func() { k.link.door.runtime.After(oldQuarantineAgain, x.look) }
	x.over, x.again = false, false
	if !k.link.client.Ready() {
		again()
		return
	}
	c := k.link.client
	if x.asked < oldQuarantineAsks && k.declared.Type() != publisher.QueueQuorum {
		x.asked++
		if c.DeleteQueue(x.queue, true, true, func(_ uint32, err error) { x.answered(err, false, again) }) != nil {
			again()
		}
		return
	}
	if c.QueueInfo(x.queue, func(_, _ uint32, err error) { x.answered(err, err == nil, again) }) != nil {
		again()
	}
}

// answered is called with the broker's answer. there says that the queue exists. Deleting a
// queue that does not exist is no error.
func (x *oldQuarantine) answered(err error, there bool, again func()) {
	var channel *amqpproto.ChannelError
	isChannel := errors.As(err, &channel)
	switch {
	case there, isChannel && channel.Code == amqpproto.PreconditionFailed:
		x.more()
	case err == nil, isChannel: // there is no such queue, or we may not see it
	default:
		again()
	}
}

// more gets messages until enough are being moved.
func (x *oldQuarantine) more() {
	for !x.over && x.under < oldQuarantineAtOnce {
		if x.k.stopped || x.k.link.client.Get(x.queue, false, x.got) != nil {
			x.over, x.again = true, true
			break
		}
		x.under++
	}
	if x.over && x.under == 0 {
		x.end()
	}
}

func (x *oldQuarantine) got(d *client.Delivery, err error) {
	x.under--
	if d == nil || err != nil {
		x.over, x.again = true, x.again || err != nil
		x.more()
		return
	}
	o, err := x.outgoing(d)
	if err == nil {
		err = x.k.link.client.Publish(nil, o, &oldMessage{x, d.Acknowledger, d.Epoch, d.Tag})
	}
	if err != nil {
		d.Acknowledger.Nack(d.Epoch, d.Tag, true)
		x.over, x.again = true, true
		x.more()
		return
	}
	x.under++
}

// outgoing returns the message without its count of crashes. A message that cannot be
// read, or whose headers are too large, goes in an envelope.
func (x *oldQuarantine) outgoing(d *client.Delivery) (*client.Outgoing, error) {
	o := &client.Outgoing{RoutingKey: x.k.declared.Queue, Mandatory: true, Body: d.Body, LargeLent: d.Owned}
	var err error
	o.RawProperties, o.Prefix, err = moved(d.RawProperties, x.k.link.client.PropertiesMax(), publisher.TraceCrashes)
	return o, err
}

// An oldMessage is one message that is being moved.
type oldMessage struct {
	x            *oldQuarantine
	acknowledger *client.Acknowledger
	epoch        uint32
	tag          uint64
}

// Confirmed is called when the broker has confirmed or refused the copy.
func (l *oldMessage) Confirmed(err error) {
	l.x.under--
	if err != nil {
		l.x.over, l.x.again = true, true
		l.acknowledger.Nack(l.epoch, l.tag, true)
	} else {
		l.x.moved++
		l.acknowledger.Ack(l.epoch, l.tag)
	}
	l.x.more()
}

func (x *oldQuarantine) end() {
	k := x.k
	switch {
	case k.stopped:
	case x.again:
		k.link.door.runtime.After(oldQuarantineAgain, x.look)
	default:
		k.link.door.log.Info().Str("consumer", k.name).Str("queue", x.queue).Int("messages", x.moved).
			Msg("messages that an older version had put into quarantine were moved back to their queue")
		if k.declared.Type() != publisher.QueueQuorum {
			_ = k.link.client.DeleteQueue(x.queue, true, true, func(uint32, error) {}) // if this fails, the queue stays
		}
	}
}
