package publisher_test

import (
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

type row struct {
	Name   string  `json:"name"`
	Amount float64 `csv:"amount"`
	secret int
}

// decodeAs sends a body through a server and decodes it into v.
func decodeAs(t *testing.T, contentType, body string, v any) error {
	t.Helper()
	b := newBench(t)
	var err error
	b.reg.Handle("/", func(r *publisher.Request) error { err = r.Decode(v); return nil })
	b.start(publisher.Options{})
	b.request("POST", "/", contentType, body)
	for len(b.work) > 0 { // a large body is decoded apart from the loop
		b.offloaded()
	}
	return err
}

// encodeAs publishes v by a codec and returns content type and body.
func encodeAs(t *testing.T, codec string, v any) (contentType, body string, err error) {
	t.Helper()
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{Codec: codec})
	b.reg.Handle("/", func(r *publisher.Request) error { err = r.Publish("out", v); return nil })
	b.start(publisher.Options{})
	b.request("POST", "/", "", "")
	if err != nil {
		return "", "", err
	}
	return b.sent[0].props.ContentType, b.sent[0].body, nil
}

// pointing is a row whose fields may be missing.
type pointing struct {
	N  *int
	At *time.Time
}

func TestCSVReadsIntoPointers(t *testing.T) {
	var rows []pointing
	if err := decodeAs(t, "text/csv", "N,At\r\n7,\r\n,\r\n", &rows); err != nil || *rows[0].N != 7 || rows[0].At != nil || rows[1].N != nil {
		t.Errorf("%+v, %v", rows, err)
	}
}

func TestCodecsEncode(t *testing.T) {
	number := 7
	for _, r := range []struct {
		codec, contentType string
		v                  any
		body, err          string
	}{
		{"json", "application/json", map[string]int{"a": 1}, `{"a":1}`, ""},
		{"", "application/json", "text", `"text"`, ""},
		{"json", "application/json", []byte(`{"ready": 1}`), `{"ready": 1}`, ""},
		{"json", "", make(chan int), "", "unsupported type"},
		{"text", "text/plain", "héllo", "héllo", ""},
		{"text", "text/plain", 42, "42", ""},
		{"text", "", struct{}{}, "", "cannot encode a struct"},
		{"msgpack", "application/x-msgpack", map[string]int{"a": 1}, "\x81\xa1a\x01", ""},
		{"csv", "text/csv", [][]string{{"a", `b"c`}, {"", "x,y"}}, "\"a\",\"b\"\"c\"\r\n\"\",\"x,y\"\r\n", ""},
		{"csv", "text/csv", []map[string]any{{"b": 1, "a": "x"}, {"a": "y"}}, "\"a\",\"b\"\r\n\"x\",\"1\"\r\n\"y\",\"\"\r\n", ""},
		{"csv", "", []map[string]string{{"a": "1"}, {"b": "2"}}, "", "row 2 has a key"},
		{"csv", "", []map[string]string{}, "", "no rows"},
		{"csv", "text/csv", []row{{"n", 1.5, 0}}, "\"name\",\"amount\"\r\n\"n\",\"1.5\"\r\n", ""},
		{"csv", "", 5, "", "cannot encode a int"},
		{"csv", "text/csv", []map[string]any{{"a": nil, "b": []byte("x"), "c": &number}}, "\"a\",\"b\",\"c\"\r\n\"\",\"x\",\"7\"\r\n", ""},
		{"csv", "text/csv", []pointing{{&number, nil}, {}}, "\"N\",\"At\"\r\n\"7\",\"\"\r\n\"\",\"\"\r\n", ""},
	} {
		contentType, body, err := encodeAs(t, r.codec, r.v)
		if r.err != "" {
			if err == nil || !strings.Contains(err.Error(), r.err) {
				t.Errorf("%s %T: error %v, want %q", r.codec, r.v, err, r.err)
			}
			continue
		}
		if err != nil || contentType != r.contentType || body != r.body {
			t.Errorf("%s %T: %s %q %v, want %s %q", r.codec, r.v, contentType, body, err, r.contentType, r.body)
		}
	}
}

func TestCodecsDecode(t *testing.T) {
	for _, r := range []struct {
		contentType, body string
		into              any
		want              string // as %v prints it
		err               string
	}{
		{"application/json", `{"a":1}`, &map[string]int{}, "map[a:1]", ""},
		{"application/json; charset=UTF-8", `5`, new(int), "5", ""},
		{"application/x-json", `5`, new(int), "5", ""},
		{"application/problem+json", `5`, new(int), "5", ""},
		{"Application/JSON", `5`, new(int), "5", ""},
		{"json", `5`, new(int), "5", ""},
		{"application/json", `5 6`, new(int), "", "no valid application/json"},
		{"application/json; charset=shift_jis", `5`, new(int), "", "charset shift_jis"},
		{"application/octet-stream", `5`, new(int), "", "no codec"},
		{"", `5`, new(int), "", "missing"},
		{";;", `5`, new(int), "", "no codec"},
		{"text/plain", "x", new(string), "x", ""},
		{"text/plain", "x", new([]byte), "[120]", ""},
		{"text/plain", "x", new(int), "", "cannot decode into a *int"},
		{"text/csv", "a,b\n1,\"x\"\"y\"\n", &[]map[string]string{}, `[map[a:1 b:x"y]]`, ""},
		{"text/csv", "a,b\r\n1,2\r\n", &[][]string{}, "[[a b] [1 2]]", ""},
		{"text/csv", "name,amount,more\nn,1.5,z\nm,,z\n", &[]row{}, "[{n 1.5 0} {m 0 0}]", ""},
		{"text/csv", "amount\nx\n", &[]row{}, "", "row 1, amount"},
		{"text/csv", "", &[]row{}, "", "header"},
		{"text/csv", "a\n\"", &[]row{}, "", "no valid text/csv"},
		{"application/msgpack", "\x05", new(int), "5", ""},
		{"application/x-msgpack", "\x05\x06", new(int), "", "1 octets follow"},
		{"application/x-msgpack", "\xdf\xff\xff\xff\xff", &map[string]int{}, "", "no valid application/x-msgpack"},
	} {
		err := decodeAs(t, r.contentType, r.body, r.into)
		if r.err != "" {
			if err == nil || !strings.Contains(err.Error(), r.err) || !publisher.IsPermanent(err) {
				t.Errorf("%q %q: error %v, want %q", r.contentType, r.body, err, r.err)
			}
			continue
		}
		if got := fmt.Sprint(reflect.ValueOf(r.into).Elem().Interface()); err != nil || got != r.want {
			t.Errorf("%q %q: %s, %v, want %s", r.contentType, r.body, got, err, r.want)
		}
	}
}

func TestConsumersCodecReadsWhatHasNoContentType(t *testing.T) {
	b := newBench(t)
	var got int
	b.reg.Consume("c", publisher.Consumer{Codec: "json"}, func(r *publisher.Request) error { return r.Decode(&got) })
	b.start(publisher.Options{})
	b.message("c", 1, publisher.Publishing{Body: []byte("17")})
	if got != 17 {
		t.Errorf("%d, %+v", got, b.last())
	}
}

func TestRegisterCodecRefusesATakenName(t *testing.T) {
	defer func() {
		if text := fmt.Sprint(recover()); !strings.Contains(text, `"json"`) {
			t.Errorf("panic %q", text)
		}
	}()
	publisher.RegisterCodec(upper{}, "json")
}

type upper struct{}

func (upper) ContentType() string                      { return "text/x-upper" }
func (upper) Append(dst []byte, v any) ([]byte, error) { return dst, nil }
func (upper) Decode([]byte, any) error                 { return nil }

// TestHostileMsgpack: these bodies would end the process, by its stack or its memory, if the
// decoder got them unchecked.
func TestHostileMsgpack(t *testing.T) {
	deep := strings.Repeat("\x91", 7<<20) + "\xc0"
	for _, r := range []struct{ name, body, want string }{
		{"deep array", deep, "nested"},
		{"deep array in a field that nobody wants", "\x81\xa1x" + deep, "nested"},
		{"deep map keys", strings.Repeat("\x81", 7<<20), "nested"},
		{"huge array", "\xdd\x7f\xff\xff\xff", "cut short"},
		{"huge array in an array", "\x92\xdd\x00\x00\x00\x02\x01", "cut short"},
		{"huge map", "\xdf\xff\xff\xff\xff", "cut short"},
		{"huge string", "\xdb\xff\xff\xff\xffx", "cut short"},
		{"reserved code", "\xc1", "c1"},
		{"two values", "\x01\x02", "1 octets follow"},
		{"nothing", "", "cut short"},
	} {
		var v any
		var s struct{ Name string }
		for _, v := range []any{&v, &s} {
			if err := decodeAs(t, "application/x-msgpack", r.body, v); err == nil || !strings.Contains(err.Error(), r.want) {
				t.Errorf("%s into %T: %v", r.name, v, err)
			}
		}
	}
}

// TestEveryMsgpackFormat: no valid format of a value is refused.
func TestEveryMsgpackFormat(t *testing.T) {
	for _, value := range []string{
		"\x7f", "\xe0", "\xc0", "\xc2", "\xc3", "\xcc\xff", "\xcd\xff\xff", "\xce\xff\xff\xff\xff", "\xcf\x00\xff\xff\xff\xff\xff\xff\xff",
		"\xd0\x80", "\xd1\x80\x00", "\xd2\x80\x00\x00\x00", "\xd3\x80\x00\x00\x00\x00\x00\x00\x00", "\xca\x00\x00\x00\x00", "\xcb\x00\x00\x00\x00\x00\x00\x00\x00",
		"\xa1s", "\xd9\x01s", "\xda\x00\x01s", "\xdb\x00\x00\x00\x01s", "\xc4\x01b", "\xc5\x00\x01b", "\xc6\x00\x00\x00\x01b",
		"\x80", "\x81\xa1k\x01", "\xde\x00\x01\xa1k\x01", "\xdf\x00\x00\x00\x01\xa1k\x01", "\x90", "\x91\x01", "\xdc\x00\x01\x01", "\xdd\x00\x00\x00\x01\x01",
		"\xd6\xff\x00\x00\x00\x01", "\xd7\xff\x00\x00\x00\x00\x00\x00\x00\x01", "\xc7\x0c\xff\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01",
	} {
		var v []any
		if err := decodeAs(t, "application/x-msgpack", "\x92"+value+"\x05", &v); err != nil || len(v) != 2 || fmt.Sprint(v[1]) != "5" {
			t.Errorf("%x: %v, %v", value, v, err)
		}
	}
	for _, ext := range []string{"\xd4\x01x", "\xd5\x01xx", "\xd8\x010123456789abcdef", "\xc8\x00\x01\x01x", "\xc9\x00\x00\x00\x01\x01x"} {
		var s struct{ B int }
		if err := decodeAs(t, "application/x-msgpack", "\x82\xa1A"+ext+"\xa1B\x05", &s); err != nil || s.B != 5 {
			t.Errorf("%x: %v, %v", ext, s, err)
		}
	}
}

func TestCSVNumbersAreReadWhole(t *testing.T) {
	for _, text := range []string{"12abc", "1.5", "1 2", "abc"} {
		var rows []struct{ N int }
		if err := decodeAs(t, "text/csv", "N\r\n"+text+"\r\n", &rows); err == nil {
			t.Errorf("%q was read as %v", text, rows)
		}
	}
	var rows []struct {
		N int
		F float64
		B bool
	}
	if err := decodeAs(t, "text/csv", "N,F,B\r\n-12,1.5,true\r\n", &rows); err != nil || rows[0].N != -12 || rows[0].F != 1.5 || !rows[0].B {
		t.Errorf("%v, %v", rows, err)
	}
}
