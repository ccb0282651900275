package publishertest_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

const problemType = "application/problem+json"

// TestProblemIsADocument: the members of RFC 9457, those of the handler, and no way to
// break out of the document.
func TestProblemIsADocument(t *testing.T) {
	g := publisher.NewRegistry()
	failure := &publisher.Problem{Type: "https://example.com/invalid", Title: "The order is invalid", Status: 422, Detail: "look: \"\r\nX-Evil: 1\xff",
		Errors: []publisher.ProblemError{{Path: "/items/0", Detail: "missing"}, {Detail: "too early"}}, Members: map[string]any{"balance": 30, "status": "hidden", "type": 1},
		Cause: errors.New("secret")}
	g.Handle("POST /orders", func(*publisher.Request) error { return fmt.Errorf("wrapped: %w", failure.With("X-Kind", "order")) })
	g.Handle("GET /unfit", func(*publisher.Request) error {
		return &publisher.Problem{Status: 400, Members: map[string]any{"c": make(chan int)}}
	})
	g.Handle("GET /wrong", func(*publisher.Request) error { return &publisher.Problem{Detail: "the status is missing"} })
	g.Handle("GET /moved", func(*publisher.Request) error { return &publisher.Problem{Status: 302} })
	g.Handle("GET /nil", func(*publisher.Request) error { var none *publisher.Problem; return none })
	g.Consume("c", publisher.Consumer{}, func(*publisher.Request) error { return failure })
	s := publishertest.New(t, g)

	got := s.Request("POST", "/orders?token=secret", "", "")
	want := `{"type":"https://example.com/invalid","title":"The order is invalid","status":422,"detail":"look: \"\r\nX-Evil: 1\ufffd","instance":"/orders","balance":30,"errors":[{"path":"/items/0","detail":"missing"},{"detail":"too early"}]}` + "\n"
	if got.Status != 422 || got.ContentType != problemType || got.Body != want || got.Header.Get("X-Kind") != "order" || len(got.Header) != 1 {
		t.Errorf("got %d %s %v\n%s, want\n%s", got.Status, got.ContentType, got.Header, got.Body, want)
	}
	got = s.Request("POST", "/orders", "", "", "Accept: text/html, */*;q=0.8")
	if want := "The order is invalid: look: \"\r\nX-Evil: 1\xff\n/items/0: missing\ntoo early\n"; got.Status != 422 || got.Body != want || !strings.HasPrefix(got.ContentType, "text/plain") {
		t.Errorf("as text: %d %s %q", got.Status, got.ContentType, got.Body)
	}
	if got = s.Request("GET", "/unfit", "", ""); got.Status != 400 || got.Body != `{"type":"about:blank","title":"Bad Request","status":400,"instance":"/unfit"}`+"\n" {
		t.Errorf("a member that cannot be encoded: %d %q", got.Status, got.Body)
	}
	for _, path := range []string{"/wrong", "/moved", "/nil"} {
		if got = s.Request("GET", path, "", ""); got.Status != 500 || got.Body != "Internal Server Error\n" {
			t.Errorf("%s: %d %q", path, got.Status, got.Body)
		}
	}

	result := s.Deliver("c", publisher.Publishing{ReplyTo: "q"})
	if result.Settlement != publisher.SettleDeadLetter || result.Reply == nil || result.Reply.ContentType != problemType || result.Reply.Headers[publisher.StatusHeader] != int32(422) {
		t.Fatalf("message: %+v", result)
	}
	var document struct{ Title, Instance string }
	if err := json.Unmarshal(result.Reply.Body, &document); err != nil || document.Title != failure.Title || document.Instance != "" {
		t.Errorf("reply %s: %v", result.Reply.Body, err)
	}
	if text := result.Err.Error(); !strings.Contains(text, "422 The order is invalid") || !strings.Contains(text, "/items/0: missing; too early: secret") {
		t.Errorf("for the log: %q", text)
	}
}

// TestErrorsAreJSONForWhoAsks: errors of the handlers and of the server itself.
func TestErrorsAreJSONForWhoAsks(t *testing.T) {
	g := publisher.NewRegistry()
	g.Handle("GET /gone", func(*publisher.Request) error { return publisher.Errorf(410, "it was sold") })
	g.Handle("GET /fail", func(*publisher.Request) error { return errors.New("the password is 123") })
	s := publishertest.New(t, g)
	for _, c := range []struct {
		accept string
		json   bool
	}{
		{"", false}, {"*/*", false}, {"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", false},
		{"application/json", true}, {"APPLICATION/Problem+JSON;q=0.3", true}, {"application/vnd.api+json", true},
		{"application/json, text/plain, */*", true}, {"application/json;q=0.5, text/html", false},
		{"application/json;q=0", false}, {"application/json;q=x", false}, {"application/json;q=NaN", false}, {"+json", false}, {",;,=;q", false},
		{"application/*", false},
	} {
		var fields []string
		if c.accept != "" {
			fields = []string{"Accept: " + c.accept}
		}
		for _, e := range []struct {
			method, path   string
			status         int
			text, document string
		}{
			{"GET", "/gone", 410, "it was sold\n", `"title":"Gone","status":410,"detail":"it was sold","instance":"/gone"}`},
			{"GET", "/fail", 500, "Internal Server Error\n", `"title":"Internal Server Error","status":500,"instance":"/fail"}`},
			{"POST", "/gone", 405, "Method Not Allowed\n", `"title":"Method Not Allowed","status":405,"instance":"/gone"}`},
			{"GET", "/%22?a", 404, "404 page not found\n", `"title":"Not Found","status":404,"detail":"404 page not found","instance":"/%22"}`},
		} {
			got := s.Request(e.method, e.path, "", "", fields...)
			if got.Status != e.status {
				t.Errorf("%s %s: status %d, want %d", e.method, e.path, got.Status, e.status)
			}
			want, kind, vary := e.text, "text/plain; charset=utf-8", ""
			if c.json {
				want, kind, vary = `{"type":"about:blank",`+e.document+"\n", problemType, "Accept"
			}
			if got.Body != want || got.ContentType != kind || got.Header.Get("Vary") != vary {
				t.Errorf("%s %s with %q: %s %q, want %q", e.method, e.path, c.accept, got.ContentType, got.Body, want)
			}
		}
	}
}
