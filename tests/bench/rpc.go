package main

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

func rpc1(b *bench, c contestant) (sample, error)  { return b.rpc(c, 1) }
func rpc64(b *bench, c contestant) (sample, error) { return b.rpc(c, 64) }

// rpc sends requests to an echo consumer, with so many of them outstanding.
func (b *bench) rpc(c contestant, outstanding int) (sample, error) {
	var p *process
	queue := "bench.rpc"
	if c.prog.isOurs() {
		queue = demoHello
		s, err := b.startServer(c)
		if err != nil {
			return sample{}, err
		}
		p = s.process
	} else {
		if err := b.broker.fresh(queue); err != nil {
			return sample{}, err
		}
		var err error
		if p, err = b.start(c, nil, b.job("echo", queue)...); err != nil {
			return sample{}, err
		}
		if _, err := p.expect(b.ctx, "ready", startLimit); err != nil {
			p.stop()
			return sample{}, err
		}
	}
	defer p.stop()
	var got sample
	err := b.broker.with(func(ch *amqp.Channel) error {
		caller, err := newCaller(ch, queue)
		if err != nil {
			return err
		}
		if _, err := caller.run(outstanding, max(b.warm, 100*time.Millisecond)); err != nil {
			return p.fail(err)
		}
		before, err := p.cpu()
		if err != nil {
			return err
		}
		began := time.Now()
		n, err := caller.run(outstanding, b.options.load)
		if err != nil {
			return p.fail(err)
		}
		wall := time.Since(began)
		after, err := p.cpu()
		got = sample{count: n, wall: wall, cpu: after - before}
		return err
	})
	return got, err
}

// A caller is the client side: RabbitMQ's direct reply-to, one goroutine.
type caller struct {
	ch      *amqp.Channel
	queue   string
	replies <-chan amqp.Delivery
	body    []byte
	sent    int
	open    map[string]bool // correlation ids without a reply yet
}

func newCaller(ch *amqp.Channel, queue string) (*caller, error) {
	replies, err := ch.Consume("amq.rabbitmq.reply-to", "", true, false, false, false, nil)
	return &caller{ch: ch, queue: queue, replies: replies, body: bytes.Repeat([]byte("r"), messageSize), open: make(map[string]bool)}, err
}

// run keeps requests outstanding for a time and returns how many were answered. At
// its end none is open.
func (c *caller) run(outstanding int, d time.Duration) (answered int, err error) {
	for range outstanding {
		if err := c.send(); err != nil {
			return 0, err
		}
	}
	end := time.Now().Add(d)
	timer := time.NewTimer(d + 10*time.Second)
	defer timer.Stop()
	for len(c.open) > 0 {
		select {
		case reply, ok := <-c.replies:
			if !ok {
				return 0, errors.New("the broker closed the caller's channel")
			}
			if err := c.check(&reply); err != nil {
				return 0, err
			}
			answered++
		case <-timer.C:
			return 0, fmt.Errorf("%w: %d calls got no reply", errWrong, len(c.open))
		}
		if time.Now().Before(end) {
			if err := c.send(); err != nil {
				return 0, err
			}
		}
	}
	return answered, nil
}

func (c *caller) send() error {
	c.sent++
	id := strconv.Itoa(c.sent)
	c.open[id] = true
	return c.ch.Publish("", c.queue, false, false, amqp.Publishing{
		ContentType:   "text/plain",
		CorrelationId: id,
		ReplyTo:       "amq.rabbitmq.reply-to",
		Body:          c.body,
	})
}

func (c *caller) check(reply *amqp.Delivery) error {
	if !c.open[reply.CorrelationId] {
		return fmt.Errorf("%w: a reply to call %q, which is not open", errWrong, reply.CorrelationId)
	}
	delete(c.open, reply.CorrelationId)
	if reply.ContentType != "text/plain" || !bytes.Equal(reply.Body, c.body) {
		return fmt.Errorf("%w: the reply is not the call: %q, %d octets", errWrong, reply.ContentType, len(reply.Body))
	}
	return nil
}
