package broker

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"zamqp/amqpproto"
)

// inequivalent returns the 406 for a declaration that differs from what exists.
func inequivalent(name string, of fmt.Stringer, got, have string) error {
	return precondition("inequivalent arg '%s' for %s: received %s but current is %s", name, of, got, have)
}

func equalFlag(have, got bool, of fmt.Stringer, name string) error {
	if have == got {
		return nil
	}
	return inequivalent(name, of, "'"+strconv.FormatBool(got)+"'", "'"+strconv.FormatBool(have)+"'")
}

// equalArguments compares the arguments with these names. Integers are equal whatever their
// width.
func equalArguments(have, got amqpproto.RawTable, of fmt.Stringer, names []string) error {
	for _, name := range names {
		h, inHave := have.Lookup(name)
		g, inGot := got.Lookup(name)
		switch {
		case !inHave && !inGot:
		case inHave && inGot:
			if !equalField(h, g) {
				return inequivalent(name, of, "'"+text(g)+"'", "'"+text(h)+"'")
			}
		case name == "x-queue-type" && (isText(h, inHave, "classic") || isText(g, inGot, "classic")):
			// A missing argument means classic.
		default:
			return inequivalent(name, of, typedText(g, inGot), typedText(h, inHave))
		}
	}
	return nil
}

func isText(f amqpproto.Field, ok bool, s string) bool {
	return ok && f.Type == amqpproto.FieldString && string(f.Raw) == s
}

func equalField(a, b amqpproto.Field) bool {
	x, isInt := a.Int()
	y, alsoInt := b.Int()
	if isInt && alsoInt {
		return x == y
	}
	fx, isFloat := realNumber(a)
	fy, alsoFloat := realNumber(b)
	if isFloat && alsoFloat {
		return fx == fy
	}
	return a.Type == b.Type && bytes.Equal(a.Raw, b.Raw)
}

func typedText(f amqpproto.Field, ok bool) string {
	if !ok {
		return "none"
	}
	return fmt.Sprintf("the value '%s' of type '%s'", text(f), typeName(f.Type))
}

// text returns a value as RabbitMQ shows it: strings unchanged, all else as a term of Erlang.
func text(f amqpproto.Field) string {
	if f.Type == amqpproto.FieldString || f.Type == amqpproto.FieldBytes {
		return string(f.Raw)
	}
	return term(f)
}

func term(f amqpproto.Field) string {
	if n, ok := wholeNumber(f); ok {
		return strconv.FormatInt(n, 10)
	}
	switch f.Type {
	case amqpproto.FieldBool:
		v, _ := f.Bool()
		return strconv.FormatBool(v)
	case amqpproto.FieldString, amqpproto.FieldBytes:
		return fmt.Sprintf("<<%q>>", f.Raw)
	case amqpproto.FieldFloat32, amqpproto.FieldFloat64:
		v, _ := realNumber(f)
		s := strconv.FormatFloat(v, 'g', -1, 64)
		if !strings.ContainsAny(s, ".e") {
			s += ".0"
		}
		return s
	case amqpproto.FieldArray:
		var list []string
		_ = f.Each(func(v amqpproto.Field) bool {
			list = append(list, "{"+typeName(v.Type)+","+term(v)+"}")
			return true
		})
		return "[" + strings.Join(list, ",") + "]"
	case amqpproto.FieldTable:
		var list []string
		t, _ := f.Table()
		_ = t.Each(func(key []byte, v amqpproto.Field) bool {
			list = append(list, fmt.Sprintf("{<<%q>>,%s,%s}", key, typeName(v.Type), term(v)))
			return true
		})
		return "[" + strings.Join(list, ",") + "]"
	}
	return "undefined"
}

// typeName returns what RabbitMQ calls a field type.
func typeName(typ byte) string {
	switch typ {
	case amqpproto.FieldBool:
		return "bool"
	case amqpproto.FieldInt8:
		return "byte"
	case amqpproto.FieldUint8:
		return "unsignedbyte"
	case amqpproto.FieldInt16:
		return "short"
	case amqpproto.FieldUint16:
		return "unsignedshort"
	case amqpproto.FieldInt32:
		return "signedint"
	case amqpproto.FieldUint32:
		return "unsignedint"
	case amqpproto.FieldInt64, amqpproto.FieldInt64Alt:
		return "long"
	case amqpproto.FieldFloat32:
		return "float"
	case amqpproto.FieldFloat64:
		return "double"
	case amqpproto.FieldDecimal:
		return "decimal"
	case amqpproto.FieldString:
		return "longstr"
	case amqpproto.FieldBytes:
		return "binary"
	case amqpproto.FieldTimestamp:
		return "timestamp"
	case amqpproto.FieldArray:
		return "array"
	case amqpproto.FieldTable:
		return "table"
	}
	return "void"
}

// tablePair is one pair of a table.
type tablePair struct {
	key   []byte
	value amqpproto.Field
}

// sortTable returns a copy with the pairs sorted by name, because bindings whose
// arguments differ only in order are the same. A malformed table ends where it is
// malformed.
func sortTable(t amqpproto.RawTable) amqpproto.RawTable {
	if len(t) == 0 {
		return nil
	}
	var pairs []tablePair
	_ = t.Each(func(key []byte, v amqpproto.Field) bool {
		pairs = append(pairs, tablePair{key, v})
		return true
	})
	sortPairs(pairs)
	out := make([]byte, 0, len(t))
	for _, p := range pairs {
		out = appendPair(out, p.key, p.value)
	}
	return out
}

func sortPairs(pairs []tablePair) {
	slices.SortStableFunc(pairs, func(a, b tablePair) int {
		return bytes.Compare(a.key, b.key)
	})
}
