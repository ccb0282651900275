package client

import (
	"errors"
	"fmt"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// ConsumerSpec says what to consume and what to declare first.
type ConsumerSpec struct {
	Name string // its name in errors and events
	Topology
	Prefetch  uint16 // unsettled deliveries at a time; 0 = no bound
	NoAck     bool   // the broker drops a message when it has sent it
	Exclusive bool
	// SingleActive says that the queue has x-single-active-consumer, if its declaration
	// here does not show it.
	SingleActive bool
	Tag          string // consumer tag shown by the broker; Name if empty
	// Args of the consumer. After the first delivery from a stream, x-stream-offset is
	// replaced by the first delivery that was not settled, or else by the next offset.
	// A stream redelivers what was given back when the channel ends, not before.
	Args amqp.Table
	// DeclareOnly declares the topology and consumes nothing.
	DeclareOnly bool
}

// Delivery is one message. It is reused for the next one: it and its slices are valid
// until Deliver returns. To settle it later, keep Acknowledger, Epoch and Tag.
type Delivery struct {
	Consumer             *Consumer     // nil for a message from Get
	Acknowledger         *Acknowledger // settles it: that of the consumer, or of the Get
	Epoch                uint32        // incarnation of the channel; tags start again at 1 with each
	Tag                  uint64        // delivery tag
	Redelivered          bool
	Exchange, RoutingKey []byte
	RawProperties        []byte // flags and values, for amqpproto.Properties.Decode
	Body                 []byte
	// Fault says that the message must not go to a handler: its content header is over
	// 16 times frame_max and over 1 MiB. The message is complete, and must be settled
	// like any other.
	Fault error
	// Owned says that nothing else uses the memory of Body, because it is large: the
	// receiver may keep it.
	Owned bool
}

// Sink receives deliveries. Deliver may settle them, publish, or close the client.
type Sink interface{ Deliver(*Delivery) }

// LostSink is a Sink that is told when the consumer has lost its place at the queue: its
// channel has ended, or the broker has cancelled it. Lost may not publish or settle.
type LostSink interface {
	Sink
	Lost()
}

// Consumer is one registered consumer. It lives until Cancel, over any number of
// connections.
type Consumer struct {
	registration
	Acknowledger
	spec ConsumerSpec
	sink Sink
	tag  string

	flowing  bool     // basic.consume was answered, and not cancelled since
	paused   bool     // Pause was called
	place    position // position in a stream
	delivery Delivery // the delivery that the sink gets
	onCancel []func()
	syncing  []func() // called at the answer in flight
	sync     []func() // called at the answer after that
}

// Consume registers a consumer, before or after connecting. It is replayed after
// each connect until it is cancelled.
func (c *Client) Consume(spec ConsumerSpec, sink Sink) *Consumer {
	k := &Consumer{spec: spec, sink: sink, tag: spec.Tag}
	if k.tag == "" {
		k.tag = spec.Name
	}
	k.enter(c, k, spec.Name, &k.spec.Topology)
	k.Acknowledger = Acknowledger{of: c, noAck: spec.NoAck, prefetch: spec.Prefetch, after: k.release}
	k.place.stream = isStream(&k.spec)
	k.givesBackByClosing = k.place.stream && !spec.NoAck
	k.delivery.Consumer, k.delivery.Acknowledger = k, &k.Acknowledger
	if c.closing {
		k.state, k.err = Cancelled, ErrClosed
		return k
	}
	c.consumers = append(c.consumers, k)
	c.advance()
	c.wake()
	return k
}

// State returns what the consumer waits for.
func (k *Consumer) State() State { return k.state }

// Err returns why the consumer is not up. It is nil while it is up, and before the first
// attempt.
func (k *Consumer) Err() error { return k.err }

// Queue returns the name of the consumed queue. It is empty until the broker has
// named it, if the broker gives the name.
func (k *Consumer) Queue() string {
	if len(k.replay.queues) > 0 {
		return k.replay.queues[0]
	}
	if len(k.spec.Queues) > 0 {
		return k.spec.Queues[0].Name
	}
	return ""
}

// opened is called by the channel: a new epoch begins.
func (k *Consumer) opened() error {
	k.begin(k.ch)
	return k.registration.opened()
}

// declared continues with basic.qos and basic.consume, if there is something to
// consume.
func (k *Consumer) declared() error {
	defer k.client.handOn(&k.registration) // the next registration need not wait for what follows
	if k.spec.DeclareOnly {
		k.up()
		k.ch.close(nil)
		return nil
	}
	if len(k.replay.queues) == 0 {
		k.ch.close(errors.New("there is no queue to consume from"))
		return nil
	}
	if k.paused {
		k.rest()
		return nil
	}
	if k.spec.Prefetch == 0 {
		return k.consume()
	}
	k.state = AwaitQosOk
	// It is never global: that has another meaning in RabbitMQ, and 4.3 refuses it.
	return k.ch.request(&amqpproto.BasicQos{PrefetchCount: k.spec.Prefetch}, amqpproto.IDBasicQosOk)
}

func (k *Consumer) consume() error {
	k.state = AwaitConsumeOk
	k.replay.what = fmt.Sprintf("basic.consume %q", k.replay.queues[0])
	args, err := amqpproto.AppendTable(nil, k.place.args(k.spec.Args))
	if err == nil {
		err = k.ch.request(&amqpproto.BasicConsume{
			Queue: []byte(k.replay.queues[0]), ConsumerTag: []byte(k.tag),
			NoAck: k.spec.NoAck, Exclusive: k.spec.Exclusive, Arguments: args,
		}, amqpproto.IDBasicConsumeOk)
	}
	if err != nil {
		k.ch.close(err)
	}
	return nil
}

// answered is called by the channel.
func (k *Consumer) answered(id amqpproto.MethodID, args []byte) error {
	switch k.state {
	case AwaitTopology:
		return k.stepAnswered(id, args)
	case AwaitQosOk:
		return k.consume()
	case AwaitConsumeOk:
		var m amqpproto.BasicConsumeOk
		if err := m.DecodeArgs(args); err != nil {
			return err
		}
		k.tag = string(m.ConsumerTag)
		k.flowing = true
		k.up()
		if k.paused {
			k.pause()
		}
		return nil
	case Up:
		k.synced()
		return nil
	case AwaitPauseOk:
		if id == amqpproto.IDBasicQosOk {
			k.synced()
			return k.cancel()
		}
		k.onPauseOk()
		return nil
	case AwaitCancelOk:
		if id == amqpproto.IDBasicQosOk {
			k.synced()
			return k.cancel()
		}
		k.flowing = false
		k.ended()
		return nil
	}
	return unexpected(k, id)
}

// String names the consumer and its state, for errors.
func (k *Consumer) String() string { return fmt.Sprintf("consumer %q %s", k.name, k.state) }

func (k *Consumer) up() {
	k.isUp()
	k.eager = false
	k.client.note(Event{Kind: EventConsumerUp, Name: k.name, Text: k.Queue()})
	k.syncNow()
}

// onMethod handles a basic.cancel from the broker: the queue or its leader is gone. The
// channel stays open, so that deliveries can still be settled.
func (k *Consumer) onMethod(id amqpproto.MethodID, args []byte) error {
	if id != amqpproto.IDBasicCancel || !k.flowing {
		return unexpected(k, id)
	}
	var m amqpproto.BasicCancel
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if string(m.ConsumerTag) != k.tag {
		return connectionError(amqpproto.CommandInvalid, id, "%s: cancel for consumer tag %q, ours is %q", k, m.ConsumerTag, k.tag)
	}
	if !m.NoWait {
		if err := k.ch.conn.send(k.ch.number, &amqpproto.BasicCancelOk{ConsumerTag: m.ConsumerTag}); err != nil {
			return err
		}
	}
	k.flowing = false
	k.conn = nil // a queue named by the broker will get another name
	k.place.known = false
	if k.cancelling() || k.state == AwaitPauseOk {
		return nil // both sides cancelled at once: the answer to our cancel still comes
	}
	k.err = errors.New("cancelled by the broker: its queue was deleted, or moved, or a message was in hand for longer than the broker's consumer_timeout")
	k.state = AwaitRetry
	k.tellLost()
	after := k.backoff.next(k.client.rnd, k.client.clock.now)
	k.retry.set(after)
	k.client.rearm = true
	k.client.note(Event{Kind: EventConsumerCancelled, Name: k.name, Err: k.err, After: after})
	return nil
}

// lose is called when the channel has ended: tags of its epoch are invalid from now on.
func (k *Consumer) lose() {
	k.flowing = false
	k.sync, k.syncing = nil, nil
	if k.place.stream {
		k.place.back(&k.settled)
	}
	k.end()
	k.tellLost()
}

func (k *Consumer) tellLost() {
	if s, is := k.sink.(LostSink); is {
		s.Lost()
	}
}

func (k *Consumer) failure() EventKind { return EventConsumerFailed }

// Cancel stops the consumer for good. It calls done when the broker will send nothing
// more, or at once if there is no connection. Messages that arrive until then are
// given back, and the sink does not see them. Earlier deliveries can still be settled;
// the channel is closed after the last one. For a consumer that is the only one of its
// queue, done too is called only after the last one: see leave.go.
func (k *Consumer) Cancel(done func()) {
	if done != nil {
		k.onCancel = append(k.onCancel, done)
	}
	if k.state == AwaitCancelOk {
		return
	}
	was := k.state
	k.retry.stop()
	k.eager = true
	if was == AwaitPauseOk && k.ch != nil {
		k.state = AwaitCancelOk // the answer to the cancel of the pause ends this one too
		return
	}
	if was == Up && k.flowing && k.ch != nil && k.client.isOpen() {
		k.state = AwaitCancelOk
		k.check(k.cancel())
		k.client.wake()
		return
	}
	if k.ch != nil && (was == AwaitChannel || was == AwaitTopology || was == AwaitQosOk || was == AwaitConsumeOk) {
		// A basic.consume may be in flight, and we cannot cancel it before its answer.
		k.state = AwaitCancelOk
		k.ch.close(nil)
		k.client.wake()
		return
	}
	k.ended()
	k.client.wake()
}

// ended completes the cancel. It may be called again when the channel ends.
func (k *Consumer) ended() {
	k.state = Cancelled
	k.client.forget(k)
	k.release()
	done := k.onCancel
	k.onCancel = nil
	for _, fn := range done {
		fn()
	}
}

// release closes the channel of a consumer that is cancelled or leaving, when all its
// deliveries are settled.
func (k *Consumer) release() {
	if (k.state == Cancelled || k.leaving) && k.ch != nil && k.ch.state == channelOpen && k.clean() {
		k.ch.close(nil)
	}
}
