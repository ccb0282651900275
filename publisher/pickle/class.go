package pickle

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
)

// globals are the names that a pickle may hold, as Python 3 calls them: the names of
// classes that are data, of the functions by which old protocols write such data, and of the
// classes that a defaultdict makes its values with. Nothing is looked up by these names.
var globals = map[pyGlobal]bool{
	"builtins.set": true, "builtins.frozenset": true, "builtins.bytearray": true, "builtins.bytes": true,
	"builtins.list": true, "builtins.dict": true, "builtins.tuple": true, "builtins.int": true, "builtins.long": true,
	"builtins.float": true, "builtins.str": true, "builtins.bool": true, "builtins.object": true, "builtins.getattr": true,
	"_codecs.encode": true, "copyreg._reconstructor": true,
	"datetime.datetime": true, "datetime.date": true, "datetime.time": true, "datetime.timedelta": true,
	"datetime.timezone": true, "datetime.tzinfo": true, "zoneinfo.ZoneInfo": true,
	"pytz._UTC": true, "pytz._p": true, "dateutil.tz.tz.tzutc": true,
	"decimal.Decimal": true, "uuid.UUID": true, "uuid.SafeUUID": true,
	"collections.OrderedDict": true, "collections.defaultdict": true, "collections.Counter": true, "collections.deque": true,
}

// pythonModule returns the name that a module of Python 2 has in Python 3.
func pythonModule(name string) string {
	switch name {
	case "__builtin__":
		return "builtins"
	case "copy_reg":
		return "copyreg"
	case "_decimal", "cdecimal":
		return "decimal"
	}
	return name
}

// object returns the value of an instance.
func (p *reader) object(o *pyObject, depth int) (any, error) {
	switch o.class {
	case "builtins.set", "builtins.frozenset", "builtins.list", "builtins.tuple", "collections.deque":
		return p.list(append(itemsOf(o.args), o.items...), depth)
	case "collections.OrderedDict", "collections.Counter", "builtins.dict":
		pairs, err := pairsOf(o.args)
		if err != nil {
			return nil, err
		}
		return p.dict(append(pairs, o.pairs...), depth)
	case "collections.defaultdict": // its argument makes missing values
		return p.dict(o.pairs, depth)
	case "builtins.bytes", "builtins.bytearray", "_codecs.encode":
		return octetsOf(o)
	case "datetime.datetime":
		return datetimeOf(o)
	case "datetime.date":
		return dateOf(o)
	case "datetime.time":
		return timeOf(o)
	case "datetime.timedelta":
		return timedeltaOf(o)
	case "datetime.timezone", "zoneinfo.ZoneInfo", "pytz._UTC", "pytz._p", "dateutil.tz.tz.tzutc":
		zone, err := zoneOf(o)
		if err != nil {
			return nil, err
		}
		return zone.String(), nil
	case "decimal.Decimal":
		return decimalOf(o)
	case "uuid.UUID":
		return uuidOf(o)
	}
	return nil, fmt.Errorf("it calls %s: only plain data is read", string(o.class))
}

func badObject(o *pyObject) error {
	return fmt.Errorf("a %s is not made as Python makes one", string(o.class))
}

// itemsOf returns a copy of the items of the first argument, if that is a list, a tuple or a
// set.
func itemsOf(args []any) []any {
	if len(args) == 0 {
		return nil
	}
	switch v := args[0].(type) {
	case *pyList:
		return append([]any(nil), v.items...)
	case *pyTuple:
		return append([]any(nil), v.items...)
	case *pySet:
		return append([]any(nil), v.items...)
	}
	return nil
}

// pairsOf returns a copy of the pairs of the first argument, which is a dict or a list of
// pairs.
func pairsOf(args []any) ([]any, error) {
	if len(args) == 0 {
		return nil, nil
	}
	if dict, ok := args[0].(*pyDict); ok {
		return append([]any(nil), dict.pairs...), nil
	}
	var pairs []any
	for _, item := range itemsOf(args) {
		pair := itemsOf([]any{item})
		if len(pair) != 2 {
			return nil, errors.New("a dict is made from something other than pairs")
		}
		pairs = append(pairs, pair...)
	}
	return pairs, nil
}

// octetsOf returns bytes that protocols 0 to 2 have written: as a call that makes them from
// text in Latin-1.
func octetsOf(o *pyObject) ([]byte, error) {
	if len(o.args) == 0 && o.class != "_codecs.encode" {
		return []byte{}, nil
	}
	if len(o.args) == 1 {
		if b, ok := argOctets(o.args[0]); ok && o.class != "_codecs.encode" {
			return b, nil
		}
		return nil, badObject(o)
	}
	if len(o.args) != 2 {
		return nil, badObject(o)
	}
	text, ok := nodeText(o.args[0])
	coding, also := nodeText(o.args[1])
	if !ok || !also || coding != "latin1" && coding != "latin-1" {
		return nil, badObject(o)
	}
	b := make([]byte, 0, len(text))
	for _, c := range text {
		if c > math.MaxUint8 {
			return nil, badObject(o)
		}
		b = append(b, byte(c))
	}
	return b, nil
}

// argOctets returns octets in any of the forms in which the protocols write them.
func argOctets(v any) ([]byte, bool) {
	switch v := v.(type) {
	case []byte:
		return v, true
	case pyStr:
		return []byte(v), true
	case *pyObject:
		if v.class == "_codecs.encode" || v.class == "builtins.bytes" {
			b, err := octetsOf(v)
			return b, err == nil
		}
	}
	return nil, false
}

func argInt(v any) (int64, bool) {
	switch v := v.(type) {
	case int64:
		return v, true
	case *big.Int:
		return v.Int64(), v.IsInt64()
	}
	return 0, false
}

// decimalText matches a decimal number that is also a number of JSON.
var decimalText = regexp.MustCompile(`^-?(0|[1-9][0-9]*)(\.[0-9]+)?(E[+-]?[0-9]+)?$`)

// decimalOf returns a Decimal as a json.Number, which keeps all digits, or as a float64 if it
// is infinite or not a number.
func decimalOf(o *pyObject) (any, error) {
	if len(o.args) != 1 {
		return nil, badObject(o)
	}
	text, ok := nodeText(o.args[0])
	switch {
	case !ok || len(text) > digitsMax:
		return nil, badObject(o)
	case text == "NaN":
		return math.NaN(), nil
	case text == "Infinity":
		return math.Inf(1), nil
	case text == "-Infinity":
		return math.Inf(-1), nil
	case !decimalText.MatchString(text):
		return nil, badObject(o)
	}
	return json.Number(text), nil
}

// uuidOf returns a UUID in its usual text form.
func uuidOf(o *pyObject) (any, error) {
	state, ok := o.state.(*pyDict)
	if !ok || len(o.args) > 0 {
		return nil, badObject(o)
	}
	for i := 0; i < len(state.pairs); i += 2 {
		if key, _ := nodeText(state.pairs[i]); key != "int" {
			continue
		}
		var n *big.Int
		switch v := state.pairs[i+1].(type) {
		case int64:
			n = big.NewInt(v)
		case *big.Int:
			n = v
		default:
			return nil, badObject(o)
		}
		if n.Sign() < 0 || n.BitLen() > 128 {
			return nil, badObject(o)
		}
		b := n.FillBytes(make([]byte, 16))
		return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:]), nil
	}
	return nil, badObject(o)
}
