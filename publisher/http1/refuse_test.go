package http1_test

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/http1"
	"zamqp/tests/kit/wiretest"
)

// TestRefusedHEAD: the refusal of a HEAD request has no body, for whatever reason it is
// refused and however much of it had come. RFC 9110 §9.3.2.
func TestRefusedHEAD(t *testing.T) {
	for _, row := range []struct {
		name, in string
		status   int
	}{
		{"no Host", "HEAD / HTTP/1.1\r\n\r\n", 400},
		{"target", "HEAD /\x00 HTTP/1.1\r\nHost: a\r\n\r\n", 400},
		{"version", "HEAD / HTTP/2.0\r\nHost: a\r\n\r\n", 505},
		{"fields", "HEAD / HTTP/1.1\r\nHost: a\r\n" + strings.Repeat("X: y\r\n", 9), 431},
		{"expectation", "HEAD / HTTP/1.1\r\nHost: a\r\nExpect: x\r\n\r\n", 417},
		{"body too long", "HEAD / HTTP/1.1\r\nHost: a\r\nContent-Length: 65\r\n\r\n", 413},
		{"chunks", "HEAD / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\nx\r\n", 400},
		{"behind a GET", get11 + "HEAD / HTTP/1.1\r\n\r\n", 400},
	} {
		t.Run(row.name, func(t *testing.T) {
			r := newRecorder(limits)
			_, err := r.feedString(row.in)
			if statusOf(t, err) != row.status {
				t.Fatal(err)
			}
			wantBare(t, r.answered(), row.status)
			sameHoweverCut(t, limits, row.in)
		})
	}
	t.Run("too slow", func(t *testing.T) {
		r := newRecorder(http1.DefaultConfig())
		_, _ = r.feedString("HEAD / HTTP/1.1\r\nHo")
		r.conn.Tick(wiretest.Epoch)
		r.conn.Tick(wiretest.Epoch.Add(10 * time.Second))
		r.flush()
		wantBare(t, string(r.out), 408)
	})
	t.Run("the next request is no HEAD", func(t *testing.T) {
		for _, bad := range []string{"\rX", "GET /\x00", "HEADS / HTTP/1.1\r\n\r\n", "x\r\n"} {
			r := newRecorder(limits)
			_, _ = r.feedString(head11 + bad)
			out := r.answered()
			if at := strings.LastIndex(out, "HTTP/1.1 400 "); at < 0 || !strings.Contains(out[at:], "\r\n\r\nBad Request: ") {
				t.Errorf("%q: %q", bad, out)
			}
		}
	})
}

// wantBare fails unless the last answer of out has the status, a length and no
// body.
func wantBare(t *testing.T, out string, status int) {
	t.Helper()
	at := strings.LastIndex(out, "HTTP/1.1 "+strconv.Itoa(status)+" ")
	if at < 0 {
		t.Fatalf("no %d: %q", status, out)
	}
	if _, body, ended := strings.Cut(out[at:], "\r\n\r\n"); !ended || body != "" || !strings.Contains(out[at:], "Content-Length: ") {
		t.Fatalf("%q", out[at:])
	}
}

// TestStatusTexts: each status that net/http knows by name has a name here, the
// same one but where RFC 9110 has changed it.
func TestStatusTexts(t *testing.T) {
	renamed := map[int]string{413: "Content Too Large", 414: "URI Too Long", 416: "Range Not Satisfiable", 422: "Unprocessable Content"}
	classes := []string{"Informational", "Successful", "Redirection", "Client Error", "Server Error"}
	for status := 100; status < 600; status++ {
		want := http.StatusText(status)
		if text, ok := renamed[status]; ok {
			want = text
		}
		got := http1.StatusText(status)
		if named := !slices.Contains(classes, got); named != (want != "") || named && got != want {
			t.Errorf("%d is %q, want %q", status, got, want)
		}
	}
}
