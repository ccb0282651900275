package amqpproto

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"

	"github.com/streadway/amqp"
)

// Field types: the variant of AMQP 0-9-1 §4.2.5.5 that RabbitMQ and all clients
// use, see https://www.rabbitmq.com/amqp-0-9-1-errata. U (short-int in the
// specification) and s as a short string are absent: RabbitMQ closes the connection
// of a peer that sends U, and reads s as a short integer.
const (
	FieldBool      byte = 't' // 1 octet
	FieldInt8      byte = 'b'
	FieldUint8     byte = 'B'
	FieldInt16     byte = 's'
	FieldUint16    byte = 'u'
	FieldInt32     byte = 'I'
	FieldUint32    byte = 'i'
	FieldInt64     byte = 'l'
	FieldInt64Alt  byte = 'L' // signed as well, as RabbitMQ reads it; never sent
	FieldFloat32   byte = 'f'
	FieldFloat64   byte = 'd'
	FieldDecimal   byte = 'D' // scale octet, 4 octets value
	FieldString    byte = 'S'
	FieldBytes     byte = 'x'
	FieldTimestamp byte = 'T' // seconds, 8 octets
	FieldArray     byte = 'A'
	FieldTable     byte = 'F'
	FieldVoid      byte = 'V' // nothing
)

// Field is one value of a table or array, as a view. Raw holds the octets of the
// value; for S, x, A and F those after the length.
type Field struct {
	Type byte
	Raw  []byte
}

const (
	widthUnknown = 0xff
	widthPrefix  = 0xfe // a 4-octet length comes first
)

// fieldWidths is the number of octets of each type's value.
var fieldWidths = func() (w [256]uint8) {
	for i := range w {
		w[i] = widthUnknown
	}
	for typ, width := range map[byte]uint8{
		FieldBool: 1, FieldInt8: 1, FieldUint8: 1, FieldInt16: 2, FieldUint16: 2, FieldInt32: 4, FieldUint32: 4,
		FieldInt64: 8, FieldInt64Alt: 8, FieldFloat32: 4, FieldFloat64: 8, FieldDecimal: 5, FieldTimestamp: 8, FieldVoid: 0,
		FieldString: widthPrefix, FieldBytes: widthPrefix, FieldArray: widthPrefix, FieldTable: widthPrefix,
	} {
		w[typ] = width
	}
	return w
}()

// cutField cuts one typed value off b. It checks lengths against b before it uses
// them. ok is false if the type is unknown or b is too short; fieldFault says
// which.
func cutField(b []byte) (f Field, rest []byte, ok bool) {
	if len(b) == 0 {
		return Field{}, b, false
	}
	f.Type = b[0]
	width := int(fieldWidths[f.Type])
	switch width {
	case widthUnknown:
		return f, b, false
	case widthPrefix:
		f.Raw, rest, ok = cutLongstr(b[1:])
		return f, rest, ok
	}
	if len(b) < 1+width {
		return f, b, false
	}
	return Field{f.Type, b[1 : 1+width : 1+width]}, b[1+width:], true
}

// fieldFault returns the error for a field that cutField has refused.
func fieldFault(b []byte) string {
	switch {
	case len(b) == 0:
		return "no type and value"
	case fieldWidths[b[0]] == widthUnknown:
		return fmt.Sprintf("field type %q is unknown", b[0])
	}
	return fmt.Sprintf("value of type %q is cut short", b[0])
}

// Int returns the value of any of the integer types.
func (f Field) Int() (n int64, ok bool) {
	switch f.Type {
	case FieldInt8, FieldUint8:
		if len(f.Raw) != 1 {
			return 0, false
		}
	case FieldInt16, FieldUint16, FieldInt32, FieldUint32, FieldInt64, FieldInt64Alt:
		if len(f.Raw) != int(fieldWidths[f.Type]) {
			return 0, false
		}
	default:
		return 0, false
	}
	switch f.Type {
	case FieldInt8:
		return int64(int8(f.Raw[0])), true
	case FieldUint8:
		return int64(f.Raw[0]), true
	case FieldInt16:
		return int64(int16(binary.BigEndian.Uint16(f.Raw))), true
	case FieldUint16:
		return int64(binary.BigEndian.Uint16(f.Raw)), true
	case FieldInt32:
		return int64(int32(binary.BigEndian.Uint32(f.Raw))), true
	case FieldUint32:
		return int64(binary.BigEndian.Uint32(f.Raw)), true
	}
	return int64(binary.BigEndian.Uint64(f.Raw)), true
}

// Bool returns the value of a boolean.
func (f Field) Bool() (v, ok bool) {
	if f.Type != FieldBool || len(f.Raw) != 1 {
		return false, false
	}
	return f.Raw[0] != 0, true
}

// Bytes returns the octets of a string or byte array, as a view.
func (f Field) Bytes() (b []byte, ok bool) {
	return f.Raw, f.Type == FieldString || f.Type == FieldBytes
}

// Table returns a nested table, as a view.
func (f Field) Table() (t RawTable, ok bool) { return RawTable(f.Raw), f.Type == FieldTable }

// Each calls fn for each value of an array until fn returns false. Any other type
// has no values. The error is a ConnectionError 502.
func (f Field) Each(fn func(v Field) bool) error {
	if f.Type != FieldArray {
		return nil
	}
	for b := f.Raw; len(b) > 0; {
		v, rest, ok := cutField(b)
		if !ok {
			return syntaxError("array: %s", fieldFault(b))
		}
		if !fn(v) {
			return nil
		}
		b = rest
	}
	return nil
}

// Value returns the value as Go's type for it, a copy: t bool, b int8, B uint8,
// s int16, u uint16, I int32, i uint32, l and L int64, f float32, d float64,
// D amqp.Decimal, S string, x []byte, T time.Time in UTC, A []any, F amqp.Table,
// V nil. Errors are ConnectionErrors 502: a bad nested value, or nesting over
// TableDepthMax.
func (f Field) Value() (any, error) { return f.value(0) }

// value is Value at a given depth of nesting.
func (f Field) value(depth int) (any, error) {
	if w := fieldWidths[f.Type]; w != widthPrefix && (w == widthUnknown || len(f.Raw) != int(w)) {
		return nil, syntaxError("field type %q with %d octets", f.Type, len(f.Raw))
	}
	switch f.Type {
	case FieldString:
		return string(f.Raw), nil
	case FieldBytes:
		return append([]byte{}, f.Raw...), nil
	case FieldTable:
		return RawTable(f.Raw).table(depth + 1)
	case FieldArray:
		return f.array(depth + 1)
	}
	return f.scalar(), nil
}

// scalar returns the value of a type of fixed width. The caller has checked the
// width.
func (f Field) scalar() any {
	b := f.Raw
	switch f.Type {
	case FieldBool:
		return b[0] != 0
	case FieldInt8:
		return int8(b[0])
	case FieldUint8:
		return b[0]
	case FieldInt16:
		return int16(binary.BigEndian.Uint16(b))
	case FieldUint16:
		return binary.BigEndian.Uint16(b)
	case FieldInt32:
		return int32(binary.BigEndian.Uint32(b))
	case FieldUint32:
		return binary.BigEndian.Uint32(b)
	case FieldInt64, FieldInt64Alt:
		return int64(binary.BigEndian.Uint64(b))
	case FieldFloat32:
		return math.Float32frombits(binary.BigEndian.Uint32(b))
	case FieldFloat64:
		return math.Float64frombits(binary.BigEndian.Uint64(b))
	case FieldDecimal:
		return amqp.Decimal{Scale: b[0], Value: int32(binary.BigEndian.Uint32(b[1:]))}
	case FieldTimestamp:
		return timestamp(binary.BigEndian.Uint64(b))
	}
	return nil // V
}

// timestamp turns the wire's seconds into a time. They are unsigned on the wire
// (§4.2.5.4), but times before 1970 travel as two's complement in practice.
func timestamp(seconds uint64) time.Time { return time.Unix(int64(seconds), 0).UTC() }

// array returns the values of an array that is nested depth levels deep.
func (f Field) array(depth int) (any, error) {
	if depth > TableDepthMax {
		return nil, tooDeep()
	}
	// A first pass counts, so that the slice is made once and a bad array
	// allocates nothing.
	n := 0
	if err := f.Each(func(Field) bool { n++; return true }); err != nil {
		return nil, err
	}
	list := make([]any, 0, n)
	for b := f.Raw; len(b) > 0; {
		v, rest, _ := cutField(b)
		value, err := v.value(depth)
		if err != nil {
			return nil, err
		}
		list = append(list, value)
		b = rest
	}
	return list, nil
}

func tooDeep() error {
	return syntaxError("tables and arrays nest over %d levels", TableDepthMax)
}

// String returns the value for logs and transcripts: "S:text", "I:5", "V".
func (f Field) String() string {
	switch f.Type {
	case FieldString, FieldBytes:
		return fmt.Sprintf("%c:%q", f.Type, f.Raw)
	case FieldVoid:
		return "V"
	}
	v, err := f.Value()
	if err != nil {
		return fmt.Sprintf("%c:%x", f.Type, f.Raw)
	}
	return fmt.Sprintf("%c:%v", f.Type, v)
}
