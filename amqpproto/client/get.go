package client

// Get asks for one message of a queue (basic.get). done hears, exactly once and
// later than Get returns:
//
//	d, nil    a message; d and its slices die when done returns. Unless noAck
//	          was set it is to be settled with d.Settler, by d.Epoch and d.Tag
//	nil, nil  the queue is empty
//	nil, err  a *LostError, ErrClosed, or the *amqpproto.ChannelError of the
//	          broker (404 no such queue, 403 no permission, 405 a queue that is
//	          another connection's)
//
// The gets of one queue are answered in their order, over a channel that no other
// queue shares: what is asked of a queue that does not exist takes no message
// from anybody's hands. If Get returns an error, done hears nothing: a
// *LostError where there is no connection, ErrClosed, ErrBusy.
func (c *Client) Get(queue string, noAck bool, done func(d *Delivery, err error)) error {
	return ErrClosed
}
