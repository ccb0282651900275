package document_test

import (
	"fmt"
	"strings"
	"testing"

	"zamqp/publisher"
	"zamqp/publisher/document"
	"zamqp/publisher/publishertest"
)

func TestDocumentsAreServed(t *testing.T) {
	g := shop()
	want, err := document.OpenAPI(document.Of(g))
	if err != nil {
		t.Fatal(err)
	}
	routes, err := document.Routes(document.Of(g))
	if err != nil || len(routes) != 2 || routes[1].Pattern != "GET /openapi.json" {
		t.Errorf("%v %v", routes, err)
	}
	if err := document.Serve(document.Of(g)); err != nil {
		t.Fatal(err)
	}
	s := publishertest.New(t, g)
	got := s.Request("GET", "/openapi.json", "", "")
	if got.Status != 200 || got.ContentType != "application/json" || got.Body != string(want) {
		t.Errorf("%d %s", got.Status, got.Body)
	}
	etag := got.Header.Get("ETag")
	if again := s.Request("GET", "/openapi.json", "", "", `If-None-Match: "x", W/`+etag); again.Status != 304 || len(again.Body) > 0 {
		t.Errorf("%+v", again)
	}
	if other := s.Request("GET", "/asyncapi.json", "", "", "If-None-Match: "+etag); other.Status != 200 {
		t.Errorf("%+v", other)
	}
	err = document.Serve(document.Of(g))
	if err == nil || !strings.Contains(err.Error(), "registers GET /openapi.json already: remove that route, or turn http.documents off") {
		t.Error(err)
	}
}

// TestGoldenOfThePackage is what packages of handlers do.
func TestGoldenOfThePackage(t *testing.T) {
	publishertest.OpenAPI(t, shop())
	publishertest.AsyncAPI(t, shop())
	changed := shop()
	changed.Handle("GET /more", func(*publisher.Request) error { return nil })
	other := &recorder{TB: t}
	publishertest.OpenAPI(other, changed)
	if !strings.Contains(other.text, "testdata/openapi.json has changed") {
		t.Errorf("a changed interface went through: %q", other.text)
	}
}

type recorder struct {
	testing.TB
	text string
}

func (r *recorder) Errorf(format string, args ...any) { r.text += fmt.Sprintf(format, args...) }
