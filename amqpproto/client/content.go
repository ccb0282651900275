package client

import (
	"errors"

	"zamqp/amqpproto"
)

// content puts together the method, header and bodies of one channel when they
// do not all come in one piece. The method's arguments are copied, as their
// octets are gone by the time that the last body comes.
type content struct {
	asm  amqpproto.Assembler
	args []byte // of the method that began it

	method amqpproto.MethodID // that began it

	properties, body []byte // set when complete; views that die with the callback
	owned            bool   // body is not a view, and may be kept
	fault            error  // why nobody is to look into the properties; nil as a rule
}

// argsKeep bounds the copy of arguments that an idle channel keeps: three short
// strings fit.
const argsKeep = 1024

func (ct *content) init(channel uint16, bodyMax uint64) {
	ct.asm.BodyMax, ct.asm.Channel = bodyMax, channel
}

func (ct *content) busy() bool { return ct.asm.Busy() }

func (ct *content) reset() { ct.asm.Reset() }

// begin takes the method, once its arguments have shown to be whole.
func (ct *content) begin(m amqpproto.Method, args []byte) error {
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	if cap(ct.args) > argsKeep {
		ct.args = nil
	}
	ct.args = append(ct.args[:0], args...)
	ct.method, ct.fault = m.ID(), nil
	return ct.asm.Begin(m.ID())
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
	var done bool
	var err error
	if f.Type == amqpproto.FrameHeader {
		if err = ct.asm.Header(f.Payload); err == nil {
			done = ct.asm.Done()
		}
	} else {
		done, err = ct.asm.Body(f.Payload)
	}
	ch.weigh()
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
	c := ct.asm.Content()
	ct.properties, ct.body, ct.owned = c.RawProperties, c.Body, c.Owned
	err = ch.owner.onContent(ct)
	ct.properties, ct.body, ct.owned = nil, nil, false
	if !ct.busy() {
		ct.asm.Reset() // gives back what a large body took
	}
	return err
}

// weigh counts what has come of a body that is not whole.
func (ch *channel) weigh() {
	n := 0
	if ch.in.busy() {
		n = ch.in.asm.Held()
	}
	ch.conn.client.coming += n - ch.weighed
	ch.weighed = n
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

// flowing returns the consumer, or the caller, of a channel that may take a
// delivery now.
func (c *Conn) flowing(channel uint16) (*Consumer, *caller) {
	if int(channel) >= len(c.channels) || c.channels[channel] == nil {
		return nil, nil
	}
	ch := c.channels[channel]
	if ch.state != channelOpen || ch.in.busy() {
		return nil, nil
	}
	switch o := ch.owner.(type) {
	case *Consumer:
		if o.flowing {
			return o, nil
		}
	case *caller:
		if o.state == callerReady {
			return nil, o
		}
	}
	return nil, nil
}
