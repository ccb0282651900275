package broker

import (
	"errors"
	"math"

	"zamqp/amqpproto"
)

// content puts together the method, header and bodies of a publish when they do
// not all come in one piece. The method's arguments are copied, as their octets
// are gone by the time that the last body comes.
type content struct {
	asm   amqpproto.Assembler
	args  []byte
	large bodyRef // where the body is coming to; 0 = to asm
}

// takes says whether a frame of that type is what comes next.
func (ct *content) takes(frame byte) bool {
	if !ct.asm.Busy() {
		return false
	}
	return (frame == amqpproto.FrameHeader) == ct.awaitsHeader()
}

// awaitsHeader says which part of a content comes next.
func (ct *content) awaitsHeader() bool { return ct.asm.Content().Class == 0 }

// unexpected is the error for any other frame, in RabbitMQ's words.
func (ct *content) unexpected() error {
	switch {
	case !ct.asm.Busy():
		return connectionError(amqpproto.UnexpectedFrame, 0, "expected method frame, got non method frame instead")
	case ct.awaitsHeader():
		return connectionError(amqpproto.UnexpectedFrame, amqpproto.IDBasicPublish,
			"expected content header for class %d, got non content header frame instead", amqpproto.ClassBasic)
	}
	return connectionError(amqpproto.UnexpectedFrame, amqpproto.IDBasicPublish,
		"expected content body, got non content body frame instead")
}

// argsKeep bounds the copy of arguments that an idle channel keeps.
const argsKeep = 256

// onPublish takes the method; its content is to come.
func (ch *channel) onPublish(args []byte) error {
	var m amqpproto.BasicPublish
	if err := m.DecodeArgs(args); err != nil {
		return err
	}
	ct := &ch.in
	ct.args = append(ct.args[:0], args...)
	return ct.asm.Begin(amqpproto.IDBasicPublish)
}

// onContentFrame takes a content header or a body of the channel.
func (ch *channel) onContentFrame(f amqpproto.Frame) error {
	if ch.state == awaitChannelCloseOk {
		return nil
	}
	ct := &ch.in
	if !ct.takes(f.Type) {
		return ct.unexpected()
	}
	var done bool
	var err error
	if f.Type == amqpproto.FrameHeader {
		if err = ct.asm.Header(f.Payload); err == nil {
			done = ct.asm.Done()
		}
	} else {
		done, err = ct.asm.Body(f.Payload)
	}
	if done && ct.large != 0 {
		ch.conn.server.bodyCame(ct.large)
	}
	ch.weighBody()
	if err != nil {
		ch.dropComing()
		return ch.contentFault(f, err)
	}
	if !done {
		if f.Type == amqpproto.FrameHeader {
			ch.announce(ct.asm.Content().BodySize)
		}
		return nil
	}
	ch.announce(0)
	var m amqpproto.BasicPublish
	if err := m.DecodeArgs(ct.args); err != nil {
		ch.dropComing()
		return err
	}
	whole := ct.asm.Content()
	err = ch.publish(&m, whole.RawProperties, whole.Body, ct.large)
	ch.dropComing()
	if ch.state == channelOpen {
		ct.asm.Reset() // gives back what a large body took
		ch.weighBody()
		if cap(ct.args) > argsKeep {
			ct.args = nil
		}
	}
	return ch.fault(amqpproto.IDBasicPublish, err)
}

// contentFault words a body over BodyMax as RabbitMQ does, which finds out only
// when the whole body has come. A body of 2^63 and more is no body: nobody could
// send it, and a peer that reads the size signed takes it for a negative one.
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

// publishWhole is the way that nearly all publishes take: the header and only
// body follow the method in rest. No state is kept, and the body is copied once,
// into the arena. n is what it took of rest; took is false if it is not such a
// publish, and then nothing has happened.
func (ch *channel) publishWhole(args, rest []byte) (n int, took bool, err error) {
	c := ch.conn
	if ch.in.asm.Busy() {
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
