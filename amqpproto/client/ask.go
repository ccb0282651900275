package client

// QueueInfo asks for the length of a queue and the number of its consumers, by
// passive declare: it never creates one. messages are those ready to be
// delivered, not those that consumers hold. done is called exactly once, later
// than QueueInfo returns; the error is a *LostError, ErrClosed, or the
// *amqpproto.ChannelError of the broker (404 no such queue, 405 a queue that is
// another connection's). If QueueInfo returns an error, done is not called: a
// *LostError where there is no connection, ErrClosed, ErrBusy.
func (c *Client) QueueInfo(queue string, done func(messages, consumers uint32, err error)) error {
	return ErrClosed
}

// PurgeQueue drops the messages of a queue that nobody holds, and tells how many;
// errors as with QueueInfo.
func (c *Client) PurgeQueue(queue string, done func(messages uint32, err error)) error {
	return ErrClosed
}

// DeleteQueue deletes a queue, or only if it is unused and empty, if asked so,
// and tells how many messages were in it; errors as with QueueInfo. A queue that
// does not exist is none.
func (c *Client) DeleteQueue(queue string, ifUnused, ifEmpty bool, done func(messages uint32, err error)) error {
	return ErrClosed
}

// Declare declares a topology now, once: it is not replayed after a reconnect, as
// that of a Producer is. done hears the names of t.Queues as the broker has them;
// errors as with QueueInfo, of the broker a *TopologyError. What was declared
// before an error stays. t is not to be changed until then.
func (c *Client) Declare(t *Topology, done func(queues []string, err error)) error {
	return ErrClosed
}
