package client

import (
	"errors"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// content is a content that comes to a channel in pieces.
type content struct {
	endpoint.Assembly
	fault error // why nobody is to look into the properties; nil as a rule
}

// begin takes the method, once its arguments have shown to be whole.
func (ct *content) begin(m amqpproto.Method, args []byte) error {
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	ct.fault = nil
	return ct.Begin(m.ID(), args)
}

// onFrame takes a content header or body of this channel.
func (ch *channel) onFrame(f amqpproto.Frame) error {
	if ch.state == awaitChannelCloseOk {
		return nil
	}
	if ch.state != channelOpen {
		return connectionError(amqpproto.UnexpectedFrame, 0, "%s: unexpected content", ch)
	}
	ct := &ch.in
	done, err := ct.Frame(f)
	ch.countBody()
	if err != nil {
		var tooLarge *amqpproto.ChannelError
		if errors.As(err, &tooLarge) {
			return ch.owner.onTooLarge(tooLarge)
		}
		return err
	}
	if !done {
		return nil
	}
	err = ch.owner.onContent(ct)
	ct.Reset()
	return err
}

// countBody counts what has come of a body that is not whole. What a whole one leaves
// for the next is not counted: there are few channels, and the broker's count,
// which has it, may stop publishers.
func (ch *channel) countBody() {
	n := 0
	if ch.in.Busy() {
		n = ch.in.Held()
	}
	ch.conn.client.coming += n - ch.counted
	ch.counted = n
}

// Coming is how many octets of memory the bodies of deliveries and replies take that
// have begun to come and are not whole: one at most for each channel. The connection
// is read however many they are, as nobody but the broker can end them; Prefetch and
// BodyMax bound them.
func (c *Client) Coming() int { return c.coming }

// deliverWhole is the way that nearly all deliveries take: f is a basic.deliver,
// and its header and only body follow it in rest. Nothing is copied, and no state
// is kept. n is what it took of rest; took is false if it is not such a
// delivery, and then nothing has happened.
func (c *Conn) deliverWhole(f amqpproto.Frame, rest []byte) (n int, took bool, err error) {
	k, t := c.flowing(f.Channel)
	if k == nil && t == nil {
		return 0, false, nil
	}
	properties, body, n := amqpproto.CutContent(rest, f.Channel, c.frameMax, c.client.cfg.BodyMax)
	if n == 0 {
		return 0, false, nil
	}
	if err := c.deliver.DecodeArgs(f.Payload[4:]); err != nil {
		return 0, true, err
	}
	if k == nil {
		return n, true, t.deliver(&c.deliver, properties, body)
	}
	return n, true, k.deliver(&c.deliver, properties, body, nil)
}

// flowing returns the consumer, or the requests, of a channel that may take a
// delivery now.
func (c *Conn) flowing(channel uint16) (*Consumer, *requestChannel) {
	if int(channel) >= len(c.channels) || c.channels[channel] == nil {
		return nil, nil
	}
	ch := c.channels[channel]
	if ch.state != channelOpen || ch.in.Busy() {
		return nil, nil
	}
	switch o := ch.owner.(type) {
	case *Consumer:
		if o.flowing {
			return o, nil
		}
	case *requestChannel:
		if o.state == requestReady {
			return nil, o
		}
	}
	return nil, nil
}
