package amqpproto_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// everyField has one field of each type, with edges.
var everyField = amqp.Table{
	"t": true, "t0": false,
	"b": int8(-128), "B": uint8(255),
	"s": int16(-32768), "u": uint16(65535),
	"I": int32(math.MinInt32), "i": uint32(math.MaxUint32),
	"l": int64(math.MinInt64),
	"f": float32(1.5), "d": math.Inf(-1),
	"D": amqp.Decimal{Scale: 2, Value: -12345},
	"S": "text ü", "S0": "",
	"x": []byte{0, 1, 0xCE}, "x0": []byte{},
	"T": time.Unix(1700000000, 0).UTC(), "T-": time.Unix(-1, 0).UTC(),
	"A": []any{"a", int64(1), nil, []any{}, amqp.Table{"in": "array"}}, "A0": []any{},
	"F": amqp.Table{"in": amqp.Table{"in": "table"}}, "F0": amqp.Table{},
	"V": nil, "": "empty key",
}

func TestTableRoundTrip(t *testing.T) {
	raw, err := amqpproto.AppendTable(nil, everyField)
	if err != nil {
		t.Fatal(err)
	}
	have, err := amqpproto.RawTable(raw).Table()
	if err != nil || !reflect.DeepEqual(have, everyField) {
		t.Fatalf("have %v\nwant %v\n%v", have, everyField, err)
	}
	if err := amqpproto.RawTable(raw).Validate(); err != nil {
		t.Fatal(err)
	}
	for range 10 {
		if again, _ := amqpproto.AppendTable(nil, everyField); !bytes.Equal(again, raw) {
			t.Fatal("the octets of a table are not always the same")
		}
	}
	for key, want := range everyField {
		f, ok := amqpproto.RawTable(raw).Lookup(key)
		if v, err := f.Value(); !ok || err != nil || !reflect.DeepEqual(v, want) {
			t.Errorf("lookup %q: %v %v %v", key, v, ok, err)
		}
	}
	if _, ok := amqpproto.RawTable(raw).Lookup("no"); ok {
		t.Error("a field that is not there was found")
	}
}

// One pair each, octets by hand from RabbitMQ's list of field types.
func TestFieldTypes(t *testing.T) {
	for _, row := range []struct {
		in    string // type and value
		value any
		str   string
	}{
		{"t\x01", true, "t:true"}, {"t\x00", false, "t:false"}, {"t\x02", true, "t:true"},
		{"b\xff", int8(-1), "b:-1"}, {"B\xff", uint8(255), "B:255"},
		{"s\xff\xfe", int16(-2), "s:-2"}, {"u\xff\xfe", uint16(65534), "u:65534"},
		{"I\xff\xff\xff\xff", int32(-1), "I:-1"}, {"i\xff\xff\xff\xff", uint32(math.MaxUint32), "i:4294967295"},
		{"l\xff\xff\xff\xff\xff\xff\xff\xff", int64(-1), "l:-1"},
		{"L\xff\xff\xff\xff\xff\xff\xff\xff", int64(-1), "L:-1"}, // signed in RabbitMQ, whatever the grammar says
		{"f\x3f\xc0\x00\x00", float32(1.5), "f:1.5"},
		{"d\x3f\xf8\x00\x00\x00\x00\x00\x00", 1.5, "d:1.5"},
		{"D\x02\x00\x00\x30\x39", amqp.Decimal{Scale: 2, Value: 12345}, "D:{2 12345}"},
		{"S\x00\x00\x00\x02hi", "hi", `S:"hi"`}, {"x\x00\x00\x00\x02hi", []byte("hi"), `x:"hi"`},
		{"T\x00\x00\x00\x00\x00\x00\x00\x01", time.Unix(1, 0).UTC(), "T:1970-01-01 00:00:01 +0000 UTC"},
		{"A\x00\x00\x00\x03Vt\x01", []any{nil, true}, "A:[<nil> true]"},
		{"F\x00\x00\x00\x03\x01kV", amqp.Table{"k": nil}, "F:map[k:<nil>]"},
		{"V", nil, "V"},
	} {
		t.Run(row.in[:1]+" "+row.str, func(t *testing.T) {
			raw := amqpproto.RawTable("\x01k" + row.in)
			table, err := raw.Table()
			if err != nil || !reflect.DeepEqual(table, amqp.Table{"k": row.value}) {
				t.Fatalf("%#v, %v", table, err)
			}
			if f, _ := raw.Lookup("k"); f.String() != row.str {
				t.Errorf("String: %s, want %s", f, row.str)
			}
			for cut := 1; cut < len(raw); cut++ {
				wantCode(t, raw[:cut].Validate(), 502)
				_, err := raw[:cut].Table()
				wantCode(t, err, 502)
			}
		})
	}
}

func TestTableRefuses(t *testing.T) {
	for _, row := range []struct{ name, in, text string }{
		{"name cut", "\x05ab", "name is cut short"},
		{"no value", "\x01k", `field "k": no type and value`},
		{"short-int of the grammar, refused by RabbitMQ", "\x01kU\x00\x01", `field "k": field type 'U' is unknown`},
		{"type 0", "\x01k\x00", "is unknown"},
		{"string of 4 GiB", "\x01kS\xff\xff\xff\xff", "type 'S' is cut short"},
		{"string of -1 behind much", "\x01kS\x80\x00\x00\x00" + strings.Repeat("x", 99), "cut short"},
		{"byte array of 2 GiB", "\x01kx\x7f\xff\xff\xff" + strings.Repeat("x", 99), "cut short"},
		{"array over the table", "\x01kA\x00\x00\x00\x04V", "cut short"},
		{"value over its array", "\x01kA\x00\x00\x00\x02I\x00", "array: value of type 'I' is cut short"},
		{"bad type in an array", "\x01kA\x00\x00\x00\x01?", "array: field type '?' is unknown"},
		{"bad array in a duplicate", "\x01kV\x01kA\x00\x00\x00\x01?", "array: field type '?' is unknown"},
		{"pair over its table", "\x01kF\x00\x00\x00\x03\x01jI", `field "j": value of type 'I'`},
	} {
		t.Run(row.name, func(t *testing.T) {
			raw := amqpproto.RawTable(row.in)
			_, err := raw.Table()
			for _, err := range []error{raw.Validate(), err} {
				wantCode(t, err, 502)
				if !strings.Contains(err.Error(), row.text) {
					t.Errorf("%v\ndoes not say %q", err, row.text)
				}
			}
		})
	}
}

// nest is a field of containers within each other.
func nest(typ byte, levels int) []byte {
	level := []byte{typ}
	if typ == amqpproto.FieldTable {
		level = []byte{1, 'k', typ}
	}
	var b []byte
	for inner := levels - 1; inner >= 0; inner-- {
		b = append(b, level...)
		b = binary.BigEndian.AppendUint32(b, uint32(inner*(len(level)+4)))
	}
	return b
}

// The table itself is the first level.
func TestTableDepth(t *testing.T) {
	tables := func(levels int) amqpproto.RawTable { return nest(amqpproto.FieldTable, levels-1) }
	arrays := func(levels int) amqpproto.RawTable {
		return append([]byte("\x01k"), nest(amqpproto.FieldArray, levels-1)...)
	}
	for _, row := range []struct {
		name string
		raw  amqpproto.RawTable
		code uint16
	}{
		{"tables at the limit", tables(amqpproto.TableDepthMax), 0},
		{"tables over it", tables(amqpproto.TableDepthMax + 1), 502},
		{"arrays at the limit", arrays(amqpproto.TableDepthMax), 0},
		{"arrays over it", arrays(amqpproto.TableDepthMax + 1), 502},
		{"as deep as a frame holds", tables(131072 / 7), 502},
	} {
		t.Run(row.name, func(t *testing.T) {
			table, err := row.raw.Table()
			wantCode(t, err, row.code)
			wantCode(t, row.raw.Validate(), row.code)
			if row.code != 0 {
				return
			}
			again, err := amqpproto.AppendTable(nil, table)
			if err != nil || !bytes.Equal(again, row.raw) {
				t.Fatalf("the encoder refuses what the decoder takes: %v", err)
			}
			if _, err := amqpproto.AppendTable(nil, amqp.Table{"k": table}); err == nil {
				t.Fatal("the encoder writes what the decoder refuses")
			}
			if _, err := amqpproto.AppendTable(nil, amqp.Table{"k": row.raw}); err == nil {
				t.Fatal("the encoder writes a raw table that the decoder refuses")
			}
		})
	}
}

func TestAppendTableTypes(t *testing.T) {
	for _, row := range []struct {
		in   any
		want string
	}{
		{int(-1), "l\xff\xff\xff\xff\xff\xff\xff\xff"}, {int(1), "l\x00\x00\x00\x00\x00\x00\x00\x01"},
		{uint(1), "l\x00\x00\x00\x00\x00\x00\x00\x01"}, {uint64(math.MaxInt64), "l\x7f\xff\xff\xff\xff\xff\xff\xff"},
		{[]string{"a", ""}, "A\x00\x00\x00\x0bS\x00\x00\x00\x01aS\x00\x00\x00\x00"},
		{map[string]any{"k": nil}, "F\x00\x00\x00\x03\x01kV"},
		{amqpproto.RawTable("\x01kV"), "F\x00\x00\x00\x03\x01kV"},
		{time.Unix(1, 999), "T\x00\x00\x00\x00\x00\x00\x00\x01"},
	} {
		have, err := amqpproto.AppendTable([]byte("dst"), amqp.Table{"n": row.in})
		if err != nil || string(have) != "dst\x01n"+row.want {
			t.Errorf("%T %v: %q, %v; want %q", row.in, row.in, have, err, row.want)
		}
		if one, err := amqpproto.AppendTableField([]byte("dst"), "n", row.in); err != nil || !bytes.Equal(one, have) {
			t.Errorf("%T: AppendTableField %q, %v", row.in, one, err)
		}
	}
}

func TestAppendTableRefuses(t *testing.T) {
	type named int
	loop := amqp.Table{}
	loop["again"] = loop
	for _, row := range []struct {
		name string
		in   amqp.Table
		text string
	}{
		{"unknown type", amqp.Table{"k": struct{}{}}, `amqp: table field "k": Go type struct {} has no AMQP field type`},
		{"named type", amqp.Table{"k": named(1)}, `amqp: table field "k": Go type amqpproto_test.named has no AMQP field type`},
		{"pointer", amqp.Table{"k": new(int)}, `"k": Go type *int`},
		{"within", amqp.Table{"a": amqp.Table{"b": []any{1, 2, complex(1, 1)}}}, `amqp: table field "a" "b" [2]: Go type complex128 has`},
		{"long key", amqp.Table{strings.Repeat("k", 256): 1}, "name of 256 octets, at most 255 fit"},
		{"long key within", amqp.Table{"a": amqp.Table{strings.Repeat("k", 256): 1}}, `table field "a" "kkk`},
		{"uint64", amqp.Table{"k": uint64(math.MaxInt64 + 1)}, `"k": 9223372036854775808 is over`},
		{"in itself", loop, "nest over 32 levels"},
		{"broken raw table", amqp.Table{"k": amqpproto.RawTable("\x01")}, `"k": amqp: connection: 502`},
	} {
		t.Run(row.name, func(t *testing.T) {
			out, err := amqpproto.AppendTable([]byte("dst"), row.in)
			var ee *amqpproto.EncodeError
			if !errors.As(err, &ee) || !strings.Contains(err.Error(), row.text) || string(out) != "dst" {
				t.Errorf("%v, dst %q; want %q", err, out, row.text)
			}
		})
	}
}

// Duplicates are illegal (§4.2.5.5); RabbitMQ takes the first, so do we.
func TestDuplicateFields(t *testing.T) {
	raw := amqpproto.RawTable("\x01kb\x01\x01kb\x02")
	table, err := raw.Table()
	f, _ := raw.Lookup("k")
	if n, _ := f.Int(); err != nil || n != 1 || table["k"] != int8(1) {
		t.Fatal(table, n, err)
	}
}

func TestFieldAccessors(t *testing.T) {
	raw, err := amqpproto.AppendTable(nil, everyField)
	if err != nil {
		t.Fatal(err)
	}
	ints := map[string]int64{"b": -128, "B": 255, "s": -32768, "u": 65535, "I": math.MinInt32, "i": math.MaxUint32, "l": math.MinInt64}
	err = amqpproto.RawTable(raw).Each(func(key []byte, f amqpproto.Field) bool {
		n, isInt := f.Int()
		if want, ok := ints[string(key)]; ok != isInt || n != want {
			t.Errorf("%s: Int %d %t", key, n, isInt)
		}
		v, isBool := f.Bool()
		if isBool != (f.Type == 't') || v != (string(key) == "t") {
			t.Errorf("%s: Bool %t %t", key, v, isBool)
		}
		if _, ok := f.Bytes(); ok != (f.Type == 'S' || f.Type == 'x') {
			t.Errorf("%s: Bytes %t", key, ok)
		}
		if _, ok := f.Table(); ok != (f.Type == 'F') {
			t.Errorf("%s: Table %t", key, ok)
		}
		values := 0
		if err := f.Each(func(amqpproto.Field) bool { values++; return values < 3 }); err != nil {
			t.Errorf("%s: Each %v", key, err)
		}
		if want := map[string]int{"A": 3}[string(key)]; values != want {
			t.Errorf("%s: %d values, want %d", key, values, want)
		}
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	seen := 0
	if err := amqpproto.RawTable(raw).Each(func([]byte, amqpproto.Field) bool { seen++; return false }); err != nil || seen != 1 {
		t.Error("Each does not stop:", seen, err)
	}
	// A Field made by hand does not make a reader read past its octets.
	for typ := range 256 {
		for n := range 10 {
			f := amqpproto.Field{Type: byte(typ), Raw: make([]byte, n)}
			_, _ = f.Value()
			_, _ = f.Int()
			_, _ = f.Bool()
			_ = f.String()
			_ = f.Each(func(amqpproto.Field) bool { return true })
		}
	}
}

// randomTable makes tables of every type, nested.
func randomTable(rnd *rand.Rand, depth int) amqp.Table {
	t := amqp.Table{}
	for i := range rnd.IntN(8) {
		t[fmt.Sprint(i, strings.Repeat("k", rnd.IntN(5)))] = randomValue(rnd, depth)
	}
	return t
}

func randomValue(rnd *rand.Rand, depth int) any {
	kinds := 16
	if depth == 0 {
		kinds = 14
	}
	n := rnd.Uint64()
	switch rnd.IntN(kinds) {
	case 0:
		return n&1 == 0
	case 1:
		return int8(n)
	case 2:
		return uint8(n)
	case 3:
		return int16(n)
	case 4:
		return uint16(n)
	case 5:
		return int32(n)
	case 6:
		return uint32(n)
	case 7:
		return int64(n)
	case 8:
		return float32(int32(n))
	case 9:
		return float64(int64(n))
	case 10:
		return amqp.Decimal{Scale: uint8(n >> 32), Value: int32(n)}
	case 11:
		return strings.Repeat("s", int(n%300))
	case 12:
		return bytes.Repeat([]byte{byte(n >> 32)}, int(n%300))
	case 13:
		return time.Unix(int64(n), 0).UTC()
	case 14:
		return randomTable(rnd, depth-1)
	}
	list := []any{}
	for range rnd.IntN(4) {
		list = append(list, randomValue(rnd, depth-1))
	}
	return append(list, nil)
}

func TestRandomTables(t *testing.T) {
	for seed := range uint64(500) {
		want := randomTable(rand.New(rand.NewPCG(seed, 0)), 4)
		raw, err := amqpproto.AppendTable(nil, want)
		if err != nil {
			t.Fatal(seed, err)
		}
		have, err := amqpproto.RawTable(raw).Table()
		if err != nil || !reflect.DeepEqual(have, want) {
			t.Fatalf("seed %d: %v\nhave %v\nwant %v", seed, err, have, want)
		}
	}
}
