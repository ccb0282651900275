package client

import (
	"fmt"

	"zamqp/amqpproto"
)

// ProducerSpec says what must be declared before a producer's publishes are sent.
type ProducerSpec struct {
	Name string // in errors and events
	Topology
}

// Producer is one registered producer. Its publishes wait until its topology has
// been declared on the current connection.
type Producer struct {
	registration
	spec  ProducerSpec
	ready bool // its publishes may leave
}

// Produce registers a producer, before or after connecting. Its topology is
// declared after each connect, on a channel that is closed afterwards.
func (c *Client) Produce(spec ProducerSpec) *Producer {
	p := &Producer{spec: spec}
	p.enter(c, p, spec.Name, &p.spec.Topology)
	p.replay.reset(p.topology, &c.has, false)
	if p.replay.empty() {
		p.ready, p.state = true, Up
		return p
	}
	if c.closing {
		p.state, p.err = Cancelled, ErrClosed
		return p
	}
	c.producers = append(c.producers, p)
	c.advance()
	c.wake()
	return p
}

// Name is the spec's.
func (p *Producer) Name() string { return p.name }

// State tells what the producer waits for.
func (p *Producer) State() State { return p.state }

// Err says why the producer is not up. It is nil while it is up, and before the
// first try.
func (p *Producer) Err() error { return p.err }

func (p *Producer) declared() error {
	p.isUp()
	p.ready = true
	p.ch.close(nil)
	p.client.wakeWaiting()
	p.client.note(Event{Kind: EventProducerUp, Name: p.name})
	p.client.handOn(&p.registration)
	return nil
}

func (p *Producer) answered(id amqpproto.MethodID, args []byte) error {
	return p.stepAnswered(id, args)
}

func (p *Producer) onMethod(id amqpproto.MethodID, _ []byte) error { return unexpected(p, id) }

func (p *Producer) contentMethod(amqpproto.MethodID) amqpproto.Method { return nil }

func (p *Producer) onContent(*content) error { return nil }

func (p *Producer) onTooLarge(*amqpproto.ChannelError) error { return nil }

func (p *Producer) failure() EventKind { return EventProducerFailed }

// lose is also called when the channel was closed as planned. That changes nothing:
// the topology stays declared until the connection is lost.
func (p *Producer) lose() {
	if p.state != Up || !p.client.isOpen() {
		p.ready = false
	}
}

func (p *Producer) ended() {}

func (p *Producer) closed() {}

// String names the producer and its state, for errors.
func (p *Producer) String() string { return fmt.Sprintf("producer %q %s", p.name, p.state) }
