package http1_test

import (
	"strconv"
	"strings"
	"testing"

	"zamqp/publisher/http1"
)

// goodHeads are requests that must be understood, and how.
var goodHeads = []struct{ name, in, want string }{
	{"9112 §2.1 smallest", "GET / HTTP/1.1\r\nHost: a\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9112 §2.2 one leading CRLF", "\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9112 §2.3 HTTP/1.0 closes by default", "GET / HTTP/1.0\r\n\r\n",
		`head GET / origin-form path="/" query="" host="" 1.0 length=-1 chunked=false keep=false expect=false`},
	{"9112 §9.3 HTTP/1.0 keep-alive", "GET / HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n",
		`head GET / origin-form path="/" query="" host="" 1.0 length=-1 chunked=false keep=true expect=false Connection="Keep-Alive"`},
	{"9112 §9.6 close in a list", "GET / HTTP/1.1\r\nHost: a\r\nConnection: te , Close\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=false keep=false expect=false Host="a" Connection="te , Close"`},
	{"9112 §9.3 close wins over keep-alive", "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive\r\nConnection: close\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=false keep=false expect=false Host="a" Connection="keep-alive" Connection="close"`},
	{"9110 §2.5 a higher minor version is spoken to as 1.1", "GET / HTTP/1.9\r\nHost: a\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.9 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9110 §9.1 unknown method token", "a!#$%&'*+-.^_`|~9 / HTTP/1.1\r\nHost: a\r\n\r\n",
		"head a!#$%&'*+-.^_`|~9 / origin-form " + `path="/" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9112 §3.2.1 origin-form with query", "GET /a%20b;c?q=[1]{2}|&?x=%zz HTTP/1.1\r\nHost: a\r\n\r\n",
		`head GET /a%20b;c?q=[1]{2}|&?x=%zz origin-form path="/a%20b;c" query="q=[1]{2}|&?x=%zz" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"3986 §2 octets that clients send as they were typed", "GET /\xc3\xa4\"<b>?q=\"a\"|^`{}\xff<> HTTP/1.1\r\nHost: a\r\n\r\n",
		"head GET /\xc3\xa4\"<b>?q=\"a\"|^`{}\xff<> origin-form path=\"/ä\\\"<b>\" " + `query=` + strconv.Quote("q=\"a\"|^`{}\xff<>") + ` host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"3986 §2 the same in absolute-form", "GET http://b/\xc3\xa4?\" HTTP/1.1\r\nHost: a\r\n\r\n",
		"head GET http://b/\xc3\xa4?\" " + `absolute-form path="/ä" query="\"" host="b" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9112 §3.2 empty Host", "GET / HTTP/1.1\r\nHost:\r\n\r\n",
		`head GET / origin-form path="/" query="" host="" 1.1 length=-1 chunked=false keep=true expect=false Host=""`},
	{"9112 §3.2.2 empty Host beside absolute-form", "GET http://b/ HTTP/1.1\r\nHost: \t\r\n\r\n",
		`head GET http://b/ absolute-form path="/" query="" host="b" 1.1 length=-1 chunked=false keep=true expect=false Host=""`},
	{"9112 §3.2.1 two slashes are a path", "GET //b/c HTTP/1.1\r\nHost: a\r\n\r\n",
		`head GET //b/c origin-form path="//b/c" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9112 §3.2.2 absolute-form overrules Host", "GET http://b:80/c?d HTTP/1.1\r\nHost: a\r\n\r\n",
		`head GET http://b:80/c?d absolute-form path="/c" query="d" host="b:80" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9112 §3.2.2 absolute-form without a path", "GET HTTPS://b HTTP/1.1\r\nHost: a\r\n\r\n",
		`head GET HTTPS://b absolute-form path="/" query="" host="b" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9112 §3.2.2 absolute-form with query and no path", "GET http://b?d/e HTTP/1.1\r\nHost: a\r\n\r\n",
		`head GET http://b?d/e absolute-form path="/" query="d/e" host="b" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9112 §3.2.4 asterisk-form", "OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
		`head OPTIONS * asterisk-form path="*" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9112 §3.2.4 OPTIONS without a path is asterisk", "OPTIONS http://b HTTP/1.1\r\nHost: a\r\n\r\n",
		`head OPTIONS http://b absolute-form path="*" query="" host="b" 1.1 length=-1 chunked=false keep=true expect=false Host="a"`},
	{"9110 §5.5 white space around and inside", "GET / HTTP/1.1\r\nHost:\t a\t \r\nX:  b \tc  \r\nY:\r\nZ: \t\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a" X="b \tc" Y="" Z=""`},
	{"9110 §5.5 obs-text is opaque", "GET / HTTP/1.1\r\nHost: a\r\nX: \xff\x80\xc3\xa4\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a" X="\xff\x80ä"`},
	{"9110 §7.2 host with port, empty port", "GET / HTTP/1.1\r\nHost: a-b.c_d~:\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a-b.c_d~:" 1.1 length=-1 chunked=false keep=true expect=false Host="a-b.c_d~:"`},
	{"9110 §7.2 host is an IPv6 address", "GET / HTTP/1.1\r\nHost: [2001:db8::1]:8080\r\n\r\n",
		`head GET / origin-form path="/" query="" host="[2001:db8::1]:8080" 1.1 length=-1 chunked=false keep=true expect=false Host="[2001:db8::1]:8080"`},
	{"9112 §6.3 Content-Length with leading zeros", "PUT / HTTP/1.1\r\nHost: a\r\ncontent-LENGTH:  0003 \r\n\r\nabc",
		`head PUT / origin-form path="/" query="" host="a" 1.1 length=3 chunked=false keep=true expect=false Host="a" content-LENGTH="0003"` + "\nend body=\"abc\""},
	{"9112 §6.3 Content-Length 0", "PUT / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\n\r\n",
		`head PUT / origin-form path="/" query="" host="a" 1.1 length=0 chunked=false keep=true expect=false Host="a" Content-Length="0"`},
	{"9112 §6.1 chunked in any case, HTAB as white space", "PUT / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\tcHuNkEd \r\n\r\n0\r\n\r\n",
		`head PUT / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=true keep=true expect=false Host="a" Transfer-Encoding="cHuNkEd"`},
	{"9110 §10.1.1 expectation", "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-Continue\r\nContent-Length: 1\r\n\r\nx",
		`head PUT / origin-form path="/" query="" host="a" 1.1 length=1 chunked=false keep=true expect=true Host="a" Expect="100-Continue" Content-Length="1"`},
	{"9110 §10.1.1 expectation ignored in HTTP/1.0", "PUT / HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 1\r\n\r\nx",
		`head PUT / origin-form path="/" query="" host="" 1.0 length=1 chunked=false keep=false expect=false Expect="100-continue" Content-Length="1"`},
	{"9110 §10.1.1 the same expectation twice", "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue,, 100-CONTINUE\r\nContent-Length: 1\r\n\r\nx",
		`head PUT / origin-form path="/" query="" host="a" 1.1 length=1 chunked=false keep=true expect=true Host="a" Expect="100-continue,, 100-CONTINUE" Content-Length="1"`},
	{"9110 §10.1.1 the same expectation in two lines", "PUT / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect:\r\nContent-Length: 1\r\n\r\nx",
		`head PUT / origin-form path="/" query="" host="a" 1.1 length=1 chunked=false keep=true expect=true Host="a" Expect="100-continue" Expect="" Content-Length="1"`},
	{"9110 §10.1.1 empty expectation", "PUT / HTTP/1.1\r\nHost: a\r\nExpect:\r\nContent-Length: 1\r\n\r\nx",
		`head PUT / origin-form path="/" query="" host="a" 1.1 length=1 chunked=false keep=true expect=false Host="a" Expect="" Content-Length="1"`},
	{"9110 §7.8 Upgrade is ignored", "GET / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a" Connection="Upgrade" Upgrade="h2c"`},
	{"9110 §5.1 names like the known ones", "GET / HTTP/1.1\r\nHost: a\r\nXost: b\r\nContent_Length: 5\r\nTransfer_Encoding: x\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a" Xost="b" Content_Length="5" Transfer_Encoding="x"`},
	{"9110 §5.4 head at its limit", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("b", 480) + "\r\n\r\n",
		`head GET / origin-form path="/" query="" host="a" 1.1 length=-1 chunked=false keep=true expect=false Host="a" X="bbb`},
	{"9112 §3 target at its limit", "GET /" + strings.Repeat("a", 63) + " HTTP/1.0\r\n\r\n",
		"head GET /" + strings.Repeat("a", 63) + " origin-form path=\"/" + strings.Repeat("a", 63) + `" query="" host="" 1.0 length=-1 chunked=false keep=false expect=false`},
}

func TestGoodHeads(t *testing.T) {
	for _, row := range goodHeads {
		t.Run(row.name, func(t *testing.T) {
			got := transcript(http1.NewServer(limits), [][]byte{[]byte(row.in)})
			if !strings.HasPrefix(got, row.want) {
				t.Fatalf("got\n%s\nwant\n%s", got, row.want)
			}
			if !strings.Contains(got, "error <nil>\nrest \"\"\n") || !strings.Contains(got, "HTTP/1.1 200 OK\r\n") {
				t.Fatalf("not served: %s", got)
			}
			sameHoweverCut(t, limits, row.in)
		})
	}
}

// badHeads are heads that must be refused, whatever follows them.
var badHeads = []struct {
	name, in string
	status   int
}{
	{"9112 §2.2 two leading CRLF", "\r\n\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.2 leading LF", "\nGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.2 leading bare CR", "\rGET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.2 leading space", " GET / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.2 white space before the first field", "GET / HTTP/1.1\r\n Host: a\r\n\r\n", 400},
	{"9112 §2.2 bare LF after the request line", "GET / HTTP/1.1\nHost: a\r\n\r\n", 400},
	{"9112 §2.2 bare LF after a field", "GET / HTTP/1.1\r\nHost: a\n\r\n", 400},
	{"9112 §2.2 bare LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\n", 400},
	{"9112 §2.2 CR without LF ends the head", "GET / HTTP/1.1\r\nHost: a\r\n\rX", 400},
	{"9112 §2.2 bare CR in the request line", "GET /\r HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.2 bare CR in a value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\rc\r\n\r\n", 400},
	{"9112 §2.2 bare CR before CRLF", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\r\n\r\n", 400},
	{"9112 §2.2 bare CR in a name", "GET / HTTP/1.1\r\nHost: a\r\nX\r: b\r\n\r\n", 400},
	{"9112 §2.2 only LFs", "GET / HTTP/1.1\nHost: a\n\n", 400},

	{"9112 §2.3 no version", "GET /\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.3 empty version", "GET / \r\nHost: a\r\n\r\n", 400},
	{"9112 §2.3 lower case", "GET / http/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.3 one number", "GET / HTTP/1\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.3 two digits", "GET / HTTP/1.10\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.3 leading zero", "GET / HTTP/01.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.3 comma", "GET / HTTP/1,1\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.3 letter", "GET / HTTP/1.x\r\nHost: a\r\n\r\n", 400},
	{"9112 §2.3 another protocol", "GET / HTTQ/1.1\r\nHost: a\r\n\r\n", 400},
	{"9110 §15.6.6 HTTP/2.0", "GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
	{"9110 §15.6.6 HTTP/0.9", "GET / HTTP/0.9\r\nHost: a\r\n\r\n", 505},
	{"9113 §3.4 HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 505},

	{"9112 §3 two spaces before the target", "GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3 two spaces before the version", "GET /  HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3 space behind the version", "GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400},
	{"9112 §3 HTAB as separator", "GET\t/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3 HTAB before the version", "GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3 VT as separator", "GET\v/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3 space in the target", "GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.1 empty method", " / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.1 method is no token", "GE(T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.1 method with NUL", "GE\x00T / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.1 method with obs-text", "G\xc3\x8bT / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3 method too long", strings.Repeat("A", 33) + " / HTTP/1.1\r\nHost: a\r\n\r\n", 501},
	{"8446 TLS to the plain port", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400},

	{"9112 §3.2 target with NUL", "GET /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2 target with DEL", "GET /\x7f HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2 target with fragment", "GET /a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2 query with fragment", "GET /?a#b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2 target with NUL behind UTF-8", "GET /\xc3\xa4\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2 target with LF behind a quote", "GET /\"\n HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9110 §4.2.1 host in target not ASCII", "GET http://\xc3\xa4/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"3986 §2.1 broken escape behind a quote", "GET /\"%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2 path without slash", "GET a/b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2 query without path", "GET ?a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2.2 another scheme", "GET ftp://a/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2.2 scheme without slashes", "GET http:a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2.2 one slash", "GET http:/a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9110 §4.2.1 empty host in target", "GET http:///a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9110 §4.2.1 only a port in target", "GET http://:80/a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9110 §4.2.4 user information in target", "GET http://u@b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2.2 absolute-form still needs Host", "GET http://b/ HTTP/1.1\r\n\r\n", 400},
	{"9112 §3.2.3 authority-form without CONNECT", "GET a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2.3 CONNECT", "CONNECT a:80 HTTP/1.1\r\nHost: a\r\n\r\n", 501},
	{"9112 §3.2.3 CONNECT without port", "CONNECT a HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2.3 CONNECT with a path", "CONNECT / HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2.4 asterisk without OPTIONS", "GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2.4 more than an asterisk", "OPTIONS *x HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"3986 §2.1 broken escape", "GET /%zz HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"3986 §2.1 cut escape", "GET /a%2?b HTTP/1.1\r\nHost: a\r\n\r\n", 400},
	{"9110 §15.5.15 target too long", "GET /" + strings.Repeat("a", 64) + " HTTP/1.1\r\nHost: a\r\n\r\n", 414},

	{"9112 §5.1 space before colon", "GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400},
	{"9112 §5.1 HTAB before colon", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\t: chunked\r\n\r\n", 400},
	{"9112 §5.1 VT before colon", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding\v: chunked\r\n\r\n", 400},
	{"9110 §5.1 empty name", "GET / HTTP/1.1\r\nHost: a\r\n: b\r\n\r\n", 400},
	{"9110 §5.1 no colon", "GET / HTTP/1.1\r\nHost: a\r\nX\r\n\r\n", 400},
	{"9110 §5.1 space in name", "GET / HTTP/1.1\r\nHost: a\r\nX Y: b\r\n\r\n", 400},
	{"9110 §5.1 slash in name", "GET / HTTP/1.1\r\nHost: a\r\nX/Y: b\r\n\r\n", 400},
	{"9110 §5.1 NUL in name", "GET / HTTP/1.1\r\nHost: a\r\nX\x00: b\r\n\r\n", 400},
	{"9110 §5.1 obs-text in name", "GET / HTTP/1.1\r\nHost: a\r\n\xc3\xa4: b\r\n\r\n", 400},
	{"9110 §5.1 quote in name", "GET / HTTP/1.1\r\nHost: a\r\n\"X\": b\r\n\r\n", 400},
	{"9112 §5.2 folding by space", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n c\r\n\r\n", 400},
	{"9112 §5.2 folding by HTAB", "GET / HTTP/1.1\r\nHost: a\r\nX: b\r\n\tc\r\n\r\n", 400},
	{"9112 §5.2 folded Transfer-Encoding", "GET / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", 400},
	{"9110 §5.5 NUL in value", "GET / HTTP/1.1\r\nHost: a\r\nX: b\x00c\r\n\r\n", 400},
	{"9110 §5.5 ESC in value", "GET / HTTP/1.1\r\nHost: a\r\nX: 12345678\x1b\r\n\r\n", 400},
	{"9110 §5.5 DEL in value", "GET / HTTP/1.1\r\nHost: a\r\nX: 12345678\x7f\r\n\r\n", 400},
	{"9110 §5.4 too many fields", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: b\r\n", 8) + "\r\n", 431},
	{"9110 §5.4 name too long", "GET / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X", 257) + ": b\r\n\r\n", 431},
	{"9110 §5.4 head too long", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("b", 512) + "\r\n\r\n", 431},
	{"9110 §5.4 head too long by its end", "GET / HTTP/1.1\r\nHost: a\r\nX: " + strings.Repeat("b", 481) + "\r\n\r\n", 431},

	{"9112 §3.2 no Host", "GET / HTTP/1.1\r\nX: a\r\n\r\n", 400},
	{"9112 §3.2 no fields", "GET / HTTP/1.1\r\n\r\n", 400},
	{"9112 §3.2 two Hosts", "GET / HTTP/1.1\r\nHost: a\r\nhost: b\r\n\r\n", 400},
	{"9112 §3.2 two equal Hosts", "GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400},
	{"9112 §3.2 two Hosts in HTTP/1.0", "GET / HTTP/1.0\r\nHost: a\r\nHost: b\r\n\r\n", 400},
	{"9112 §3.2 two empty Hosts", "GET / HTTP/1.1\r\nHost:\r\nHost:\r\n\r\n", 400},
	{"9112 §3.2 an empty Host and another", "GET / HTTP/1.1\r\nHost:\r\nHost: a\r\n\r\n", 400},
	{"9110 §4.2.1 Host with only a port", "GET / HTTP/1.1\r\nHost: :80\r\n\r\n", 400},
	{"9112 §3.2 two in one Host", "GET / HTTP/1.1\r\nHost: a, b\r\n\r\n", 400},
	{"9112 §3.2 Host with a path", "GET / HTTP/1.1\r\nHost: a/b\r\n\r\n", 400},
	{"9112 §3.2 Host with user information", "GET / HTTP/1.1\r\nHost: u@a\r\n\r\n", 400},
	{"9112 §3.2 Host with obs-text", "GET / HTTP/1.1\r\nHost: \xc3\xa4\r\n\r\n", 400},
	{"9112 §3.2 Host with an escape", "GET / HTTP/1.1\r\nHost: a%00b\r\n\r\n", 400},
	{"3986 §3.2.3 port is no number", "GET / HTTP/1.1\r\nHost: a:8x\r\n\r\n", 400},
	{"3986 §3.2.3 port too high", "GET / HTTP/1.1\r\nHost: a:65536\r\n\r\n", 400},
	{"3986 §3.2.3 two ports", "GET / HTTP/1.1\r\nHost: a:80:80\r\n\r\n", 400},
	{"3986 §3.2.2 open bracket", "GET / HTTP/1.1\r\nHost: [::1\r\n\r\n", 400},
	{"3986 §3.2.2 empty brackets", "GET / HTTP/1.1\r\nHost: []\r\n\r\n", 400},
	{"3986 §3.2.2 IPv4 in brackets", "GET / HTTP/1.1\r\nHost: [127.0.0.1]\r\n\r\n", 400},
	{"6874 §2 zone", "GET / HTTP/1.1\r\nHost: [fe80::1%25eth0]\r\n\r\n", 400},
	{"3986 §3.2.2 text behind the bracket", "GET / HTTP/1.1\r\nHost: [::1]a\r\n\r\n", 400},

	{"9110 §10.1.1 unknown expectation", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 200-ok\r\n\r\n", 417},
	{"9110 §10.1.1 expectation with a parameter", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue;a=b\r\n\r\n", 417},
	{"9110 §10.1.1 unknown expectation in a second line", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nExpect: x\r\n\r\n", 417},
	{"9110 §10.1.1 expectation with more", "GET / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue, x\r\n\r\n", 417},
}

func TestBadHeads(t *testing.T) {
	for _, row := range badHeads {
		t.Run(row.name, func(t *testing.T) { refused(t, limits, row.in, row.status) })
	}
}

// refused checks that in is answered with status and nothing else, and that a request after
// it is never seen, however the input is cut, and even if the wire goes on feeding.
func refused(t *testing.T, cfg http1.Config, in string, status int) {
	t.Helper()
	input := in + canary
	r := newRecorder(cfg)
	_, err := r.feedString(input)
	if err == nil {
		t.Fatalf("not refused: %q\n%s%s", in, r.log.String(), r.answered())
	}
	if got := statusOf(t, err); got != status {
		t.Fatalf("refused with %v, want %d", err, status)
	}
	out := r.answered()
	if n := strings.Count(out, "\nServer: "); n != 1 || !strings.HasPrefix(out, "HTTP/1.1 "+strconv.Itoa(status)) {
		t.Fatalf("%d answers, want one with %d: %s", n, status, out)
	}
	if !strings.Contains(out, "\r\nConnection: close\r\n") {
		t.Fatalf("does not close: %s", out)
	}
	if n, _ := r.conn.Feed([]byte(canary)); n != len(canary) {
		t.Fatalf("took %d octets after its end, want all dropped", n)
	}
	r.flush()
	r.conn.Lost(err)
	if out := r.answered(); out != "" || strings.Contains(r.log.String(), "canary") || strings.Contains(r.log.String(), "\nend ") {
		t.Fatalf("something was parsed behind the error: %s%s", r.log.String(), out)
	}
	if r.gone != 1 {
		t.Fatalf("told Gone %d times", r.gone)
	}
	sameHoweverCut(t, cfg, input)
}
