package amqpproto

import (
	"encoding/binary"
	"fmt"
)

// Frame types. AMQP 0-9-1 §4.2.3.
const (
	FrameMethod    byte = 1
	FrameHeader    byte = 2
	FrameBody      byte = 3
	FrameHeartbeat byte = 8
)

// FrameEnd is the octet after every payload.
const FrameEnd byte = 0xCE

// ProtocolHeader is what a client sends first. §4.2.2.
const ProtocolHeader = "AMQP\x00\x00\x09\x01"

// Frame is one frame; Payload is a view into the buffer that it was cut from.
//
//	0      1         3         7                  size+7      size+8
//	+------+---------+---------+ +--------------+ +-----------+
//	| type | channel |  size   | |   payload    | | frame-end |
//	+------+---------+---------+ +--------------+ +-----------+
//	 octet   short      long       size octets        octet
type Frame struct {
	Type    byte
	Channel uint16
	Payload []byte
}

// CutFrame returns the first whole frame in b, as a view, and its length in
// octets; 0 if b holds less than one. b is not kept. max is the negotiated
// frame_max, counting the whole frame; 0 means no limit, and then the caller
// must bound its buffer itself. Before connection.tune it is [FrameMin].
//
// Errors are ConnectionErrors 501: an unknown type, a size over max, a heartbeat
// with a payload or a channel, a wrong frame-end. The first three are found as
// soon as their octets are there, before the payload has come. §4.2.3, §4.2.7.
func CutFrame(b []byte, max uint32) (f Frame, n int, err error) {
	if len(b) < 7 {
		if len(b) > 0 && !knownFrame(b[0]) {
			return Frame{}, 0, unknownFrame(b[0])
		}
		return Frame{}, 0, nil
	}
	f.Type = b[0]
	f.Channel = binary.BigEndian.Uint16(b[1:])
	size := binary.BigEndian.Uint32(b[3:])
	if f.Type != FrameMethod && f.Type != FrameHeader && f.Type != FrameBody {
		if err := checkHeartbeat(f, size); err != nil {
			return Frame{}, 0, err
		}
	}
	whole := uint64(size) + FrameOverhead
	if max != 0 && whole > uint64(max) {
		return Frame{}, 0, frameError("frame of %d octets is over frame_max %d", whole, max)
	}
	if uint64(len(b)) < whole {
		return Frame{}, 0, nil
	}
	n = int(whole)
	if b[n-1] != FrameEnd {
		return Frame{}, 0, frameError("frame ends with 0x%02x and not 0xce: the sender has lost count", b[n-1])
	}
	f.Payload = b[7 : n-1 : n-1]
	return f, n, nil
}

func knownFrame(typ byte) bool {
	return typ == FrameMethod || typ == FrameHeader || typ == FrameBody || typ == FrameHeartbeat
}

func unknownFrame(typ byte) error {
	if typ == ProtocolHeader[0] {
		// The usual cause has its own text: a server refuses a protocol version by sending
		// its own header, and closes the socket. §4.2.2.
		return frameError("a protocol header came instead of a frame")
	}
	return frameError("frame type %d is unknown", typ)
}

// checkHeartbeat refuses any other frame that is not an empty heartbeat on channel 0. An
// invalid heartbeat is a 501 (§4.2.7); RabbitMQ also refuses one with a payload.
func checkHeartbeat(f Frame, size uint32) error {
	switch {
	case f.Type != FrameHeartbeat:
		return unknownFrame(f.Type)
	case f.Channel != 0:
		return frameError("heartbeat on channel %d, must be 0", f.Channel)
	case size != 0:
		return frameError("heartbeat with a payload of %d octets, must be empty", size)
	}
	return nil
}

// Method splits a method frame and checks its channel: class connection is for
// channel 0, every other class for the others (503, §4.2.3).
func (f Frame) Method() (id MethodID, args []byte, err error) {
	id, args, err = SplitMethod(f.Payload)
	if err == nil && (id.Class() == ClassConnection) != (f.Channel == 0) {
		err = &ConnectionError{Code: CommandInvalid, Text: fmt.Sprintf("%s on channel %d", id, f.Channel), Method: id}
	}
	return id, args, err
}

// String shows the frame in one line, for transcripts and logs.
func (f Frame) String() string {
	switch f.Type {
	case FrameMethod:
		id, args, err := SplitMethod(f.Payload)
		if err != nil {
			return fmt.Sprintf("method ch=%d %x", f.Channel, f.Payload)
		}
		return fmt.Sprintf("method ch=%d %s args=%d", f.Channel, id, len(args))
	case FrameHeader:
		var h ContentHeader
		if err := h.Decode(f.Payload); err != nil {
			return fmt.Sprintf("header ch=%d %x", f.Channel, f.Payload)
		}
		return fmt.Sprintf("header ch=%d class=%d size=%d properties=%d", f.Channel, h.Class, h.BodySize, len(h.RawProperties))
	case FrameBody:
		return fmt.Sprintf("body ch=%d size=%d", f.Channel, len(f.Payload))
	case FrameHeartbeat:
		return "heartbeat"
	}
	return fmt.Sprintf("frame type=%d ch=%d size=%d", f.Type, f.Channel, len(f.Payload))
}

// AppendFrame appends one frame around a copy of payload.
func AppendFrame(dst []byte, typ byte, channel uint16, payload []byte) []byte {
	dst = appendFrameHead(dst, typ, channel, uint32(len(payload)))
	dst = append(dst, payload...)
	return append(dst, FrameEnd)
}

// AppendHeartbeat appends a heartbeat frame.
func AppendHeartbeat(dst []byte) []byte {
	return append(dst, FrameHeartbeat, 0, 0, 0, 0, 0, 0, FrameEnd)
}

func appendFrameHead(dst []byte, typ byte, channel uint16, size uint32) []byte {
	return append(dst, typ, byte(channel>>8), byte(channel),
		byte(size>>24), byte(size>>16), byte(size>>8), byte(size))
}

// finishFrame patches the size of the frame that begins at start, and ends it.
func finishFrame(dst []byte, start int) []byte {
	binary.BigEndian.PutUint32(dst[start+3:], uint32(len(dst)-start-7))
	return append(dst, FrameEnd)
}

// CutProtocolHeader recognises a protocol header. A server reads it first, and a client
// reads it from a server that refuses its version. n is 0 while b has only the beginning
// of one. version is the last four octets (id, major, minor and revision): [0 0 9 1] for
// AMQP 0-9-1. The error is a ConnectionError 501: the octets are not a protocol header.
// §4.2.2.
func CutProtocolHeader(b []byte) (version [4]byte, n int, err error) {
	const name = "AMQP"
	if have := min(len(b), len(name)); string(b[:have]) != name[:have] {
		return version, 0, frameError("not an AMQP protocol header: %q", b[:have])
	}
	if len(b) < len(ProtocolHeader) {
		return version, 0, nil
	}
	return [4]byte(b[4:8]), len(ProtocolHeader), nil
}
