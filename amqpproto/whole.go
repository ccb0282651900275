package amqpproto

// CutContent cuts the header and the single body of a basic content off the front of b.
// It is the fast path for nearly all messages, when both frames have arrived.
// properties (flags and values) and body are views of b; n is the length of the two
// frames. n is 0 if b does not begin with such a content, or if it is malformed or over
// bodyMax: then use the [Assembler], which also reports the error. AMQP 0-9-1 §4.2.6.
func CutContent(b []byte, channel uint16, frameMax uint32, bodyMax uint64) (properties, body []byte, n int) {
	head, n, _ := CutFrame(b, frameMax)
	if n == 0 || head.Type != FrameHeader || head.Channel != channel {
		return nil, nil, 0
	}
	var h ContentHeader
	if h.Decode(head.Payload) != nil || h.Class != ClassBasic || h.BodySize > uint64(frameMax) || h.BodySize > bodyMax {
		return nil, nil, 0
	}
	if h.BodySize == 0 {
		return h.RawProperties, nil, n
	}
	f, m, _ := CutFrame(b[n:], frameMax)
	if m == 0 || f.Type != FrameBody || f.Channel != channel || uint64(len(f.Payload)) != h.BodySize {
		return nil, nil, 0
	}
	return h.RawProperties, f.Payload, n + m
}
