package publishertest_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// note is a middleware that notes when it is entered and left.
func note(notes *[]string, name string) func(publisher.Handler) publisher.Handler {
	return func(next publisher.Handler) publisher.Handler {
		*notes = append(*notes, "made "+name)
		return func(r *publisher.Request) error {
			*notes = append(*notes, name)
			err := next(r)
			*notes = append(*notes, "/"+name)
			return err
		}
	}
}

// TestUseReachesWhatItsTargetsMean: each source, by the registered names and by the path of each
// call.
func TestUseReachesWhatItsTargetsMean(t *testing.T) {
	var notes []string
	g := publisher.NewRegistry()
	h := func(*publisher.Request) error { notes = append(notes, "handler"); return nil }
	g.Handle("GET /api/orders", h)
	g.Handle("GET /api/{$}", h)
	g.Handle("GET /{rest...}", h)
	g.Handle("POST /mounted", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		notes = append(notes, "handler")
		io.WriteString(w, "mounted")
	})))
	g.Handle("POST /inline", publisher.Inline(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { notes = append(notes, "handler") })))
	g.WebSocket("GET /live", func(ws *publisher.Socket) error { notes = append(notes, "handler"); return ws.Accept() })
	g.Consume("billing", publisher.Consumer{}, h)
	g.Consume("routed", publisher.Consumer{Route: "GET /api/orders"}, nil)
	g.Consume("other", publisher.Consumer{}, h)
	g.Every("nightly", publisher.Clock{Cron: "@daily"}, h)
	g.AddTopic("news", publisher.Topic{Exchange: "news"})
	g.UseHTTP(func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
			notes = append(notes, "http")
			if req.URL.Path == "/api/x" { // a middleware of Use still sees the path as it came
				req.URL.Path = "/moved"
			}
			next.ServeHTTP(w, req)
			notes = append(notes, "/http")
		})
	}, "/api/{x}")
	g.Use(note(&notes, "all"))
	g.Use(note(&notes, "api"), "/api/", "consumer billing", "consumer routed")
	g.Use(note(&notes, "post"), "POST /", "clock *")
	g.Use(note(&notes, "orders"), "GET /api/orders")
	s := publishertest.New(t, g)
	if made := strings.Count(fmt.Sprint(notes), "made "); made != 10+5+3+3 {
		t.Errorf("the middleware was put around %d handlers: %v", made, notes)
	}
	for _, c := range []struct {
		what string
		do   func()
		want string
	}{
		{"route", func() { s.Request("GET", "/api/orders", "", "") }, "http all api orders handler /orders /api /all /http"},
		{"HEAD", func() { s.Request("HEAD", "/api/", "", "") }, "all api handler /api /all"},
		{"some of a route's requests", func() { s.Request("GET", "/api/x", "", "") }, "http all api handler /api /all /http"},
		{"the others", func() { s.Request("GET", "/x/y", "", "") }, "all handler /all"},
		{"mounted", func() { s.Request("POST", "/mounted", "", "") }, "all post handler /post /all"},
		{"inline", func() { s.Request("POST", "/inline", "", "") }, "all post handler /post /all"},
		{"no route", func() { s.Request("DELETE", "/api", "", "") }, ""},
		{"message", func() { s.Deliver("billing", publisher.Publishing{}) }, "all api handler /api /all"},
		{"other message", func() { s.Deliver("other", publisher.Publishing{}) }, "all handler /all"},
		{"message through a route", func() { s.Deliver("routed", publisher.Publishing{}) }, "all api orders handler /orders /api /all"},
		{"clock", func() { s.Tick("nightly") }, "all post handler /post /all"},
		{"topic", func() { s.Deliver("topic-news", publisher.Publishing{}) }, ""},
		{"socket", func() { s.Dial("/live").Outcome() }, "all handler /all"},
	} {
		notes = nil
		c.do()
		if got := strings.Join(notes, " "); got != c.want {
			t.Errorf("%s: %s\nwant %s", c.what, got, c.want)
		}
	}
}

func TestUseRefuses(t *testing.T) {
	nothing := func(*publisher.Request) error { return nil }
	pass := func(next publisher.Handler) publisher.Handler { return next }
	for name, c := range map[string]struct {
		use  func(g *publisher.Registry)
		want string // of a panic, or of the start
	}{
		"nil":             {func(g *publisher.Registry) { g.Use(nil) }, "the middleware is nil"},
		"malformed":       {func(g *publisher.Registry) { g.Use(pass, "consumers x") }, `no pattern, "consumer NAME"`},
		"host":            {func(g *publisher.Registry) { g.Use(pass, "example.com/") }, "has no host"},
		"unknown pattern": {func(g *publisher.Registry) { g.Use(pass, "/apis/") }, `the pattern "/apis/" matches no route`},
		"another method":  {func(g *publisher.Registry) { g.Handle("POST /y", nothing); g.Use(pass, "PUT /y") }, `the pattern "PUT /y" matches no route`},
		"of a topic": {func(g *publisher.Registry) {
			g.AddTopic("news", publisher.Topic{Exchange: "news"})
			g.Use(pass, "consumer topic-news")
		}, `there is no consumer "topic-news"`},
		"unknown consumer": {func(g *publisher.Registry) { g.Use(pass, "consumer bling") }, `there is no consumer "bling": there are billing`},
		"unknown clock":    {func(g *publisher.Registry) { g.Use(pass, "clock x") }, `there is no clock "x"`},
		"no handler":       {func(g *publisher.Registry) { g.Use(func(publisher.Handler) publisher.Handler { return nil }) }, "it has returned nil"},
		"panic":            {func(g *publisher.Registry) { g.Use(func(publisher.Handler) publisher.Handler { panic("ouch") }) }, "ouch"},
	} {
		t.Run(name, func(t *testing.T) {
			g := publisher.NewRegistry()
			g.Handle("/x", nothing)
			g.Consume("billing", publisher.Consumer{}, nothing)
			var err error
			func() {
				defer func() {
					if p := recover(); p != nil {
						err = errors.New(fmt.Sprint(p))
					}
				}()
				c.use(g)
				_, err = publisher.NewServer(g, nil, nil, publisher.Options{})
			}()
			if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "publishertest/use_test.go:") {
				t.Errorf("error %v, want %q", err, c.want)
			}
		})
	}
}

// TestUseDecidesTheOutcome: a middleware can answer, change the error and add to the answer,
// in the call's transaction.
func TestUseDecidesTheOutcome(t *testing.T) {
	var around func(next publisher.Handler, r *publisher.Request) error
	g := publisher.NewRegistry()
	g.Produce("out", publisher.Producer{Queue: "out"})
	h := func(r *publisher.Request) error {
		if err := r.Publish("out", "of the handler"); err != nil {
			return err
		}
		if r.Header("Fail") != "" {
			return errors.New("failed")
		}
		return r.Reply(200, "handled")
	}
	g.Handle("/", h)
	g.Consume("c", publisher.Consumer{}, h)
	g.Use(func(next publisher.Handler) publisher.Handler {
		return func(r *publisher.Request) error { return around(next, r) }
	})
	s := publishertest.New(t, g)
	over := make(chan error, 1)
	for name, c := range map[string]struct {
		around     func(next publisher.Handler, r *publisher.Request) error
		fail       bool
		status     int
		body       string
		published  int
		settlement publisher.Settlement
	}{
		"passes":  {func(next publisher.Handler, r *publisher.Request) error { return next(r) }, false, 200, "handled", 1, publisher.SettleAck},
		"answers": {func(_ publisher.Handler, r *publisher.Request) error { return r.Text(203, "instead") }, false, 203, "instead", 0, publisher.SettleAck},
		"refuses": {func(publisher.Handler, *publisher.Request) error { return publisher.Errorf(403, "no") }, false, 403, "no\n", 0, publisher.SettleDeadLetter},
		"replaces an error": {func(next publisher.Handler, r *publisher.Request) error {
			if err := next(r); err != nil {
				return publisher.Errorf(422, "better")
			}
			return nil
		}, true, 422, "better\n", 0, publisher.SettleDeadLetter},
		"replaces an answer": {func(next publisher.Handler, r *publisher.Request) error {
			if err := next(r); err != nil {
				return err
			}
			return r.Text(201, "after")
		}, false, 201, "after", 1, publisher.SettleAck},
		"publishes, and the handler fails": {func(next publisher.Handler, r *publisher.Request) error {
			_ = r.Publish("out", "of the middleware")
			return next(r)
		}, true, 500, "Internal Server Error\n", 0, publisher.SettleRetry},
		"panics": {func(next publisher.Handler, r *publisher.Request) error {
			_ = next(r)
			panic("ouch")
		}, false, 500, "Internal Server Error\n", 0, publisher.SettleRetry},
		"calls next twice": {func(next publisher.Handler, r *publisher.Request) error {
			_ = next(r)
			_ = next(r)
			return nil
		}, false, 500, "Internal Server Error\n", 0, publisher.SettleRetry},
		"calls next again after a failure": {func(next publisher.Handler, r *publisher.Request) error {
			if err := next(r); err != nil {
				_ = next(r)
			}
			return nil
		}, true, 500, "Internal Server Error\n", 0, publisher.SettleRetry},
		"calls next on a goroutine": {func(next publisher.Handler, r *publisher.Request) error {
			return r.Offload(func() error { return next(r) })
		}, false, 500, "Internal Server Error\n", 0, publisher.SettleRetry},
		"calls next after the call": {func(next publisher.Handler, r *publisher.Request) error {
			go func() { <-time.After(time.Millisecond); over <- next(r) }()
			return nil
		}, false, 204, "", 0, publisher.SettleAck},
		"calls next in a child": {func(next publisher.Handler, r *publisher.Request) error {
			r.Go(func() error { return next(r) })
			return r.Wait()
		}, false, 200, "handled", 1, publisher.SettleAck},
		"leaves a child behind": {func(next publisher.Handler, r *publisher.Request) error {
			r.Go(func() error { return r.Sleep(time.Second) })
			return next(r)
		}, false, 200, "handled", 1, publisher.SettleAck},
	} {
		t.Run(name, func(t *testing.T) {
			around = c.around
			var fields []string
			headers := publisher.Table{}
			if c.fail {
				fields, headers["Fail"] = []string{"Fail: yes"}, "yes"
			}
			got := s.Request("GET", "/", "", "", fields...)
			if got.Status != c.status || got.Body != c.body {
				t.Errorf("%d %q, want %d %q", got.Status, got.Body, c.status, c.body)
			}
			if n := len(s.Published()); n != c.published {
				t.Errorf("%d publishes, want %d", n, c.published)
			}
			result := s.Deliver("c", publisher.Publishing{Headers: headers})
			if n := len(s.Published()); n != c.published || result.Settlement != c.settlement {
				t.Errorf("a message is settled by %s (%v), want %s; %d publishes", result.Settlement, result.Err, c.settlement, n)
			}
			if name == "calls next after the call" {
				for range 2 {
					if err := <-over; err == nil {
						t.Error("next has run a handler after its call")
					}
				}
			}
		})
	}
}

// TestUseRunsAgainAfterAConflict: the whole chain, in a fresh transaction.
func TestUseRunsAgainAfterAConflict(t *testing.T) {
	runs := 0
	g := publisher.NewRegistry()
	g.Produce("out", publisher.Producer{Queue: "out"})
	g.Handle("/", func(r *publisher.Request) error {
		if runs < 3 {
			return publisher.ErrConflict
		}
		return r.Reply(200, runs)
	})
	g.Use(func(next publisher.Handler) publisher.Handler {
		return func(r *publisher.Request) error {
			runs++
			if err := r.Publish("out", runs); err != nil {
				return err
			}
			r.SetHeader("X-Run", fmt.Sprint(runs))
			return next(r)
		}
	})
	s := publishertest.New(t, g)
	got := s.Request("GET", "/", "", "")
	if published := s.Published(); got.Status != 200 || got.Body != "3" || fmt.Sprint(got.Header["X-Run"]) != "[3]" || len(published) != 1 || string(published[0].Body) != "3" {
		t.Errorf("%+v, published %v", got, published)
	}
}
