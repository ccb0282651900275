package amqpproto

import "encoding/binary"

// These functions handle the domains of AMQP 0-9-1 §4.2.5 that need more than
// encoding/binary.

// bit is one bit of a bit octet. §4.2.5.2.
func bit(v bool) byte {
	if v {
		return 1
	}
	return 0
}

// cutShortstr cuts a short string off b, as a view. §4.2.5.3.
func cutShortstr(b []byte) (s, rest []byte, ok bool) {
	if len(b) == 0 {
		return nil, b, false
	}
	n := int(b[0]) + 1
	if n > len(b) {
		return nil, b, false
	}
	return b[1:n:n], b[n:], true
}

// cutLongstr cuts a long string or a table off b, as a view. The length is compared
// before it is converted to an int: a length over 2 GiB, which is negative for peers
// that read it signed, is longer than any frame and so refused.
func cutLongstr(b []byte) (s, rest []byte, ok bool) {
	if len(b) < 4 {
		return nil, b, false
	}
	size := binary.BigEndian.Uint32(b)
	if uint64(size) > uint64(len(b)-4) {
		return nil, b, false
	}
	n := int(size) + 4
	return b[4:n:n], b[n:], true
}

// appendShortstr appends a string. The caller has checked that it is short enough.
func appendShortstr[T string | []byte](dst []byte, s T) []byte {
	dst = append(dst, byte(len(s)))
	return append(dst, s...)
}

// appendLongstr appends a string or table. The caller has checked that it is within
// longMax.
func appendLongstr[T string | []byte | RawTable](dst []byte, s T) []byte {
	dst = binary.BigEndian.AppendUint32(dst, uint32(len(s)))
	return append(dst, s...)
}
