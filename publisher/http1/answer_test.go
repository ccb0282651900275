package http1_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/http1"
	"zamqp/tests/kit/wiretest"
)

const (
	get11  = "GET / HTTP/1.1\r\nHost: a\r\n\r\n"
	head11 = "HEAD / HTTP/1.1\r\nHost: a\r\n\r\n"
	get10  = "GET / HTTP/1.0\r\n\r\n"
	keep10 = "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n"
	last11 = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"
)

// answers are what a handler does at End, and the octets that are sent for it. closes: the
// wire was asked to close.
var answers = []struct {
	name, in string
	do       func(c *http1.Conn)
	want     string
	closes   bool
}{
	{"9112 §4 one-shot", get11,
		func(c *http1.Conn) { c.Answer(200, "text/plain", []byte("X: y\r\n"), []byte("hello")) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Type: text/plain\r\nContent-Length: 5\r\nX: y\r\n\r\nhello", false},
	{"9112 §6.3 empty body has a length", get11,
		func(c *http1.Conn) { c.Answer(404, "", nil, nil) },
		"HTTP/1.1 404 Not Found\r\nServer: t\r\nContent-Length: 0\r\n\r\n", false},
	{"9112 §9.6 close asked for", last11,
		func(c *http1.Conn) { c.Answer(200, "", nil, nil) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true},
	{"9112 §9.3 HTTP/1.0 closes", get10,
		func(c *http1.Conn) { c.Answer(200, "", nil, nil) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true},
	{"9112 §9.3 HTTP/1.0 kept alive", keep10,
		func(c *http1.Conn) { c.Answer(200, "", nil, nil) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\nConnection: keep-alive\r\n\r\n", false},
	{"9110 §9.3.2 HEAD keeps the length", head11,
		func(c *http1.Conn) { c.Answer(200, "a/b", nil, []byte("hello")) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Type: a/b\r\nContent-Length: 5\r\n\r\n", false},
	{"9110 §15.3.5 204 has no body and no length", get11,
		func(c *http1.Conn) { c.Answer(204, "a/b", nil, []byte("hello")) },
		"HTTP/1.1 204 No Content\r\nServer: t\r\n\r\n", false},
	{"9110 §15.3.6 205 has no content", get11,
		func(c *http1.Conn) { c.Answer(205, "", nil, []byte("hello")) },
		"HTTP/1.1 205 Reset Content\r\nServer: t\r\nContent-Length: 0\r\n\r\n", false},
	{"9110 §15.4.5 304 has no body", get11,
		func(c *http1.Conn) { c.Answer(304, "", []byte("ETag: \"x\"\r\n"), nil) },
		"HTTP/1.1 304 Not Modified\r\nServer: t\r\nETag: \"x\"\r\n\r\n", false},
	{"9110 §15 no such status", get11,
		func(c *http1.Conn) { c.Answer(99, "", nil, nil) },
		"HTTP/1.1 500 Internal Server Error\r\nServer: t\r\nContent-Length: 0\r\n\r\n", false},
	{"9110 §15.2 1xx is no answer", get11,
		func(c *http1.Conn) { c.Answer(101, "", nil, nil) },
		"HTTP/1.1 500 Internal Server Error\r\nServer: t\r\nContent-Length: 0\r\n\r\n", false},
	{"9110 §15 unregistered status", get11,
		func(c *http1.Conn) { c.Answer(299, "", nil, nil) },
		"HTTP/1.1 299 Successful\r\nServer: t\r\nContent-Length: 0\r\n\r\n", false},
	{"9110 §15.5.19, §15 names that are asked for", get11,
		func(c *http1.Conn) { c.Answer(418, "", nil, nil) },
		"HTTP/1.1 418 I'm a teapot\r\nServer: t\r\nContent-Length: 0\r\n\r\n", false},
	{"2295 §8.1 variant also negotiates", get11,
		func(c *http1.Conn) { c.Answer(506, "", nil, nil) },
		"HTTP/1.1 506 Variant Also Negotiates\r\nServer: t\r\nContent-Length: 0\r\n\r\n", false},
	{"9110 §10.2.4 a Server field of the application's", get11,
		func(c *http1.Conn) { c.Answer(200, "", []byte("X: y\r\nsErver: mine\r\n"), nil) },
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nX: y\r\nsErver: mine\r\n\r\n", false},
	{"9110 §10.2.4 names and values like Server", get11,
		func(c *http1.Conn) { c.Answer(200, "", []byte("Servers: a\r\nX: Server: b\r\n"), nil) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\nServers: a\r\nX: Server: b\r\n\r\n", false},
	{"9110 §10.2.4 a Server field of the application's, streamed", get11,
		func(c *http1.Conn) { c.Start(200, []byte("Server: mine\r\n"), 0); c.Finish() },
		"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nServer: mine\r\n\r\n", false},
	{"9112 §11.1 content type cannot split the answer", get11,
		func(c *http1.Conn) { c.Answer(200, "a/b\r\nX: y", nil, nil) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\n\r\n", false},
	{"second answer does nothing", get11,
		func(c *http1.Conn) { c.Answer(200, "", nil, nil); c.Answer(201, "", nil, nil) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\n\r\n", false},
	{"9112 §9.6 the application closes", get11,
		func(c *http1.Conn) { c.SetClose(); c.Answer(200, "", nil, nil) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true},
	{"9112 §9.6 draining", get11,
		func(c *http1.Conn) { c.Shutdown(); c.Answer(200, "", nil, nil) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 0\r\nConnection: close\r\n\r\n", true},

	{"9112 §7.1 chunks", get11,
		func(c *http1.Conn) { stream(c, 200, -1, "hello, ", "", "world of more than sixteen") },
		"HTTP/1.1 200 OK\r\nServer: t\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n7\r\nhello, \r\n1a\r\nworld of more than sixteen\r\n0\r\n\r\n", false},
	{"9112 §7.1 no chunks", get11,
		func(c *http1.Conn) { stream(c, 200, -1) },
		"HTTP/1.1 200 OK\r\nServer: t\r\nTransfer-Encoding: chunked\r\nX: y\r\n\r\n0\r\n\r\n", false},
	{"9112 §6.3 no chunks for HTTP/1.0", keep10,
		func(c *http1.Conn) { stream(c, 200, -1, "hello, ", "world") },
		"HTTP/1.1 200 OK\r\nServer: t\r\nConnection: close\r\nX: y\r\n\r\nhello, world", true},
	{"9112 §6.2 known length", get11,
		func(c *http1.Conn) { stream(c, 200, 12, "hello, ", "world") },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 12\r\nX: y\r\n\r\nhello, world", false},
	{"9112 §6.2 known length for HTTP/1.0", keep10,
		func(c *http1.Conn) { stream(c, 200, 2, "ok") },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 2\r\nConnection: keep-alive\r\nX: y\r\n\r\nok", false},
	{"9110 §9.3.2 streamed HEAD", head11,
		func(c *http1.Conn) { stream(c, 200, 12, "hello, ", "world") },
		"HTTP/1.1 200 OK\r\nServer: t\r\nContent-Length: 12\r\nX: y\r\n\r\n", false},
	{"9110 §9.3.2 streamed HEAD of unknown length", head11,
		func(c *http1.Conn) { stream(c, 200, -1, "hello, ", "world") },
		"HTTP/1.1 200 OK\r\nServer: t\r\nX: y\r\n\r\n", false},
	{"9110 §15.3.5 streamed 204", get11,
		func(c *http1.Conn) { stream(c, 204, -1, "hello") },
		"HTTP/1.1 204 No Content\r\nServer: t\r\nX: y\r\n\r\n", false},
}

func stream(c *http1.Conn, status int, length int64, pieces ...string) {
	c.Start(status, []byte("X: y\r\n"), length)
	for _, p := range pieces {
		_ = c.Write([]byte(p))
	}
	c.Finish()
}

func TestAnswers(t *testing.T) {
	for _, row := range answers {
		t.Run(row.name, func(t *testing.T) {
			for _, late := range []bool{false, true} {
				r := newRecorder(limits)
				r.onEnd = func() {
					if !late {
						row.do(r.conn)
					}
				}
				if rest, err := r.feedString(row.in); err != nil || rest != "" {
					t.Fatal(err, rest)
				}
				if late {
					row.do(r.conn)
					if r.wire.Woken+r.wire.Closed == 0 {
						t.Fatal("a late answer did not wake its wire")
					}
					r.flush()
				} else if r.wire.Woken != 0 {
					t.Fatal("woken inside Feed, for nothing")
				}
				if got := r.answered(); got != row.want {
					t.Fatalf("late=%t\n got %q\nwant %q", late, got, row.want)
				}
				if (r.wire.Closed > 0) != row.closes || r.wire.Aborted > 0 {
					t.Fatalf("late=%t closed %d, aborted %d", late, r.wire.Closed, r.wire.Aborted)
				}
				// A connection that closes takes nothing more; the others do.
				r.onEnd = nil
				rest, err := r.feedString(canary)
				if served := strings.Contains(r.answered(), "200 OK"); err != nil || rest != "" || served == row.closes {
					t.Fatalf("late=%t served %t: %v, rest %q", late, served, err, rest)
				}
			}
		})
	}
}

// TestShortAnswerCuts: the other side gets the octets that were written, and the end of the
// connection. If that would look like a whole answer, the connection is aborted.
func TestShortAnswerCuts(t *testing.T) {
	r := newRecorder(limits)
	r.onEnd = func() { stream(r.conn, 200, 5, "hell") }
	if _, err := r.feedString(get11 + canary); err != nil {
		t.Fatal(err)
	}
	if r.wire.Closed != 1 || r.wire.Aborted != 0 || !errors.Is(r.conn.Err(), http1.ErrShortAnswer) {
		t.Fatalf("closed %d, aborted %d: %v", r.wire.Closed, r.wire.Aborted, r.conn.Err())
	}
	if out := r.answered(); !strings.HasSuffix(out, "\r\n\r\nhell") || strings.Contains(r.log.String(), "canary") {
		t.Fatal(out, r.log.String())
	}
	for length, aborted := range map[int64]int{-1: 0, http1.UntilClose: 1} {
		r := newRecorder(limits)
		r.onEnd = func() {
			r.conn.Start(200, nil, length)
			_ = r.conn.Write([]byte("hell"))
			r.conn.Cut(errors.New("on purpose"))
		}
		if _, err := r.feedString(get11 + canary); err != nil {
			t.Fatal(err)
		}
		if r.wire.Aborted != aborted || r.wire.Closed != 1-aborted || strings.Contains(r.log.String(), "canary") {
			t.Errorf("length %d: closed %d, aborted %d", length, r.wire.Closed, r.wire.Aborted)
		}
	}
}

// TestOwnFields: fields of the answer replace the machine's own.
func TestOwnFields(t *testing.T) {
	for _, row := range []struct {
		fields, request string
		want, not       []string
	}{
		{"Date: then\r\n", get11, []string{"\r\nDate: then\r\n"}, []string{"Connection"}},
		{"X: y\r\ndate: then\r\nserver: s\r\n", get11, []string{"\r\ndate: then\r\n", "\r\nserver: s\r\n"}, nil},
		{"Connection: x, Close\r\n", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", []string{"\r\nConnection: x, Close\r\n"}, nil},
		{"Connection: x\r\n", "GET / HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n", []string{"\r\nConnection: x\r\n", "\r\nConnection: close\r\n"}, nil},
		{"Connection: x\r\n", "GET / HTTP/1.0\r\nConnection: keep-alive\r\n\r\n", []string{"\r\nConnection: x\r\n"}, []string{"keep-alive"}},
		{"Connections: x\r\nDates: y\r\nDate\r\n", get11, []string{"\r\nDate: "}, nil},
	} {
		for _, whole := range []bool{true, false} {
			r := newRecorder(http1.Config{ServerName: "zamqp"})
			r.onEnd = func() {
				if whole {
					r.conn.Answer(200, "", []byte(row.fields), nil)
					return
				}
				r.conn.Start(200, []byte(row.fields), 0)
				r.conn.Finish()
			}
			if _, err := r.feedString(row.request); err != nil {
				t.Fatal(err)
			}
			r.flush()
			out := string(r.out)
			for _, want := range row.want {
				name, _, _ := strings.Cut(strings.ToLower(strings.TrimSpace(want)), ":")
				if strings.Count(out, want) != 1 || name != "connection" && strings.Count(strings.ToLower(out), "\r\n"+name+":") != 1 {
					t.Errorf("whole=%t, %q: %q", whole, row.fields, out)
				}
			}
			for _, not := range row.not {
				if strings.Contains(out, not) {
					t.Errorf("whole=%t, %q: %q", whole, row.fields, out)
				}
			}
		}
	}
}

func TestLongAnswerAborts(t *testing.T) {
	for _, first := range []string{"", "he", "hello"} {
		r := newRecorder(limits)
		r.onEnd = func() {
			r.conn.Start(200, nil, 5)
			if err := r.conn.Write([]byte(first)); err != nil {
				t.Errorf("%q: %v", first, err)
			}
			if err := r.conn.Write([]byte("excess")); !errors.Is(err, http1.ErrLongAnswer) {
				t.Errorf("%q: the write gives %v", first, err)
			}
			r.conn.Finish()
		}
		if _, err := r.feedString(get11 + canary); err != nil {
			t.Fatal(err)
		}
		if r.wire.Aborted != 1 || !errors.Is(r.wire.Cause(), http1.ErrLongAnswer) || !errors.Is(r.conn.Err(), http1.ErrLongAnswer) {
			t.Fatalf("%q: aborted %d: %v, %v", first, r.wire.Aborted, r.wire.Cause(), r.conn.Err())
		}
		if out := r.answered(); strings.Contains(r.log.String(), "canary") || strings.Contains(out, "excess") {
			t.Fatalf("%q: %s%s", first, r.log.String(), out)
		}
	}
}

// TestDate: an answer has the second in which it is sent, although the time is known only
// after the input has been read. RFC 9110 §6.6.1.
func TestDate(t *testing.T) {
	r := newRecorder(http1.DefaultConfig())
	for _, d := range []time.Duration{0, time.Hour, time.Hour + 900*time.Millisecond, 100 * time.Hour} {
		if _, err := r.conn.Feed([]byte(strings.Repeat(get11, 3))); err != nil {
			t.Fatal(err)
		}
		now := wiretest.Epoch.Add(d)
		r.conn.Tick(now)
		r.flush()
		want := "\r\nDate: " + now.Format("Mon, 02 Jan 2006 15:04:05 GMT") + "\r\n"
		if got := string(r.out); strings.Count(got, want) != 3 || strings.Count(got, "Server: zamqp\r\n") != 3 {
			t.Fatalf("want 3 times %q in %q", want, got)
		}
		r.out = r.out[:0]
	}
}

func TestAppendField(t *testing.T) {
	for _, row := range []struct{ name, value, want string }{
		{"X-Y", "a b\t\xff", "X-Y: a b\t\xff\r\n"},
		{"X", "", "X: \r\n"},
		{"X Y", "a", ""},
		{"X:", "a", ""},
		{"", "a", ""},
		{"X\r\nY", "a", ""},
		{"X", "a\r\nY: b", ""},
		{"X", "a\nb", ""},
		{"X", "a\x00", ""},
	} {
		got, err := http1.AppendField([]byte("0"), row.name, row.value)
		if (err == nil) != (row.want != "") || string(got) != "0"+row.want {
			t.Errorf("%q: %q = %q, %v", row.name, row.value, got, err)
		}
	}
}

func TestReserved(t *testing.T) {
	for _, name := range []string{"Content-Length", "TRANSFER-encoding", "connection", "Date", "Keep-Alive"} {
		if !http1.IsReserved(name) {
			t.Errorf("%s is not reserved", name)
		}
	}
	for _, name := range []string{"Content-Type", "Server", "", "X", "Content-Lengths", "A-Very-Long-Name-That-Is-Nothing-To-Us"} {
		if http1.IsReserved(name) {
			t.Errorf("%s is reserved", name)
		}
	}
}

// TestStrictTransport: only on connections with TLS, in answers of all kinds, and once.
func TestStrictTransport(t *testing.T) {
	const field = "Strict-Transport-Security: max-age=60\r\n"
	for _, row := range []struct {
		name, in string
		do       func(c *http1.Conn)
		secure   bool
		times    int
	}{
		{"plain", get11, func(c *http1.Conn) { c.Answer(200, "", nil, nil) }, false, 0},
		{"answer", get11, func(c *http1.Conn) { c.Answer(200, "", nil, nil) }, true, 1},
		{"HEAD", head11, func(c *http1.Conn) { c.Answer(200, "", nil, nil) }, true, 1},
		{"stream", get11, func(c *http1.Conn) { c.Start(200, nil, -1); c.Finish() }, true, 1},
		{"refusal", "GET\r\n\r\n", func(*http1.Conn) {}, true, 1},
		{"its own", get11, func(c *http1.Conn) { c.Answer(200, "", []byte("strict-transport-security: max-age=1\r\n"), nil) }, true, 0},
	} {
		r := newRecorder(http1.Config{StrictTransport: "max-age=60"})
		r.onEnd = func() { row.do(r.conn) }
		if row.secure {
			r.conn.Secure()
		}
		_, _ = r.conn.Feed([]byte(row.in))
		if got := string(r.conn.Pending()); strings.Count(got, field) != row.times {
			t.Errorf("%s: %q", row.name, got)
		}
	}
}
