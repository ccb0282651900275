package client

import (
	"errors"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// content assembles a content that arrives in several pieces.
type content struct {
	endpoint.Assembly
	fault error // why the properties must not be decoded; usually nil
}

// begin starts a content with its method, after decoding the arguments as a check.
func (ct *content) begin(m amqpproto.Method, args []byte) error {
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	ct.fault = nil
	return ct.Begin(m.ID(), args)
}

// onFrame handles a content header or body frame of this channel.
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

// countBody updates Client.coming for a body that is not complete. The buffer that a
// complete body leaves for the next one is not counted, because there are few
// channels. (The broker counts it, because its count may stop publishers.)
func (ch *channel) countBody() {
	n := 0
	if ch.in.Busy() {
		n = ch.in.Held()
	}
	ch.conn.client.coming += n - ch.counted
	ch.counted = n
}

// Coming returns how many octets of memory incomplete bodies of deliveries and replies
// use, at most one body for each channel. The connection is read however many these
// are, because only the broker can complete them. Prefetch and BodyMax bound them.
func (c *Client) Coming() int { return c.coming }

// deliverWhole is the fast path for nearly all deliveries: f is a basic.deliver, and
// its header and single body frame follow in rest. Nothing is copied and no state is
// kept. n is how many octets of rest it used. took is false if this is not such a
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

// flowing returns the consumer or request channel that may receive a delivery on this
// channel number now.
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
