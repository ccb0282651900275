package publisher_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
)

// link makes middleware of a function that gets the next handler.
func link(f func(w http.ResponseWriter, req *http.Request, next http.Handler)) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { f(w, req, next) })
	}
}

// passing is middleware that notes its name on the way in and on the way out.
func passing(notes *[]string, name string) func(http.Handler) http.Handler {
	return link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		*notes = append(*notes, name)
		next.ServeHTTP(w, req)
		*notes = append(*notes, "/"+name)
	})
}

func answering(status int, text string) publisher.Handler {
	return func(r *publisher.Request) error { return r.Text(status, text) }
}

// TestMiddlewareIsInOrder: the first one is the outermost, and a pattern limits one to its
// requests, whatever pattern the route has.
func TestMiddlewareIsInOrder(t *testing.T) {
	var notes []string
	b := newBench(t)
	b.reg.Handle("GET /api/{rest...}", answering(200, "ours"))
	b.reg.Handle("POST /api/x", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { _, _ = io.WriteString(w, "mounted "+req.Pattern) })))
	b.reg.Handle("/", answering(200, "root"))
	b.reg.UseHTTP(passing(&notes, "all"))
	b.reg.UseHTTP(passing(&notes, "api"), "/api/")
	b.reg.UseHTTP(passing(&notes, "post"), "POST /", "/never/")
	b.reg.UseHTTP(passing(&notes, "deep"), "/api/{x}/{y}", "/{$}")
	b.start(publisher.Options{})
	for i, row := range []struct{ method, target, body, want string }{
		{"GET", "/api/x", "ours", "all api /api /all"},
		{"POST", "/api/x", "mounted POST /api/x", "all api post /post /api /all"},
		{"POST", "/api/%78?q", "mounted POST /api/x", "all api post /post /api /all"},
		{"GET", "/api/x/y", "ours", "all api deep /deep /api /all"},
		{"HEAD", "/api/", "ours", "all api /api /all"},
		{"GET", "/", "root", "all deep /deep /all"},
		{"GET", "/other", "root", "all /all"},
		{"GET", "/never/", "root", "all post /post /all"},
	} {
		notes = nil
		b.request(row.method, row.target, "", "")
		if o := b.over(i + 1); o.status != 200 || o.body != row.body && row.method != "HEAD" || strings.Join(notes, " ") != row.want {
			t.Errorf("%s %s: %+v, %q", row.method, row.target, o, notes)
		}
	}
}

// TestRoutesWithoutMiddlewareStayOnTheLoop: they need no goroutine and no allocation, even
// if a pattern could match another request of theirs.
func TestRoutesWithoutMiddlewareStayOnTheLoop(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("GET /{a}/{b}", func(r *publisher.Request) error { return r.Text(200, "x") })
	b.reg.Handle("POST /api/x", answering(200, ""))
	b.reg.UseHTTP(passing(new([]string), "api"), "/api/", "/{a}/x")
	b.start(publisher.Options{})
	b.discard = true
	method, target, host := []byte("GET"), []byte("/other/path"), []byte("localhost")
	if n := testing.AllocsPerRun(1000, func() {
		r := b.server.NewCall()
		r.SetHTTP(method, target, host, nil, nil)
		b.server.Dispatch(r, b)
	}); n > 0 && !debugging {
		t.Errorf("%v allocations", n)
	}
	if b.server.Outside() != 0 || len(b.posted) != 0 {
		t.Error("a goroutine has run")
	}
}

// TestMiddlewareThatAnswers: the handler does not run, and nothing commits, not even what
// the middleware itself has published.
func TestMiddlewareThatAnswers(t *testing.T) {
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{})
	ran := false
	b.reg.Handle("/", func(r *publisher.Request) error { ran = true; return nil })
	b.reg.UseHTTP(link(func(w http.ResponseWriter, req *http.Request, _ http.Handler) {
		_ = publisher.FromContext(req.Context()).Publish("out", "refused")
		w.Header().Set("WWW-Authenticate", "Bearer")
		http.Error(w, "who are you?", http.StatusUnauthorized)
	}))
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	if o := b.over(1); o.status != 401 || o.Err != nil || o.body != "who are you?\n" || !strings.Contains(o.lines, "Www-Authenticate: Bearer\r\n") || ran || len(b.sent) != 0 {
		t.Errorf("%+v, %d sent", o, len(b.sent))
	}
}

// capitals is a ResponseWriter that changes what passes.
type capitals struct{ http.ResponseWriter }

func (w capitals) Write(p []byte) (int, error) {
	w.Header().Set("X-Late", "ignored")
	return w.ResponseWriter.Write(bytes.ToUpper(p))
}

func (w capitals) WriteHeader(status int) {
	w.Header().Set("X-Status", fmt.Sprint(status))
	w.ResponseWriter.WriteHeader(status)
}

// TestMiddlewareSeesTheAnswer: a writer that wraps another one can change the answers of our own
// handlers, and those to their errors.
func TestMiddlewareSeesTheAnswer(t *testing.T) {
	b := newBench(t)
	own := errors.New("secret")
	b.reg.Handle("/text", func(r *publisher.Request) error {
		r.SetHeader("X-Own", "1")
		return r.Bytes(201, "text/x", []byte("text"))
	})
	b.reg.Handle("/typeless", func(r *publisher.Request) error { return r.Bytes(200, "", []byte("<html>")) })
	b.reg.Handle("/nothing", func(*publisher.Request) error { return nil })
	b.reg.Handle("/inline", publisher.Inline(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "inline") })))
	b.reg.Handle("/error", func(r *publisher.Request) error {
		r.SetHeader("X-Own", "1")
		r.SetHeader("ETag", "gone")
		return publisher.Errorf(418, "teapot").With("Retry-After", "5")
	})
	b.reg.Handle("/secret", func(*publisher.Request) error { return own })
	b.reg.Handle("/header", func(r *publisher.Request) error { r.SetHeader("Bad\n", "x"); return r.Text(200, "x") })
	b.reg.UseHTTP(link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		w.Header().Set("Vary", "Origin")
		next.ServeHTTP(capitals{w}, req)
	}))
	b.start(publisher.Options{})
	for i, row := range []struct {
		target, body, contentType, lines string
		status                           int
		err                              bool
	}{
		{"/text", "TEXT", "text/x", "Vary: Origin\r\nX-Own: 1\r\nX-Status: 201\r\n", 201, false},
		{"/typeless", "<HTML>", "", "Vary: Origin\r\nX-Status: 200\r\n", 200, false},
		{"/nothing", "", "", "Vary: Origin\r\nX-Status: 204\r\n", 204, false},
		{"/inline", "INLINE", "text/plain; charset=utf-8", "Vary: Origin\r\nX-Status: 200\r\n", 200, false},
		{"/error", "TEAPOT\n", "text/plain; charset=utf-8", "Retry-After: 5\r\nVary: Origin\r\nX-Own: 1\r\nX-Status: 418\r\n", 418, true},
		{"/secret", "INTERNAL SERVER ERROR\n", "text/plain; charset=utf-8", "Vary: Origin\r\nX-Status: 500\r\n", 500, true},
		{"/header", "INTERNAL SERVER ERROR\n", "text/plain; charset=utf-8", "Vary: Origin\r\nX-Status: 500\r\n", 500, true},
	} {
		b.request("GET", row.target, "", "")
		if o := b.over(i + 1); o.status != row.status || o.body != row.body || o.contentType != row.contentType || o.lines != row.lines || (o.Err != nil) != row.err {
			t.Errorf("%s: %+v", row.target, o)
		}
	}
	if !strings.Contains(b.log.String(), "secret") {
		t.Errorf("the log does not say why: %s", b.log.String())
	}
}

// TestPanicsGoThroughTheMiddleware: middleware that recovers gets the panic, and the log has the
// stack of the handler.
func TestPanicsGoThroughTheMiddleware(t *testing.T) {
	for name, recovers := range map[string]bool{"recovered": true, "not recovered": false} {
		for kind, h := range map[string]publisher.Handler{"ours": func(*publisher.Request) error { return fallOver() }, "mounted": publisher.HTTP(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { _ = fallOver() }))} {
			t.Run(name+" "+kind, func(t *testing.T) {
				b := newBench(t)
				b.reg.Produce("out", publisher.Producer{})
				b.reg.Handle("/", h)
				b.reg.UseHTTP(link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
					_ = publisher.FromContext(req.Context()).Publish("out", "x")
					defer func() {
						if !recovers {
							return
						}
						if p := recover(); p != "on purpose" {
							t.Errorf("recovered %v", p)
						}
						w.WriteHeader(599)
					}()
					next.ServeHTTP(w, req)
				}))
				b.start(publisher.Options{})
				b.request("GET", "/", "", "")
				want := 500
				if recovers {
					want = 599
				}
				var p *publisher.PanicError
				if o := b.over(1); o.status != want || !errors.As(o.Err, &p) || len(b.sent) != 0 || !strings.Contains(b.log.String(), "fallOver") {
					t.Errorf("%+v\n%s", o, b.log.String())
				}
			})
		}
	}
}

//go:noinline
func fallOver() error { panic("on purpose") }

type tenant struct{}

// TestHandlersSeeWhatMiddlewareChanges: header, address, path, body and the values of the
// context, as under net/http.
func TestHandlersSeeWhatMiddlewareChanges(t *testing.T) {
	b := newBench(t)
	show := func(r *publisher.Request) error {
		if other := publisher.FromContext(r.Context()); other != nil && other != r {
			t.Error("the context has another call")
		}
		return r.Text(200, fmt.Sprint(r.Path(), " ", r.Target(), " ", r.Query(), " ", r.Header("X-A"), r.Header("Content-Type"), " ", r.RemoteAddr(), " ", r.Host(), " ",
			r.Scheme(), " ", string(r.Body()), " ", r.Context().Value(tenant{}), " ", r.PathValue("id"), r.Method()))
	}
	b.reg.Handle("/api/{id}", show)
	b.reg.Handle("/plain/{id}", show)
	b.reg.UseHTTP(link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		body, _ := io.ReadAll(req.Body)
		req.Body = io.NopCloser(strings.NewReader(strings.ToUpper(string(body))))
		req.Header.Set("X-A", "new")
		req.Header.Del("Content-Type")
		req.RemoteAddr, req.Host, req.URL.Scheme, req.Method = "192.0.2.1:7", "other", "https", "PUT"
		ctx, cancel := context.WithCancel(context.WithValue(req.Context(), tenant{}, "acme"))
		defer cancel()
		http.StripPrefix("/api", next).ServeHTTP(w, req.WithContext(ctx))
	}), "/api/")
	b.reg.UseHTTP(passing(new([]string), ""))
	b.start(publisher.Options{})
	for i, row := range []struct{ target, want string }{
		{"/api/7?q=1", "/7 /7?q=1 map[q:[1]] new 192.0.2.1:7 other https BODY acme 7PUT"},
		{"/plain/7?q=1", "/plain/7 /plain/7?q=1 map[q:[1]] a/b  localhost http body <nil> 7POST"},
	} {
		b.request("POST", row.target, "a/b", "body")
		if o := b.over(i + 1); o.body != row.want {
			t.Errorf("%+v, want %s", o, row.want)
		}
	}
}

// TestBodyThatMiddlewareRefuses: the reader that it has put around the body fails.
func TestBodyThatMiddlewareRefuses(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("/", answering(200, ""))
	b.reg.UseHTTP(func(next http.Handler) http.Handler { return http.MaxBytesHandler(next, 5) })
	b.start(publisher.Options{UnpackMax: 100})
	b.request("POST", "/", "", "123456")
	if o := b.over(1); o.status != 413 {
		t.Errorf("%+v", o)
	}
	b.request("POST", "/", "", "12345")
	if o := b.over(2); o.status != 200 {
		t.Errorf("%+v", o)
	}
}

// TestCallCommitsAfterTheMiddleware: what the whole chain answers decides, the handler's
// context lives until then, and a failed commit keeps the fields of the chain.
func TestCallCommitsAfterTheMiddleware(t *testing.T) {
	for _, row := range []struct {
		name    string
		turn    int // the status of the middleware; 0 passes the handler's on
		confirm error
		want    int
		sent    int
	}{
		{"passed on", 0, nil, 202, 1}, {"turned into a refusal", 500, nil, 500, 0}, {"not confirmed", 0, errors.New("nack"), 503, 1},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.reg.Produce("out", publisher.Producer{})
			var ctx context.Context
			p := &joiner{}
			returned := false
			b.reg.Handle("/", func(r *publisher.Request) error {
				ctx = r.Context()
				_ = r.Join(p)
				_ = r.Publish("out", "x")
				return r.Reply(202, "done")
			})
			b.reg.UseHTTP(link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
				w.Header().Set("Access-Control-Allow-Origin", "*")
				ctx, cancel := context.WithTimeout(req.Context(), time.Hour)
				defer cancel()
				to := w
				if row.turn != 0 {
					to = httptest.NewRecorder()
					defer w.WriteHeader(row.turn)
				}
				next.ServeHTTP(to, req.WithContext(ctx))
				returned = true
			}))
			b.start(publisher.Options{})
			b.request("GET", "/", "", "")
			b.until("the call has committed or failed", func() bool { return len(b.done)+len(b.sent) > 0 })
			if ctx.Err() != nil && row.sent > 0 || !returned {
				t.Errorf("at the commit: %v, the middleware has returned: %v", ctx.Err(), returned)
			}
			if row.sent > 0 {
				b.confirm(0, row.confirm)
			}
			if o := b.over(1); o.status != row.want || len(b.sent) != row.sent || !strings.Contains(o.lines, "Access-Control-Allow-Origin: *\r\n") || ctx.Err() == nil {
				t.Errorf("%+v, %d sent, %v", o, len(b.sent), ctx.Err())
			}
		})
	}
}

// TestHandlersWaitInsideOfMiddleware: they park the call as usual, and the middleware's
// goroutines may use the call meanwhile.
func TestHandlersWaitInsideOfMiddleware(t *testing.T) {
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{})
	b.reg.Handle("/", func(r *publisher.Request) error {
		r.Go(func() error { return r.Sleep(time.Second) })
		if err := r.Wait(); err != nil {
			return err
		}
		if err := r.Offload(func() error { return nil }); err != nil {
			return err
		}
		return r.Text(200, "woken")
	})
	b.reg.UseHTTP(link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		done := make(chan error)
		go func() { done <- publisher.FromContext(req.Context()).Publish("out", "beside") }()
		next.ServeHTTP(w, req)
		if err := <-done; err != nil {
			t.Error(err)
		}
	}))
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	b.until("the handler sleeps", func() bool { return len(b.timers) > 0 })
	b.advance(time.Second)
	b.until("the handler has work", func() bool { return len(b.work) > 0 })
	b.offloaded()
	b.until("the call commits", func() bool { return len(b.sent) == 1 })
	b.confirm(0, nil)
	if o := b.over(1); o.status != 200 || o.body != "woken" {
		t.Errorf("%+v", o)
	}
}

// TestMiddlewareEndsTheWaitsOfAHandler: when the context that it has passed on ends, and when it
// returns before the handler.
func TestMiddlewareEndsTheWaitsOfAHandler(t *testing.T) {
	for name, m := range map[string]func(http.Handler) http.Handler{
		"http.TimeoutHandler": func(next http.Handler) http.Handler { return http.TimeoutHandler(next, time.Millisecond, "too slow") },
		"context.WithTimeout": link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			ctx, cancel := context.WithTimeout(req.Context(), time.Millisecond)
			defer cancel()
			next.ServeHTTP(w, req.WithContext(ctx))
		}),
		"left behind": link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			go next.ServeHTTP(httptest.NewRecorder(), req)
			time.Sleep(time.Millisecond) // either may be first
			w.WriteHeader(503)
		}),
	} {
		for kind, h := range map[string]publisher.Handler{
			"ours": func(r *publisher.Request) error { return r.Sleep(time.Hour) },
			"mounted": publisher.HTTP(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
				<-req.Context().Done()
				_ = publisher.FromContext(req.Context()).Sleep(time.Hour)
			})),
		} {
			if name == "context.WithTimeout" && kind == "mounted" {
				continue // it answers nothing, which is 200
			}
			t.Run(name+", "+kind, func(t *testing.T) {
				b := newBench(t)
				b.reg.Handle("/", h)
				b.reg.UseHTTP(m)
				b.start(publisher.Options{})
				b.request("GET", "/", "", "")
				if o := b.over(1); o.status != 503 || name == "http.TimeoutHandler" && o.body != "too slow" {
					t.Errorf("%+v", o)
				}
			})
		}
	}
}

// TestConflictsRunTheChainAgain: with the request as it came.
func TestConflictsRunTheChainAgain(t *testing.T) {
	b := newBench(t)
	runs := 0
	b.reg.Handle("/api/x", func(r *publisher.Request) error {
		if runs++; runs < 3 {
			return fmt.Errorf("row: %w", publisher.ErrConflict)
		}
		return r.Text(200, r.Path())
	})
	b.reg.UseHTTP(func(next http.Handler) http.Handler { return http.StripPrefix("/api", next) })
	b.start(publisher.Options{ConflictRetries: 3})
	b.request("GET", "/api/x", "", "")
	if o := b.over(1); o.status != 200 || o.body != "/x" || runs != 3 {
		t.Errorf("%+v after %d runs", o, runs)
	}
}

// TestRequestsWithoutARoutePassThrough: a preflight request has none, and a 404 needs the
// fields of CORS as well.
func TestRequestsWithoutARoutePassThrough(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("POST /api/orders", answering(201, "made"))
	b.reg.Handle("/tree/", answering(200, ""))
	b.reg.Handle("/closed", answering(200, ""))
	b.reg.UseHTTP(link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
		w.Header().Set("Access-Control-Allow-Origin", "*")
		if req.Method == "OPTIONS" {
			w.WriteHeader(204)
			return
		}
		next.ServeHTTP(w, req)
	}), "/api/", "/tree/")
	b.start(publisher.Options{})
	for i, row := range []struct {
		method, target string
		status         int
		through        bool
		also           string
	}{
		{"OPTIONS", "/api/orders", 204, true, ""}, {"POST", "/api/orders", 201, true, ""}, {"GET", "/api/orders", 405, true, "Allow: POST\r\n"},
		{"GET", "/api/none", 404, true, ""}, {"GET", "/tree", 307, false, "Location: /tree/\r\n"}, {"GET", "/api/../tree/", 307, true, "Location: /tree/\r\n"},
		{"GET", "/none", 404, false, ""}, {"OPTIONS", "/none", 404, false, ""}, {"GET", "/closed", 200, false, ""},
	} {
		b.request(row.method, row.target, "", "")
		o := b.over(i + 1)
		if o.status != row.status || strings.Contains(o.lines, "Access-Control-Allow-Origin: *\r\n") != row.through || !strings.Contains(o.lines, row.also) || o.Err != nil {
			t.Errorf("%s %s: %+v", row.method, row.target, o)
		}
	}
}

// TestMessagesPassNoMiddleware: not even messages that come through a route.
func TestMessagesPassNoMiddleware(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("POST /orders", answering(201, "made"))
	b.reg.Consume("c", publisher.Consumer{Route: "POST /orders"}, nil)
	b.reg.UseHTTP(link(func(http.ResponseWriter, *http.Request, http.Handler) { t.Error("it is called") }))
	b.start(publisher.Options{})
	b.message("c", 1, publisher.Publishing{})
	if o := b.over(1); o.Settlement != publisher.SettleAck {
		t.Errorf("%+v", o)
	}
}

// TestHandlersRunAgain: middleware may call the next handler twice, unless it has failed.
func TestHandlersRunAgain(t *testing.T) {
	for fails, want := range map[bool]int{false: 200, true: 500} {
		b := newBench(t)
		runs := 0
		b.reg.Handle("/", func(r *publisher.Request) error {
			if runs++; fails {
				return errors.New("on purpose")
			}
			return r.Text(404, "not yet")
		})
		b.reg.UseHTTP(link(func(w http.ResponseWriter, req *http.Request, next http.Handler) {
			next.ServeHTTP(httptest.NewRecorder(), req)
			rec := httptest.NewRecorder()
			if next.ServeHTTP(rec, req); rec.Code == 404 {
				w.WriteHeader(200)
				return
			}
			w.WriteHeader(rec.Code)
		}))
		b.start(publisher.Options{})
		b.request("GET", "/", "", "")
		if o := b.over(1); o.status != want || runs != map[bool]int{false: 2, true: 1}[fails] {
			t.Errorf("fails %v: %+v after %d runs", fails, o, runs)
		}
	}
}

// TestMistakesWithMiddleware are found at start, with the place.
func TestMistakesWithMiddleware(t *testing.T) {
	pass := func(next http.Handler) http.Handler { return next }
	for name, row := range map[string]struct {
		use  func(g *publisher.Registry)
		want string
	}{
		"nil":            {func(g *publisher.Registry) { g.UseHTTP(nil) }, "the middleware is nil"},
		"no pattern":     {func(g *publisher.Registry) { g.UseHTTP(pass, "api") }, "the path's first / is missing"},
		"bad pattern":    {func(g *publisher.Registry) { g.UseHTTP(pass, "/{x") }, `UseHTTP("/{x") at publisher/middleware_test.go`},
		"host":           {func(g *publisher.Registry) { g.UseHTTP(pass, "example.org/") }, "has no host"},
		"no such route":  {func(g *publisher.Registry) { g.UseHTTP(pass, "/", "/ordesr/") }, `the pattern "/ordesr/" matches no route`},
		"returns nil":    {func(g *publisher.Registry) { g.UseHTTP(func(http.Handler) http.Handler { return nil }) }, "nil instead of a handler"},
		"panics":         {func(g *publisher.Registry) { g.UseHTTP(func(http.Handler) http.Handler { panic("no secret given") }) }, "no secret given"},
		"another method": {func(g *publisher.Registry) { g.UseHTTP(pass, "OPTIONS /orders/{id}") }, ""},
	} {
		t.Run(name, func(t *testing.T) {
			g := publisher.NewRegistry()
			g.Handle("GET /orders/", answering(200, ""))
			got := ""
			func() {
				defer func() {
					if p := recover(); p != nil {
						got = fmt.Sprint(p)
					}
				}()
				row.use(g)
				if _, err := publisher.NewServer(g, nil, nil, publisher.Options{}); err != nil {
					got = err.Error()
				}
			}()
			if (got == "") != (row.want == "") || !strings.Contains(got, row.want) || got != "" && !strings.Contains(got, "middleware_test.go:") {
				t.Errorf("%q, want %q", got, row.want)
			}
		})
	}
}
