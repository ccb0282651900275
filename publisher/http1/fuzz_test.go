package http1_test

import (
	"bufio"
	"bytes"
	"io"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"testing"

	"zamqp/publisher/http1"
)

// fuzzLimits are small enough to be met by inputs of a fuzzer's size.
var fuzzLimits = http1.Config{TargetMax: 256, HeadMax: 1024, FieldsMax: 12, BodyMax: 512, ServerName: "t"}

// FuzzHead holds what every input must hold, and that we agree with net/http
// on the first request, or refuse it.
func FuzzHead(f *testing.F) {
	for _, row := range goodHeads {
		f.Add([]byte(row.in), uint16(7))
	}
	for _, row := range badHeads {
		f.Add([]byte(row.in), uint16(19))
	}
	for _, row := range badFraming {
		f.Add([]byte(post+row.in), uint16(31))
	}
	f.Add([]byte(strings.Repeat(get11, 3)), uint16(2))
	server := http1.NewServer(fuzzLimits)
	f.Fuzz(func(t *testing.T, in []byte, cut uint16) {
		checkCuts(t, server, in, cut)
		checkAgainstNetHTTP(t, in)
	})
}

// FuzzBody is FuzzHead for what follows a chunked head.
func FuzzBody(f *testing.F) {
	for _, row := range goodChunks {
		f.Add([]byte(row.in), uint16(3))
	}
	for _, row := range badChunks {
		f.Add([]byte(row.in), uint16(5))
	}
	server := http1.NewServer(fuzzLimits)
	f.Fuzz(func(t *testing.T, body []byte, cut uint16) {
		in := append([]byte(chunkedPost), body...)
		checkCuts(t, server, in, uint16(len(chunkedPost))+cut)
		checkAgainstNetHTTP(t, in)
	})
}

// checkCuts fails unless in has the same transcript whole, octet by octet, and
// cut in two; and unless what the machine sends is bounded by what it got.
func checkCuts(t *testing.T, s *http1.Server, in []byte, cut uint16) {
	t.Helper()
	whole := transcript(s, [][]byte{in})
	octets := make([][]byte, len(in))
	for i := range in {
		octets[i] = in[i : i+1]
	}
	if got := transcript(s, octets); got != whole {
		t.Fatalf("octet by octet\n%s\nwhole\n%s", got, whole)
	}
	if len(in) > 0 {
		i := int(cut) % len(in)
		if got := transcript(s, [][]byte{in[:i], in[i:]}); got != whole {
			t.Fatalf("cut at %d\n%s\nwhole\n%s", i, got, whole)
		}
	}
	// A request is 18 octets at least, and an answer here 300 at most.
	if len(whole) > 2000+len(in)*60 {
		t.Fatalf("%d octets became %d", len(in), len(whole))
	}
}

// checkAgainstNetHTTP compares the first request of in, if it was taken.
func checkAgainstNetHTTP(t *testing.T, in []byte) {
	t.Helper()
	var got struct {
		method, target, host string
		length               int64
		chunked              bool
		fields               http.Header
	}
	r := newRecorder(fuzzLimits)
	ended := false
	r.onHead = func(h *http1.Head) int {
		got.method, got.target, got.host = string(h.Method), string(h.Target), string(h.Host)
		got.length, got.chunked = h.ContentLength, h.Chunked
		got.fields = http.Header{}
		for _, f := range h.Fields {
			got.fields.Add(string(f.Name), string(f.Value))
		}
		return 0
	}
	r.onEnd = func() { ended = true } // unanswered, so that Feed stops here
	n, _ := r.conn.Feed(in)
	if n < 0 || n > len(in) {
		t.Fatalf("took %d of %d octets", n, len(in))
	}
	if !ended {
		return
	}
	theirs := bytes.TrimPrefix(in, []byte("\r\n")) // net/http does not know §2.2
	reader := bufio.NewReader(bytes.NewReader(theirs))
	req, err := http.ReadRequest(reader)
	if err != nil && strings.HasPrefix(err.Error(), "bad trailer key") {
		return // it is about to merge trailers into fields; we throw them away
	}
	if err != nil {
		t.Fatalf("net/http refuses what we take: %v\n%q", err, in)
	}
	body, err := io.ReadAll(req.Body)
	if err != nil && strings.Contains(err.Error(), "invalid byte in chunk length") && extensionSpace.Match(in) {
		return // it does not know the white space before an extension, RFC 9112 §7.1.1
	}
	if err != nil {
		t.Fatalf("net/http refuses a body that we take: %v\n%q", err, in)
	}
	rest, _ := io.ReadAll(reader)
	if !bytes.Equal(rest, in[n:]) {
		t.Fatalf("net/http ends the request elsewhere: %q is left, we leave %q", rest, in[n:])
	}
	if !bytes.Equal(body, r.body) || req.Method != got.method || req.RequestURI != got.target || req.Host != got.host {
		t.Fatalf("net/http reads %s %s %q body %q, we %s %s %q body %q",
			req.Method, req.RequestURI, req.Host, body, got.method, got.target, got.host, r.body)
	}
	if chunked := slices.Equal(req.TransferEncoding, []string{"chunked"}); chunked != got.chunked ||
		!chunked && req.ContentLength != max(got.length, 0) {
		t.Fatalf("net/http frames by %v, %d; we by %t, %d", req.TransferEncoding, req.ContentLength, got.chunked, got.length)
	}
	// Moved elsewhere by net/http, or made up for old HTTP/1.0 clients.
	for _, name := range []string{"Host", "Transfer-Encoding", "Trailer", "Pragma", "Cache-Control"} {
		got.fields.Del(name)
		req.Header.Del(name)
	}
	for name, values := range req.Header {
		if !slices.Equal(values, got.fields[name]) {
			t.Fatalf("net/http reads %s=%q, we %q", name, values, got.fields[name])
		}
	}
	if len(req.Header) != len(got.fields) {
		t.Fatalf("net/http has %d names, we %d: %v, %v", len(req.Header), len(got.fields), req.Header, got.fields)
	}
}

var extensionSpace = regexp.MustCompile(`(?m)^[0-9A-Fa-f]+[ \t]+;`)

// TestAgainstNetHTTP runs the comparison on what the tables hold, and on what
// it is known to see differently from others.
func TestAgainstNetHTTP(t *testing.T) {
	for _, row := range goodHeads {
		checkAgainstNetHTTP(t, []byte(row.in))
	}
	for _, row := range goodChunks {
		checkAgainstNetHTTP(t, []byte(chunkedPost+row.in+canary))
	}
	for _, target := range []string{
		"http://[::ffff:1.2.3.4]/", "http://[::1]:/", "http://a:/", "http://a$&'()*+,;=~_-.!/x", "http://a?", "http://a/?",
		"/\xc3\xa4", "/\xff\xfe?\xc3", "/\"<>|^`{}?\"<>|^`{}", "http://a/\"\xc3\xa4?<", "//", "///a:b", "/:80", "/a;b:c@d", "/?", "/\\", "/^`{|}[]", "/%41%c3%28", "/?%", "/a//../b", "http://a//b",
		"HtTp://A.b/", "http://1.2.3.4:65535/", "http://a..b/", "http://a:0/",
	} {
		checkAgainstNetHTTP(t, []byte("GET "+target+" HTTP/1.1\r\nHost: a\r\n\r\n"))
		checkAgainstNetHTTP(t, []byte("OPTIONS "+target+" HTTP/1.0\r\n\r\n"))
	}
	checkAgainstNetHTTP(t, []byte("GET / HTTP/1.1\r\nHost:\r\n\r\n"))
	for _, fields := range []string{
		"Pragma: no-cache\r\n", "Trailer: Content-Length\r\n", "Trailer: X, Y\r\n", "Connection: Transfer-Encoding\r\n",
		"Connection: Content-Length, close\r\n", "Upgrade: h2c\r\n", "TE: trailers\r\n", "X: \x80\r\nx: b\r\n", "Keep-Alive: a\r\n",
	} {
		checkAgainstNetHTTP(t, []byte(post+fields+"Transfer-Encoding: chunked\r\n\r\n1\r\na\r\n0\r\nX: y\r\n\r\n"+canary))
		checkAgainstNetHTTP(t, []byte(post+fields+"Content-Length: 1\r\n\r\na"+canary))
	}
}

// TestLongLinesByOctets: a head that comes octet by octet is scanned once, not
// once for each octet. Were it quadratic, this would take minutes.
func TestLongLinesByOctets(t *testing.T) {
	cfg := http1.Config{TargetMax: 1 << 20, HeadMax: 4 << 20, FieldsMax: 1 << 16}
	for _, in := range []string{
		"GET /" + strings.Repeat("a", 400_000) + " HTTP/1.1\r\nHost: a\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("a", 400_000) + "\r\n\r\n",
		"GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: a\r\n", 60_000) + "\r\n",
		chunkedPost + "0\r\nX: " + strings.Repeat("a", 400_000) + "\r\n\r\n",
	} {
		r := newRecorder(cfg)
		b := []byte(in)
		kept := 0 // as the loop does: the rest is offered again, one octet longer
		for i := range b {
			n, err := r.conn.Feed(b[kept : i+1])
			if kept += n; err != nil {
				t.Fatal(err)
			}
		}
		if kept != len(b) || !strings.HasSuffix(r.log.String(), "end body=\"\"\n") {
			t.Fatalf("took %d of %d octets", kept, len(b))
		}
	}
}
