package publisher_test

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

// through delivers one message to a consumer with this route.
func through(t *testing.T, c publisher.Consumer, p publisher.Publishing, pattern string, h publisher.Handler, options ...publisher.RouteOption) (*publishertest.Server, publishertest.Result) {
	t.Helper()
	g := publisher.NewRegistry()
	g.Handle(pattern, h, options...)
	g.Produce("audit", publisher.Producer{Queue: "audit"})
	g.Consume("work", c, nil)
	s := publishertest.New(t, g)
	return s, s.Deliver("work", p)
}

// TestRouteSeesARequest: the handler of a route sees the message as an HTTP request, whether it
// is ours or net/http's.
func TestRouteSeesARequest(t *testing.T) {
	table := publisher.Table{"Authorization": "Basic eDp5", "cookie": "a=b", "Forwarded": "for=1.2.3.4", "X-Forwarded-For": "1.2.3.4",
		"X-Forwarded-Proto": "https", "Host": "evil", "Connection": "close", "Upgrade": "websocket", "X-Real-Ip": "1.2.3.4", "X-Remote-User": "root",
		"Content-Length": "1", "Idempotency-Key": "k1", "accept-language": "de", "X-Tenant": "acme", "Content-Type": "text/html", "Transfer-Encoding": "chunked"}
	c := publisher.Consumer{Route: "POST /orders/42?via=queue", RouteHeaders: []string{"x-tenant"}}
	p := publisher.Publishing{ContentType: "application/json", MessageId: "m1", CorrelationId: "c1", ReplyTo: "answers", Headers: table, Body: []byte(`{"n":1}`)}
	const want = `POST /orders/42 via=queue id=42 "POST /orders/{id}" application/json m1 k1 de acme {"n":1}`
	const never = "Authorization Cookie Forwarded X-Forwarded-For X-Forwarded-Proto Host Connection Upgrade X-Real-Ip X-Remote-User Content-Length Transfer-Encoding"
	own := func(r *publisher.Request) error {
		for name := range strings.FieldsSeq(never) {
			if got := r.Header(name); got != "" {
				t.Errorf("r.Header(%s) is %q", name, got)
			}
		}
		if d := r.Delivery(); d == nil || d.MessageId != "m1" || d.Headers["Authorization"] == nil || r.Origin() != publisher.OriginMessage {
			t.Errorf("%+v, %s", d, r.Origin())
		}
		return r.Text(201, fmt.Sprintf("%s %s via=%s id=%s %q %s %s %s %s %s %s", r.Method(), r.Path(), r.Query().Get("via"), r.PathValue("id"),
			r.Pattern(), r.ContentType(), r.Header("message-id"), r.Header("idempotency-key"), r.Header("Accept-Language"), r.Header("X-Tenant"), r.Body()))
	}
	mounted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for name := range strings.FieldsSeq(never) {
			if got := r.Header.Get(name); got != "" {
				t.Errorf("%s is %q", name, got)
			}
		}
		body, _ := io.ReadAll(r.Body)
		w.WriteHeader(201)
		fmt.Fprintf(w, "%s %s via=%s id=%s %q %s %s %s %s %s %s", r.Method, r.URL.Path, r.URL.Query().Get("via"), r.PathValue("id"), r.Pattern,
			r.Header.Get("Content-Type"), r.Header.Get("Message-Id"), r.Header.Get("Idempotency-Key"), r.Header.Get("Accept-Language"), r.Header.Get("X-Tenant"), body)
	})
	for name, h := range map[string]publisher.Handler{"own": own, "HTTP": publisher.HTTP(mounted), "Inline": publisher.Inline(mounted)} {
		t.Run(name, func(t *testing.T) {
			_, got := through(t, c, p, "POST /orders/{id}", h)
			if got.Settlement != publisher.SettleAck || got.Reply == nil || string(got.Reply.Body) != want || got.Reply.CorrelationId != "c1" {
				t.Errorf("%+v, reply %+v\nwant %s", got.Outcome, got.Reply, want)
			}
		})
	}
}

// TestRouteOutcomes is the table of what each answer means for a message.
func TestRouteOutcomes(t *testing.T) {
	for _, row := range []struct {
		status int
		commit bool
		want   publisher.Settlement
		leaves bool // what the handler has published
	}{
		{status: 200, want: publisher.SettleAck, leaves: true},
		{status: 204, want: publisher.SettleAck, leaves: true},
		{status: 302, want: publisher.SettleDeadLetter},
		{status: 400, want: publisher.SettleDeadLetter},
		{status: 404, want: publisher.SettleDeadLetter},
		{status: 422, want: publisher.SettleDeadLetter},
		{status: 422, commit: true, want: publisher.SettleAck, leaves: true},
		{status: 408, want: publisher.SettleRetry},
		{status: 409, want: publisher.SettleRetry},
		{status: 425, want: publisher.SettleRetry},
		{status: 429, want: publisher.SettleRetry},
		{status: 500, want: publisher.SettleRetry},
		{status: 503, want: publisher.SettleRetry},
		{status: 503, commit: true, want: publisher.SettleRetry},
	} {
		work := func(r *publisher.Request) {
			_ = r.Publish("audit", "tried")
			if row.commit {
				publisher.Commit(r)
			}
		}
		mounted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			work(publisher.FromContext(r.Context()))
			w.Header().Set("Content-Type", "application/problem+json")
			w.Header().Set("X-Why", "rule 7")
			w.WriteHeader(row.status)
			if row.status != 204 {
				_, _ = io.WriteString(w, `{"title":"no"}`)
			}
		})
		for name, h := range map[string]publisher.Handler{
			"own": func(r *publisher.Request) error {
				work(r)
				r.SetHeader("X-Why", "rule 7")
				if row.status == 204 {
					return r.Bytes(row.status, "application/problem+json", nil)
				}
				return r.Bytes(row.status, "application/problem+json", []byte(`{"title":"no"}`))
			},
			"HTTP": publisher.HTTP(mounted), "Inline": publisher.Inline(mounted),
		} {
			t.Run(fmt.Sprintf("%d commit=%t %s", row.status, row.commit, name), func(t *testing.T) {
				s, got := through(t, publisher.Consumer{Route: "PUT /x"}, publisher.Publishing{ReplyTo: "answers"}, "PUT /x", h)
				if got.Settlement != row.want || (len(s.Published()) == 1) != row.leaves {
					t.Errorf("%+v", got.Outcome)
				}
				switch {
				case row.want == publisher.SettleRetry && got.Reply != nil:
					t.Errorf("a reply before the last attempt: %+v", got.Reply)
				case row.status >= 400 && row.want != publisher.SettleRetry:
					if r := got.Reply; r == nil || r.ContentType != "application/problem+json" || string(r.Body) != `{"title":"no"}` ||
						r.Headers["x-status"] != int32(row.status) || r.Headers["X-Why"] != "rule 7" {
						t.Errorf("the reply is not the answer: %+v", r)
					}
				}
			})
		}
	}
}

// TestRetryAfter: an answer's Retry-After is a lower bound of the delay.
func TestRetryAfter(t *testing.T) {
	for _, row := range []struct {
		asked string
		want  time.Duration
	}{{"", time.Second}, {"1", time.Second}, {"3", 4 * time.Second}, {"500", 8 * time.Second}, {"soon", time.Second}} {
		mounted := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Retry-After", row.asked)
			w.WriteHeader(429)
		})
		for name, h := range map[string]publisher.Handler{
			"own":      func(r *publisher.Request) error { r.SetHeader("Retry-After", row.asked); return r.Reply(429, "later") },
			"returned": func(r *publisher.Request) error { return publisher.Errorf(429, "later").With("Retry-After", row.asked) },
			"HTTP":     publisher.HTTP(mounted),
		} {
			_, got := through(t, publisher.Consumer{Route: "GET /", Retry: publisher.Retry{Attempts: 5, Max: 8 * time.Second}}, publisher.Publishing{}, "GET /", h)
			if got.Settlement != publisher.SettleRetry || got.Delay != row.want {
				t.Errorf("%s, %q: %+v, want %s", name, row.asked, got.Outcome, row.want)
			}
		}
	}
}

// TestRoutePlaceholders: each message fills in the placeholders of its consumer's route, and
// never reaches another route with them.
func TestRoutePlaceholders(t *testing.T) {
	g := publisher.NewRegistry()
	g.Handle("PUT /items/{id}/of/{rest...}", func(r *publisher.Request) error {
		return r.Text(200, r.PathValue("id")+"|"+r.PathValue("rest")+"|"+r.Path()+"|"+r.Query().Get("q"))
	})
	g.Handle("PUT /items/new/of/x", func(r *publisher.Request) error { return r.Text(200, "another route") })
	g.Consume("work", publisher.Consumer{Route: "PUT /items/{message_id}/of/{header:kind}/{correlation_id}?q=1"}, nil)
	s := publishertest.New(t, g)
	for _, row := range []struct{ id, kind, correlation, want string }{
		{"7", "k", "c", "7|k/c|/items/7/of/k/c|1"},
		{"a/b?c#%20 é", "k", "c", "a/b?c#%20 é|k/c|/items/a/b?c#%20 é/of/k/c|1"},
		{"new", "x", "c", "new|x/c|/items/new/of/x/c|1"},
		{strings.Repeat("long", 50), "k", "c", strings.Repeat("long", 50) + "|k/c|/items/" + strings.Repeat("long", 50) + "/of/k/c|1"},
		{"", "k", "c", ""}, {"..", "k", "c", ""}, {".", "k", "c", ""}, {"/", "k", "c", ""}, {"7", "", "c", ""},
	} {
		p := publisher.Publishing{MessageId: row.id, CorrelationId: row.correlation, ReplyTo: "answers"}
		if row.kind != "" {
			p.Headers = publisher.Table{"kind": row.kind}
		}
		got := s.Deliver("work", p)
		switch {
		case row.want == "" && (got.Settlement != publisher.SettleDeadLetter || !strings.Contains(fmt.Sprint(got.Err), "the message has no ")):
			t.Errorf("%+v: %+v", row, got.Outcome)
		case row.want != "" && (got.Reply == nil || string(got.Reply.Body) != row.want):
			t.Errorf("%+v: %+v, %+v", row, got.Outcome, got.Reply)
		}
	}
}

// TestBadRoutes: a route that cannot be run is refused at start, with the remedy.
func TestBadRoutes(t *testing.T) {
	none := func(*publisher.Request) error { return nil }
	for _, row := range []struct {
		c    publisher.Consumer
		want string
	}{
		{publisher.Consumer{Route: "/orders"}, `write one such as "POST /orders"; there are routes of that path for POST, PUT`},
		{publisher.Consumer{Route: "POST orders"}, `a route is "METHOD [HOST]/PATH"`},
		{publisher.Consumer{Route: "POST /nothing"}, "no such route: `zamqp routes`"},
		{publisher.Consumer{Route: "DELETE /orders"}, "no route takes DELETE there, but one takes POST, PUT"},
		{publisher.Consumer{Route: "POST /orders/{id}"}, "the wildcard {id} has no value: write one, or {routing_key}"},
		{publisher.Consumer{Route: "POST /orders/{id...}"}, "the wildcard {id...} has no value"},
		{publisher.Consumer{Route: "POST /orders/x{type}"}, "is a whole part of the path"},
		{publisher.Consumer{Route: "POST /orders/{$}"}, "end the path with the slash"},
		{publisher.Consumer{Route: "POST /a//orders"}, `not clean: write "/a/orders"`},
		{publisher.Consumer{Route: "POST /orders/%zz"}, "malformed"},
		{publisher.Consumer{Route: "POST /orders?a={type}"}, "malformed"},
		{publisher.Consumer{Route: "POST /tree"}, `"POST /tree/" is one: write the slash`},
		{publisher.Consumer{Route: "POST /one"}, `for one host only: write "POST a.example/one"`},
		{publisher.Consumer{Route: "POST /two"}, "ambiguous: there is such a route for each of the hosts a.example, b.example"},
		{publisher.Consumer{Route: "POST c.example/orders"}, "no route has the host c.example"},
		{publisher.Consumer{Route: "GET /feed"}, "are streams (publisher.StreamTimeout"},
		{publisher.Consumer{Route: "POST /orders", Marker: "m"}, "marker"},
		{publisher.Consumer{Route: "POST /orders", RouteHeaders: []string{"Cookie"}}, "must not bring Cookie"},
		{publisher.Consumer{Route: "POST /orders", RouteHeaders: []string{"x-forwarded-user"}}, "must not bring X-Forwarded-User"},
		{publisher.Consumer{Route: "POST /orders", RouteHeaders: []string{"upgrade"}}, "must not bring Upgrade"},
		{publisher.Consumer{Route: "POST /orders", RouteHeaders: []string{"content-type"}}, "passes already"},
		{publisher.Consumer{Route: "POST /orders", RouteHeaders: []string{"a b"}}, "no name of a header field"},
		{publisher.Consumer{RouteHeaders: []string{"X-A"}}, "route_headers without a route"},
	} {
		g := publisher.NewRegistry()
		g.Subscribe("m", none)
		for _, pattern := range []string{"POST /orders", "PUT /orders", "POST /orders/{id}", "POST /tree/", "POST a.example/one", "POST a.example/two", "POST b.example/two"} {
			g.Handle(pattern, none)
		}
		g.Handle("GET /feed", none, publisher.StreamTimeout(time.Minute))
		g.Consume("work", row.c, nil)
		if _, err := publisher.NewServer(g, nil, nil, publisher.Options{}); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%+v: %v\nwant %s", row.c, err, row.want)
		}
	}
	g := publisher.NewRegistry()
	g.Handle("POST /orders", none)
	g.Consume("work", publisher.Consumer{Route: "POST /orders"}, none)
	if _, err := publisher.NewServer(g, nil, nil, publisher.Options{}); err == nil || !strings.Contains(err.Error(), "a handler of its own") {
		t.Error(err)
	}
}

// TestRouteNeedsAClient: a handler that needs a connection is a permanent failure.
func TestRouteNeedsAClient(t *testing.T) {
	for name, h := range map[string]publisher.Handler{
		"stream": func(r *publisher.Request) error {
			return r.Stream(200, "text/plain", -1, func(*publisher.Stream) error { return nil })
		},
		"hijack": publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if _, _, err := http.NewResponseController(w).Hijack(); !errors.Is(err, http.ErrNotSupported) {
				t.Error(err)
			}
			w.WriteHeader(500)
		})),
	} {
		_, got := through(t, publisher.Consumer{Route: "GET /live"}, publisher.Publishing{}, "GET /live", h)
		if got.Settlement != publisher.SettleDeadLetter || got.Reason != publisher.ReasonPermanent {
			t.Errorf("%s: %+v", name, got.Outcome)
		}
	}
}

// TestURLByTime: the call of a clock has the base URL, too.
func TestURLByTime(t *testing.T) {
	g := publisher.NewRegistry()
	got := ""
	g.Every("report", publisher.Clock{Period: time.Hour}, func(r *publisher.Request) error { got = r.URL("/x"); return nil })
	if s := publishertest.New(t, g); s.Tick("report").Err != nil || got != "http://localhost/x" {
		t.Errorf("%q", got)
	}
}
