package publisher_test

import (
	"bytes"
	"compress/flate"
	"compress/zlib"
	"errors"
	"fmt"
	"io"
	"net/http"
	"runtime"
	"strings"
	"testing"

	"github.com/andybalholm/brotli"
	"github.com/klauspost/compress/zstd"

	"zamqp/publisher"
)

// compressed is text by a writer of some compression.
func compressed(t testing.TB, text string, open func(io.Writer) io.WriteCloser) []byte {
	t.Helper()
	var b bytes.Buffer
	z := open(&b)
	if _, err := io.WriteString(z, text); err != nil {
		t.Fatal(err)
	}
	if err := z.Close(); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func zlibWriter(w io.Writer) io.WriteCloser   { return zlib.NewWriter(w) }
func brotliWriter(w io.Writer) io.WriteCloser { return brotli.NewWriter(w) }

func flateWriter(w io.Writer) io.WriteCloser {
	z, _ := flate.NewWriter(w, flate.BestCompression)
	return z
}

func zstdWriter(w io.Writer) io.WriteCloser {
	z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1))
	return z
}

// bzip2 of {"a": 1}, by Python: Go's library only reads it.
const bzipped = "BZh91AY&SY\xd6Mjy\x00\x00\x03\x19\x80P\x00 \x10 \x00\x00\n \x00\"\x18\x02\x18\x04\xe2}n\x17rE8P\x90\xd6Mjy"

// bzipBomb is 8 MiB of zeros.
const bzipBomb = "\x42\x5a\x68\x39\x31\x41\x59\x26\x53\x59\xa2\x3d\x4b\x58\x00\x40\x40\x40\x80\xc0\x00\x00\x04\x00\x08\x20\x00\x30\xcc\x05\x29\xa6\x01\x00\xd8\x80\x80\x78\xbb\x92\x29\xc2\x84\x85\x11\xea\x5a\xc0"

// xzipped starts as what Python's lzma writes.
const xzipped = "\xfd7zXZ\x00\x00\x04\xe6\xd6\xb4F"

// deliver gives a message to a consumer that decodes it into v.
func deliver(t *testing.T, k publisher.Consumer, options publisher.Options, p publisher.Publishing, v any) error {
	t.Helper()
	b := newBench(t)
	var err error
	b.reg.Consume("c", k, func(r *publisher.Request) error { err = r.Decode(v); return nil })
	b.start(options)
	b.message("c", 1, p)
	for len(b.work) > 0 { // a large body is decoded apart from the loop
		b.offloaded()
	}
	return err
}

// TestClientsDefaults: messages with the default settings of other people's clients are
// decoded; the consumer needs to set a codec at most.
func TestClientsDefaults(t *testing.T) {
	const object = `{"a": 1}`
	pickled := "\x80\x04\x95\n\x00\x00\x00\x00\x00\x00\x00}\x94\x8c\x01a\x94K\x01s."
	celery := `[[1, "two"], {"three": 3}, {"callbacks": null, "errbacks": null, "chain": null, "chord": null}]`
	kombuGzip := string(compressed(t, object, zlibWriter))
	for _, row := range []struct {
		client string
		codec  string
		p      publisher.Publishing
		body   string
		want   string
	}{
		{"kombu, a dict", "", publisher.Publishing{ContentType: "application/json", ContentEncoding: "utf-8"}, object, "map[a:1]"},
		{"kombu, a str", "", publisher.Publishing{ContentType: "text/plain", ContentEncoding: "utf-8"}, "Grüße", "Grüße"},
		{"kombu, bytes", "json", publisher.Publishing{ContentType: "application/data", ContentEncoding: "binary"}, object, "map[a:1]"},
		{"kombu, pickle", "", publisher.Publishing{ContentType: "application/x-python-serialize", ContentEncoding: "binary"}, pickled, "map[a:1]"},
		{"kombu, msgpack", "", publisher.Publishing{ContentType: "application/x-msgpack", ContentEncoding: "binary"}, "\x81\xa1a\x01", "map[a:1]"},
		{"kombu, compression=gzip or zlib", "", publisher.Publishing{ContentType: "application/json", ContentEncoding: "utf-8",
			Headers: publisher.Table{"compression": "application/x-gzip"}}, kombuGzip, "map[a:1]"},
		{"kombu, compression=bzip2", "", publisher.Publishing{ContentType: "application/json", ContentEncoding: "utf-8",
			Headers: publisher.Table{"compression": "application/x-bz2"}}, bzipped, "map[a:1]"},
		{"kombu, compression=zstd", "", publisher.Publishing{ContentType: "application/json", ContentEncoding: "utf-8",
			Headers: publisher.Table{"compression": "application/zstd"}}, string(compressed(t, object, zstdWriter)), "map[a:1]"},
		{"kombu, compression=brotli", "", publisher.Publishing{ContentType: "application/json", ContentEncoding: "utf-8",
			Headers: publisher.Table{"compression": "application/x-brotli"}}, string(compressed(t, object, brotliWriter)), "map[a:1]"},
		{"py-amqp, a str", "json", publisher.Publishing{ContentEncoding: "utf-8"}, object, "map[a:1]"},
		{"py-amqp, bytes", "json", publisher.Publishing{}, object, "map[a:1]"},
		{"pika", "json", publisher.Publishing{}, object, "map[a:1]"},
		{"amqplib of npm", "json", publisher.Publishing{Headers: publisher.Table{}}, object, "map[a:1]"},
		{"php-amqplib", "json", publisher.Publishing{}, object, "map[a:1]"},
		{"bunny", "json", publisher.Publishing{ContentType: "application/octet-stream", DeliveryMode: 2}, object, "map[a:1]"},
		{"Celery, task protocol 2", "", publisher.Publishing{ContentType: "application/json", ContentEncoding: "utf-8", DeliveryMode: 2,
			Headers: publisher.Table{"lang": "py", "task": "shop.add", "id": "1f0c", "root_id": "1f0c", "parent_id": nil, "group": nil, "argsrepr": "(1, 'two')",
				"kwargsrepr": "{'three': 3}", "origin": "gen1@host", "ignore_result": false, "retries": int64(0), "eta": nil, "expires": nil, "timelimit": []any{nil, nil}}},
			celery, "[[1 two] map[three:3] map[callbacks:<nil> chain:<nil> chord:<nil> errbacks:<nil>]]"},
		{"Celery, bytes as base64 in its own JSON", "", publisher.Publishing{ContentType: "application/json", ContentEncoding: "utf-8"}, `[[], {}, {}]`, "[[] map[] map[]]"},
		{"Spring's converter", "", publisher.Publishing{ContentType: "application/json", ContentEncoding: "UTF-8", Headers: publisher.Table{"__TypeId__": "java.util.Map"}}, object, "map[a:1]"},
		{"EasyNetQ", "", publisher.Publishing{ContentType: "application/json", DeliveryMode: 2, Type: "Shop.Order, Shop"}, object, "map[a:1]"},
	} {
		var got any
		row.p.Body = []byte(row.body)
		err := deliver(t, publisher.Consumer{Codec: row.codec}, publisher.Options{}, row.p, &got)
		if err != nil || fmt.Sprint(got) != row.want {
			t.Errorf("%s: %v, %v, want %s", row.client, got, err, row.want)
		}
	}
}

func TestContentEncodings(t *testing.T) {
	text := "Grüße, 5 €"
	gz := string(packed(t, text))
	for _, row := range []struct{ encoding, header, body, err string }{
		{"", "", text, ""},
		{"identity", "", text, ""}, {"binary", "", text, ""}, {"7bit", "", text, ""}, {" 8BIT ", "", text, ""}, {"none", "", text, ""},
		{"utf-8", "", text, ""}, {"UTF-8", "", text, ""}, {"utf8", "", text, ""}, {"us-ascii", "", "plain", ""}, {"ascii", "", "plain", ""},
		{"utf-8", "", "\xef\xbb\xbf" + text, ""},
		{"iso-8859-1", "", "Gr\xfc\xdfe", ""}, {"ISO8859-1", "", "Gr\xfc\xdfe", ""}, {"latin-1", "", "Gr\xfc\xdfe", ""},
		{"iso-8859-15", "", "Gr\xfc\xdfe, 5 \xa4", ""}, {"windows-1252", "", "Gr\xfc\xdfe, 5 \x80", ""}, {"cp1252", "", "Gr\xfc\xdfe, 5 \x80", ""},
		{"utf-16", "", "\xfe\xff\x00G\x00r\x00\xfc\x00\xdf\x00e", ""}, {"utf-16", "", "\xff\xfeG\x00r\x00\xfc\x00\xdf\x00e\x00", ""},
		{"utf-16", "", "\x00G\x00r\x00\xfc\x00\xdf\x00e", ""}, {"utf-16", "", "G\x00r\x00\xfc\x00\xdf\x00e\x00", ""},
		{"utf-16le", "", "G\x00r\x00\xfc\x00\xdf\x00e\x00", ""}, {"utf_16_be", "", "\x00G\x00r\x00\xfc\x00\xdf\x00e", ""},
		{"utf-16", "", "\xff\xfe\xfd\xff", ""}, // U+FFFD itself
		{"utf-32", "", "\xff\xfe\x00\x00G\x00\x00\x00", ""},
		{"utf-16", "", "\xff\xfe\x00\xd8", "no character"}, {"utf-16", "", "\xff\xfeG", "no character"},
		{"windows-1252", "", "\x81", "no character"},
		{"gzip", "", gz, ""}, {"X-GZIP", "", gz, ""}, {"gzip, utf-8", "", gz, ""}, {"utf-8,gzip", "", gz, ""},
		{"deflate", "", string(compressed(t, text, zlibWriter)), ""}, {"deflate", "", string(compressed(t, text, flateWriter)), ""},
		{"zlib", "", string(compressed(t, text, zlibWriter)), ""},
		{"zlib", "", string(compressed(t, text, flateWriter)), "no valid zlib"},
		{"br", "", string(compressed(t, text, brotliWriter)), ""}, {"zstd", "", string(compressed(t, text, zstdWriter)), ""},
		{"zstd, gzip", "", string(packed(t, string(compressed(t, text, zstdWriter)))), ""},
		{"gzip", "gzip", string(packed(t, gz)), ""}, {"", "Zstandard", string(compressed(t, text, zstdWriter)), ""},
		{"", "none", text, ""}, {"", "application/gzip", gz, ""},
		{"bzip2", "", bzipped, ""}, {"", "application/x-bz2", bzipped, ""},
		{"xz", "", xzipped, "xz is not read here"}, {"", "application/x-lzma", xzipped, "application/x-lzma is not read here"},
		{"", "snappy", text, `"snappy"`}, {"snappy", "", text, `"snappy"`}, {"shift_jis", "", text, `"shift_jis"`},
		{"gzip", "", text, "no valid gzip"}, {"deflate", "", text, "no valid deflate"}, {"br", "", text, "no valid br"}, {"zstd", "", text, "no valid zstd"}, {"bzip2", "", text, "no valid bzip2"},
		{"gzip", "", "", "no valid gzip"}, {"deflate", "", "", "no valid deflate"}, {"br", "", "", "no valid br"}, {"zstd", "", "", "no valid zstd"}, {"bzip2", "", "", "no valid bzip2"},
		{"gzip", "", gz[:len(gz)-1], "no valid gzip"}, {"zlib", "", string(compressed(t, text, zlibWriter)) + "x", "1 octets follow"},
		{"deflate", "", string(compressed(t, text, flateWriter)) + "x", "no valid deflate"}, {"br", "", string(compressed(t, text, brotliWriter)) + "x", "no valid br"},
		{"zstd", "", string(compressed(t, text, zstdWriter)) + "x", "no valid zstd"},
		{"gzip,gzip,gzip,gzip,gzip", "", gz, "5 parts"},
	} {
		var got string
		p := publisher.Publishing{ContentType: "text/plain", ContentEncoding: row.encoding, Body: []byte(row.body)}
		if row.header != "" {
			p.Headers = publisher.Table{"compression": row.header}
		}
		err := deliver(t, publisher.Consumer{}, publisher.Options{}, p, &got)
		if row.err != "" {
			if err == nil || !strings.Contains(err.Error(), row.err) || !publisher.IsPermanent(err) {
				t.Errorf("%q %q %.20q: %q, %v, want %q", row.encoding, row.header, row.body, got, err, row.err)
			}
			continue
		}
		if err != nil || got != text && got != "Grüße" && got != "plain" && got != "\uFFFD" && got != "G" && got != `{"a": 1}` {
			t.Errorf("%q %q %.20q: %q, %v", row.encoding, row.header, row.body, got, err)
		}
	}
}

// TestCharsets: the charset of a content type counts for text, but not for octets. The one of
// the content encoding has priority, because the client has used it to make the octets.
func TestCharsets(t *testing.T) {
	for _, row := range []struct{ contentType, encoding, body, want string }{
		{"text/plain; charset=iso-8859-1", "", "\xfc", "ü"},
		{`text/csv; charset="ISO-8859-15"`, "", "a\n\xa4\n", "[map[a:€]]"},
		{"application/json; charset=utf-16", "", "[\x00\"\x00\xfc\x00\"\x00]\x00", "[ü]"},
		{"application/problem+json; charset=windows-1252", "", "[\"\x80\"]", "[€]"},
		{"application/json", "utf-16", "\xff\xfe[\x001\x00]\x00", "[1]"},
		{"application/json", "utf-8", "\xef\xbb\xbf[1]", "[1]"},
		{"text/plain; charset=iso-8859-1", "utf-8", "ü", "ü"},
		{"text/plain; charset=iso-8859-1", "binary", "\xfc", "ü"},
		{"application/x-msgpack", "iso-8859-1", "\xa2\xc3\xbc", "ü"},
		{"application/x-msgpack; charset=utf-16", "", "\x05", "5"},
	} {
		var got any
		err := deliver(t, publisher.Consumer{}, publisher.Options{}, publisher.Publishing{ContentType: row.contentType, ContentEncoding: row.encoding, Body: []byte(row.body)}, &got)
		if err != nil || fmt.Sprint(got) != row.want {
			t.Errorf("%s %s: %v, %v", row.contentType, row.encoding, got, err)
		}
		if row.encoding != "" {
			continue
		}
		got = nil
		if err := decodeAs(t, row.contentType, row.body, &got); err != nil || fmt.Sprint(got) != row.want {
			t.Errorf("%s by HTTP: %v, %v", row.contentType, got, err)
		}
	}
}

// TestBombs: unpack_max limits each compression that is read. It takes at most twice that
// memory, and an announced size alone takes nearly none.
func TestBombs(t *testing.T) {
	const limit = 256 << 10
	zeros := strings.Repeat("\x00", 2<<20)
	promise := "\x28\xb5\x2f\xfd\xa0\x00\x00\xc0\x03\x01\x00\x00" // zstd, one segment of 60 MiB, with nothing in it
	for _, row := range []struct {
		name, encoding string
		header         bool
		body           []byte
	}{
		{"gzip", "gzip", false, packed(t, zeros)},
		{"zlib", "zlib", false, compressed(t, zeros, zlibWriter)},
		{"deflate", "deflate", false, compressed(t, zeros, zlibWriter)},
		{"raw deflate", "deflate", false, compressed(t, zeros, flateWriter)},
		{"br", "br", false, compressed(t, zeros, brotliWriter)},
		{"zstd", "zstd", false, compressed(t, zeros, zstdWriter)},
		{"bzip2", "bzip2", false, []byte(bzipBomb)},
		{"zstd, in one segment", "zstd", false, oneSegment(t, zeros)},
		{"a promise of zstd", "zstd", false, []byte(promise)},
		{"kombu's gzip", "application/x-gzip", true, compressed(t, zeros, zlibWriter)},
		{"gzip in gzip", "gzip, gzip", false, packed(t, string(packed(t, zeros)))},
		{"utf-16 that grows", "utf-16le", false, []byte(strings.Repeat("\x01\x08", 400<<10))},
	} {
		p := publisher.Publishing{ContentType: "text/plain", ContentEncoding: row.encoding, Body: row.body}
		if row.header {
			p.ContentEncoding, p.Headers = "utf-8", publisher.Table{"compression": row.encoding}
		}
		var got string
		err := deliver(t, publisher.Consumer{}, publisher.Options{UnpackMax: limit}, p, &got)
		var status *publisher.StatusError
		if !errors.As(err, &status) || status.Status != http.StatusRequestEntityTooLarge || !publisher.IsPermanent(err) {
			t.Errorf("%s: %v", row.name, err)
		}
	}
}

// TestUnpackMaxIsExact: a body that unpacks to unpack_max is read, and one octet more is not.
// How far a frame of zstd may look back does not count.
func TestUnpackMaxIsExact(t *testing.T) {
	const limit = 200_000
	wide := func(w io.Writer) io.WriteCloser {
		z, _ := zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(8<<20), zstd.WithEncoderCRC(true))
		return z
	}
	for _, fill := range []func(n int) string{
		func(n int) string { return strings.Repeat("0", n) },
		func(n int) string { // which does not shrink so much
			b := make([]byte, n)
			for i, x := 0, uint32(1); i < n; i++ {
				x = x*1664525 + 1013904223
				b[i] = 'a' + byte(x>>24)%26
			}
			return string(b)
		},
	} {
		for encoding, pack := range map[string]func(string) []byte{
			"gzip":    func(s string) []byte { return packed(t, s) },
			"deflate": func(s string) []byte { return compressed(t, s, flateWriter) },
			"br":      func(s string) []byte { return compressed(t, s, brotliWriter) },
			"zstd":    func(s string) []byte { return compressed(t, s, wide) },
			"ZSTD":    func(s string) []byte { return oneSegment(t, s) },
		} {
			for _, n := range []int{1, limit - 1, limit, limit + 1} {
				text, got := fill(n), ""
				err := deliver(t, publisher.Consumer{}, publisher.Options{UnpackMax: limit},
					publisher.Publishing{ContentType: "text/plain", ContentEncoding: encoding, Body: pack(text)}, &got)
				if n <= limit && (err != nil || got != text) || n > limit && err == nil {
					t.Errorf("%s of %d: %d octets, %v", encoding, n, len(got), err)
				}
			}
		}
	}
}

func oneSegment(t *testing.T, text string) []byte {
	t.Helper()
	z, err := zstd.NewWriter(nil, zstd.WithSingleSegment(true))
	if err != nil {
		t.Fatal(err)
	}
	return z.EncodeAll([]byte(text), nil)
}

// TestPromisedSizes: memory is taken for octets that come, or for at most 32 KiB per octet.
func TestPromisedSizes(t *testing.T) {
	for name, body := range map[string]string{
		"one segment of 60 MiB": "\x28\xb5\x2f\xfd\xa0\x00\x00\xc0\x03\x01\x00\x00",
		"a window of 60 MiB":    "\x28\xb5\x2f\xfd\x00\x7f\x01\x00\x00",
	} {
		var got string
		p := publisher.Publishing{ContentType: "text/plain", ContentEncoding: "zstd", Body: []byte(body)}
		_ = deliver(t, publisher.Consumer{}, publisher.Options{}, p, &got) // which makes the tables
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_ = deliver(t, publisher.Consumer{}, publisher.Options{}, p, &got)
		runtime.ReadMemStats(&after)
		if took := after.TotalAlloc - before.TotalAlloc; took > 2<<20 {
			t.Errorf("%s: %d octets", name, took)
		}
	}
}

// TestHTTPBodiesAreUnpacked: the same for requests; an encoding may come in
// several lines.
func TestHTTPBodiesAreUnpacked(t *testing.T) {
	twice := string(compressed(t, string(packed(t, `{"a":1}`)), brotliWriter))
	for _, row := range []struct {
		lines  []string
		body   string
		status int
	}{
		{[]string{"gzip"}, string(packed(t, `{"a":1}`)), 200},
		{[]string{"deflate"}, string(compressed(t, `{"a":1}`, flateWriter)), 200},
		{[]string{"ZSTD"}, string(compressed(t, `{"a":1}`, zstdWriter)), 200},
		{[]string{"gzip", "br"}, twice, 200},
		{[]string{"gzip, br"}, twice, 200},
		{[]string{"compress"}, `{"a":1}`, 415},
		{[]string{"xz"}, xzipped, 415},
		{[]string{"br"}, `{"a":1}`, 400},
		{[]string{"gzip"}, string(packed(t, strings.Repeat(" ", 2<<20))), 413},
	} {
		b := newBench(t)
		b.reg.Handle("/", func(r *publisher.Request) error {
			var v map[string]int
			if err := r.Decode(&v); err != nil {
				return err
			}
			if v["a"] != 1 || string(r.Body()) != row.body {
				t.Errorf("%v: %v", row.lines, v)
			}
			return r.Reply(200, nil)
		})
		b.start(publisher.Options{UnpackMax: 1 << 20})
		r := b.server.NewCall()
		fields := []publisher.Field{{Name: []byte("Content-Type"), Value: []byte("application/json")}}
		for _, line := range row.lines {
			fields = append(fields, publisher.Field{Name: []byte("content-encoding"), Value: []byte(line)})
		}
		r.SetHTTP([]byte("POST"), []byte("/"), []byte("localhost"), fields, nil)
		r.AppendBody([]byte(row.body))
		b.server.Dispatch(r, b)
		if got := b.last(); got.status != row.status {
			t.Errorf("%v: %+v", row.lines, got)
		} else if hint := strings.Contains(got.lines, "Accept-Encoding: gzip"); hint != (row.status == 415) {
			t.Errorf("%v: %q", row.lines, got.lines)
		}
	}
}

// TestUnlabelled: where the content type comes from if a message has none, and which messages
// need none.
func TestUnlabelled(t *testing.T) {
	inHeaders := publisher.Table{"properties": publisher.Table{"content_type": "application/json"}}
	for _, row := range []struct {
		name string
		k    publisher.Consumer
		p    publisher.Publishing
		want string // of an any; an error's text
	}{
		{"nothing", publisher.Consumer{}, publisher.Publishing{}, "the content type is missing (consumer.c.codec says how"},
		{"in the headers, but not asked for", publisher.Consumer{}, publisher.Publishing{Headers: inHeaders}, "the content type is missing"},
		{"in the headers", publisher.Consumer{HeadersContentType: true}, publisher.Publishing{Headers: inHeaders}, "[1]"},
		{"in the headers, before the consumer's codec", publisher.Consumer{HeadersContentType: true, Codec: "text"}, publisher.Publishing{Headers: inHeaders}, "[1]"},
		{"not in the headers", publisher.Consumer{HeadersContentType: true, Codec: "json"}, publisher.Publishing{Headers: publisher.Table{"properties": "x"}}, "[1]"},
		{"the property wins", publisher.Consumer{HeadersContentType: true}, publisher.Publishing{ContentType: "text/plain", Headers: inHeaders}, " [1]"},
		{"octets", publisher.Consumer{Codec: "json"}, publisher.Publishing{ContentType: "application/octet-stream"}, "[1]"},
		{"octets without a codec", publisher.Consumer{}, publisher.Publishing{ContentType: "application/octet-stream"}, `no codec for content type "application/octet-stream"`},
		{"yaml", publisher.Consumer{Codec: "json"}, publisher.Publishing{ContentType: "application/x-yaml", ContentEncoding: "utf-8"}, `no codec for content type "application/x-yaml"`},
	} {
		var got any
		row.p.Body = []byte(" [1]")
		err := deliver(t, row.k, publisher.Options{}, row.p, &got)
		text := fmt.Sprint(got)
		if err != nil {
			text = err.Error()
		}
		if !strings.Contains(text, row.want) || err != nil && !publisher.IsPermanent(err) {
			t.Errorf("%s: %q, want %q", row.name, text, row.want)
		}
		var octets []byte
		if row.k.Codec != "" || row.k.HeadersContentType || row.p.ContentType == "text/plain" {
			continue
		}
		if err := deliver(t, row.k, publisher.Options{}, row.p, &octets); err != nil || string(octets) != " [1]" {
			t.Errorf("%s, as octets: %q, %v", row.name, octets, err)
		}
	}
}

// TestDefaultEncodingsCostNothing: to read the usual encodings takes no memory.
func TestDefaultEncodingsCostNothing(t *testing.T) {
	for _, encoding := range []string{"", "utf-8", "UTF-8", "binary"} {
		b := newBench(t)
		b.discard = true
		b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
			took := testing.AllocsPerRun(100, func() {
				if _, err := r.Content(); err != nil {
					t.Fatal(err)
				}
			})
			if took != 0 {
				t.Errorf("%q: %v allocations", encoding, took)
			}
			return nil
		})
		b.start(publisher.Options{})
		b.message("c", 1, publisher.Publishing{ContentType: "application/json", ContentEncoding: encoding, Headers: publisher.Table{"task": "a", "id": "b"}, Body: []byte("1")})
	}
}

func FuzzContentEncoding(f *testing.F) {
	for _, body := range [][]byte{[]byte("x"), []byte(bzipped), []byte(xzipped)} {
		for _, encoding := range []string{"gzip", "deflate", "br", "zstd", "bzip2", "utf-16", "utf-32", "windows-1252", "br, gzip"} {
			f.Add(encoding, body)
		}
	}
	f.Add("zstd", compressed(f, "text", zstdWriter))
	f.Add("br", compressed(f, "text", brotliWriter))
	f.Add("deflate", compressed(f, "text", flateWriter))
	const limit = 1 << 16
	f.Fuzz(func(t *testing.T, encoding string, body []byte) {
		if len(body) > limit || len(encoding) > 255 {
			return
		}
		var got string
		p := publisher.Publishing{ContentType: "text/plain", ContentEncoding: encoding, Body: body}
		if err := deliver(t, publisher.Consumer{}, publisher.Options{UnpackMax: limit}, p, &got); err != nil && !publisher.IsPermanent(err) {
			t.Fatalf("%q: %v", encoding, err)
		}
		if len(got) > limit {
			t.Fatalf("%d octets", len(got))
		}
	})
}
