package amqpproto

import "strconv"

// The encoders below write the methods that are sent once for each message. They
// write the same octets as AppendMethod with the method's struct, but take strings
// and numbers, and grow dst once.

// AppendBasicAck appends a basic.ack frame.
func AppendBasicAck(dst []byte, channel uint16, deliveryTag uint64, multiple bool) []byte {
	return appendSettle(dst, channel, IDBasicAck, deliveryTag, bit(multiple))
}

// AppendBasicNack appends a basic.nack frame.
func AppendBasicNack(dst []byte, channel uint16, deliveryTag uint64, multiple, requeue bool) []byte {
	return appendSettle(dst, channel, IDBasicNack, deliveryTag, bit(multiple)|bit(requeue)<<1)
}

// AppendBasicReject appends a basic.reject frame.
func AppendBasicReject(dst []byte, channel uint16, deliveryTag uint64, requeue bool) []byte {
	return appendSettle(dst, channel, IDBasicReject, deliveryTag, bit(requeue))
}

// appendSettle appends one of the three methods whose arguments are a tag and bits.
func appendSettle(dst []byte, channel uint16, id MethodID, tag uint64, bits byte) []byte {
	return append(dst, FrameMethod, byte(channel>>8), byte(channel), 0, 0, 0, 4+8+1,
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id),
		byte(tag>>56), byte(tag>>48), byte(tag>>40), byte(tag>>32), byte(tag>>24), byte(tag>>16), byte(tag>>8), byte(tag),
		bits, FrameEnd)
}

// AppendBasicPublish appends a basic.publish frame; the content has to follow. The
// caller makes sure that both names are within ShortstrMax: a longer name panics,
// because the peer would read the rest of it as frames.
func AppendBasicPublish(dst []byte, channel uint16, exchange, routingKey string, mandatory, immediate bool) []byte {
	mustShort(exchange)
	mustShort(routingKey)
	dst = appendMethodHead(dst, channel, IDBasicPublish, 2+1+len(exchange)+1+len(routingKey)+1)
	dst = append(dst, 0, 0) // reserved-1
	dst = appendShortstr(dst, exchange)
	dst = appendShortstr(dst, routingKey)
	return append(dst, bit(mandatory)|bit(immediate)<<1, FrameEnd)
}

// AppendBasicDeliver appends a basic.deliver frame; the content has to follow. The
// limits of names are those of AppendBasicPublish.
func AppendBasicDeliver(dst []byte, channel uint16, consumerTag string, deliveryTag uint64, redelivered bool, exchange, routingKey string) []byte {
	mustShort(consumerTag)
	mustShort(exchange)
	mustShort(routingKey)
	tag := deliveryTag
	dst = appendMethodHead(dst, channel, IDBasicDeliver, 1+len(consumerTag)+8+1+1+len(exchange)+1+len(routingKey))
	dst = appendShortstr(dst, consumerTag)
	dst = append(dst, byte(tag>>56), byte(tag>>48), byte(tag>>40), byte(tag>>32), byte(tag>>24), byte(tag>>16), byte(tag>>8), byte(tag),
		bit(redelivered))
	dst = appendShortstr(dst, exchange)
	dst = appendShortstr(dst, routingKey)
	return append(dst, FrameEnd)
}

// appendMethodHead appends the frame's head for arguments of a known size.
func appendMethodHead(dst []byte, channel uint16, id MethodID, argsSize int) []byte {
	size := 4 + argsSize
	return append(dst, FrameMethod, byte(channel>>8), byte(channel),
		byte(size>>24), byte(size>>16), byte(size>>8), byte(size),
		byte(id>>24), byte(id>>16), byte(id>>8), byte(id))
}

func mustShort(s string) {
	if len(s) > ShortstrMax {
		panic("amqpproto: a name of " + strconv.Itoa(len(s)) + " octets: at most 255 fit, and the caller has to check that")
	}
}
