package nethttp_test

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"zamqp/publisher"
)

// marking is middleware that adds a field on the way in, and one when the head is written.
func marking(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-In", "1")
		next.ServeHTTP(&marker{w}, r)
	})
}

type marker struct{ http.ResponseWriter }

func (m *marker) WriteHeader(status int) {
	m.Header().Set("X-Head", fmt.Sprint(status))
	m.ResponseWriter.WriteHeader(status)
}

// TestOwnHandlersInMiddleware: every kind of answer of our own handlers arrives whole, with the
// fields of the middleware, and the connection goes on.
func TestOwnHandlersInMiddleware(t *testing.T) {
	long := strings.Repeat("0123456789", 20_000)
	for name, row := range map[string]struct {
		h       publisher.Handler
		method  string
		status  int
		want    string // of the body
		goesOn  bool
		another string // a field
	}{
		"stream": {func(r *publisher.Request) error {
			r.SetHeader("X-Own", "1")
			return r.Stream(201, "text/x", -1, func(w *publisher.Stream) error {
				for range 3 {
					if _, err := io.WriteString(w, long); err != nil {
						return err
					}
				}
				return nil
			})
		}, "GET", 201, long + long + long, true, "X-Own: 1"},
		"stream with length": {func(r *publisher.Request) error {
			return r.Stream(200, "", 4, func(w *publisher.Stream) error { _, err := io.WriteString(w, "four"); return err })
		}, "GET", 200, "four", true, "Content-Length: 4"},
		"stream that fails": {func(r *publisher.Request) error {
			return r.Stream(200, "", 4, func(w *publisher.Stream) error { _, err := io.WriteString(w, "fo"); return err })
		}, "GET", 200, "fo", false, "Content-Length: 4"},
		"stream to HEAD": {func(r *publisher.Request) error {
			return r.Stream(200, "", 4, func(w *publisher.Stream) error { _, err := io.WriteString(w, "four"); return err })
		}, "HEAD", 200, "", true, "Content-Length: 4"},
		"large":         {func(r *publisher.Request) error { return r.Text(200, long) }, "GET", 200, long, true, "Content-Length: 200000"},
		"large to HEAD": {func(r *publisher.Request) error { return r.Text(200, long) }, "HEAD", 200, "", true, "Content-Length: 200000"},
		"error":         {func(*publisher.Request) error { return publisher.Errorf(418, "teapot") }, "GET", 418, "teapot\n", true, "Content-Length: 7"},
		"error to HEAD": {func(*publisher.Request) error { return publisher.Errorf(418, "teapot") }, "HEAD", 418, "", true, "Content-Length: 7"},
		"nothing":       {func(*publisher.Request) error { return nil }, "GET", 204, "", true, ""},
		"abort":         {func(*publisher.Request) error { panic(http.ErrAbortHandler) }, "GET", 0, "", false, ""},
		"inline with trailers": {publisher.Inline(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", "X-Sum")
			_, _ = io.WriteString(w, "text")
			w.Header().Set("X-Sum", "1")
		})), "GET", 200, "text", true, "X-Sum: 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			answer := string(converse(t, serveOurs(t, ending(row.h), marking), method(row.method), ""))
			first, rest, goesOn := strings.Cut(answer, endAnswer)
			if goesOn != row.goesOn || rest != "" {
				t.Errorf("the connection goes on: %v, wanted %v\n%.1000s", goesOn, row.goesOn, answer)
			}
			if row.status == 0 {
				if answer != "" {
					t.Errorf("%q", answer)
				}
				return
			}
			head, _, _ := strings.Cut(answer, "\r\n\r\n")
			head += "\r\n"
			passesBy := strings.HasPrefix(name, "stream") || strings.HasPrefix(name, "inline")
			if !strings.Contains(head, "\r\nX-In: 1\r\n") || strings.Contains(head, fmt.Sprintf("\r\nX-Head: %d\r\n", row.status)) == passesBy {
				t.Errorf("fields of the middleware are missing in\n%.1000s", head)
			}
			if !strings.HasPrefix(first, fmt.Sprintf("HTTP/1.1 %d ", row.status)) || row.another != "" && !strings.Contains(first, "\r\n"+row.another+"\r\n") {
				t.Errorf("%.1000s", first)
			}
			n := bodyLength(fmt.Sprint("HTTP/1.1 ", row.status), strings.Split(strings.SplitN(answer, "\r\n\r\n", 2)[0], "\r\n"), []byte(strings.SplitN(answer, "\r\n\r\n", 2)[1]), row.method)
			if body := strings.SplitN(answer, "\r\n\r\n", 2)[1][:n]; unchunked(body) != row.want {
				t.Errorf("the body has %d octets, wanted %d: %.100q", len(unchunked(body)), len(row.want), body)
			}
		})
	}
}

// ending answers the request that ends a conversation.
func ending(h publisher.Handler) publisher.Handler {
	return func(r *publisher.Request) error {
		if r.Path() == endPath {
			return r.Text(200, endAnswer)
		}
		return h(r)
	}
}

// unchunked joins the chunks of a body, and leaves out what follows it.
func unchunked(body string) string {
	if !strings.Contains(body, "\r\n0\r\n") {
		return body
	}
	var b strings.Builder
	for {
		var size int
		line, rest, _ := strings.Cut(body, "\r\n")
		if _, err := fmt.Sscanf(line, "%x", &size); err != nil || size == 0 || size > len(rest) {
			return b.String()
		}
		b.WriteString(rest[:size])
		body = strings.TrimPrefix(rest[size:], "\r\n")
	}
}

// TestEventsInMiddleware: a feed gets through, event by event, with the fields of the
// middleware.
func TestEventsInMiddleware(t *testing.T) {
	h := func(r *publisher.Request) error {
		return r.Events(func(e *publisher.Events) error { return e.Send(publisher.Event{ID: "1", Data: []byte("first")}) })
	}
	answer := string(converse(t, serveOurs(t, ending(h), marking), with("Accept: text/event-stream\r\n"), ""))
	if !strings.Contains(answer, "\r\nX-In: 1\r\n") || !strings.Contains(answer, "text/event-stream") || !strings.Contains(answer, "data: first\n") || !strings.Contains(answer, endAnswer) {
		t.Error(answer)
	}
}
