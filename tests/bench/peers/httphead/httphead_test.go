package httphead_test

import (
	"strings"
	"testing"

	"zamqp/tests/bench/peers/httphead"
)

func TestServe(t *testing.T) {
	const hello = "GET /hello HTTP/1.1\r\nHost: x\r\n\r\n"
	for _, row := range []struct {
		name, in string
		used     int
		statuses string
		closing  bool
	}{
		{"one", hello, len(hello), "200", false},
		{"incomplete", hello[:len(hello)-1], 0, "", false},
		{"pipelined with an end in sight", hello + "GET /no HTTP/1.1\r\nHost: x\r\n\r\n" + hello[:5], 2*len(hello) - 3, "200 404", false},
		{"close", "GET /hello HTTP/1.1\r\nConnection: close\r\n\r\n" + hello, 42, "200", true},
		{"1.0 closes", "GET /hello HTTP/1.0\r\n\r\n", 23, "200", true},
		{"1.0 keeps alive", "GET /hello HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", 47, "200", false},
		{"body is skipped", "POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc" + hello, 42 + len(hello), "404 200", false},
		{"body is awaited", "POST /x HTTP/1.1\r\nContent-Length: 3\r\n\r\nab", 0, "", false},
		{"transfer coding", "POST /x HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + hello, 0, "400", true},
		{"nonsense", "hello\r\n\r\n", 0, "400", true},
	} {
		out, used, closing := httphead.Serve(nil, []byte(row.in), "peer", "Mon, 02 Jan 2006 15:04:05 GMT")
		var statuses []string
		for _, answer := range strings.Split(string(out), "HTTP/1.1 ")[1:] {
			statuses = append(statuses, answer[:3])
		}
		if got := strings.Join(statuses, " "); got != row.statuses || used != row.used || closing != row.closing {
			t.Errorf("%s: answers %q, used %d, closing %v; want %q, %d, %v", row.name, got, used, closing, row.statuses, row.used, row.closing)
		}
	}
}
