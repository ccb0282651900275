package client

import "zamqp/amqpproto"

// Outstanding returns the number of deliveries that are not settled.
func (s *Acknowledger) Outstanding() int { return s.settled.outstanding }

// IsPaused reports whether Pause was called, and no Resume or Cancel since.
func (k *Consumer) IsPaused() bool { return k.paused }

// PurgeQueue drops the messages of a queue that are ready to be delivered, and reports
// how many there were. Errors are as with QueueInfo.
func (c *Client) PurgeQueue(queue string, done func(messages uint32, err error)) error {
	var ok amqpproto.QueuePurgeOk
	return c.ask(queue, adminRequest{method: &amqpproto.QueuePurge{Queue: []byte(queue)}, reply: &ok,
		done: func(_ []string, err error) { done(ok.MessageCount, err) }})
}
