package amqpproto

import (
	"encoding/binary"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/streadway/amqp"
)

// AppendTable appends the table's pairs, without a length, sorted by key so that
// equal tables give equal octets. Errors are EncodeErrors that name the field,
// and leave dst as it was: a key over ShortstrMax, a Go type without a field
// type, an integer over int64, nesting over TableDepthMax (so a table that
// contains itself ends too).
//
// Go types: bool t, int8 b, uint8 B, int16 s, uint16 u, int32 I, uint32 i, int,
// int64, uint and uint64 l, float32 f, float64 d, amqp.Decimal D, string S,
// []byte x, time.Time T (whole seconds), []any and []string A, amqp.Table and
// map[string]any and RawTable F, nil V. An int is always l, and never the
// shortest type that holds it, so that its field type does not depend on its
// value. Peers to know of: streadway/amqp reads neither B nor u nor i, and
// pika before 1.3 reads l as unsigned; int32 is understood by all.
func AppendTable(dst []byte, t amqp.Table) ([]byte, error) {
	out, err := appendPairs(dst, t, 1)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendTableField appends one pair, for tables that are written field by field. It
// has the errors and types of AppendTable.
func AppendTableField(dst []byte, key string, v any) ([]byte, error) {
	out, err := appendPair(dst, key, v, 1)
	if err != nil {
		return dst, err
	}
	return out, nil
}

// AppendField appends one pair as it was read from another table, with its field
// type. The key has at most ShortstrMax octets, like every key that was read.
func AppendField(dst, key []byte, f Field) []byte {
	return AppendValue(appendShortstr(dst, key), f)
}

// AppendValue appends a type and a value as they were read from an array.
func AppendValue(dst []byte, f Field) []byte {
	dst = append(dst, f.Type)
	if fieldWidths[f.Type] == widthPrefix {
		return appendLongstr(dst, f.Raw)
	}
	return append(dst, f.Raw...)
}

func appendPairs(dst []byte, t map[string]any, depth int) ([]byte, error) {
	var room [16]string // on the stack: the usual headers table sorts without allocation
	keys := room[:0]
	for key := range t {
		keys = append(keys, key)
	}
	slices.Sort(keys)
	var err error
	for _, key := range keys {
		if dst, err = appendPair(dst, key, t[key], depth); err != nil {
			return dst, err
		}
	}
	return dst, nil
}

func appendPair(dst []byte, key string, v any, depth int) ([]byte, error) {
	if len(key) > ShortstrMax {
		return dst, &EncodeError{fmt.Sprintf("table field %.40q…", key), "name of " + tooLong(len(key), ShortstrMax)}
	}
	dst, err := appendField(appendShortstr(dst, key), v, depth)
	if err != nil {
		return dst, within(strconv.Quote(key), err)
	}
	return dst, nil
}

// within puts a name before the path of an error: table field "a" "b" [3].
func within(name string, err error) error {
	e, ok := err.(*EncodeError)
	if !ok {
		return err
	}
	const prefix = "table field"
	return &EncodeError{prefix + " " + name + strings.TrimPrefix(e.What, prefix), e.Text}
}

// appendField appends the type and the value of a field of a table or array that is
// nested depth levels deep.
func appendField(dst []byte, v any, depth int) ([]byte, error) {
	switch v := v.(type) {
	case nil:
		return append(dst, FieldVoid), nil
	case bool:
		return append(dst, FieldBool, bit(v)), nil
	case int8:
		return append(dst, FieldInt8, byte(v)), nil
	case uint8:
		return append(dst, FieldUint8, v), nil
	case int16:
		return binary.BigEndian.AppendUint16(append(dst, FieldInt16), uint16(v)), nil
	case uint16:
		return binary.BigEndian.AppendUint16(append(dst, FieldUint16), v), nil
	case int32:
		return binary.BigEndian.AppendUint32(append(dst, FieldInt32), uint32(v)), nil
	case uint32:
		return binary.BigEndian.AppendUint32(append(dst, FieldUint32), v), nil
	case int:
		return append64(dst, FieldInt64, uint64(v)), nil
	case int64:
		return append64(dst, FieldInt64, uint64(v)), nil
	case uint:
		return appendUint64(dst, uint64(v))
	case uint64:
		return appendUint64(dst, v)
	case float32:
		return binary.BigEndian.AppendUint32(append(dst, FieldFloat32), math.Float32bits(v)), nil
	case float64:
		return append64(dst, FieldFloat64, math.Float64bits(v)), nil
	case amqp.Decimal:
		return binary.BigEndian.AppendUint32(append(dst, FieldDecimal, v.Scale), uint32(v.Value)), nil
	case string:
		return appendPrefixed(dst, FieldString, v)
	case []byte:
		return appendPrefixed(dst, FieldBytes, v)
	case time.Time:
		return append64(dst, FieldTimestamp, uint64(v.Unix())), nil
	}
	return appendNested(dst, v, depth+1)
}

func append64(dst []byte, typ byte, v uint64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, typ), v)
}

// appendUint64 sends an unsigned integer as l: RabbitMQ has no unsigned 64-bit
// field type, whatever the specification says of l and L.
func appendUint64(dst []byte, v uint64) ([]byte, error) {
	if v > math.MaxInt64 {
		return dst, &EncodeError{"table field", fmt.Sprintf("%d is over the largest integer field, 2^63-1", v)}
	}
	return append64(dst, FieldInt64, v), nil
}

func appendPrefixed[T string | []byte](dst []byte, typ byte, s T) ([]byte, error) {
	if uint64(len(s)) > longMax {
		return dst, &EncodeError{"table field", tooLong(len(s), longMax)}
	}
	return appendLongstr(append(dst, typ), s), nil
}

// appendNested appends an array or table that is nested depth levels deep, and then
// fills in its length.
func appendNested(dst []byte, v any, depth int) (_ []byte, err error) {
	if depth > TableDepthMax {
		return dst, &EncodeError{"table field", fmt.Sprintf("tables and arrays nest over %d levels", TableDepthMax)}
	}
	typ := FieldTable
	switch v.(type) {
	case []any, []string:
		typ = FieldArray
	}
	start := len(dst) + 1
	dst = append(dst, typ, 0, 0, 0, 0)
	switch v := v.(type) {
	case amqp.Table:
		dst, err = appendPairs(dst, v, depth)
	case map[string]any:
		dst, err = appendPairs(dst, v, depth)
	case RawTable:
		// The reader counts depth from here, so it must count here too.
		if err := v.validate(depth); err != nil {
			return dst, &EncodeError{"table field", err.Error()}
		}
		dst = append(dst, v...)
	case []any:
		dst, err = appendArray(dst, v, depth)
	case []string:
		for _, s := range v {
			if dst, err = appendPrefixed(dst, FieldString, s); err != nil {
				break
			}
		}
	default:
		err = &EncodeError{"table field", fmt.Sprintf("Go type %T has no AMQP field type", v)}
	}
	if err != nil {
		return dst, err
	}
	size := uint64(len(dst) - start - 4)
	if size > longMax {
		return dst, &EncodeError{"table field", fmt.Sprintf("%d octets, at most %d fit", size, uint32(longMax))}
	}
	binary.BigEndian.PutUint32(dst[start:], uint32(size))
	return dst, nil
}

func appendArray(dst []byte, list []any, depth int) ([]byte, error) {
	var err error
	for i, v := range list {
		if dst, err = appendField(dst, v, depth); err != nil {
			return dst, within("["+strconv.Itoa(i)+"]", err)
		}
	}
	return dst, nil
}
