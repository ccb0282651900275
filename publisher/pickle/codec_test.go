package pickle_test

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

	"zamqp/publisher/pickle"
)

// python runs a Python 3 program, with Debian's python3, or skips the test.
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

// TestPicklesOfPython reads what Python's own pickle writes, in each protocol.
func TestPicklesOfPython(t *testing.T) {
	c := pickle.Codec{}
	large, _ := new(big.Int).SetString("123456789012345678901234567890", 10)
	rows := []struct {
		python string
		want   any
		upTo   int // protocol
	}{
		{"None", nil, 5},
		{"[True, False]", []any{true, false}, 5},
		{"[0, 1, -1, 255, 65536, -2147483648, 2147483648, 9007199254740993]",
			[]any{int64(0), int64(1), int64(-1), int64(255), int64(65536), int64(-2147483648), int64(2147483648), int64(9007199254740993)}, 5},
		{"123456789012345678901234567890", large, 5},
		{"1.5", 1.5, 5},
		{"'z\\u00fcrich \\U0001f600 \\n \\\\ end'", "zürich 😀 \n \\ end", 5},
		{"b'\\x00\\xff'", []byte{0, 0xff}, 5},
		{"bytearray(b'ab')", []byte("ab"), 5},
		{"(1, 'a', ())", []any{int64(1), "a", []any{}}, 5},
		{"{'a': {'b': [1]}, 'c': None}", map[string]any{"a": map[string]any{"b": []any{int64(1)}}, "c": nil}, 5},
		{"{1: 'x'}", map[any]any{int64(1): "x"}, 5},
		{"{7}", []any{int64(7)}, 5},
		{"frozenset([7])", []any{int64(7)}, 5},
		{"set()", []any{}, 5},
		{"(lambda x: [x, x])({'again'})", []any{[]any{"again"}, []any{"again"}}, 5},
		{"10 ** 700", new(big.Int).Exp(big.NewInt(10), big.NewInt(700), nil), 5},
		{"-10 ** 700", new(big.Int).Neg(new(big.Int).Exp(big.NewInt(10), big.NewInt(700), nil)), 5},
		{"-129", int64(-129), 5},
		{"b''", []byte{}, 5},
		{"'x' * 300", strings.Repeat("x", 300), 5},
		{"(lambda x: [x, x])('again')", []any{"again", "again"}, 5},
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
		text, err := pickle.Codec{}.Append([]byte("kept"), row.v)
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

// pickledBy returns what Python pickles, each expression in each protocol.
func pickledBy(t *testing.T, expressions []string) [][]byte {
	t.Helper()
	program := "import pickle, base64, datetime as d, decimal, uuid, collections as c, zoneinfo\n"
	for _, expression := range expressions {
		program += fmt.Sprintf("for p in range(6): print(base64.b64encode(pickle.dumps(%s, p)).decode())\n", expression)
	}
	var all [][]byte
	for line := range strings.FieldsSeq(string(python(t, program, nil))) {
		b, err := base64.StdEncoding.DecodeString(line)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, b)
	}
	return all
}

// TestClassesOfPython: instances of the classes that are data, as Python pickles
// them in each protocol.
func TestClassesOfPython(t *testing.T) {
	rows := []struct{ python, want string }{
		{"d.datetime(2024, 1, 2, 3, 4, 5, 6)", "2024-01-02 03:04:05.000006 +0000 UTC"},
		{"d.datetime(2024, 1, 2, 3, 4, 5, 6, d.timezone.utc)", "2024-01-02 03:04:05.000006 +0000 UTC"},
		{"d.datetime(2024, 1, 2, tzinfo=d.timezone(d.timedelta(hours=-5, minutes=-30)))", "2024-01-02 00:00:00 -0530 UTC-05:30"},
		{"d.datetime(2024, 1, 2, tzinfo=d.timezone(d.timedelta(hours=1), 'X'))", "2024-01-02 00:00:00 +0100 X"},
		{"d.datetime(2024, 7, 2, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin'))", "2024-07-02 00:00:00 +0200 CEST"},
		{"d.datetime(2024, 10, 27, 2, 30, tzinfo=zoneinfo.ZoneInfo('Europe/Berlin'))", "2024-10-27 02:30:00 +0200 CEST"},
		{"d.datetime(1, 1, 1)", "0001-01-01 00:00:00 +0000 UTC"},
		{"d.datetime(9999, 12, 31, 23, 59, 59, 999999)", "9999-12-31 23:59:59.999999 +0000 UTC"},
		{"d.date(2024, 2, 29)", "2024-02-29 00:00:00 +0000 UTC"},
		{"d.time(1, 2, 3)", "01:02:03"},
		{"d.time(1, 2, 3, 4, d.timezone(d.timedelta(hours=1)))", "01:02:03.000004+01:00"},
		{"d.time(23, 2, tzinfo=d.timezone.utc)", "23:02:00Z"},
		{"d.timedelta(1, 2, 3)", "24h0m2.000003s"},
		{"d.timedelta(-1)", "-24h0m0s"},
		{"decimal.Decimal('1.50')", "1.50"},
		{"decimal.Decimal('-1E+3')", "-1E+3"},
		{"decimal.Decimal('NaN')", "NaN"},
		{"uuid.UUID('12345678-1234-5678-9234-567812345678')", "12345678-1234-5678-9234-567812345678"},
		{"uuid.UUID(int=5)", "00000000-0000-0000-0000-000000000005"},
		{"(lambda u: [u, u])(uuid.UUID(int=5))", "[00000000-0000-0000-0000-000000000005 00000000-0000-0000-0000-000000000005]"},
		{"c.OrderedDict(b=1, a=[2])", "map[a:[2] b:1]"},
		{"c.defaultdict(list, a=[1])", "map[a:[1]]"},
		{"c.Counter('aab')", "map[a:2 b:1]"},
		{"c.deque([1, 2], 5)", "[1 2]"},
		{"{(d.date(2024, 1, 2)): {frozenset([frozenset([1])])}}", "map[2024-01-02 00:00:00 +0000 UTC:[[[1]]]]"},
	}
	expressions := make([]string, len(rows))
	for i, row := range rows {
		expressions[i] = row.python
	}
	pickles := pickledBy(t, expressions)
	for i, row := range rows {
		for protocol := range 6 {
			var got any
			text := pickles[6*i+protocol]
			if err := (pickle.Codec{}).Decode(text, &got); err != nil || fmt.Sprint(got) != row.want {
				t.Errorf("%s, protocol %d: %v, %v, want %s: %q", row.python, protocol, got, err, row.want, text)
			}
		}
	}
}

// TestZonesOfLibraries: time zones that are not Python's own, and old datetimes.
func TestZonesOfLibraries(t *testing.T) {
	const summer = "cdatetime\ndatetime\nC\x0a\x07\xe8\x07\x02\x00\x00\x00\x00\x00\x00"
	for _, row := range []struct{ name, pickle, want string }{
		{"pytz.UTC", summer + "cpytz\n_UTC\n)R\x86R.", "2024-07-02 00:00:00 +0000 UTC"},
		{"pytz.timezone", summer + "cpytz\n_p\n(VEurope/Berlin\nM\x20\x1cM\x10\x0eVCEST\ntR\x86R.", "2024-07-02 00:00:00 +0200 CEST"},
		{"dateutil, protocol 2", summer + "cdateutil.tz.tz\ntzutc\n)\x81\x86R.", "2024-07-02 00:00:00 +0000 UTC"},
		{"dateutil, protocol 0", summer + "ccopy_reg\n_reconstructor\n(cdateutil.tz.tz\ntzutc\ncdatetime\ntzinfo\np0\ng0\n(tRtR\x86R.", "2024-07-02 00:00:00 +0000 UTC"},
		{"Python 2", "cdatetime\ndatetime\np0\n(S'\\x07\\xe8\\x07\\x02\\x00\\x00\\x00\\x00\\x00\\x00'\ntR.", "2024-07-02 00:00:00 +0000 UTC"},
		{"the second 2:30 of that night", "cdatetime\ndatetime\nC\x0a\x07\xe8\x8a\x1b\x02\x1e\x00\x00\x00\x00czoneinfo\nZoneInfo\n(VEurope/Berlin\ntR\x86R.", "2024-10-27 02:30:00 +0100 CET"},
	} {
		var got any
		if err := (pickle.Codec{}).Decode([]byte(row.pickle), &got); err != nil || fmt.Sprint(got) != row.want {
			t.Errorf("%s: %v, %v", row.name, got, err)
		}
	}
}

// TestClassesIntoStruct: typed values are filled as JSON would fill them.
func TestClassesIntoStruct(t *testing.T) {
	text := pickledBy(t, []string{"{'at': d.datetime(2024, 1, 2, tzinfo=d.timezone.utc), 'for': d.timedelta(seconds=90), 'price': decimal.Decimal('1.10')," +
		" 'tags': {'a'}, 'id': uuid.UUID(int=5), 'names': {1: 'one', 2: 'two'}}"})
	for protocol, text := range text {
		var got struct {
			At    time.Time
			For   time.Duration
			Price float64
			Tags  []string
			ID    string
			Names map[int]string
		}
		err := pickle.Codec{}.Decode(text, &got)
		if err != nil || fmt.Sprint(got) != "{2024-01-02 00:00:00 +0000 UTC 1m30s 1.1 [a] 00000000-0000-0000-0000-000000000005 map[1:one 2:two]}" {
			t.Errorf("protocol %d: %v, %v", protocol, got, err)
		}
	}
}

func TestPickleIntoStruct(t *testing.T) {
	text, err := pickle.Codec{}.Append(nil, map[string]any{"id": "a", "n": 3, "raw": []byte("xy")})
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		ID  string
		N   int
		Raw []byte
	}
	if err := (pickle.Codec{}).Decode(text, &got); err != nil || got.ID != "a" || got.N != 3 || string(got.Raw) != "xy" {
		t.Errorf("%+v, %v", got, err)
	}
}

// TestNoPickleRuns: a pickle that would run code in Python, ask for something outside, or
// take all memory, is an error.
func TestNoPickleRuns(t *testing.T) {
	deep := strings.Repeat("(", 1000) + strings.Repeat("l", 1000) + "."
	bomb := "(lp0\n"
	for i := range 40 {
		bomb += "(g" + jsonText(i) + "\ng" + jsonText(i) + "\nlp" + jsonText(i+1) + "\n"
	}
	for name, text := range map[string]string{
		"reduce":                     "cos\nsystem\n(S'true'\ntR.",
		"class":                      "cbuiltins\neval\n.",
		"instance":                   "(S'true'\nios\nsystem\n.",
		"build":                      "ccopy_reg\n_reconstructor\n}b.",
		"newobj":                     "\x80\x02cdatetime\ndate\n)\x81.",
		"persistent":                 "P12\n.",
		"extension":                  "\x80\x02\x82\x01.",
		"empty":                      "",
		"no stop":                    "I1\n",
		"trailing":                   "I1\n.x",
		"cut":                        "\x80\x04\x95",
		"claims too much":            "T\xff\xff\xff\xffabc.",
		"deep":                       deep,
		"long number":                "L" + strings.Repeat("9", 100000) + "L\n.",
		"laughs":                     bomb + ".",
		"underflow":                  "R.",
		"unhashable":                 "(dp0\n(l(ls.",
		"holds itself":               "(dp0\nS'a'\ng0\ns.",
		"a decimal that is none":     "cdecimal\nDecimal\n(S'1;'\ntR.",
		"a subclass":                 "\x80\x02cshop\nDate\nC\x04\x07\xe8\x01\x02\x85R.",
		"a name alone":               "cdatetime\ndate\n.",
		"a name in a list":           "(cdatetime\ndate\nl.",
		"getattr":                    "cbuiltins\ngetattr\n(cdatetime\ndate\nS'today'\ntR(tR.",
		"getattr of a zone":          "cbuiltins\ngetattr\n(czoneinfo\nZoneInfo\nS'__init__'\ntR(S'UTC'\ntR.",
		"a call of a set":            "cbuiltins\nset\n((ltR(tR.",
		"int":                        "cbuiltins\nint\n(S'7'\ntR.",
		"a date that is none":        "cdatetime\ndate\n(C\x04\x07\xe8\x02\x1etR.",
		"a date of the wrong length": "cdatetime\ndate\n(C\x03\x07\xe8\x02tR.",
		"an hour 24":                 "cdatetime\ntime\n(C\x06\x18\x00\x00\x00\x00\x00tR.",
		"a zone that is none":        "cdatetime\ndatetime\n(C\x0a\x07\xe8\x01\x02\x00\x00\x00\x00\x00\x00S'UTC'\ntR.",
		"a zone in a file":           "cpytz\n_p\n(S'../../etc/passwd'\ntR.",
		"the server's zone":          "cpytz\n_p\n(S'Local'\ntR.",
		"an offset of a day":         "cdatetime\ntimezone\n(cdatetime\ntimedelta\n(I1\nI0\nI0\ntRtR.",
		"a long timedelta":           "cdatetime\ntimedelta\n(I200000\nI0\nI0\ntR.",
		"a uuid of 129 bits":         "\x80\x02cuuid\nUUID\n)\x81}S'int'\n\x8a\x11\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01sb.",
		"a uuid without a state":     "\x80\x02cuuid\nUUID\n)\x81.",
		"a buffer":                   "\x80\x05\x97.",
		"protocol 6":                 "\x80\x06N.",
		"a mark that is none":        "e.", "an odd dict": "(S'a'\nd.", "an odd dict in parts": "}(S'a'\nu.", "below a mark": "](0S'a'\n(a.",
		"a set of a list": "](I1\n\x90.", "items of a tuple": "(t(I1\ne.", "a memo that is empty": "g5\n.", "a state of a list": "]}b.",
		"a long promise": "\x8e\xff\xff\xff\xff\xff\xff\xff\xffx.", "a long number in octets": "\x8b\x00\x10\x00\x00" + strings.Repeat("\x01", 4096) + ".",
		"a list that holds itself": "]q\x00h\x00a.", "marks alone": strings.Repeat("(", 5<<20),
		"stack global":       "\x80\x04\x8c\x02os\x8c\x06system\x93.",
		"codecs, wrong args": "c_codecs\nencode\n(I1\nS'latin1'\ntR.",
	} {
		var v any
		if err := (pickle.Codec{}).Decode([]byte(text), &v); err == nil {
			t.Errorf("%s: read as %#v", name, v)
		}
	}
	ring := map[string]any{}
	ring["self"] = ring
	for _, v := range []any{ring, make(chan int), func() {}} {
		if _, err := (pickle.Codec{}).Append(nil, v); err == nil {
			t.Errorf("%T was written", v)
		}
	}
}

func jsonText(i int) string { b, _ := json.Marshal(i); return string(b) }

func FuzzPickle(f *testing.F) {
	for _, seed := range []string{"I1\n.", "(lp0\nI1\na.", "(dp0\nS'a'\nF1.5\ns.", "\x80\x04\x95\x05\x00\x00\x00\x00\x00\x00\x00K\x01\x85\x94.",
		"c_codecs\nencode\n(V\u00ff\nVlatin1\ntR.", "cbuiltins\nset\n((lI1\natR.", "\x80\x04\x8f\x94(K\x01\x90.", "\x80\x02cuuid\nUUID\n)\x81}S'int'\nI5\nsb.",
		"cdatetime\ndatetime\n(C\x0a\x07\xe8\x8a\x1b\x02\x1e\x00\x00\x00\x00czoneinfo\nZoneInfo\n(VEurope/Berlin\ntRtR.", "cdatetime\ntime\n(C\x06\x01\x02\x03\x00\x00\x01tR.",
		"cdecimal\nDecimal\n(V1.50\ntR.", "ccollections\nOrderedDict\n(tRVa\nI1\ns.", "cdatetime\ntimedelta\n(I1\nI2\nI3\ntR.", "\x8b\x02\x00\x00\x00\xff\x7f."} {
		f.Add([]byte(seed))
	}
	c := pickle.Codec{}
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
