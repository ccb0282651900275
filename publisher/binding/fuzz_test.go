package binding_test

import (
	"encoding/json"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"time"

	"zamqp/publisher/binding"
)

type line struct {
	Name  string `json:"name" validate:"required"`
	Count int8   `json:"count" validate:"min=1"`
	Next  *line  `json:"next"`
}

type input struct {
	ID    string         `path:"id" validate:"max=20"`
	Limit uint8          `query:"limit" default:"7"`
	Tags  []int          `query:"tag"`
	Q     *string        `query:"q"`
	Since time.Time      `query:"since"`
	Names []string       `header:"X-Names"`
	Lines []line         `json:"lines" validate:"dive"`
	Map   map[string]int `json:"map" validate:"dive,min=1"`
	Any   any            `json:"any"`
}

type source struct{ path, query, header string }

func (s source) PathValue(string) string  { return s.path }
func (s source) RawQuery() []byte         { return []byte(s.query) }
func (s source) Header(string) string     { return s.header }
func (s source) HeaderList(string) string { return s.header }

// FuzzInput: no input panics; a body sets no parameter; the query is read as net/url reads it; a
// mistake has a text, and a path that is a JSON pointer or a parameter; there are not too many.
func FuzzInput(f *testing.F) {
	f.Add("a", "limit=3&tag=1&tag=2&q=x%20y", "a, b", `{"lines": [{"name": "a", "count": 1, "next": {"count": 300}}], "map": {"a/b~.]": 0}, "ID": "z"}`)
	f.Add("", "limit=&since=x;y&%zz=1&tag=%", ",,", `{"lines": {}, "map": [1], "lines": [1, null, {"name": 1.5}]}`)
	plan, err := binding.New(reflect.TypeFor[input](), binding.Options{ItemsMax: 1000})
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, path, query, header, body string) {
		var in input
		value := reflect.ValueOf(&in).Elem()
		var mistakes []binding.Mistake
		if err := json.Unmarshal([]byte(body), plan.Target(value)); err != nil {
			mistakes = plan.Wrong([]byte(body), err, len(path)%2 == 0)
		}
		if in.ID != "" || in.Limit != 0 || in.Tags != nil || in.Q != nil || in.Names != nil || !in.Since.IsZero() {
			t.Fatalf("the body has set a parameter: %+v", in)
		}
		before := len(mistakes)
		mistakes = plan.Fill(value, source{path, query, header}, mistakes)
		if len(mistakes) == before && !strings.Contains(query, ";") {
			want, _ := url.ParseQuery(query)
			if q, ok := want["q"]; ok != (in.Q != nil) || ok && q[0] != *in.Q || len(want["tag"]) != len(in.Tags) {
				t.Errorf("%q: got %+v, net/url reads %v", query, in, want)
			}
		}
		mistakes = plan.Check(value, mistakes)
		for _, m := range mistakes {
			if m.Detail == "" || m.Path != "" && m.Path[0] != '/' && !strings.Contains(m.Path, ".") && m.Path != "query" {
				t.Errorf("%+v", m)
			}
		}
	})
}
