package publisher

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strings"

	pickle "github.com/kisielk/og-rek"
)

// pickleCodec is Python's pickle, of data alone: classes are neither loaded nor
// called, so no code can run. It is written in protocol 0, as collective.zamqp
// did, and read in 0 to 4.
//
//	Python                        Go, into an any
//	None, bool, str, float        nil, bool, string, float64
//	int                           int64, or *big.Int where it is larger
//	bytes, bytearray              []byte
//	str of Python 2               string
//	list, tuple                   []any
//	set, frozenset                []any (protocols 0 to 3)
//	dict                          map[string]any, or map[any]any with other keys
//
// Into anything but an any, what was read goes by way of JSON: structs are filled
// by their json tags, bytes are base64 in strings. Written are the same types, and
// structs and maps as dicts, by their json tags; a *big.Int, and what encodes
// itself as text or JSON, as that.
type pickleCodec struct{}

func (pickleCodec) ContentType() string { return "application/x-python-serialize" }

// pickleProtocol is what is written. In a strict mode for unicode a string is a
// str to Python 3 and a unicode to Python 2.
var pickleProtocol = pickle.EncoderConfig{Protocol: 0, StrictUnicode: true}

func (pickleCodec) Append(dst []byte, v any) ([]byte, error) {
	plain, err := toPython(reflect.ValueOf(v), 0)
	if err != nil {
		return dst, fmt.Errorf("pickle: %w", err)
	}
	buf := bytes.NewBuffer(dst)
	if err := pickle.NewEncoderWithConfig(buf, &pickleProtocol).Encode(plain); err != nil {
		return dst, fmt.Errorf("pickle: %w", err)
	}
	return buf.Bytes(), nil
}

// pickleDepth bounds what is nested within each other, either way.
const pickleDepth = 200

var errPickleDeep = fmt.Errorf("values are nested deeper than %d, or hold themselves", pickleDepth)

// toPython turns a value into what the encoder knows.
func toPython(v reflect.Value, depth int) (any, error) {
	if depth > pickleDepth {
		return nil, errPickleDeep
	}
	for v.Kind() == reflect.Interface || v.Kind() == reflect.Pointer && !isBig(v) {
		if v.IsNil() {
			return pickle.None{}, nil
		}
		if own, ok, err := ownEncoding(v); ok {
			return own, err
		}
		v = v.Elem()
	}
	if !v.IsValid() {
		return pickle.None{}, nil
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
			return pickle.None{}, nil
		}
		if v.Type().Elem().Kind() == reflect.Uint8 && v.Kind() == reflect.Slice {
			return pickle.Bytes(v.Bytes()), nil
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

// ownEncoding is for what knows its own text, such as a time.
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
		return pickle.None{}, nil
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

func (pickleCodec) Decode(b []byte, v any) error {
	if err := checkPickle(b); err != nil {
		return err
	}
	value, err := pickle.NewDecoderWithConfig(bytes.NewReader(b), &pickle.DecoderConfig{StrictUnicode: true}).Decode()
	if err != nil {
		return err
	}
	left := pickleValuesMax
	plain, err := fromPython(value, 0, &left)
	if err != nil {
		return err
	}
	if target, ok := v.(*any); ok {
		*target = plain
		return nil
	}
	text, err := json.Marshal(plain)
	if err != nil {
		return err
	}
	return json.Unmarshal(text, v)
}

// pickleValuesMax bounds the values in what is read: by its memo a short pickle
// can hold one list many times, which holds another many times, and so on.
const pickleValuesMax = 1 << 20

// fromPython turns what the decoder made into plain values.
func fromPython(v any, depth int, left *int) (any, error) {
	if *left--; *left < 0 {
		return nil, fmt.Errorf("it holds more than %d values", pickleValuesMax)
	}
	if depth > pickleDepth {
		return nil, errPickleDeep
	}
	switch v := v.(type) {
	case nil, bool, int64, float64, string:
		return v, nil
	case *big.Int: // a long, which Python also writes for what has 33 bits
		if v.IsInt64() {
			return v.Int64(), nil
		}
		return v, nil
	case pickle.None:
		return nil, nil
	case pickle.ByteString:
		return string(v), nil
	case pickle.Bytes:
		return []byte(v), nil
	case []byte:
		return v, nil
	case []any:
		return listFromPython(v, depth, left)
	case pickle.Tuple:
		return listFromPython(v, depth, left)
	case map[any]any:
		return dictFromPython(v, depth, left)
	case pickle.Call:
		isSet := v.Callable.Name == "set" || v.Callable.Name == "frozenset"
		if (v.Callable.Module == "builtins" || v.Callable.Module == "__builtin__") && isSet && len(v.Args) == 1 {
			return fromPython(v.Args[0], depth+1, left)
		}
		return nil, fmt.Errorf("it holds a %s.%s: only plain data is read, classes are not", v.Callable.Module, v.Callable.Name)
	case pickle.Class:
		return nil, fmt.Errorf("it names %s.%s: only plain data is read, classes are not", v.Module, v.Name)
	}
	return nil, fmt.Errorf("it holds a %T: only plain data is read", v)
}

func listFromPython(list []any, depth int, left *int) (any, error) {
	out := make([]any, len(list))
	for i, item := range list {
		var err error
		if out[i], err = fromPython(item, depth+1, left); err != nil {
			return nil, err
		}
	}
	return out, nil
}

func dictFromPython(dict map[any]any, depth int, left *int) (any, error) {
	texts := make(map[string]any, len(dict))
	for key, value := range dict {
		if b, ok := key.(pickle.ByteString); ok {
			key = string(b)
		}
		text, ok := key.(string)
		if !ok {
			return otherKeys(dict, depth, left)
		}
		var err error
		if texts[text], err = fromPython(value, depth+1, left); err != nil {
			return nil, err
		}
	}
	return texts, nil
}

func otherKeys(dict map[any]any, depth int, left *int) (any, error) {
	out := make(map[any]any, len(dict))
	for key, value := range dict {
		plain, err := fromPython(key, depth+1, left)
		if err != nil {
			return nil, err
		}
		if plain != nil && !reflect.TypeOf(plain).Comparable() {
			return nil, errors.New("a dict has bytes for a key")
		}
		if out[plain], err = fromPython(value, depth+1, left); err != nil {
			return nil, err
		}
	}
	return out, nil
}
