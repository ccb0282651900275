package httpdoor_test

import (
	"io"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/http1"
)

// serve gives the answers to requests said at once.
func (h *host) serve(t testing.TB, requests string) string {
	t.Helper()
	link, client := h.connect(t, 1)
	client.SayString(requests)
	for range 10 {
		link.Run()
		h.run()
	}
	return string(client.Take())
}

// TestServerFieldIsSentOnce: a handler's own takes the place of the server's.
func TestServerFieldIsSentOnce(t *testing.T) {
	h := newHostOf(t, 0, http1.Config{ServerName: "zamqp"}, func(g *publisher.Registry) {
		g.Handle("GET /plain", func(r *publisher.Request) error { return r.Text(200, "ok") })
		g.Handle("GET /own", func(r *publisher.Request) error {
			r.SetHeader("Server", "first")
			r.SetHeader("X-A", "a")
			r.SetHeader("server", "mine")
			r.SetHeader("X-B", "b")
			return r.Text(200, "ok")
		})
		g.Handle("GET /stream", func(r *publisher.Request) error {
			r.SetHeader("Server", "mine")
			return r.Stream(200, "", 0, func(*publisher.Stream) error { return nil })
		})
	})
	for path, want := range map[string]string{"/plain": "Server: zamqp", "/own": "server: mine", "/stream": "Server: mine"} {
		got := h.serve(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if !strings.Contains(got, "\r\n"+want+"\r\n") || strings.Count(strings.ToLower(got), "\nserver:") != 1 {
			t.Errorf("%s: %q", path, got)
		}
		if path == "/own" && (!strings.Contains(got, "\r\nX-A: a\r\n") || !strings.Contains(got, "\r\nX-B: b\r\n")) {
			t.Errorf("another field was lost: %q", got)
		}
	}
}

// TestContentTypeWithControls: a content type that would end its line fails the
// call and says so, even if the handler does not look; nothing is dropped in silence.
func TestContentTypeWithControls(t *testing.T) {
	h := newHostOf(t, 0, http1.Config{}, func(g *publisher.Registry) {
		const bad = "a\r\nX: y"
		g.Handle("GET /bytes", func(r *publisher.Request) error { return r.Bytes(200, bad, []byte("secret")) })
		g.Handle("GET /stream", func(r *publisher.Request) error {
			return r.Stream(200, bad, -1, func(*publisher.Stream) error { return nil })
		})
		g.Handle("GET /unseen", func(r *publisher.Request) error {
			_ = r.Bytes(200, bad, []byte("secret"))
			return r.Text(200, "as if nothing were")
		})
		g.Handle("GET /good", func(r *publisher.Request) error { return r.Bytes(200, "a/b; x=\"\xc3\xa4\"", nil) })
	})
	for _, path := range []string{"/bytes", "/stream", "/unseen"} {
		h.log.Reset()
		got := h.serve(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		if !strings.HasPrefix(got, "HTTP/1.1 500 ") || strings.Contains(got, "X: y") || strings.Contains(got, "secret") {
			t.Errorf("%s: %q", path, got)
		}
		if log := h.log.String(); !strings.Contains(log, `content type \"a\\r\\nX: y\" holds control characters`) {
			t.Errorf("%s: the log does not say why: %s", path, log)
		}
	}
	if got := h.serve(t, "GET /good HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(got, "Content-Type: a/b; x=\"\xc3\xa4\"\r\n") {
		t.Errorf("%q", got)
	}
}

// TestStreamOfAnotherLength: an answer without the announced length never looks complete, its
// Write fails, and the log says so, even if the handler does not check.
func TestStreamOfAnotherLength(t *testing.T) {
	for _, row := range []struct {
		name   string
		length int64
		writes []int
		fails  bool // the last write
		log    string
	}{
		{"50 of 100", 100, []int{50}, false, "shorter than its Content-Length"},
		{"nothing of 100", 100, nil, false, "shorter than its Content-Length"},
		{"100 of 50", 50, []int{100}, true, "longer than its Content-Length"},
		{"50 of 50, then 50", 50, []int{50, 50}, true, "longer than its Content-Length"},
		{"1 of 0", 0, []int{1}, true, "longer than its Content-Length"},
		{"as announced", 100, []int{50, 0, 50}, false, ""},
	} {
		for _, waits := range []bool{false, true} {
			h := newHostOf(t, 0, http1.Config{}, func(g *publisher.Registry) {
				g.Handle("GET /stream", func(r *publisher.Request) error {
					return r.Stream(200, "text/plain", row.length, func(w *publisher.Stream) error {
						for i, n := range row.writes {
							_, err := io.WriteString(w, strings.Repeat("s", n))
							if fails := row.fails && i == len(row.writes)-1; fails != (err != nil) {
								t.Errorf("%s: write %d gives %v", row.name, i, err)
							}
						}
						if waits {
							_ = r.Await(func(done func(error)) { done(nil) })
						}
						return nil
					})
				})
			})
			link, client := h.connect(t, 1)
			client.SayString("GET /stream HTTP/1.1\r\nHost: x\r\n\r\n" + "GET /stream HTTP/1.1\r\nHost: x\r\n\r\n")
			for range 10 {
				link.Run()
				h.run()
			}
			good := row.log == ""
			log := h.log.String()
			if good != (log == "") || !strings.Contains(log, row.log) || !good && !strings.Contains(log, `"level":"error"`) {
				t.Errorf("%s: log %q", row.name, log)
			}
			_, body, _ := strings.Cut(string(client.Take()), "\r\n\r\n")
			if client.Gone == good || !good && row.length > 0 && len(body) >= int(row.length) && len(row.writes) < 2 {
				t.Errorf("%s: gone %t after %q", row.name, client.Gone, body)
			}
			if h.server.Live() != 0 || h.door.Open() != map[bool]int{true: 1, false: 0}[good] {
				t.Errorf("%s: %d calls, %d connections", row.name, h.server.Live(), h.door.Open())
			}
		}
	}
}

// TestErrorKeepsTheFieldsOfTheAnswer: fields that a handler has set before it fails are sent
// if they fit any answer, but not if they are about the body.
func TestErrorKeepsTheFieldsOfTheAnswer(t *testing.T) {
	kept := []string{"X-Request-Id: 17", "Www-Authenticate: Basic realm=\"a\"", "Set-Cookie: a=b", "Set-Cookie: c=d", "Vary: Accept", "Content-Security-Policy: x"}
	dropped := []string{"Etag: \"e\"", "Last-Modified: yesterday", "content-encoding: gzip", "Content-Range: bytes 0-1/2", "Location: /orders/1",
		"Cache-Control: max-age=60", "Expires: tomorrow", "Content-Disposition: attachment"}
	set := func(r *publisher.Request) {
		for _, line := range append(append([]string{"Retry-After: 1"}, kept...), dropped...) {
			name, value, _ := strings.Cut(line, ": ")
			r.SetHeader(name, value)
		}
	}
	h := newHostOf(t, 0, http1.Config{}, func(g *publisher.Registry) {
		g.Handle("GET /401", func(r *publisher.Request) error { set(r); return publisher.Errorf(401, "who?") })
		g.Handle("GET /503", func(r *publisher.Request) error {
			set(r)
			_ = r.Text(200, "not sent")
			return publisher.Errorf(503, "busy").With("retry-After", "5").With("X-Why", "a\r\nX: y").With("Content-Length", "7")
		})
		g.Handle("GET /500", func(r *publisher.Request) error { set(r); panic("lost") })
		g.Handle("GET /503/two", func(r *publisher.Request) error {
			return publisher.Errorf(503, "busy").With("Link", "<a>").With("Link", "<b>")
		})
	})
	for path, retry := range map[string]string{"/401": "Retry-After: 1", "/503": "retry-After: 5", "/500": "Retry-After: 1"} {
		h.log.Reset()
		got := h.serve(t, "GET "+path+" HTTP/1.1\r\nHost: x\r\n\r\n")
		for _, line := range append([]string{retry}, kept...) {
			if strings.Count(got, "\r\n"+line+"\r\n") != 1 {
				t.Errorf("%s: %s is not sent once: %q", path, line, got)
			}
		}
		for _, line := range dropped {
			if strings.Contains(got, line) {
				t.Errorf("%s: %s is sent: %q", path, line, got)
			}
		}
		if strings.Count(strings.ToLower(got), "\nretry-after:") != 1 || strings.Contains(got, "X-Why") || strings.Contains(got, "X: y") || strings.Contains(got, "not sent") ||
			strings.Count(got, "Content-Length: ") != 1 || !strings.HasPrefix(got, "HTTP/1.1 "+path[1:]+" ") {
			t.Errorf("%s: %q", path, got)
		}
		if told := strings.Contains(h.log.String(), "a header field of the error was left out"); told != (path == "/503") {
			t.Errorf("%s: the log is %s", path, h.log.String())
		}
	}
	if got := h.serve(t, "GET /503/two HTTP/1.1\r\nHost: x\r\n\r\n"); !strings.Contains(got, "\r\nLink: <a>\r\nLink: <b>\r\n") {
		t.Errorf("%q", got)
	}
}
