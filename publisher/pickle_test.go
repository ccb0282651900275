package publisher_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math/big"
	"os/exec"
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

// python runs a Python 3 program, as Debian has it, or skips the test.
func python(t *testing.T, program string, stdin []byte) []byte {
	t.Helper()
	if _, err := exec.LookPath("python3"); err != nil {
		t.Skip("python3 is not installed")
	}
	cmd := exec.Command("python3", "-c", program)
	cmd.Stdin = bytes.NewReader(stdin)
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v: %s", err, errs.String())
	}
	return out
}

func pickleCodec(t *testing.T) publisher.Codec {
	t.Helper()
	c, err := publisher.FindCodec("pickle")
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestPicklesOfPython reads what Python's own pickle writes, in each protocol.
func TestPicklesOfPython(t *testing.T) {
	c := pickleCodec(t)
	large, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	rows := []struct {
		python string
		want   any
		upTo   int // protocol
	}{
		{"None", nil, 4},
		{"[True, False]", []any{true, false}, 4},
		{"[0, 1, -1, 255, 65536, -2147483648, 2147483648, 9007199254740993]",
			[]any{int64(0), int64(1), int64(-1), int64(255), int64(65536), int64(-2147483648), int64(2147483648), int64(9007199254740993)}, 4},
		{"123456789012345678901234567890", large, 4},
		{"1.5", 1.5, 4},
		{"'z\\u00fcrich \\U0001f600 \\n \\\\ end'", "zürich 😀 \n \\ end", 4},
		{"b'\\x00\\xff'", []byte{0, 0xff}, 4},
		{"bytearray(b'ab')", []byte("ab"), 4},
		{"(1, 'a', ())", []any{int64(1), "a", []any{}}, 4},
		{"{'a': {'b': [1]}, 'c': None}", map[string]any{"a": map[string]any{"b": []any{int64(1)}}, "c": nil}, 4},
		{"{1: 'x'}", map[any]any{int64(1): "x"}, 4},
		{"{7}", []any{int64(7)}, 3},
		{"(lambda x: [x, x])('again')", []any{"again", "again"}, 4},
	}
	program := "import pickle, base64\n" // one process: each takes its time to start
	for _, row := range rows {
		for protocol := 0; protocol <= row.upTo; protocol++ {
			program += fmt.Sprintf("print(base64.b64encode(pickle.dumps(%s, %d)).decode())\n", row.python, protocol)
		}
	}
	lines := strings.Fields(string(python(t, program, nil)))
	for _, row := range rows {
		for protocol := 0; protocol <= row.upTo; protocol++ {
			text, err := base64.StdEncoding.DecodeString(lines[0])
			if err != nil {
				t.Fatal(err)
			}
			lines = lines[1:]
			var got any
			if err := c.Decode(text, &got); err != nil {
				t.Errorf("%s, protocol %d: %v: %q", row.python, protocol, err, text)
				continue
			}
			if !reflect.DeepEqual(got, row.want) {
				t.Errorf("%s, protocol %d: %#v, want %#v", row.python, protocol, got, row.want)
			}
		}
	}
}

// TestPicklesForPython lets Python read what we write.
func TestPicklesForPython(t *testing.T) {
	type inner struct {
		When time.Time `json:"when"`
		Skip int       `json:"-"`
	}
	large, _ := new(big.Int).SetString("-123456789012345678901234567890", 10)
	rows := []struct {
		v    any
		want string // Python's repr
	}{
		{nil, "None"},
		{true, "True"},
		{-5, "-5"},
		{uint64(1<<64 - 1), "18446744073709551615"},
		{large, "-123456789012345678901234567890"},
		{2.5, "2.5"},
		{"zürich \\ \n 😀", `'zürich \\ \n 😀'`},
		{[]byte{0, 255}, `b'\x00\xff'`},
		{[]any{1, "a", nil}, `[1, 'a', None]`},
		{[2]int{1, 2}, `[1, 2]`},
		{map[string]int{"a": 1}, `{'a': 1}`},
		{map[int]string{1: "x"}, `{1: 'x'}`},
		{struct {
			Name  string `json:"name"`
			Inner *inner `json:"inner"`
			Empty string `json:"empty,omitempty"`
		}{"n", &inner{When: time.Unix(0, 0).UTC()}, ""}, `{'inner': {'when': '1970-01-01T00:00:00Z'}, 'name': 'n'}`},
	}
	var all []byte
	for _, row := range rows {
		text, err := pickleCodec(t).Append([]byte("kept"), row.v)
		if err != nil {
			t.Fatalf("%v: %v", row.v, err)
		}
		all = append(all, bytes.TrimPrefix(text, []byte("kept"))...) // one stream holds several
	}
	got := python(t, `import pickle, sys
while sys.stdin.buffer.peek(1):
    v = pickle.load(sys.stdin.buffer)
    if isinstance(v, dict): v = dict(sorted(v.items()))
    sys.stdout.buffer.write(repr(v).encode() + b"\n")`, all)
	for i, line := range strings.Split(strings.TrimSpace(string(got)), "\n") {
		if line != rows[i].want {
			t.Errorf("%v: %s, want %s", rows[i].v, line, rows[i].want)
		}
	}
}

func TestPickleIntoStruct(t *testing.T) {
	text, err := pickleCodec(t).Append(nil, map[string]any{"id": "a", "n": 3, "raw": []byte("xy")})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID  string
		N   int
		Raw []byte
	}
	if err := pickleCodec(t).Decode(text, &got); err != nil || got.ID != "a" || got.N != 3 || string(got.Raw) != "xy" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestNoPickleRuns: what would run code in Python, ask for something outside, or
// take all memory, is an error.
func TestNoPickleRuns(t *testing.T) {
	deep := strings.Repeat("(", 1000) + strings.Repeat("l", 1000) + "."
	bomb := "(lp0\n"
	for i := range 40 {
		bomb += "(g" + jsonText(i) + "\ng" + jsonText(i) + "\nlp" + jsonText(i+1) + "\n"
	}
	for name, text := range map[string]string{
		"reduce":             "cos\nsystem\n(S'true'\ntR.",
		"class":              "cbuiltins\neval\n.",
		"instance":           "(S'true'\nios\nsystem\n.",
		"build":              "ccopy_reg\n_reconstructor\n}b.",
		"newobj":             "\x80\x02cdatetime\ndate\n)\x81.",
		"persistent":         "P12\n.",
		"extension":          "\x80\x02\x82\x01.",
		"empty":              "",
		"no stop":            "I1\n",
		"trailing":           "I1\n.x",
		"cut":                "\x80\x04\x95",
		"claims too much":    "T\xff\xff\xff\xffabc.",
		"deep":               deep,
		"long number":        "L" + strings.Repeat("9", 100000) + "L\n.",
		"laughs":             bomb + ".",
		"underflow":          "R.",
		"unhashable":         "(dp0\n(l(ls.",
		"holds itself":       "(dp0\nS'a'\ng0\ns.",
		"decimal.Decimal":    "cdecimal\nDecimal\n(S'1'\ntR.",
		"stack global":       "\x80\x04\x8c\x02os\x8c\x06system\x93.",
		"codecs, wrong args": "c_codecs\nencode\n(I1\nS'latin1'\ntR.",
	} {
		var v any
		if err := pickleCodec(t).Decode([]byte(text), &v); err == nil {
			t.Errorf("%s: read as %#v", name, v)
		}
	}
	ring := map[string]any{}
	ring["self"] = ring
	for _, v := range []any{ring, make(chan int), func() {}} {
		if _, err := pickleCodec(t).Append(nil, v); err == nil {
			t.Errorf("%T was written", v)
		}
	}
}

func jsonText(i int) string { b, _ := json.Marshal(i); return string(b) }

func FuzzPickle(f *testing.F) {
	for _, seed := range []string{"I1\n.", "(lp0\nI1\na.", "(dp0\nS'a'\nF1.5\ns.", "\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00K\x01\x85\x94.",
		"c_codecs\nencode\n(V\u00ff\nVlatin1\ntR.", "cbuiltins\nset\n((lI1\natR."} {
		f.Add([]byte(seed))
	}
	c, err := publisher.FindCodec("pickle")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		var v any
		if err := c.Decode(b, &v); err != nil {
			return
		}
		again, err := c.Append(nil, v)
		if err != nil {
			return // a dict with a tuple inside a key, say
		}
		var w any
		if err := c.Decode(again, &w); err != nil {
			t.Fatalf("%q was read, and written as %q: %v", b, again, err)
		}
	})
}
