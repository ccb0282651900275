package publishertest_test

import (
	"fmt"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

func TestStreamedAnswer(t *testing.T) {
	g := publisher.NewRegistry()
	g.Handle("GET /", func(r *publisher.Request) error {
		return r.Stream(200, "text/plain", -1, func(w *publisher.Stream) error {
			_, err := fmt.Fprint(w, "one ", "piece")
			_, _ = fmt.Fprint(w, ", another")
			return err
		})
	})
	s := publishertest.New(t, g)
	if got := s.Request("GET", "/", "", ""); got.Err != nil || got.Status != 200 || got.ContentType != "text/plain" || got.Body != "one piece, another" {
		t.Errorf("%+v", got)
	}
}

func TestHeaderFields(t *testing.T) {
	g := publisher.NewRegistry()
	g.Handle("GET /", func(r *publisher.Request) error {
		return r.Text(200, r.Header("authorization")+" "+r.Header("Content-Type"))
	})
	s := publishertest.New(t, g)
	if got := s.Request("GET", "/", "text/plain", "", "Authorization: Bearer x"); got.Body != "Bearer x text/plain" {
		t.Errorf("%+v", got)
	}
}
