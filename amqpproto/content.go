package amqpproto

import (
	"encoding/binary"
	"math"
)

// ContentHeader is the payload of a content header frame. AMQP 0-9-1 §4.2.6.1.
//
//	0          2        4           12               14
//	+----------+--------+-----------+----------------+------------- - -
//	| class-id | weight | body size | property flags | property list...
//	+----------+--------+-----------+----------------+------------- - -
//	   short     short    long long       short         remainder...
type ContentHeader struct {
	Class         uint16
	BodySize      uint64
	RawProperties []byte // flags and values, as a view; see Properties.Decode
}

const contentHeaderMin = 14

// Decode reads the payload of a content header frame. The properties stay
// undecoded. A payload without flags, or with a weight, which must be zero, is
// a ConnectionError 501.
func (h *ContentHeader) Decode(payload []byte) error {
	if len(payload) < contentHeaderMin {
		return frameError("content header of %d octets, at least %d are needed", len(payload), contentHeaderMin)
	}
	if weight := binary.BigEndian.Uint16(payload[2:]); weight != 0 {
		return frameError("content header with weight %d, must be 0", weight)
	}
	h.Class = binary.BigEndian.Uint16(payload)
	h.BodySize = binary.BigEndian.Uint64(payload[4:])
	h.RawProperties = payload[12:]
	return nil
}

// ContentHeaderOverhead is how many octets AppendContentHeader adds to
// rawProperties.
const ContentHeaderOverhead = FrameOverhead + 12

// AppendContentHeader appends one content header frame. rawProperties are flags
// and values, as Properties.Append writes them. A header cannot be split: the
// caller checks that ContentHeaderOverhead+len(rawProperties) is within
// frame_max.
func AppendContentHeader(dst []byte, channel uint16, class uint16, bodySize uint64, rawProperties []byte) []byte {
	dst = appendContentHead(dst, channel, class, bodySize, uint32(12+len(rawProperties)))
	dst = append(dst, rawProperties...)
	return append(dst, FrameEnd)
}

// AppendContentHeaderProperties is AppendContentHeader for properties that are not
// encoded yet. The error is that of Properties.Append; dst is then unchanged.
func AppendContentHeaderProperties(dst []byte, channel uint16, class uint16, bodySize uint64, p *Properties) ([]byte, error) {
	start := len(dst)
	dst = appendContentHead(dst, channel, class, bodySize, 0)
	dst, err := p.Append(dst)
	if err != nil {
		return dst[:start], err
	}
	return finishFrame(dst, start), nil
}

// AppendContentHeaderID is AppendContentHeader with a message id that
// Properties.AppendMessageID inserts. It adds one octet and those of the id.
func AppendContentHeaderID(dst []byte, channel, class uint16, bodySize uint64, rawProperties []byte, p *Properties, id []byte) []byte {
	dst = appendContentHead(dst, channel, class, bodySize, uint32(12+max(2, len(rawProperties))+1+len(id)))
	dst = p.AppendMessageID(dst, rawProperties, id)
	return append(dst, FrameEnd)
}

// appendContentHead appends the head of a header frame and the fields before the
// flags.
func appendContentHead(dst []byte, channel uint16, class uint16, bodySize uint64, size uint32) []byte {
	return append(dst, FrameHeader, byte(channel>>8), byte(channel),
		byte(size>>24), byte(size>>16), byte(size>>8), byte(size),
		byte(class>>8), byte(class), 0, 0,
		byte(bodySize>>56), byte(bodySize>>48), byte(bodySize>>40), byte(bodySize>>32),
		byte(bodySize>>24), byte(bodySize>>16), byte(bodySize>>8), byte(bodySize))
}

// AppendBody appends body in as many frames as frameMax requires. An empty body
// needs none: a header with size 0 is the whole content. frameMax 0 means no limit;
// one that leaves no room for a payload counts as FrameMin.
func AppendBody(dst []byte, channel uint16, body []byte, frameMax uint32) []byte {
	room := bodyRoom(frameMax)
	for len(body) > 0 {
		n := min(room, len(body))
		dst = AppendFrame(dst, FrameBody, channel, body[:n])
		body = body[n:]
	}
	return dst
}

// bodyRoom is how many octets of a body fit into a frame.
func bodyRoom(frameMax uint32) int {
	switch {
	case frameMax > FrameOverhead:
		return int(frameMax - FrameOverhead)
	case frameMax > 0:
		return FrameMin - FrameOverhead
	}
	return min(longMax, math.MaxInt)
}
