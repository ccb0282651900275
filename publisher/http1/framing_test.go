package http1_test

import (
	"strconv"
	"strings"
	"testing"
)

// post is a head to which rows add the lines that frame the body.
const post = "POST /p HTTP/1.1\r\nHost: a\r\n"

// badFraming has the material of request smuggling: each row is a request whose end two
// recipients could see at different places.
var badFraming = []struct {
	name, in string
	status   int
}{
	{"9112 §6.3 CL.TE", "Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG", 400},
	{"9112 §6.3 TE.CL", "Transfer-Encoding: chunked\r\nContent-Length: 4\r\n\r\n5c\r\n", 400},
	{"9112 §6.3 CL 0 with TE", "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.3 TE identity with CL", "Transfer-Encoding: identity\r\nContent-Length: 3\r\n\r\nabc", 400},
	{"9112 §6.3 differing lengths", "Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400},
	{"9112 §6.3 equal lengths", "Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc", 400},
	{"9112 §6.3 list of equal lengths", "Content-Length: 3, 3\r\n\r\nabc", 400},
	{"9112 §6.3 list without space", "Content-Length: 5,5\r\n\r\nabcde", 400},
	{"9112 §6.3 negative length", "Content-Length: -1\r\n\r\n", 400},
	{"9112 §6.3 negative zero", "Content-Length: -0\r\n\r\n", 400},
	{"9112 §6.3 signed length", "Content-Length: +5\r\n\r\nabcde", 400},
	{"9112 §6.3 hexadecimal length", "Content-Length: 0x10\r\n\r\n", 400},
	{"9112 §6.3 hexadecimal digit", "Content-Length: a\r\n\r\n", 400},
	{"9112 §6.3 empty length", "Content-Length: \r\n\r\n", 400},
	{"9112 §6.3 decimal point", "Content-Length: 3.0\r\n\r\nabc", 400},
	{"9112 §6.3 exponent", "Content-Length: 1e1\r\n\r\nabc", 400},
	{"9112 §6.3 underscore", "Content-Length: 1_0\r\n\r\nabc", 400},
	{"9112 §6.3 space inside", "Content-Length: 1 0\r\n\r\nabc", 400},
	{"9112 §6.3 quoted length", "Content-Length: \"3\"\r\n\r\nabc", 400},
	{"9112 §6.3 length with obs-text", "Content-Length: 3\xa0\r\n\r\nabc", 400},
	{"9112 §6.3 VT before the length", "Content-Length: \v3\r\n\r\nabc", 400},
	{"9112 §6.3 NUL behind the length", "Content-Length: 3\x00\r\n\r\nabc", 400},
	{"9112 §6.3 overflow of 64 bits", "Content-Length: 18446744073709551617\r\n\r\nabc", 400},
	{"9112 §6.3 overflow of 63 bits", "Content-Length: 9223372036854775808\r\n\r\nabc", 400},
	{"9112 §6.3 endless zeros", "Content-Length: " + strings.Repeat("0", 19) + "3\r\n\r\nabc", 400},
	{"9110 §15.5.14 body too long", "Content-Length: 65\r\n\r\n", 413},
	{"9110 §15.5.14 body far too long", "Content-Length: 999999999999999999\r\n\r\n", 413},
	{"9112 §5.1 space before the colon", "Content-Length : 3\r\n\r\nabc", 400},
	{"9112 §5.2 length in a folded line", "X: y\r\n Content-Length: 3\r\n\r\nabc", 400},

	{"9112 §6.1 xchunked", "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 chunked with more behind", "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 chunked twice in a list", "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 chunked twice in lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.3 chunked is not last", "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.3 chunked is not last, in lines", "Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.3 gzip alone", "Transfer-Encoding: gzip\r\n\r\n", 400},
	{"9112 §6.3 identity", "Transfer-Encoding: identity\r\n\r\n", 400},
	{"9112 §6.1 gzip below chunked", "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n", 501},
	{"9112 §6.1 deflate below chunked, in lines", "Transfer-Encoding: deflate\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 501},
	{"9112 §6.1 unknown below chunked", "Transfer-Encoding: cow, chunked\r\n\r\n0\r\n\r\n", 501},
	{"9112 §6.1 identity below chunked", "Transfer-Encoding: identity, chunked\r\n\r\n0\r\n\r\n", 501},
	{"9112 §6.1 empty coding", "Transfer-Encoding:\r\n\r\n0\r\n\r\n", 400},
	{"9110 §5.6.1 empty element before", "Transfer-Encoding: , chunked\r\n\r\n0\r\n\r\n", 400},
	{"9110 §5.6.1 empty element behind", "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n", 400},
	{"9112 §7 chunked with a parameter", "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 quoted", "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 single quotes", "Transfer-Encoding: 'chunked'\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 space inside", "Transfer-Encoding: chu nked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 chunked with obs-text", "Transfer-Encoding: chunked\xff\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 NBSP before chunked", "Transfer-Encoding: \xa0chunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 Kelvin sign for k", "Transfer-Encoding: chun\xe2\x84\xaaed\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 VT before chunked", "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §6.1 FF behind chunked", "Transfer-Encoding: chunked\f\r\n\r\n0\r\n\r\n", 400},
	{"9112 §5.1 space before the colon of TE", "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §5.2 TE in a folded line", "X: y\r\n\tTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §2.2 TE behind a bare CR", "X: y\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
	{"9112 §2.2 TE behind a bare LF", "X: y\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400},
}

func TestBadFraming(t *testing.T) {
	for _, row := range badFraming {
		t.Run(row.name, func(t *testing.T) { refused(t, limits, post+row.in, row.status) })
	}
	t.Run("9112 §6.1 TE in HTTP/1.0", func(t *testing.T) {
		refused(t, limits, "POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400)
	})
}

const chunkedPost = post + "Transfer-Encoding: chunked\r\n\r\n"

var goodChunks = []struct{ name, in, body string }{
	{"9112 §7.1 empty", "0\r\n\r\n", ""},
	{"9112 §7.1 one chunk", "3\r\nabc\r\n0\r\n\r\n", "abc"},
	{"9112 §7.1 data that looks like framing", "8\r\n\r\n0\r\n\r\n\r\r\n0\r\n\r\n", "\r\n0\r\n\r\n\r"},
	{"9112 §7.1 several chunks, either case", "A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n", "01234567890123456789"},
	{"9112 §7.1 leading zeros, bounded", "0000003\r\nabc\r\n000\r\n\r\n", "abc"},
	{"9112 §7.1.1 extensions", "3;a;b=c;d=\"e;\\\"f\xff\"\r\nabc\r\n0;x\r\n\r\n", "abc"},
	{"9112 §7.1.1 white space around extensions", "3 ;a\t;\tb = c ; d=\t\"e\"\r\nabc\r\n0\t ; x\r\n\r\n", "abc"},
	{"9112 §7.1.2 trailers", "3\r\nabc\r\n0\r\nX: y\r\nContent-Length:  7 \r\n\r\n", "abc"},
}

func TestGoodChunks(t *testing.T) {
	for _, row := range goodChunks {
		t.Run(row.name, func(t *testing.T) {
			// The next request must be found where this one ends.
			in := []byte(chunkedPost + row.in + "GET /next HTTP/1.1\r\nHost: b\r\n\r\n")
			r := newRecorder(limits)
			rest, err := r.feed(in)
			if err != nil || len(rest) > 0 {
				t.Fatal(err, rest)
			}
			log := r.log.String()
			if !strings.Contains(log, "end body="+strconv.Quote(row.body)+"\n") || !strings.Contains(log, "head GET /next ") {
				t.Fatal(log)
			}
			sameHoweverCut(t, limits, string(in))
		})
	}
}

var badChunks = []struct {
	name, in string
	status   int
}{
	{"9112 §7.1 no size", "\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 no number", "x\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 negative size", "-3\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 signed size", "+3\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 hexadecimal prefix", "0x3\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 leading space", " 3\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 leading HTAB", "\t3\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 space behind the size", "3 \r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 HTAB behind the size", "3\t\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 underscore", "0_3\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 NUL behind the size", "3\x00\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 overflow to zero", "10000000000000000\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 overflow to 3", "10000000000000003\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 sign bit", "8000000000000003\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 all ones", "ffffffffffffffff\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 endless zeros", strings.Repeat("0", 16) + "\r\n\r\n", 400},
	{"9112 §7.1 bare LF behind the size", "3\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 bare CR behind the size", "3\rabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 two CR behind the size", "3\r\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 bare LF behind the data", "3\r\nabc\n0\r\n\r\n", 400},
	{"9112 §7.1 bare CR behind the data", "3\r\nabc\r0\r\n\r\n", 400},
	{"9112 §7.1 data longer than its size", "3\r\nabcd\r\n0\r\n\r\n", 400},
	{"9112 §7.1 data shorter than its size", "4\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1 bare LF behind the last chunk", "0\n\r\n", 400},
	{"9112 §7.1 bare LF ends the request", "0\r\n\n", 400},
	{"9112 §7.1 CR without LF ends the request", "0\r\n\rX", 400},
	{"9112 §7.1.1 bare LF in an extension", "3;a\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 bare CR in an extension", "3;a\rb\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 bare LF in a quoted extension", "3;a=\"\n\"\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 NUL in an extension", "3;a=\"\x00\"\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 escaped control in an extension", "3;a=\"\\\x01\"\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 empty extension", "3;\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 no value", "3;a=\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 no name", "3;=a\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 open quote", "3;a=\"b\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 quote ends in backslash", "3;a=\"b\\\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 text behind a quote", "3;a=\"b\"c\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 white space behind an extension", "3;a \r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 white space behind a value", "3;a=b\t\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 white space and no name", "3; \r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 white space and no value", "3;a= \r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 white space inside a name", "3;a b\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 white space inside a size", "3 3;a\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 white space before a size with an extension", " 3;a\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 VT before an extension", "3\v;a\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 bare CR before an extension", "3\r;a\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.1 extension too long", "3;" + strings.Repeat("a", 512) + "\r\nabc\r\n0\r\n\r\n", 400},
	{"9112 §7.1.2 folded trailer", "0\r\nX: y\r\n z\r\n\r\n", 400},
	{"9112 §7.1.2 trailer without colon", "0\r\nX\r\n\r\n", 400},
	{"9112 §7.1.2 space before colon", "0\r\nX : y\r\n\r\n", 400},
	{"9112 §7.1.2 bare LF in a trailer", "0\r\nX: y\nZ: a\r\n\r\n", 400},
	{"9112 §7.1.2 NUL in a trailer", "0\r\nX: \x00\r\n\r\n", 400},
	{"9112 §7.1.2 a request as a trailer", "0\r\nGET /canary HTTP/1.1\r\n\r\n", 400},
	{"9110 §5.4 too many trailers", "0\r\n" + strings.Repeat("X: y\r\n", 9) + "\r\n", 431},
	{"9110 §5.4 trailers too long", "0\r\nX: " + strings.Repeat("y", 512) + "\r\n\r\n", 431},
	{"9110 §5.4 trailers too long in all", "0\r\nX: " + strings.Repeat("y", 300) + "\r\nX: " + strings.Repeat("y", 300) + "\r\n\r\n", 431},
	{"9110 §15.5.14 chunk too long", "41\r\n", 413},
	{"9110 §15.5.14 chunk far too long", "fffffffffffffff\r\n", 413},
	{"9110 §15.5.14 chunks too long in all", "40\r\n" + strings.Repeat("a", 64) + "\r\n1\r\na\r\n0\r\n\r\n", 413},
}

func TestBadChunks(t *testing.T) {
	for _, row := range badChunks {
		t.Run(row.name, func(t *testing.T) { refused(t, limits, chunkedPost+row.in, row.status) })
	}
}

// TestChunkExcess: many octets of framing for one of data are refused before
// they cost more than they should. RFC 9112 §7.1.1.
func TestChunkExcess(t *testing.T) {
	cfg := limits
	cfg.BodyMax = 1 << 20
	r := newRecorder(cfg)
	if _, err := r.feedString(chunkedPost + strings.Repeat("1\r\na\r\n", 10_000)); err != nil {
		t.Fatalf("plain chunks of one octet: %v", err)
	}
	r = newRecorder(cfg)
	_, err := r.feedString(chunkedPost + strings.Repeat("1;"+strings.Repeat("x", 400)+"\r\na\r\n", 100))
	if statusOf(t, err) != 400 {
		t.Fatal(err)
	}
	if n := strings.Count(r.log.String(), "head "); n != 1 || r.gone != 1 {
		t.Fatal(r.log.String())
	}
}
