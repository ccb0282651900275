package publisher

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/vmihailenco/msgpack/v5"
)

// msgpackCodec encodes MessagePack, sent as application/x-msgpack.
type msgpackCodec struct{}

func (msgpackCodec) ContentType() string { return "application/x-msgpack" }

func (msgpackCodec) Append(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	if err := msgpack.NewEncoder(buf).Encode(v); err != nil {
		return dst, err
	}
	return buf.Bytes(), nil
}

func (msgpackCodec) Decode(b []byte, v any) error {
	if err := checkMsgpack(b); err != nil {
		return err
	}
	return msgpack.Unmarshal(b, v)
}

func (msgpackCodec) DecodeStrict(b []byte, v any) error {
	if err := checkMsgpack(b); err != nil {
		return err
	}
	d := msgpack.NewDecoder(bytes.NewReader(b))
	d.DisallowUnknownFields(true)
	return d.Decode(v)
}

// msgpackDepth limits how deep arrays and maps may be nested.
const msgpackDepth = 1000

var errMsgpackCut = errors.New("the value is cut short")

// checkMsgpack makes sure that b is one whole value before it is decoded. The decoder
// recurses as deep as the value is nested, and allocates as many elements as the value
// claims. Either would end the process, not only the call.
func checkMsgpack(b []byte) error {
	open := []uint64{1} // how many values are still to come, for each array or map that is open
	owed := uint64(1)   // their sum; each value has an octet at least
	for len(open) > 0 {
		top := &open[len(open)-1]
		if *top == 0 {
			open = open[:len(open)-1]
			continue
		}
		*top--
		owed--
		size, inside, err := msgpackHead(b)
		if err != nil {
			return err
		}
		b = b[size:]
		if owed += inside; owed > uint64(len(b)) {
			return errMsgpackCut
		}
		if inside > 0 {
			open = append(open, inside)
		}
		if len(open) > msgpackDepth {
			return fmt.Errorf("arrays and maps are nested deeper than %d", msgpackDepth)
		}
	}
	if len(b) > 0 {
		return fmt.Errorf("%d octets follow the value", len(b))
	}
	return nil
}

// msgpackHead returns the length of the value at the start of b without the values inside it,
// and their number.
func msgpackHead(b []byte) (size, inside uint64, err error) {
	if len(b) == 0 {
		return 0, 0, errMsgpackCut
	}
	size = 1
	switch c := b[0]; {
	case c <= 0x7f, c >= 0xe0: // small integers
	case c <= 0x8f:
		inside = 2 * uint64(c&0x0f)
	case c <= 0x9f:
		inside = uint64(c & 0x0f)
	case c <= 0xbf:
		size += uint64(c & 0x1f)
	default:
		f := msgpackFormats[c-0xc0]
		if f.length < 0 {
			return 0, 0, fmt.Errorf("there is no format %02x", c)
		}
		if len(b) <= f.length {
			return 0, 0, errMsgpackCut
		}
		var wide [8]byte
		copy(wide[8-f.length:], b[1:1+f.length])
		n := binary.BigEndian.Uint64(wide[:])
		size += uint64(f.length) + f.fixed + n*f.each
		inside = n * f.inside
	}
	if size > uint64(len(b)) {
		return 0, 0, errMsgpackCut
	}
	return size, inside, nil
}

// msgpackFormats are the formats c0 to df. A format has a length n of length octets, fixed
// octets in every value, and for each of n each octets and inside values.
var msgpackFormats = [...]struct {
	length       int
	fixed        uint64
	each, inside uint64
}{
	{}, {length: -1}, {}, {}, // nil, none, false, true
	{length: 1, each: 1}, {length: 2, each: 1}, {length: 4, each: 1}, // bin
	{1, 1, 1, 0}, {2, 1, 1, 0}, {4, 1, 1, 0}, // ext
	{fixed: 4}, {fixed: 8}, // float
	{fixed: 1}, {fixed: 2}, {fixed: 4}, {fixed: 8}, // uint
	{fixed: 1}, {fixed: 2}, {fixed: 4}, {fixed: 8}, // int
	{fixed: 2}, {fixed: 3}, {fixed: 5}, {fixed: 9}, {fixed: 17}, // fixext
	{length: 1, each: 1}, {length: 2, each: 1}, {length: 4, each: 1}, // str
	{length: 2, inside: 1}, {length: 4, inside: 1}, // array
	{length: 2, inside: 2}, {length: 4, inside: 2}, // map
}
