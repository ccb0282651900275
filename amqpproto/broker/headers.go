package broker

import (
	"bytes"
	"math"
	"strings"

	"zamqp/amqpproto"
)

// headersType sends a message to the bindings whose arguments its headers match.
// §3.1.3.4.
var headersType = exchangeType{
	newIndex: func(x *exchange) bindingIndex { return headersIndex{x} },
	check:    checkMatch,
	units:    matchUnits,
}

// headersIndex checks all bindings of the exchange, because each has its own rule.
type headersIndex struct{ x *exchange }

func (headersIndex) add(b *binding)  { b.rule = newHeadersRule(b.args) }
func (headersIndex) remove(*binding) {}

func (h headersIndex) match(_ []byte, to follower) {
	if list := h.x.bindings; len(list) > 0 {
		to.follow(list)
	}
}

// headersRule has the decoded arguments of a binding, with which a message's headers are
// compared. The rules are RabbitMQ's: x-match is all (the default) or any; names that begin
// with x- are ignored unless it is all-with-x or any-with-x; a void value requires only the
// name; types do not count, only values.
type headersRule struct {
	any  bool
	want []wantedHeader
}

type wantedHeader struct {
	name  string
	value amqpproto.Field
}

// checkMatch returns the 406 for an invalid x-match.
func checkMatch(args amqpproto.RawTable) error {
	f, ok := args.Lookup("x-match")
	if !ok {
		return nil
	}
	if f.Type != amqpproto.FieldString {
		return precondition("Invalid x-match field type %s (value %s); expected longstr", typeName(f.Type), term(f))
	}
	switch string(f.Raw) {
	case "all", "any", "all-with-x", "any-with-x":
		return nil
	}
	return precondition("Invalid x-match field value <<%q>>; expected all, any, all-with-x, or any-with-x", f.Raw)
}

func newHeadersRule(args amqpproto.RawTable) *headersRule {
	h := &headersRule{}
	withX := false
	if f, ok := args.Lookup("x-match"); ok {
		h.any = bytes.HasPrefix(f.Raw, []byte("any"))
		withX = bytes.HasSuffix(f.Raw, []byte("-with-x"))
	}
	_ = args.Each(func(key []byte, v amqpproto.Field) bool {
		name := string(key)
		if name != "x-match" && (withX || !strings.HasPrefix(name, "x-")) {
			h.want = append(h.want, wantedHeader{name, v})
		}
		return true
	})
	return h
}

// fits reports whether the rule accepts a message with these headers. A rule without
// requirements accepts everything if it requires all of them, and nothing if it requires any.
func (h *headersRule) fits(headers amqpproto.RawTable) bool {
	for _, w := range h.want {
		v, ok := headers.Lookup(w.name)
		if ok = ok && (w.value.Type == amqpproto.FieldVoid || sameValue(w.value, v)); ok == h.any {
			return h.any
		}
	}
	return !h.any
}

// sameValue compares like Erlang's ==: 1, 1.0 and a timestamp of 1 are equal, and so are a
// string and a byte array.
func sameValue(a, b amqpproto.Field) bool {
	ia, isIntA := wholeNumber(a)
	ib, isIntB := wholeNumber(b)
	if isIntA && isIntB {
		return ia == ib
	}
	fa, isFloatA := realNumber(a)
	fb, isFloatB := realNumber(b)
	switch {
	case isFloatA && isFloatB:
		return fa == fb
	case isFloatA && isIntB:
		return fa == float64(ib)
	case isIntA && isFloatB:
		return float64(ia) == fb
	case isIntA || isIntB || isFloatA || isFloatB:
		return false
	}
	if a.Type == amqpproto.FieldBool {
		x, _ := a.Bool()
		y, ok := b.Bool()
		return ok && x == y
	}
	return kindOf(a.Type) == kindOf(b.Type) && bytes.Equal(a.Raw, b.Raw)
}

func kindOf(typ byte) byte {
	if typ == amqpproto.FieldBytes {
		return amqpproto.FieldString
	}
	return typ
}

func wholeNumber(f amqpproto.Field) (int64, bool) {
	if f.Type == amqpproto.FieldTimestamp {
		f.Type = amqpproto.FieldInt64
	}
	return f.Int()
}

func realNumber(f amqpproto.Field) (float64, bool) {
	switch {
	case f.Type == amqpproto.FieldFloat32 && len(f.Raw) == 4:
		return float64(math.Float32frombits(be32(f.Raw))), true
	case f.Type == amqpproto.FieldFloat64 && len(f.Raw) == 8:
		return math.Float64frombits(uint64(be32(f.Raw))<<32 | uint64(be32(f.Raw[4:]))), true
	}
	return 0, false
}

func be32(b []byte) uint32 {
	return uint32(b[0])<<24 | uint32(b[1])<<16 | uint32(b[2])<<8 | uint32(b[3])
}
