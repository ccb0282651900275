package client

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"zamqp/amqpproto"
)

const (
	// getChannelsMax is how many queues may have a get channel at a time.
	getChannelsMax = 64
	// getIdleMax is how long a get channel stays open without a get and without an
	// unsettled message.
	getIdleMax = 30 * time.Second
)

// get is one basic.get to send.
type get struct {
	noAck bool
	done  func(d *Delivery, err error)
}

// getState is named for what a get channel waits for.
type getState uint8

const (
	getIdle         getState = iota // there is no get
	getAwaitChannel                 // list[0] waits for the channel
	getAwaitAnswer                  // list[0] is in flight
	getTelling                      // the callback runs; a get that it makes comes after it
)

var getStateNames = [...]string{"idle", "awaitChannel", "awaitAnswer", "telling"}

// getChannel gets from one queue, one message after the other, over a channel of
// its own.
type getChannel struct {
	Acknowledger
	client   *Client
	queue    string
	ch       *channel
	list     []get
	state    getState
	idle     deadline
	answer   amqpproto.BasicGetOk
	delivery Delivery // lent to done
}

// Get asks for one message of a queue (basic.get). done is called exactly once, after
// Get has returned, with:
//
//	d, nil    a message; d and its slices are valid until done returns. Unless noAck
//	          was set, settle it with d.Acknowledger, by d.Epoch and d.Tag
//	nil, nil  the queue is empty
//	nil, err  a *LostError, ErrClosed, or one with the *amqpproto.ChannelError of the
//	          broker (404 no such queue, 403 no permission, 405 a queue that is
//	          another connection's)
//
// The gets of one queue are answered in order, over a channel that no other queue
// shares. So a get from a queue that does not exist, which ends its channel, does not
// affect messages of other queues. If Get returns an error (a *LostError if there is
// no connection, ErrClosed, ErrBusy), done is not called.
func (c *Client) Get(queue string, noAck bool, done func(d *Delivery, err error)) error {
	i := slices.IndexFunc(c.getChannels, func(g *getChannel) bool { return g.queue == queue })
	waiting := 0
	if i >= 0 {
		waiting = len(c.getChannels[i].list)
	}
	if err := c.refusesAsks(queue, waiting); err != nil {
		return err
	}
	if i < 0 {
		if !c.roomForGetChannel() {
			return ErrBusy
		}
		g := &getChannel{client: c, queue: queue}
		g.Acknowledger = Acknowledger{of: c, eager: true, after: g.rest}
		g.delivery.Acknowledger = &g.Acknowledger
		i = len(c.getChannels)
		c.getChannels = append(c.getChannels, g)
	}
	g := c.getChannels[i]
	g.list = append(g.list, get{noAck, done})
	g.idle.stop()
	g.start()
	c.wake()
	return nil
}

// roomForGetChannel makes room for one more get channel: it closes the first idle one
// if there are too many.
func (c *Client) roomForGetChannel() bool {
	if len(c.getChannels) < getChannelsMax {
		return true
	}
	for _, g := range c.getChannels {
		if g.idle.armed() {
			g.retire()
			return true
		}
	}
	return false
}

// retire closes the channel.
func (g *getChannel) retire() {
	c := g.client
	c.getChannels = slices.DeleteFunc(c.getChannels, func(other *getChannel) bool { return other == g })
	g.end()
	if g.ch != nil {
		g.ch.close(nil)
	}
}

// CloseGets closes the channel of the gets from a queue, if there is one. The broker
// returns all of its messages that are not settled to the queue, in one operation. With
// gets that wait for an answer, CloseGets returns ErrBusy and does nothing.
//
// RabbitMQ counts what comes back to a quorum queue in this way towards the delivery
// limit: see NackGets.
func (c *Client) CloseGets(queue string) error {
	g, err := c.idleGets(queue)
	if g == nil || err != nil {
		return err
	}
	g.flush()
	g.retire()
	c.wake()
	return nil
}

// NackGets is CloseGets by one basic.nack for all of the messages. RabbitMQ does not
// count that towards the delivery limit from 4.3 on, but a classic queue searches the
// place of each message: 20,000 take most of a minute. Without basic.nack, the channel is
// closed.
func (c *Client) NackGets(queue string) error {
	g, err := c.idleGets(queue)
	if g == nil || err != nil {
		return err
	}
	if !c.has.nack {
		return c.CloseGets(queue)
	}
	if g.flush() {
		out := &g.on.conn.out
		out.Buf = g.settled.nackAll(out.Buf, g.on.number)
		g.rest()
	}
	c.wake()
	return nil
}

// idleGets returns the channel of the gets from a queue, or ErrBusy if one of them waits.
func (c *Client) idleGets(queue string) (*getChannel, error) {
	i := slices.IndexFunc(c.getChannels, func(g *getChannel) bool { return g.queue == queue })
	if i < 0 {
		return nil, nil
	}
	if len(c.getChannels[i].list) > 0 {
		return nil, ErrBusy
	}
	return c.getChannels[i], nil
}

// flush encodes all acks, because the broker must get them before it gets the other messages
// back. It reports whether the channel can send.
func (g *getChannel) flush() bool {
	if g.on == nil || g.on.state != channelOpen {
		return false
	}
	out := &g.on.conn.out
	out.Room()
	var frames int
	out.Buf, frames = g.settled.flush(out.Buf, g.on.number)
	g.client.stats.AckFrames += uint64(frames)
	return true
}

// rest starts the time after which the channel is closed, if it is idle.
func (g *getChannel) rest() {
	if len(g.list) == 0 && g.clean() {
		g.idle.set(getIdleMax)
		g.client.rearm = true
	}
}

// start sends the first get of the list, if none is under way.
func (g *getChannel) start() {
	if g.state != getIdle || len(g.list) == 0 {
		return
	}
	g.state = getAwaitChannel
	if g.ch == nil {
		ch, err := g.client.conn.openChannel(g)
		if err != nil {
			g.client.soon(func() {
				if g.asking() && g.ch == nil {
					g.tell(nil, err)
				}
			})
			return
		}
		g.ch = ch
		return
	}
	if g.ch.state == channelOpen {
		g.check(g.send())
	}
}

func (g *getChannel) check(err error) {
	if err != nil && g.client.conn != nil {
		g.client.conn.abort(err)
	}
}

func (g *getChannel) opened() error {
	g.begin(g.ch)
	if g.asking() {
		return g.send()
	}
	return nil
}

// asking reports whether a get is under way.
func (g *getChannel) asking() bool { return g.state == getAwaitChannel || g.state == getAwaitAnswer }

func (g *getChannel) send() error {
	g.state = getAwaitAnswer
	m := &amqpproto.BasicGet{Queue: []byte(g.queue), NoAck: g.list[0].noAck}
	return g.ch.request(m, amqpproto.IDBasicGetEmpty)
}

// answered handles get-empty; get-ok comes with a content.
func (g *getChannel) answered(id amqpproto.MethodID, _ []byte) error {
	if g.state != getAwaitAnswer {
		return unexpected(g, id)
	}
	g.tell(nil, nil)
	return nil
}

func (g *getChannel) contentMethod(id amqpproto.MethodID) amqpproto.Method {
	if id != amqpproto.IDBasicGetOk || g.state != getAwaitAnswer || g.ch.await != amqpproto.IDBasicGetEmpty {
		return nil
	}
	return &g.answer
}

// onContent handles the message.
func (g *getChannel) onContent(ct *content) error {
	m := &g.answer
	if err := m.DecodeArgs(ct.Args()); err != nil {
		return err
	}
	g.ch.await = 0
	g.ch.limit.stop()
	if !g.settled.take(m.DeliveryTag) {
		return connectionError(amqpproto.CommandInvalid, amqpproto.IDBasicGetOk,
			"%s: delivery tag %d, expected %d", g, m.DeliveryTag, g.settled.tags.Next())
	}
	g.client.stats.Gets++
	if g.list[0].noAck {
		g.settled.settle(m.DeliveryTag, tagFinal)
	}
	d, c := &g.delivery, ct.Content()
	d.Epoch, d.Tag, d.Redelivered = g.epoch, m.DeliveryTag, m.Redelivered
	d.Exchange, d.RoutingKey, d.RawProperties, d.Body = m.Exchange, m.RoutingKey, c.RawProperties, c.Body
	d.Fault, d.Owned = ct.fault, c.Owned
	g.tell(d, nil)
	d.Exchange, d.RoutingKey, d.RawProperties, d.Body, d.Fault, d.Owned = nil, nil, nil, nil, nil, false
	return nil
}

// tell reports the outcome of the first get and sends the next.
func (g *getChannel) tell(d *Delivery, err error) {
	first := g.list[0]
	g.list[0] = get{}
	g.list = g.list[1:]
	if len(g.list) == 0 {
		g.list = nil
	}
	g.state = getTelling
	first.done(d, err)
	g.state = getIdle
	if !g.client.isOpen() {
		return
	}
	g.start()
	g.rest()
}

func (g *getChannel) onMethod(id amqpproto.MethodID, _ []byte) error { return unexpected(g, id) }

// onTooLarge refuses a message over BodyMax. It closes only this channel, and the
// message stays in its queue.
func (g *getChannel) onTooLarge(cause *amqpproto.ChannelError) error {
	g.ch.close(cause)
	return nil
}

// onChannelOver is called when the broker has refused the get.
func (g *getChannel) onChannelOver(cause error) {
	g.ch = nil
	g.end()
	if !g.asking() {
		return
	}
	if cause == nil {
		cause = errors.New("the channel was closed")
	}
	g.tell(nil, explainUse(cause))
}

// lost ends all gets with err.
func (g *getChannel) lost(err error) {
	g.ch = nil
	g.end()
	list := g.list
	g.list = nil
	if g.asking() {
		g.state = getIdle
	}
	for _, one := range list {
		one.done(nil, err)
	}
}

// String names the channel and its state, for errors.
func (g *getChannel) String() string {
	return fmt.Sprintf("gets from queue %q, %s", g.queue, getStateNames[g.state])
}
