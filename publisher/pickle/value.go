package pickle

import (
	"errors"
	"fmt"
	"math/big"
	"reflect"
	"strconv"
	"time"
)

// valuesMax limits the number of values that are read. By its memo a short pickle can
// hold one list many times, which holds another list many times, and so on.
const valuesMax = 1 << 20

// A reader turns the nodes of a pickle into plain values.
type reader struct {
	left int  // how many values it may still make
	json bool // encoding/json follows: keys of dicts become strings
}

// plain returns the value of a node.
func (p *reader) plain(v any, depth int) (any, error) {
	if p.left--; p.left < 0 {
		return nil, fmt.Errorf("it holds more than %d values", valuesMax)
	}
	if depth > depthMax {
		return nil, errDeep
	}
	switch v := v.(type) {
	case nil, bool, int64, float64, string, []byte:
		return v, nil
	case *big.Int: // a long; Python also writes an int of more than 32 bits as one
		if v.IsInt64() {
			return v.Int64(), nil
		}
		return v, nil
	case pyStr:
		return string(v), nil
	case *pyList:
		return p.list(v.items, depth)
	case *pyTuple:
		return p.list(v.items, depth)
	case *pySet:
		return p.list(v.items, depth)
	case *pyDict:
		return p.dict(v.pairs, depth)
	case *pyObject:
		return p.object(v, depth)
	case pyGlobal:
		return nil, fmt.Errorf("it holds %s itself: only plain data is read, classes are not", string(v))
	}
	return nil, fmt.Errorf("it holds a %T: only plain data is read", v)
}

func (p *reader) list(items []any, depth int) (any, error) {
	if len(items) > p.left {
		return nil, fmt.Errorf("it holds more than %d values", valuesMax)
	}
	out := make([]any, len(items))
	for i, item := range items {
		var err error
		if out[i], err = p.plain(item, depth+1); err != nil {
			return nil, err
		}
	}
	return out, nil
}

// dict makes a map[string]any, or a map[any]any if a key is not a string.
func (p *reader) dict(pairs []any, depth int) (any, error) {
	if len(pairs) > p.left {
		return nil, fmt.Errorf("it holds more than %d values", valuesMax)
	}
	texts, others := make(map[string]any, len(pairs)/2), map[any]any(nil)
	for i := 0; i < len(pairs); i += 2 {
		key, err := p.plain(pairs[i], depth+1)
		if err != nil {
			return nil, err
		}
		value, err := p.plain(pairs[i+1], depth+1)
		if err != nil {
			return nil, err
		}
		text, ok := key.(string)
		if !ok && p.json {
			text, ok = keyText(key)
		}
		switch {
		case ok && others == nil:
			texts[text] = value
			continue
		case key != nil && !reflect.TypeOf(key).Comparable():
			return nil, errors.New("a dict has a tuple, bytes or a large number for a key")
		case others == nil:
			others = make(map[any]any, len(pairs)/2)
			for k, v := range texts {
				others[k] = v
			}
		}
		others[key] = value
	}
	if others != nil {
		return others, nil
	}
	return texts, nil
}

// keyText returns a key of a dict as encoding/json writes such a key of a map.
func keyText(key any) (string, bool) {
	switch key := key.(type) {
	case int64:
		return strconv.FormatInt(key, 10), true
	case bool:
		return strconv.FormatBool(key), true
	case float64:
		return strconv.FormatFloat(key, 'g', -1, 64), true
	case *big.Int:
		return key.String(), true
	case time.Time:
		text, err := key.MarshalText()
		return string(text), err == nil
	case fmt.Stringer: // a time.Duration, a json.Number
		return key.String(), true
	}
	return "", false
}
