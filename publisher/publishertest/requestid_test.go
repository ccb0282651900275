package publishertest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

var made = regexp.MustCompile(`^[0-9a-f]{32}$`)

// TestRequestIDCrosses: one id for a request, its answer, what it publishes and asks for, what that causes, and
// the lines of the log.
func TestRequestIDCrosses(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, req.Header.Get("X-Request-Id")) }))
	defer other.Close()
	var log strings.Builder
	g := publisher.NewRegistry()
	g.Produce("out", publisher.Producer{Queue: "out"})
	fetch := func(r *publisher.Request) string {
		resp, err := r.Client().Get(other.URL)
		if err != nil {
			return err.Error()
		}
		defer resp.Body.Close()
		body, _ := io.ReadAll(resp.Body)
		return string(body)
	}
	work := func(r *publisher.Request) error {
		r.Log().Info().Msg("at work")
		r.Publish("out", "plain")
		r.Publish("out", "with headers", publisher.Header("tenant", "acme"))
		r.Publish("out", "with its own", publisher.Header("x-request-id", "mine"))
		if _, err := r.Call("out", "question"); err != nil {
			return err
		}
		return r.Reply(200, r.RequestID()+" "+r.Header("X-Request-Id")+" "+fetch(r))
	}
	g.Handle("POST /work", work)
	g.Handle("GET /fail", func(*publisher.Request) error { return errors.New("no") })
	g.Handle("GET /own", func(r *publisher.Request) error { r.SetHeader("x-request-id", "own"); return r.Text(200, "") })
	g.Handle("GET /stream", func(r *publisher.Request) error {
		return r.Stream(200, "text/plain", -1, func(w *publisher.Stream) error { _, err := w.Write([]byte("x")); return err })
	})
	g.Handle("GET /mounted", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		io.WriteString(w, req.Header.Get("X-Request-Id")+" "+publisher.FromContext(req.Context()).RequestID())
	})))
	g.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		r.Publish("out", "again")
		if r.Header("Fail") != "" {
			return publisher.Errorf(422, "no")
		}
		return r.Reply(200, r.RequestID())
	})
	g.Every("tick", publisher.Clock{Cron: "@daily"}, func(r *publisher.Request) error { return r.Publish("out", r.RequestID()) })
	option := func(o *publisher.Options) { o.RequestID, o.Log = publisher.RequestIDAccept, zerolog.New(&log) }
	s := publishertest.New(t, g, option)
	var asked publishertest.Published
	s.Answer(func(p publishertest.Published) (*publisher.Answer, error) {
		asked = p
		return &publisher.Answer{Status: 200}, nil
	})

	got := s.Request("POST", "/work", "", "", "X-Request-Id: abc-1/2")
	if got.Body != "abc-1/2 abc-1/2 abc-1/2" || fmt.Sprint(got.Header["X-Request-Id"]) != "[abc-1/2]" {
		t.Errorf("%q %v", got.Body, got.Header)
	}
	if asked.Headers["x-request-id"] != "abc-1/2" || asked.CorrelationId == "abc-1/2" {
		t.Errorf("the question: %+v", asked)
	}
	var headers []string
	for _, p := range s.Published() {
		headers = append(headers, fmt.Sprint(p.Headers))
	}
	if got := fmt.Sprint(headers); got != "[map[x-request-id:abc-1/2] map[tenant:acme x-request-id:abc-1/2] map[x-request-id:mine]]" {
		t.Errorf("published with %s", got)
	}
	if !strings.Contains(log.String(), `"request_id":"abc-1/2","message":"at work"`) {
		t.Errorf("log: %s", log.String())
	}

	for _, bad := range []string{"", "a b", "x\"y", strings.Repeat("a", 129), "é", "a\x00b", "<script>"} {
		for _, path := range []string{"/fail", "/stream", "/mounted", "/nowhere"} {
			got := s.Request("GET", path, "", "", "X-Request-Id: "+bad, "x-request-id: second")
			id := got.Header.Get("X-Request-Id")
			if bad == "" {
				got = s.Request("GET", path, "", "")
				id = got.Header.Get("X-Request-Id")
			}
			if !made.MatchString(id) || len(got.Header["X-Request-Id"]) != 1 || path == "/mounted" && got.Body != id+" "+id {
				t.Errorf("%s with %.20q: %v, %q", path, bad, got.Header["X-Request-Id"], got.Body)
			}
		}
	}
	if got := s.Request("GET", "/own", "", "", "X-Request-Id: a"); fmt.Sprint(got.Header["X-Request-Id"]) != "[own]" {
		t.Errorf("a handler's own: %v", got.Header)
	}

	requestIDsOfMessages(t, s)
	s = publishertest.New(t, g, func(o *publisher.Options) { o.RequestID = publisher.RequestIDGenerate })
	if got := s.Request("GET", "/mounted", "", "", "X-Request-Id: abc"); !made.MatchString(got.Header.Get("X-Request-Id")) || strings.Contains(got.Body, "abc") {
		t.Errorf("%v %q", got.Header, got.Body)
	}
	s = publishertest.New(t, g)
	if got := s.Request("GET", "/mounted", "", "", "X-Request-Id: abc"); got.Header.Get("X-Request-Id") != "" || got.Body != "abc " {
		t.Errorf("off: %v %q", got.Header, got.Body)
	}
}

// requestIDsOfMessages is the part of TestRequestIDCrosses about messages and clocks.
func requestIDsOfMessages(t *testing.T, s *publishertest.Server) {
	for name, c := range map[string]struct {
		props publisher.Publishing
		want  string // "" is one of the server's
	}{
		"header":                {publisher.Publishing{Headers: publisher.Table{"x-request-id": "h"}, CorrelationId: "c", MessageId: "m", ReplyTo: "q"}, "h"},
		"correlation with call": {publisher.Publishing{CorrelationId: "c", MessageId: "m", ReplyTo: "q"}, "m"},
		"invalid":               {publisher.Publishing{Headers: publisher.Table{"x-request-id": "a\r\nb", "n": 1}, ReplyTo: "q"}, ""},
		"of another type":       {publisher.Publishing{Headers: publisher.Table{"x-request-id": int32(7)}, ReplyTo: "q"}, ""},
		"none":                  {publisher.Publishing{ReplyTo: "q"}, ""},
		"failure":               {publisher.Publishing{Headers: publisher.Table{"x-request-id": "h", "Fail": "yes"}, CorrelationId: "c", ReplyTo: "q"}, "h"},
	} {
		got := s.Deliver("c", c.props)
		id, _ := got.Reply.Headers["x-request-id"].(string)
		if id != c.want && (c.want != "" || !made.MatchString(id)) || got.Reply.CorrelationId != c.props.CorrelationId {
			t.Errorf("%s: the reply has %v and %q", name, got.Reply.Headers, got.Reply.CorrelationId)
		}
		for _, p := range s.Published() {
			if p.Headers["x-request-id"] != id {
				t.Errorf("%s: published %v, want %s", name, p.Headers, id)
			}
		}
	}
	s.Deliver("c", publisher.Publishing{CorrelationId: "c", MessageId: "m"})
	if p := s.Published(); len(p) != 1 || p[0].Headers["x-request-id"] != "c" {
		t.Errorf("a correlation id without a reply: %v", p)
	}
	s.Tick("tick")
	if p := s.Published(); len(p) != 1 || p[0].Headers["x-request-id"] != strings.Trim(string(p[0].Body), `"`) || !made.MatchString(fmt.Sprint(p[0].Headers["x-request-id"])) {
		t.Errorf("a clock: %v", p)
	}
}

// TestAccessLog: one line for each call of any source, with what became of it, and nothing that a client could
// break a line with.
func TestAccessLog(t *testing.T) {
	var log strings.Builder
	g := publisher.NewRegistry()
	g.Handle("GET /ok/{x}", func(r *publisher.Request) error { return r.Text(200, "hello") })
	g.Handle("GET /fail", func(*publisher.Request) error { return errors.New("no") })
	g.Handle("GET /mounted", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) { io.WriteString(w, "hello") })))
	g.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		if kind := r.Header("Kind"); kind == "later" {
			return errors.New("no")
		} else if kind == "never" {
			return publisher.Errorf(422, "no")
		}
		return nil
	})
	g.Every("tick", publisher.Clock{Cron: "@daily"}, func(*publisher.Request) error { return nil })
	g.Use(publisher.Authenticate(publisher.Auth{Bearer: func(_ *publisher.Request, token string) (string, error) { return token, nil }, Optional: true}))
	sample := 1
	option := func(o *publisher.Options) {
		o.RequestID, o.Log = publisher.RequestIDAccept, zerolog.New(&log)
		o.AccessLog = publisher.AccessLog{Enabled: true, Sample: sample}
	}
	s := publishertest.New(t, g, option)
	lines := func() (all []map[string]any) {
		for line := range strings.SplitSeq(strings.TrimSpace(log.String()), "\n") {
			var m map[string]any
			if err := json.Unmarshal([]byte(line), &m); err != nil {
				t.Errorf("%s: %v", line, err)
			}
			if m["message"] == "access" {
				all = append(all, m)
			}
		}
		log.Reset()
		return all
	}
	trace := "Traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	for name, c := range map[string]struct {
		do   func()
		want string
	}{
		"request": {func() {
			s.Request("GET", "/ok/a%22b?secret=1", "", "body", "X-Request-Id: i", "Authorization: Bearer me", trace)
		},
			"answer_octets:5 client: handler:GET /ok/{x} level:info message:access method:GET path:/ok/a%22b request_id:i request_octets:4 source:http status:200 trace_id:0af7651916cd43dd8448eb211c80319c user:me"},
		"HEAD":     {func() { s.Request("HEAD", "/ok/x", "", "", "X-Request-Id: i", "Traceparent: x") }, "answer_octets:0 client: handler:GET /ok/{x} level:info message:access method:HEAD path:/ok/x request_id:i request_octets:0 source:http status:200"},
		"mounted":  {func() { s.Request("GET", "/mounted", "", "", "X-Request-Id: i") }, "answer_octets:5 client: handler:GET /mounted level:info message:access method:GET path:/mounted request_id:i request_octets:0 source:http status:200"},
		"failure":  {func() { s.Request("GET", "/fail", "", "", "X-Request-Id: i") }, "answer_octets:22 client: handler:GET /fail level:info message:access method:GET path:/fail request_id:i request_octets:0 source:http status:500"},
		"no route": {func() { s.Request("PO\x00ST", "/\"\n", "", "", "X-Request-Id: i") }, "answer_octets:19 client: level:info message:access method:PO\x00ST path:/\"\n request_id:i request_octets:0 source:http status:404"},
		"ack":      {func() { s.Deliver("c", publisher.Publishing{MessageId: "m", Body: []byte("x")}) }, "attempt:1 handler:consumer c level:info message:access message_id:m method:AMQP path:/default/(default)/c request_id:m request_octets:1 settlement:ack source:message"},
		"retry": {func() {
			s.Deliver("c", publisher.Publishing{MessageId: "m", Headers: publisher.Table{"Kind": "later"}})
		}, "attempt:1 handler:consumer c level:info message:access message_id:m method:AMQP path:/default/(default)/c request_id:m request_octets:0 settlement:retry source:message"},
		"dead letter": {func() {
			s.Deliver("c", publisher.Publishing{MessageId: "m", Headers: publisher.Table{"Kind": "never"}})
		}, "attempt:1 given_up:permanent handler:consumer c level:info message:access message_id:m method:AMQP path:/default/(default)/c request_id:m request_octets:0 settlement:dead letter source:message"},
		"clock": {func() { s.Tick("tick") }, "handler:clock tick level:info message:access method:CLOCK ok:true path:/tick request_octets:0 source:clock"},
	} {
		c.do()
		all := lines()
		if len(all) != 1 {
			t.Errorf("%s: %d lines", name, len(all))
			continue
		}
		if _, timed := all[0]["duration_ms"].(float64); !timed {
			t.Errorf("%s: no duration", name)
		}
		delete(all[0], "duration_ms")
		if name == "clock" {
			delete(all[0], "request_id")
		}
		if got := strings.TrimSuffix(strings.TrimPrefix(fmt.Sprint(all[0]), "map["), "]"); got != c.want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, c.want)
		}
	}
	sample = 10
	s = publishertest.New(t, g, option)
	for range 100 {
		s.Request("GET", "/ok/x", "", "")
	}
	for range 5 {
		s.Request("GET", "/fail", "", "")
	}
	if n := len(lines()); n != 15 {
		t.Errorf("%d lines of 100 calls and 5 failures, want 15", n)
	}
}
