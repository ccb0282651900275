package httpdoor_test

import (
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/http1"
)

// TestRefusalsOfTheMachineAreJSON: also those without a call, if the head could be read.
func TestRefusalsOfTheMachineAreJSON(t *testing.T) {
	h := newHostOf(t, 0, http1.Config{BodyMax: 10}, func(g *publisher.Registry) {
		g.Handle("POST /small", func(r *publisher.Request) error { return nil }, publisher.BodyMax(5))
		g.Handle("POST /", func(r *publisher.Request) error { return nil })
	})
	const long, document = "HTTP/1.1 413 ", `{"type":"about:blank","title":"Content Too Large","status":413,"detail":"the body is too long (RFC 9110 §15.5.14)"}`
	const accept = "Accept: application/json\r\n"
	for name, c := range map[string]struct{ request, status, body string }{
		"declared, JSON": {"POST / HTTP/1.1\r\nHost: x\r\n" + accept + "Content-Length: 11\r\n\r\n", long, document + "\n"},
		"declared, text": {"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", long, "Content Too Large: the body is too long (RFC 9110 §15.5.14)\n"},
		"of a route":     {"POST /small HTTP/1.1\r\nHost: x\r\n" + accept + "Content-Length: 6\r\n\r\n", long, document + "\n"},
		"in chunks":      {"POST / HTTP/1.1\r\nHost: x\r\n" + accept + "Transfer-Encoding: chunked\r\n\r\nb\r\n", long, document + "\n"},
		"HEAD":           {"HEAD / HTTP/1.1\r\nHost: x\r\n" + accept + "Content-Length: 11\r\n\r\n", long, ""},
		"malformed":      {"POST / HTTP/1.1\r\nHost: x\r\n" + accept + "Content-Length: x\r\n\r\n", "HTTP/1.1 400 ", ""},
		"bad chunk":      {"POST / HTTP/1.1\r\nHost: x\r\n" + accept + "Transfer-Encoding: chunked\r\n\r\nx\r\n", "HTTP/1.1 400 ", `{"type":"about:blank","title":"Bad Request","status":400,"detail":"a chunk size is not a plain hexadecimal number (RFC 9112 §7.1)"}` + "\n"},
		"the next one":   {"POST / HTTP/1.1\r\nHost: x\r\n" + accept + "Content-Length: 1\r\n\r\nxPOST / HTTP/1.1\r\nHost: x\r\nContent-Length: 11\r\n\r\n", "HTTP/1.1 204 ", "Content Too Large: the body is too long (RFC 9110 §15.5.14)\n"},
	} {
		got := h.serve(t, c.request)
		head, body, _ := strings.Cut(got, "\r\n\r\n")
		if name == "the next one" {
			_, body, _ = strings.Cut(body, "\r\n\r\n")
		}
		if !strings.HasPrefix(got, c.status) || name != "malformed" && body != c.body {
			t.Errorf("%s: %q %q, want %s %q", name, head, body, c.status, c.body)
		}
		if isJSON := strings.Contains(head, "application/problem+json"); isJSON != (strings.HasPrefix(c.body, "{") || name == "HEAD") {
			t.Errorf("%s: %s", name, head)
		}
	}
}
