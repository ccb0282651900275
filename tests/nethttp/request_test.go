package nethttp_test

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// dump answers with everything that a handler can know about its request.
func dump(w http.ResponseWriter, r *http.Request, see func(...any)) {
	seeHead(r, see)
	body, err := io.ReadAll(r.Body)
	see("body", len(body), short(body), err)
	n, err := r.Body.Read(make([]byte, 1))
	see("after its end", n, err)
	seeTrailer(r, see)
	see("close", r.Body.Close())
	n, err = r.Body.Read(make([]byte, 1))
	see("after close", n, err)
}

func seeHead(r *http.Request, see func(...any)) {
	see(r.Method, r.RequestURI, r.Proto, r.ProtoMajor, r.ProtoMinor, "host", r.Host, "length", r.ContentLength, "close", r.Close)
	u := r.URL
	see("url", fmt.Sprintf("%q", []any{u.Scheme, u.Opaque, u.User.String(), u.Host, u.Path, u.RawPath, u.RawQuery, u.Fragment, u.String()}), u.ForceQuery)
	seeHeader("header", r.Header, see)
	see("coding", r.TransferEncoding, "pattern", r.Pattern, "form", r.Form, r.PostForm, r.MultipartForm, "tls", r.TLS, "body", r.Body == http.NoBody)
	seeTrailer(r, see)
	host, port, err := net.SplitHostPort(r.RemoteAddr)
	see("remote", host, port != "", err)
	see("context", r.Context().Err(), r.Context().Value(http.ServerContextKey) != nil)
	local, ok := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	see("local", ok, ok && local.Network() == "tcp")
}

func seeTrailer(r *http.Request, see func(...any)) { seeHeader("trailer", r.Trailer, see) }

func seeHeader(what string, h http.Header, see func(...any)) {
	var lines []string
	for name, values := range h {
		lines = append(lines, fmt.Sprintf("%s: %q", name, values))
	}
	slices.Sort(lines)
	see(what, h == nil, lines)
}

func post(fields, body string) string {
	return "POST /path HTTP/1.1\r\nHost: h\r\n" + fields + "\r\n" + body
}

func target(t string) string { return "GET " + t + " HTTP/1.1\r\nHost: h\r\n\r\n" }

func TestRequests(t *testing.T) {
	rows := []row{
		{name: "plain", request: get},
		{name: "HTTP/1.0", request: "GET /path HTTP/1.0\r\n\r\n"},
		{name: "HTTP/1.0 with host", request: "GET /path HTTP/1.0\r\nHost: h:80\r\n\r\n"},
		{name: "HTTP/1.0 keep-alive", request: "GET /path HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"},
		{name: "HTTP/1.0 with body", request: "POST /path HTTP/1.0\r\nContent-Length: 4\r\n\r\nbody"},
		{name: "close", request: with("Connection: close\r\n")},
		{name: "other connection options", request: with("Connection: X-Hop, TE\r\nX-Hop: 1\r\nTE: trailers\r\n")},
		{name: "fields", request: with("X-A: 1\r\nx-b: 2\r\nX-A: 3\r\nx-a: 4\r\nX-Empty:\r\nX-Space:  a  b\t \r\nX_under: 5\r\nCookie: a=1; b=2\r\nCookie: c=3\r\n")},
		{name: "field names of other tokens", request: with("x!y: 1\r\n1st: 2\r\nX--Y: 3\r\n")},
		{name: "field values of other octets", request: with("X-A: ä\xff\r\n")},
		{name: "no-cache", request: with("Pragma: no-cache\r\n")},
		{name: "user agent and auth", request: with("User-Agent: u/1\r\nAuthorization: Basic YTpi\r\nReferer: http://a/\r\n")},
		{name: "HEAD", request: method("HEAD")},
		{name: "unknown method", request: method("FOO-bar")},
		{name: "DELETE", request: method("DELETE")},
		{name: "DELETE with body", request: "DELETE /path HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"},
		{name: "GET with body", request: with("Content-Length: 4\r\n") + "body"},
		{name: "length", request: post("Content-Type: a/b\r\nContent-Length: 4\r\n", "body")},
		{name: "length 0", request: post("Content-Length: 0\r\n", "")},
		{name: "neither length nor coding", request: post("", "")},
		{name: "chunked", request: post("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n3;x=y\r\nabc\r\n0\r\n\r\n")},
		{name: "chunked, in capitals", request: post("Transfer-Encoding: Chunked\r\n", "0\r\n\r\n")},
		{name: "chunked and empty", request: post("Transfer-Encoding: chunked\r\n", "0\r\n\r\n")},
		{name: "trailers", request: post("Transfer-Encoding: chunked\r\nTrailer: X-Sum, x-other\r\nTrailer: X-Unsent\r\n", "4\r\nbody\r\n0\r\nX-Sum: 1\r\nX-SUM: 2\r\nx-other:  3 \r\nX-Undeclared: 4\r\n\r\n")},
		{name: "trailers undeclared", request: post("Transfer-Encoding: chunked\r\n", "4\r\nbody\r\n0\r\nX-Sum: 1\r\n\r\n")},
		{name: "trailers forbidden", request: post("Transfer-Encoding: chunked\r\nTrailer: X-Sum\r\n", "0\r\nContent-Length: 1\r\nX-Sum: 1\r\n\r\n")},
		{name: "trailer names forbidden", differs: whyTrailers, request: post("Transfer-Encoding: chunked\r\nTrailer: Content-Length\r\n", "0\r\n\r\n")},
		{name: "trailer without coding", request: with("Trailer: X-Sum\r\n")},
		{name: "form", request: post("Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 7\r\n", "a=1&b=2")},
		{name: "expect", request: post("Expect: 100-continue\r\nContent-Length: 4\r\n", ""), then: "body"},
		{name: "expect, in capitals", request: post("Expect: 100-Continue\r\nContent-Length: 4\r\n", ""), then: "body"},
		{name: "expect, chunked", request: post("Expect: 100-continue\r\nTransfer-Encoding: chunked\r\n", ""), then: "4\r\nbody\r\n0\r\n\r\n"},
		{name: "expect, body at once", differs: whyContinue, request: post("Expect: 100-continue\r\nContent-Length: 4\r\n", "body")},
		{name: "expect, no body", request: with("Expect: 100-continue\r\n")},
		{name: "expect, HTTP/1.0", request: "POST /path HTTP/1.0\r\nExpect: 100-continue\r\nContent-Length: 4\r\n\r\nbody"},
		{name: "expect something else", differs: whyServer, request: post("Expect: a-lot\r\nContent-Length: 4\r\n", "body")},
	}
	for _, t := range []string{
		"/", "/a/b", "/a%2Fb%20c", "/a+b?c+d", "/?q", "/?", "/a?b?c", "/a?%zz", "/a;b=c?d;e", "/ä/日?ö=ü", "/%C3%A4", `/a"b?x="a"`, "/<>|^`{}", "/a?<>|^`{}",
		"/a:b@c!$&'()*,=~", "/[x]", "/a\\b", "http://other/abs?q=1", "http://other:81/a%20b", "HTTP://Other/x", "https://other/x", "http://[::1]:80/x", "/*",
		"/" + strings.Repeat("long", 1000),
	} {
		rows = append(rows, row{name: "target " + t[:min(len(t), 30)], request: target(t)})
	}
	for _, request := range []string{
		"OPTIONS * HTTP/1.1\r\nHost: h\r\n\r\n",
		"OPTIONS /path HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /path HTTP/1.1\r\nHost:\r\n\r\n",
		"GET /path HTTP/1.1\r\nHost: UPPER.example:80\r\n\r\n",
		"GET /path HTTP/1.2\r\nHost: h\r\n\r\n",
		"get /path HTTP/1.1\r\nHost: h\r\n\r\n",
	} {
		rows = append(rows, row{name: fmt.Sprintf("%.60q", request), request: request})
	}
	for i := range rows {
		rows[i].handler = dump
	}
	compare(t, rows)
}

// TestRequestsOfTheServer has requests that no handler sees: this server reads them more
// strictly than net/http, which accepts some that two recipients may understand in two ways.
func TestRequestsOfTheServer(t *testing.T) {
	var rows []row
	for _, t := range []string{
		"/a#frag", "//double/slash", "/a//b/../c/./d", "http://other", "http://other?q", "http://user@other/x", "http:///x", "ftp://other/x", "*", "abc", "abc:80", "mailto:x",
	} {
		rows = append(rows, row{name: "target " + t, request: target(t)})
	}
	for _, request := range []string{
		"OPTIONS http://other HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET * HTTP/1.1\r\nHost: h\r\n\r\n",
		"CONNECT other:80 HTTP/1.1\r\nHost: other:80\r\n\r\n",
		"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"GET /path HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
		"GET /path HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n",
		"GET /path HTTP/1.1\r\nHost: a b\r\n\r\n",
		"GET /path HTTP/1.1\r\n\r\n",
		"GET /path HTTP/2.0\r\nHost: h\r\n\r\n",
		"GET /path\r\nHost: h\r\n\r\n",
		"GET  /path HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /pa th HTTP/1.1\r\nHost: h\r\n\r\n",
		"GET /path HTTP/1.1\nHost: h\n\n",
		"GET /path HTTP/1.1\r\nHost: h\r\nX Y: 1\r\n\r\n",
		"GET /path HTTP/1.1\r\nHost: h\r\nX : 1\r\n\r\n",
		"GET /path HTTP/1.1\r\nHost: h\r\nX: a\r\n b\r\n\r\n",
		"GET /path HTTP/1.1\r\nHost: h\r\nX: a\x00b\r\n\r\n",
		"GET /path HTTP/1.1\r\nHost: h\r\nX\r\n\r\n",
		"\r\nGET /path HTTP/1.1\r\nHost: h\r\n\r\n",
		"POST /path HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 4\r\n\r\nbody",
		"POST /path HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nContent-Length: 5\r\n\r\nbody",
		"POST /path HTTP/1.1\r\nHost: h\r\nContent-Length: 4, 4\r\n\r\nbody",
		"POST /path HTTP/1.1\r\nHost: h\r\nContent-Length: +4\r\n\r\nbody",
		"POST /path HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n4\r\nbody\r\n0\r\n\r\n",
		"POST /path HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
		"POST /path HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: identity\r\n\r\n",
		"POST /path HTTP/1.0\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
		"POST /path HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n",
	} {
		rows = append(rows, row{name: fmt.Sprintf("%.60q", request), request: request})
	}
	for i := range rows {
		rows[i].handler, rows[i].differs = dump, whyServer
	}
	compare(t, rows)
}

func TestUnreadBodies(t *testing.T) {
	ignore := func(w http.ResponseWriter, r *http.Request, see func(...any)) { write("text")(w, r, see) }
	part := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		see(io.ReadFull(r.Body, make([]byte, 3)))
		write("text")(w, r, see)
	}
	closes := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		see(r.Body.Close())
		write("text")(w, r, see)
	}
	late := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		write("text")(w, r, see)
		see(flush(w))
		body, err := io.ReadAll(r.Body)
		see(len(body), err)
	}
	duplex := func(w http.ResponseWriter, r *http.Request, see func(...any)) {
		see(http.NewResponseController(w).EnableFullDuplex())
		late(w, r, see)
	}
	length := func(n int) string { return post(fmt.Sprintf("Content-Length: %d\r\n", n), strings.Repeat("b", n)) }
	chunked := func(n int) string {
		return post("Transfer-Encoding: chunked\r\n", fmt.Sprintf("%x\r\n%s\r\n0\r\n\r\n", n, strings.Repeat("b", n)))
	}
	compare(t, []row{
		{name: "small", request: length(10), handler: ignore},
		{name: "small, chunked", request: chunked(10), handler: ignore},
		{name: "small, part read", request: length(10), handler: part},
		{name: "small, closed", request: length(10), handler: closes},
		{name: "small, read late", differs: whyLate, request: length(10), handler: late},
		{name: "small, full duplex", request: length(10), inline: whyInline, handler: duplex},
		{name: "256 KiB", differs: whyRest, request: length(256 << 10), handler: ignore},
		{name: "large", inline: whyBody, request: length(600 << 10), handler: ignore},
		{name: "large, chunked", inline: whyBody, request: chunked(600 << 10), handler: ignore},
		{name: "large, read", request: length(600 << 10), handler: dump},
		{name: "large, closed", inline: whyBody, request: length(600 << 10), handler: closes},
		{name: "expect, not read", inline: whyBody, request: post("Expect: 100-continue\r\nContent-Length: 4\r\n", ""), then: "body", handler: ignore},
	})
}

func TestControllers(t *testing.T) {
	compare(t, []row{
		{name: "deadlines", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			c := http.NewResponseController(w)
			see(c.SetWriteDeadline(time.Now().Add(time.Hour)), c.SetReadDeadline(time.Now().Add(time.Hour)))
			write("text")(w, r, see)
			see(c.SetWriteDeadline(time.Time{}), c.SetReadDeadline(time.Time{}))
		}},
		{name: "flush error", inline: whyInline, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			see(http.NewResponseController(w).Flush())
		}},
		{name: "unwrapped", inline: whyInline, handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			wrapped := wrapper{w}
			see(http.NewResponseController(wrapped).Flush(), http.NewResponseController(wrapped).EnableFullDuplex())
			write("text")(wrapped, r, see)
		}},
		{name: "interfaces", handler: func(w http.ResponseWriter, r *http.Request, see func(...any)) {
			_, flusher := w.(http.Flusher)
			_, pusher := w.(http.Pusher)
			_, texts := w.(io.StringWriter)
			see(flusher, pusher, texts)
		}},
	})
}

type wrapper struct{ inner http.ResponseWriter }

func (w wrapper) Header() http.Header         { return w.inner.Header() }
func (w wrapper) Write(p []byte) (int, error) { return w.inner.Write(p) }
func (w wrapper) WriteHeader(status int)      { w.inner.WriteHeader(status) }
func (w wrapper) Unwrap() http.ResponseWriter { return w.inner }
