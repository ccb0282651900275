package http1_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/http1"
	"zamqp/tests/kit/wiretest"
)

// refuser answers each request inside Head, and lets its connection go on.
func refuser(cfg http1.Config) *recorder {
	r := newRecorder(cfg)
	r.onHead = func(h *http1.Head) int {
		if string(h.Method) == "POST" {
			r.conn.DropBody()
			r.conn.Answer(404, "", nil, nil)
		}
		return 0
	}
	return r
}

// TestDropBody: a connection continues after a body that nobody wanted, however it is cut,
// and an error in that body is not answered a second time.
func TestDropBody(t *testing.T) {
	big := http1.Config{BodyMax: 1 << 20, ServerName: "t"}
	for _, row := range []struct {
		name, in string
		goes     bool
	}{
		{"length", post + "Content-Length: 5\r\n\r\nabcde", true},
		{"chunks", chunkedPost + "3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX: y\r\n\r\n", true},
		{"length at the bound", post + "Content-Length: 262144\r\n\r\n" + strings.Repeat("x", 262144), true},
		{"length over the bound", post + "Content-Length: 262145\r\n\r\n" + strings.Repeat("x", 262145), false},
		{"chunks over the bound", chunkedPost + "3ffff\r\n" + strings.Repeat("x", 262143) + "\r\n2\r\nxx\r\n0\r\n\r\n", false},
		{"expected", post + "Expect: 100-continue\r\nContent-Length: 5\r\n\r\nabcde", false},
		{"the last", post + "Connection: close\r\nContent-Length: 5\r\n\r\nabcde", false},
		{"malformed chunk", chunkedPost + "3\r\nabcX\r\n0\r\n\r\n", false},
		{"malformed trailer", chunkedPost + "0\r\nX y\r\n\r\n", false},
	} {
		step := max(1, len(row.in)/500)
		for _, pieces := range []int{len(row.in) + len(canary), step} {
			r := refuser(big)
			in := row.in + canary
			var err error
			for at := 0; at < len(in) && err == nil; {
				var n int
				end := min(len(in), at+pieces)
				if n, err = r.conn.Feed([]byte(in[at:end])); n == 0 && err == nil {
					pieces++ // as the loop keeps it
				}
				at += n
				r.flush()
			}
			got := r.answered()
			if served := strings.Contains(got, "200 OK"); served != row.goes || strings.Count(got, "HTTP/1.1 404 ") != 1 || strings.Contains(got, "HTTP/1.1 400") ||
				strings.Contains(r.log.String(), "end body=\"a") {
				t.Errorf("%s in pieces of %d: %v, %q", row.name, pieces, err, got)
			}
			if (err != nil) == row.goes {
				t.Errorf("%s in pieces of %d: %v", row.name, pieces, err)
			}
		}
	}
}

// TestDroppedBodyEnds: a dropped body that does not arrive ends its connection in time,
// without a second answer; and a drain does not wait for the next request.
func TestDroppedBodyEnds(t *testing.T) {
	r := refuser(http1.DefaultConfig())
	_, _ = r.feedString(post + "Content-Length: 5\r\n\r\nab")
	r.conn.Tick(wiretest.Epoch)
	r.conn.Tick(wiretest.Epoch.Add(time.Minute))
	if r.flush(); r.wire.Closed != 1 || strings.Count(string(r.out), "HTTP/1.1 ") != 1 {
		t.Errorf("closed %d: %q", r.wire.Closed, r.out)
	}
	r = refuser(http1.DefaultConfig())
	_, _ = r.feedString(post + "Content-Length: 5\r\n\r\nab")
	r.conn.Shutdown()
	if _, err := r.feedString("cde"); r.wire.Closed != 1 || err != nil {
		t.Errorf("closed %d: %v", r.wire.Closed, err)
	}
	r = refuser(limits)
	if _, err := r.feedString(post + "Content-Length: 5\r\n\r\nabcdeGET /\x00"); !errors.As(err, new(*http1.Error)) {
		t.Fatal(err)
	}
	if got := r.answered(); strings.Count(got, "HTTP/1.1 404 ") != 1 || strings.Count(got, "HTTP/1.1 400 ") != 1 {
		t.Errorf("the next request's refusal is not told: %q", got)
	}
}
