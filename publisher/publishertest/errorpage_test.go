package publishertest_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

const htmlType = "text/html; charset=utf-8"

// TestErrorPages: of handlers' errors and of requests without a route; each way in which a page
// can fail gives the text.
func TestErrorPages(t *testing.T) {
	var page publisher.ErrorPage
	shown := func(r *publisher.Request, failure *publisher.StatusError) error {
		return r.Bytes(200, htmlType, fmt.Appendf(nil, "<h1>%d %s</h1>", failure.Status, failure.Text))
	}
	g := publisher.NewRegistry()
	g.Produce("out", publisher.Producer{Queue: "out"})
	g.Handle("GET /gone", func(r *publisher.Request) error {
		r.Publish("out", "of the handler")
		r.SetHeader("X-Kept", "yes")
		r.SetHeader("ETag", "dropped")
		return publisher.Errorf(410, "sold").With("Retry-After", "9")
	})
	g.Handle("GET /answered", func(r *publisher.Request) error { return r.Text(404, "mine") })
	g.Handle("GET /secret", func(r *publisher.Request) error { return errors.New("the password is 123") })
	g.Handle("GET /problem", func(r *publisher.Request) error { return &publisher.Problem{Status: 422, Detail: "no"} })
	g.Handle("GET /teapot", func(r *publisher.Request) error { return publisher.Errorf(418, "tea") })
	g.Handle("GET /chained", func(r *publisher.Request) error { return publisher.Errorf(410, "sold") })
	g.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error { return publisher.Errorf(410, "sold") })
	g.UseHTTP(func(next http.Handler) http.Handler { return next }, "/chained", "/chained/")
	g.Handle("GET /chained/x", func(r *publisher.Request) error { return nil })
	g.OnStatus(410, func(r *publisher.Request, failure *publisher.StatusError) error { return page(r, failure) })
	g.OnStatus(404, shown)
	g.OnStatus(405, shown)
	g.OnStatus(publisher.Status5xx, shown)
	g.OnStatus(422, shown)
	s := publishertest.New(t, g)

	page = shown
	for _, c := range []struct {
		method, path, accept string
		status               int
		kind, body           string
	}{
		{"GET", "/gone", "text/html", 410, htmlType, "<h1>410 sold</h1>"},
		{"GET", "/gone", "", 410, htmlType, "<h1>410 sold</h1>"},
		{"GET", "/gone", "application/json", 410, problemType, ""},
		{"HEAD", "/gone", "", 410, htmlType, "<h1>410 sold</h1>"},
		{"GET", "/nowhere", "text/html", 404, htmlType, "<h1>404 404 page not found</h1>"},
		{"GET", "/nowhere", "application/json", 404, problemType, ""},
		{"POST", "/gone", "text/html", 405, htmlType, "<h1>405 Method Not Allowed</h1>"},
		{"GET", "/answered", "text/html", 404, "text/plain; charset=utf-8", "mine"},
		{"GET", "/secret", "text/html", 500, htmlType, "<h1>500 Internal Server Error</h1>"},
		{"GET", "/problem", "", 422, problemType, ""},
		{"GET", "/problem", "text/html", 422, htmlType, "<h1>422 Unprocessable Content: no</h1>"},
		{"GET", "/teapot", "text/html", 418, "text/plain; charset=utf-8", "tea\n"},
		{"GET", "/chained", "text/html", 410, htmlType, "<h1>410 sold</h1>"},
		{"GET", "/chained/y", "text/html", 404, htmlType, "<h1>404 404 page not found</h1>"},
		{"OPTIONS", "*", "text/html", 200, "", ""},
	} {
		var fields []string
		if c.accept != "" {
			fields = []string{"Accept: " + c.accept}
		}
		got := s.Request(c.method, c.path, "", "", fields...)
		if got.Status != c.status || got.ContentType != c.kind && got.Header.Get("Content-Type") != c.kind || c.body != "" && got.Body != c.body {
			t.Errorf("%s %s with %q: %d %s %q %v, want %d %s %q", c.method, c.path, c.accept, got.Status, got.ContentType, got.Body, got.Header, c.status, c.kind, c.body)
		}
		if c.path == "/gone" && c.method == "GET" && (got.Header.Get("X-Kept") != "yes" || got.Header.Get("Retry-After") != "9" || got.Header.Get("Etag") != "") {
			t.Errorf("fields of the failure: %v", got.Header)
		}
		if c.status == 405 && got.Header.Get("Allow") != "GET, HEAD" {
			t.Errorf("Allow: %v", got.Header)
		}
	}
	if got := s.Deliver("c", publisher.Publishing{ReplyTo: "q"}); string(got.Reply.Body) != "sold" {
		t.Errorf("a reply: %q", got.Reply.Body)
	}
	if n := len(s.Published()); n != 0 {
		t.Errorf("%d publishes of failed calls", n)
	}

	for name, c := range map[string]struct {
		page publisher.ErrorPage
		want string
	}{
		"waits": {func(r *publisher.Request, f *publisher.StatusError) error { r.Sleep(time.Second); return shown(r, f) }, "410 <h1>410 sold</h1>"},
		"redirects": {func(r *publisher.Request, f *publisher.StatusError) error {
			r.SetHeader("Location", "/")
			return r.Text(302, "")
		}, "302 "},
		"publishes": {func(r *publisher.Request, f *publisher.StatusError) error { r.Publish("out", "x"); return shown(r, f) }, "410 <h1>410 sold</h1>"},
		"fails": {func(r *publisher.Request, f *publisher.StatusError) error {
			_ = shown(r, f)
			return publisher.Errorf(404, "no")
		}, "410 sold\n"},
		"panics":    {func(r *publisher.Request, f *publisher.StatusError) error { r.SetHeader("X-Lost", "y"); panic("no") }, "410 sold\n"},
		"nil error": {func(r *publisher.Request, f *publisher.StatusError) error { var none *publisher.Problem; return none }, "410 sold\n"},
		"is silent": {func(r *publisher.Request, f *publisher.StatusError) error { return nil }, "410 sold\n"},
		"streams": {func(r *publisher.Request, f *publisher.StatusError) error {
			return r.Stream(200, htmlType, -1, func(w *publisher.Stream) error { return nil })
		}, "410 sold\n"},
		"bad field": {func(r *publisher.Request, f *publisher.StatusError) error {
			r.SetHeader("X\r\n", "a")
			return shown(r, f)
		}, "410 sold\n"},
		"bad status": {func(r *publisher.Request, f *publisher.StatusError) error { return r.Text(99, "") }, "410 sold\n"},
	} {
		page = c.page
		for _, path := range []string{"/gone", "/chained"} {
			got := s.Request("GET", path, "", "")
			if have := fmt.Sprintf("%d %s", got.Status, got.Body); have != c.want || got.Header.Get("X-Lost") != "" || path == "/gone" && got.Header.Get("Retry-After") != "9" {
				t.Errorf("%s at %s: %q %v, want %q", name, path, have, got.Header, c.want)
			}
		}
		if n := len(s.Published()); n != 0 {
			t.Errorf("%s: %d publishes", name, n)
		}
	}
}

func TestOnStatusRefuses(t *testing.T) {
	page := func(*publisher.Request, *publisher.StatusError) error { return nil }
	for want, do := range map[string]func(g *publisher.Registry){
		"the page is nil":      func(g *publisher.Registry) { g.OnStatus(404, nil) },
		"a status of 400 to":   func(g *publisher.Registry) { g.OnStatus(200, page) },
		"already registered a": func(g *publisher.Registry) { g.OnStatus(404, page); g.OnStatus(404, page) },
	} {
		func() {
			defer func() {
				if p := fmt.Sprint(recover()); !strings.Contains(p, want) || !strings.Contains(p, "errorpage_test.go:") {
					t.Errorf("panic %s, want %s", p, want)
				}
			}()
			do(publisher.NewRegistry())
		}()
	}
}

// TestPagesCommitTheirOwn: a page that redirects, or that says Commit, commits what it has done itself,
// once, and nothing of the handler that has failed.
func TestPagesCommitTheirOwn(t *testing.T) {
	committing := func(r *publisher.Request, f *publisher.StatusError) error {
		r.Publish("out", "of the page")
		publisher.Commit(r)
		return r.Text(f.Status, "a page")
	}
	fails := func(r *publisher.Request) error {
		r.Publish("out", "of the handler")
		return publisher.Errorf(401, "who are you?")
	}
	g := publisher.NewRegistry()
	g.Produce("out", publisher.Producer{Queue: "out"})
	g.Handle("GET /plain", fails)
	g.Handle("GET /chained", fails)
	g.UseHTTP(func(next http.Handler) http.Handler { return next }, "/chained")
	g.OnStatus(401, committing)
	g.OnStatus(404, committing)
	g.OnStatus(405, func(r *publisher.Request, _ *publisher.StatusError) error {
		r.Publish("out", "of the page")
		r.SetHeader("Location", "/plain")
		return r.Text(302, "")
	})
	s := publishertest.New(t, g)
	for _, c := range []struct {
		method, path string
		status       int
	}{{"GET", "/plain", 401}, {"GET", "/chained", 401}, {"GET", "/nowhere", 404}, {"POST", "/plain", 302}} {
		got := s.Request(c.method, c.path, "", "")
		sent := s.Published()
		if got.Status != c.status || len(sent) != 1 || string(sent[0].Body) != `"of the page"` {
			t.Errorf("%s %s: %d, published %v", c.method, c.path, got.Status, sent)
		}
	}
}

// TestAPageMayWait: the time limit of the route holds for its page, too.
func TestAPageMayWait(t *testing.T) {
	g := publisher.NewRegistry()
	g.Handle("GET /x", func(*publisher.Request) error { return publisher.Errorf(410, "sold") }, publisher.RouteTimeout(time.Second))
	g.OnStatus(410, func(r *publisher.Request, f *publisher.StatusError) error {
		if err := r.Sleep(time.Hour); err != nil {
			return err
		}
		return r.Text(f.Status, "a page")
	})
	s := publishertest.New(t, g)
	if got := s.Request("GET", "/x", "", ""); got.Status != 410 || got.Body != "sold\n" {
		t.Errorf("%d %q", got.Status, got.Body)
	}
}
