package client

// QueueInfo asks for the length of a queue and the number of its consumers, by
// passive declare: it never creates one. done is called exactly once, later than
// QueueInfo returns; the error is a *LostError, ErrClosed, ErrBusy, or the
// *amqpproto.ChannelError of the broker (404 no such queue, 405 a queue that is
// another connection's). messages are those ready to be delivered, not those
// that consumers hold.
func (c *Client) QueueInfo(queue string, done func(messages, consumers uint32, err error)) {
	c.refuseLater(func(err error) { done(0, 0, err) })
}

// PurgeQueue drops the messages of a queue that nobody holds; done as with
// QueueInfo.
func (c *Client) PurgeQueue(queue string, done func(messages uint32, err error)) {
	c.refuseLater(func(err error) { done(0, err) })
}

// DeleteQueue deletes a queue, or only if it is unused and empty, if asked so;
// done as with QueueInfo. A queue that does not exist is no error.
func (c *Client) DeleteQueue(queue string, ifUnused, ifEmpty bool, done func(messages uint32, err error)) {
	c.refuseLater(func(err error) { done(0, err) })
}

// Declare declares a topology now, once: it is not replayed after a reconnect, as
// that of a Producer is. done is called exactly once, later than Declare returns,
// with the names of t.Queues as the broker has them; the error is a *LostError,
// ErrClosed, ErrBusy or a *TopologyError. What was declared before an error
// stays. t is not to be changed until then.
func (c *Client) Declare(t *Topology, done func(queues []string, err error)) {
	c.refuseLater(func(err error) { done(nil, err) })
}
