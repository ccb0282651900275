package pickle

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/big"
	"reflect"
	"strings"

	ogrek "github.com/kisielk/og-rek"
)

// Codec is the codec of Python's pickle, for data only: classes are neither loaded nor called, so no
// code can run. It writes protocol 0, as collective.zamqp did, and reads protocols 0 to 5.
//
//	Python                        Go, into an any
//	None, bool, str, float        nil, bool, string, float64
//	int                           int64, or *big.Int where it is larger
//	bytes, bytearray              []byte
//	str of Python 2               string
//	list, tuple, deque            []any
//	set, frozenset                []any
//	dict and its kinds            map[string]any, or map[any]any with other keys
//	datetime, date                time.Time, in UTC where it has no time zone
//	time, timezones, UUID         string
//	timedelta                     time.Duration
//	Decimal                       json.Number
//
// Into any other type than any, the value is decoded by way of JSON: structs are filled by
// their json tags, and bytes are base64 in strings. The same types can be encoded, and
// structs and maps become dicts, by their json tags. A *big.Int becomes an int. A type that
// encodes itself as text is written as that text.
type Codec struct{}

// ContentType is the name that kombu and collective.zamqp use.
func (Codec) ContentType() string { return "application/x-python-serialize" }

// written is the protocol that is written. With StrictUnicode a string is a str in Python 3 and
// a unicode in Python 2.
var written = ogrek.EncoderConfig{Protocol: 0, StrictUnicode: true}

// Append appends the pickle of v to dst.
func (Codec) Append(dst []byte, v any) ([]byte, error) {
	plain, err := toPython(reflect.ValueOf(v), 0)
	if err != nil {
		return dst, fmt.Errorf("pickle: %w", err)
	}
	buf := bytes.NewBuffer(dst)
	if err := ogrek.NewEncoderWithConfig(buf, &written).Encode(plain); err != nil {
		return dst, fmt.Errorf("pickle: %w", err)
	}
	return buf.Bytes(), nil
}

// depthMax limits how deep values may be nested, in both directions.
const depthMax = 200

var errDeep = fmt.Errorf("values are nested deeper than %d, or hold themselves", depthMax)

// toPython turns a value into one that the encoder knows.
func toPython(v reflect.Value, depth int) (any, error) {
	if depth > depthMax {
		return nil, errDeep
	}
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer && !isBig(v) {
		if v.IsNil() {
			return ogrek.None{}, nil
		}
		if own, ok, err := ownEncoding(v); ok {
			return own, err
		}
		v = v.Elem()
	}
	if !v.IsValid() {
		return ogrek.None{}, nil
	}
	if own, ok, err := ownEncoding(v); ok {
		return own, err
	}
	switch v.Kind() {
	case reflect.Pointer: // of a big.Int
		return v.Interface(), nil
	case reflect.Bool, reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64,
		reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64, reflect.Float32, reflect.Float64:
		return v.Interface(), nil
	case reflect.String:
		return v.String(), nil
	case reflect.Slice, reflect.Array:
		if v.Kind() == reflect.Slice && v.IsNil() {
			return ogrek.None{}, nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
			return ogrek.Bytes(v.Bytes()), nil
		}
		list := make([]any, v.Len())
		for i := range list {
			var err error
			if list[i], err = toPython(v.Index(i), depth+1); err != nil {
				return nil, err
			}
		}
		return list, nil
	case reflect.Map:
		return mapToPython(v, depth)
	case reflect.Struct:
		return structToPython(v, depth)
	}
	return nil, fmt.Errorf("cannot encode a %s", v.Type())
}

func isBig(v reflect.Value) bool { return v.Type() == reflect.TypeFor[*big.Int]() }

// ownEncoding returns the text of a value that encodes itself as text, such as a time.
func ownEncoding(v reflect.Value) (any, bool, error) {
	if v.Kind() != reflect.Struct && v.Kind() != reflect.Pointer || isBig(v) || !v.CanInterface() {
		return nil, false, nil
	}
	if m, ok := v.Interface().(interface{ MarshalText() ([]byte, error) }); ok {
		text, err := m.MarshalText()
		return string(text), true, err
	}
	return nil, false, nil
}

func mapToPython(v reflect.Value, depth int) (any, error) {
	if v.IsNil() {
		return ogrek.None{}, nil
	}
	dict := make(map[any]any, v.Len())
	for it := v.MapRange(); it.Next(); {
		key, err := toPython(it.Key(), depth+1)
		if err != nil {
			return nil, err
		}
		if !reflect.TypeOf(key).Comparable() {
			return nil, fmt.Errorf("a %T is no key of a dict", key)
		}
		if dict[key], err = toPython(it.Value(), depth+1); err != nil {
			return nil, err
		}
	}
	return dict, nil
}

func structToPython(v reflect.Value, depth int) (any, error) {
	dict := map[any]any{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		name, options, _ := strings.Cut(field.Tag.Get("json"), ",")
		if !field.IsExported() || name == "-" || strings.Contains(options, "omitempty") && v.Field(i).IsZero() {
			continue
		}
		if name == "" {
			name = field.Name
		}
		value, err := toPython(v.Field(i), depth+1)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		dict[name] = value
	}
	return dict, nil
}

// Decode fills v, a pointer, from a pickle.
func (Codec) Decode(b []byte, v any) error {
	node, err := readNodes(b)
	if err != nil {
		return err
	}
	target, isAny := v.(*any)
	p := reader{left: valuesMax, json: !isAny}
	plain, err := p.plain(node, 0)
	if err != nil {
		return err
	}
	if isAny {
		*target = plain
		return nil
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}
