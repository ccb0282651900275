package broker

import (
	"errors"
	"math"

	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// content is a content that arrives on a channel in pieces.
type content struct {
	endpoint.Assembly
	large bodyRef // where the body is put; 0 = a buffer of the assembly
}

// unexpected returns the error for any other frame, in RabbitMQ's words.
func (ct *content) unexpected() error {
	switch {
	case !ct.Busy():
		return connectionError(amqpproto.UnexpectedFrame, 0, "expected method frame, got non method frame instead")
	case ct.AwaitsHeader():
		return connectionError(amqpproto.UnexpectedFrame, amqpproto.IDBasicPublish,
			"expected content header for class %d, got non content header frame instead", amqpproto.ClassBasic)
	}
	return connectionError(amqpproto.UnexpectedFrame, amqpproto.IDBasicPublish,
		"expected content body, got non content body frame instead")
}

// onPublish handles the method; its content follows.
func (ch *channel) onPublish(args []byte) error {
	var m amqpproto.BasicPublish
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	return ch.in.Begin(amqpproto.IDBasicPublish, args)
}

// onContentFrame handles a content header or a body of the channel.
func (ch *channel) onContentFrame(f amqpproto.Frame) error {
	if ch.state == awaitChannelCloseOk {
		return nil
	}
	ct := &ch.in
	if !ct.Takes(f.Type) {
		return ct.unexpected()
	}
	done, err := ct.Frame(f)
	if done && ct.large != 0 {
		ch.conn.server.bodyCame(ct.large)
	}
	ch.countBody()
	if err != nil {
		ch.dropComing()
		return ch.contentFault(f, err)
	}
	if !done {
		if f.Type == amqpproto.FrameHeader {
			ch.announce(ct.Content().BodySize)
		}
		return nil
	}
	ch.announce(0)
	var m amqpproto.BasicPublish
	if err := m.DecodeArgs(ct.Args()); err != nil {
		ch.dropComing()
		return err
	}
	whole := ct.Content()
	err = ch.publish(&m, whole.RawProperties, whole.Body, ct.large)
	ch.dropComing()
	if ch.state == channelOpen {
		ct.Reset()
		ch.countBody()
	}
	return ch.fault(amqpproto.IDBasicPublish, err)
}

// contentFault returns RabbitMQ's text for a body over BodyMax; RabbitMQ notices that only
// when the whole body has arrived. A size of 2^63 and more is not a size: nobody could send
// such a body, and a peer that reads the size as signed takes it for a negative one.
func (ch *channel) contentFault(f amqpproto.Frame, err error) error {
	var e *amqpproto.ChannelError
	if errors.As(err, &e) && e.Code == amqpproto.ContentTooLarge {
		var h amqpproto.ContentHeader
		if err := h.Decode(f.Payload); err != nil {
			return err
		}
		if h.BodySize > math.MaxInt64 {
			return connectionError(amqpproto.FrameError, amqpproto.IDBasicPublish, "content header declares a body of %d octets", h.BodySize)
		}
		err = precondition("message size %d is larger than configured max size %d", h.BodySize, ch.conn.server.opts.BodyMax)
	}
	return ch.fault(amqpproto.IDBasicPublish, err)
}

// publishWhole handles nearly all publishes: the header and the only body frame follow the
// method in rest. No state is kept, and the body is copied once, into the arena. n is how
// much of rest it has used. took is false if this is not such a publish, and then nothing has
// happened.
func (ch *channel) publishWhole(args, rest []byte) (n int, took bool, err error) {
	c := ch.conn
	if ch.in.Busy() {
		return 0, false, nil
	}
	properties, body, n := amqpproto.CutContent(rest, ch.number, c.frameMax, c.server.opts.BodyMax)
	if n == 0 {
		return 0, false, nil
	}
	var m amqpproto.BasicPublish
	if err := m.DecodeArgs(args); err != nil {
		return n, true, err
	}
	return n, true, ch.publish(&m, properties, body, 0)
}
