package publisher

import (
	"math/rand/v2"
	"strings"
	"testing"
)

// TestCoversIsNeverTooMuch: whatever a route takes, a pattern that covers it matches, and a
// pattern that cannot match any of it is not left out. Both would open what middleware protects.
func TestCoversIsNeverTooMuch(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	parts := []string{"a", "b", "{x}", "%41"}
	methods := []string{"", "GET ", "HEAD ", "POST "}
	pattern := func() *Route {
		var b strings.Builder
		b.WriteString(methods[random.IntN(len(methods))])
		for range random.IntN(3) {
			b.WriteString("/" + parts[random.IntN(len(parts))])
		}
		b.WriteString([]string{"/", "/a", "/{y...}", "/{$}", "/{z}"}[random.IntN(5)])
		text := b.String()
		if strings.Count(text, "{x}") > 1 {
			text = strings.Replace(text, "{x}", "a", 1)
		}
		p, err := parseRoute(text, nil, "")
		if err != nil {
			t.Fatal(text, err)
		}
		return p
	}
	covered, some := 0, 0
	for range 200_000 {
		p, route := pattern(), pattern()
		var path strings.Builder
		for range random.IntN(4) {
			path.WriteString("/" + []string{"a", "b", "c", "A", "%2F"}[random.IntN(5)])
		}
		if random.IntN(2) == 0 || path.Len() == 0 {
			path.WriteByte('/')
		}
		method := []string{"GET", "HEAD", "POST", "PUT"}[random.IntN(4)]
		takes := func(r *Route) bool {
			return newRouter([]*Route{r}).find(nil, []byte(method), []byte(path.String()), nil).route != nil
		}
		if !takes(route) {
			continue
		}
		w := &wrapping{targets: []string{p.Pattern}, http: &middleware{patterns: []*Route{p}}}
		switch reach := w.reach(wrapped{route: route}); {
		case reach == reachesAll && !takes(p):
			t.Fatalf("%q is said to cover %q, and does not match %s %s", p.Pattern, route.Pattern, method, path.String())
		case reach == reachesNone && takes(p):
			t.Fatalf("%q is said not to reach %q, and matches %s %s", p.Pattern, route.Pattern, method, path.String())
		case reach == reachesAll:
			covered++
		case reach == reachesSome:
			some++
		}
	}
	if covered < 100 || some < 100 {
		t.Errorf("only %d covered and %d partly covered requests were tried", covered, some)
	}
}
