package client

import (
	"errors"
	"fmt"

	"zamqp/amqpproto"
)

// asksMax is how many admin requests, or gets from one queue, may wait at a time.
const asksMax = 1024

// adminRequest is one request to the broker. The answer is one method or, for a
// topology, one for each declaration.
type adminRequest struct {
	method, reply amqpproto.Method // the answer is decoded into reply
	topology      *Topology        // replaces both
	done          func(queues []string, err error)
}

// adminState is named for what the admin channel waits for.
type adminState uint8

const (
	adminIdle         adminState = iota // there is no request
	adminAwaitChannel                   // list[0] waits for the channel
	adminAwaitAnswer                    // list[0] is in flight
	adminTelling                        // the callback runs; a request that it makes comes after it
)

var adminStateNames = [...]string{"idle", "awaitChannel", "awaitAnswer", "telling"}

// adminChannel sends one request after the other. The broker may close its channel as
// the answer, so nothing else uses it. It is opened for the first request, and again
// for the next one after an error.
type adminChannel struct {
	client *Client
	ch     *channel
	list   []adminRequest
	state  adminState
	sent   bool   // a method of list[0] was sent
	turn   uint64 // counts the requests
	replay declaration
}

// QueueInfo asks for the length of a queue and the number of its consumers, with a
// passive declare, so it never creates a queue. messages counts those ready to be
// delivered, not those that consumers hold. done is called exactly once, after
// QueueInfo has returned. Its error is a *LostError, ErrClosed, or the
// *amqpproto.ChannelError of the broker (404 no such queue, 405 the exclusive queue of
// another connection). If QueueInfo returns an error (a *LostError if there is no
// connection, ErrClosed, ErrBusy), done is not called.
func (c *Client) QueueInfo(queue string, done func(messages, consumers uint32, err error)) error {
	var ok amqpproto.QueueDeclareOk
	return c.ask(queue, adminRequest{method: &amqpproto.QueueDeclare{Queue: []byte(queue), Passive: true}, reply: &ok,
		done: func(_ []string, err error) { done(ok.MessageCount, ok.ConsumerCount, err) }})
}

// DeleteQueue deletes a queue and reports how many messages were in it. With ifUnused
// the broker refuses if the queue has consumers, with ifEmpty if it has messages.
// Errors are as with QueueInfo. It is no error if the queue does not exist.
func (c *Client) DeleteQueue(queue string, ifUnused, ifEmpty bool, done func(messages uint32, err error)) error {
	var ok amqpproto.QueueDeleteOk
	m := &amqpproto.QueueDelete{Queue: []byte(queue), IfUnused: ifUnused, IfEmpty: ifEmpty}
	return c.ask(queue, adminRequest{method: m, reply: &ok,
		done: func(_ []string, err error) { done(ok.MessageCount, err) }})
}

// Declare declares a topology now and once: unlike that of a Producer, it is not
// replayed after a reconnect. done gets the names of t.Queues in the broker. Errors
// are as with QueueInfo, but an error of the broker is a *TopologyError. What was
// declared before an error stays. t must not change until done is called.
func (c *Client) Declare(t *Topology, done func(queues []string, err error)) error {
	return c.ask("", adminRequest{topology: t, done: done})
}

// asking reports whether a request is under way.
func (a *adminChannel) asking() bool {
	return a.state == adminAwaitChannel || a.state == adminAwaitAnswer
}

// ask adds a request about a queue, unless there is no connection.
func (c *Client) ask(queue string, q adminRequest) error {
	if err := c.refusesAsks(queue, len(c.admin.list)); err != nil {
		return err
	}
	c.admin.list = append(c.admin.list, q)
	c.admin.start()
	c.wake()
	return nil
}

// refusesAsks returns why a request cannot be accepted, or nil if it can.
func (c *Client) refusesAsks(queue string, waiting int) error {
	switch {
	case c.closing:
		return ErrClosed
	case !c.isOpen():
		return &LostError{Connection: c.cfg.Name, Cause: c.lastErr}
	case waiting >= asksMax:
		return ErrBusy
	case len(queue) > amqpproto.ShortstrMax:
		return fmt.Errorf("amqp client: queue name of %d octets, at most 255 fit", len(queue))
	}
	return nil
}

// start sends the first request of the list, if none is under way.
func (a *adminChannel) start() {
	if a.state != adminIdle || len(a.list) == 0 {
		return
	}
	a.state, a.sent = adminAwaitChannel, false
	a.turn++
	if a.ch == nil {
		ch, err := a.client.conn.openChannel(a)
		if err != nil {
			a.failSoon(err)
			return
		}
		a.ch = ch
		return
	}
	if a.ch.state == channelOpen {
		a.send()
	} // else the answer to its open or close comes first
}

func (a *adminChannel) opened() error {
	if a.asking() {
		a.send()
	}
	return nil
}

// send sends the first request.
func (a *adminChannel) send() {
	a.state = adminAwaitAnswer
	q := &a.list[0]
	if q.topology == nil {
		if err := a.ch.request(q.method, q.reply.ID()); err != nil {
			a.failSoon(err)
		}
		return
	}
	a.replay.reset(q.topology, &a.client.has, false)
	a.declare()
}

// declare sends the next declaration of a topology.
func (a *adminChannel) declare() {
	done, err := a.replay.next(a.ch)
	switch {
	case err != nil:
		a.failSoon(&TopologyError{Step: a.replay.what, Err: err})
	case done && !a.sent:
		a.failSoon(nil) // nothing had to be declared
	case done:
		a.tell(nil)
	default:
		a.sent = true
	}
}

func (a *adminChannel) answered(id amqpproto.MethodID, args []byte) error {
	if !a.asking() {
		return unexpected(a, id)
	}
	if a.list[0].topology != nil {
		if err := a.replay.took(id, args); err != nil {
			return err
		}
		a.declare()
		return nil
	}
	if err := a.list[0].reply.DecodeArgs(args); err != nil {
		return err
	}
	a.tell(nil)
	return nil
}

// tell reports the outcome of the first request and sends the next.
func (a *adminChannel) tell(err error) {
	q := a.list[0]
	a.list[0] = adminRequest{}
	a.list = a.list[1:]
	if len(a.list) == 0 {
		a.list = nil
	}
	var queues []string
	if q.topology != nil && err == nil {
		queues = append(queues, a.replay.queues...)
	}
	a.state = adminTelling
	q.done(queues, err)
	a.state = adminIdle
	if a.client.isOpen() {
		a.start()
	}
}

// failSoon ends the first request at the next Tick. It is for an error that is found
// while the caller is still inside its own call.
func (a *adminChannel) failSoon(err error) {
	turn := a.turn
	a.client.soon(func() {
		if a.asking() && a.turn == turn {
			a.tell(err)
		}
	})
}

// fail ends the first request with the broker's error.
func (a *adminChannel) fail(err error) {
	if q := &a.list[0]; q.topology != nil && a.replay.what != "" {
		err = explain(&TopologyError{Step: a.replay.what, Err: err})
	}
	a.tell(err)
}

func (a *adminChannel) onMethod(id amqpproto.MethodID, _ []byte) error { return unexpected(a, id) }

func (a *adminChannel) contentMethod(amqpproto.MethodID) amqpproto.Method { return nil }

func (a *adminChannel) onContent(*content) error { return nil }

func (a *adminChannel) onTooLarge(*amqpproto.ChannelError) error { return nil }

// onChannelOver is called when the broker has refused the request.
func (a *adminChannel) onChannelOver(cause error) {
	a.ch = nil
	if !a.asking() {
		return
	}
	if cause == nil {
		cause = errors.New("the channel was closed")
	}
	a.fail(cause)
}

// lost ends all requests with err.
func (a *adminChannel) lost(err error) {
	a.ch = nil
	list := a.list
	a.list = nil
	if a.asking() {
		a.state = adminIdle
	}
	for _, q := range list {
		q.done(nil, err)
	}
}

// String names the channel and its state, for errors.
func (a *adminChannel) String() string { return "admin channel " + adminStateNames[a.state] }
