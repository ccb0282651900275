package publisher

import (
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
)

var patterns = []string{
	"GET /hello", "/", "POST /orders", "GET /orders/{id}", "GET /orders/new", "/static/", "GET /files/{path...}",
	"GET /{$}", "/a/{b}/c", "/a/{b}/{c}", "example.com/", "GET example.com/x/{y}", "DELETE /orders/{id}",
	"/tree/{leaf}/", "/odd%2Fname", "PUT /a/b/c",
}

func build(t testing.TB, patterns []string) (*router, *http.ServeMux) {
	t.Helper()
	mux := http.NewServeMux()
	g := NewRegistry()
	for _, p := range patterns {
		g.Handle(p, func(*Request) error { return nil })
		mux.HandleFunc(p, func(http.ResponseWriter, *http.Request) {})
	}
	return newRouter(g.routes), mux
}

// asMux asks net/http's mux: the pattern, the wildcards' values and where it
// redirects to.
func asMux(mux *http.ServeMux, method, host, target string) (pattern string, values []string, redirect string, ok bool) {
	u, err := url.ParseRequestURI(target)
	if err != nil || u.Host != "" || u.Path == "" || u.Path[0] != '/' {
		return "", nil, "", false
	}
	if raw, _, _ := strings.Cut(target, "?"); u.EscapedPath() != raw {
		return "", nil, "", false // octets that no path may have: net/url encodes them again, %2F among them
	}
	r := &http.Request{Method: method, Host: host, URL: u, RequestURI: target}
	h, pattern := mux.Handler(r)
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	if w.Code == http.StatusTemporaryRedirect {
		return "", nil, w.Header().Get("Location"), true
	}
	mux.ServeHTTP(w, r)
	for _, name := range wildcards(pattern) {
		values = append(values, r.PathValue(name))
	}
	return pattern, values, "", true
}

func wildcards(pattern string) (names []string) {
	for _, part := range strings.Split(pattern, "/") {
		if strings.HasPrefix(part, "{") && part != "{$}" {
			names = append(names, strings.TrimSuffix(strings.Trim(part, "{}"), "..."))
		}
	}
	return names
}

// asOurs asks the router through a server, as a request would.
func asOurs(t *router, method, host, target string) (pattern string, values []string, redirect string) {
	s := &Server{router: t}
	r := &Request{server: s, live: true, slot: 0}
	s.live = []*Request{r}
	r.forDoor().SetHTTP([]byte(method), []byte(target), []byte(host), nil, nil)
	if s.route(r) {
		for _, name := range r.route.names {
			values = append(values, r.PathValue(name))
		}
		return r.route.Pattern, values, ""
	}
	if r.response.Status == http.StatusTemporaryRedirect {
		for _, line := range strings.Split(string(r.response.lines), "\r\n") {
			if to, ok := strings.CutPrefix(line, "Location: "); ok {
				redirect = to
			}
		}
	}
	return "", nil, redirect
}

var targets = []string{
	"/", "/hello", "/hello/", "/orders", "/orders/1", "/orders/new", "/orders/a%20b", "/orders/a%2Fb", "/static", "/static/",
	"/static/x/y", "/files/", "/files/a/b/c", "/files", "/a/x/c", "/a/x/d", "/a//c", "//hello", "/a/../hello", "/./hello",
	"/tree/x", "/tree/x/", "/tree/x/y", "/odd/name", "/odd%2Fname", "/a/b/c", "/x/y", "/default/orders/order.created",
	"/hello?x=1", "/static?x=1", "/a/%zz/c", "/orders/%2F", "/%2e%2e/hello", "/a/b/.", "/a/b/..", "/.hidden", "/a/..b/c",
}

func TestRouterAgreesWithNetHTTP(t *testing.T) {
	ours, mux := build(t, patterns)
	for _, host := range []string{"", "example.com", "example.com:8080", "other"} {
		for _, method := range []string{"GET", "HEAD", "POST", "DELETE", "PUT", "AMQP", "BREW"} {
			for _, target := range targets {
				compare(t, ours, mux, method, host, target)
			}
		}
	}
}

func compare(t *testing.T, ours *router, mux *http.ServeMux, method, host, target string) {
	t.Helper()
	pattern, values, redirect, ok := asMux(mux, method, host, target)
	if !ok {
		return
	}
	gotPattern, gotValues, gotRedirect := asOurs(ours, method, host, target)
	if gotPattern != pattern || !slices.Equal(gotValues, values) || (gotRedirect == "") != (redirect == "") {
		t.Errorf("%s %q %s: pattern %q values %q redirect %q, net/http has %q %q %q",
			method, host, target, gotPattern, gotValues, gotRedirect, pattern, values, redirect)
	}
}

func FuzzRouter(f *testing.F) {
	for _, target := range targets {
		f.Add("GET", "example.com", target)
	}
	ours, mux := build(f, patterns)
	f.Fuzz(func(t *testing.T, method, host, target string) {
		if strings.ContainsAny(method, " \r\n") || method == "CONNECT" || strings.Contains(target, "#") {
			return
		}
		for i := range len(host) {
			if c := host[i]; c <= ' ' || c >= 0x7f || strings.IndexByte("[]/%", c) >= 0 {
				return // a Host that http1 refuses
			}
		}
		for i := range len(target) {
			if c := target[i]; c <= ' ' || c == 0x7f {
				return // a target that http1 refuses
			}
		}
		compare(t, ours, mux, method, host, target)
	})
}

func TestMethodNotAllowed(t *testing.T) {
	ours, _ := build(t, []string{"GET /x", "POST /x", "/y"})
	s := &Server{router: ours}
	r := &Request{server: s, live: true}
	s.live = []*Request{r}
	r.forDoor().SetHTTP([]byte("DELETE"), []byte("/x"), nil, nil, nil)
	if s.route(r) || r.response.Status != 405 || !strings.Contains(string(r.response.lines), "Allow: GET, HEAD, POST\r\n") {
		t.Errorf("status %d, lines %q", r.response.Status, r.response.lines)
	}
}

// TestRedirectsStayOnThisHost: browsers read a backslash as a slash, and two of
// them begin the name of another host.
func TestRedirectsStayOnThisHost(t *testing.T) {
	ours, _ := build(t, []string{"/{a}/b/"})
	for target, want := range map[string]string{
		`/\evil.example/.`: "/%5Cevil.example", `//evil.example/.`: "/evil.example", `/x/..//\evil.example`: "/%5Cevil.example",
		`/\evil.example/b`: "/%5Cevil.example/b/", `/./%5Cevil.example?q=\`: "/%5Cevil.example?q=%5C",
		"/./\xc3\xa4\"<x>?q={\"a\"}|^`&b=%zz": "/%C3%A4%22%3Cx%3E?q=%7B%22a%22%7D%7C%5E%60&b=%zz",
	} {
		s := &Server{router: ours}
		r := &Request{server: s, live: true, source: httpSource{}}
		s.live = []*Request{r}
		r.forDoor().SetHTTP([]byte("GET"), []byte(target), nil, nil, nil)
		if s.route(r) || r.response.Status != 307 || string(r.response.lines) != "Location: "+want+"\r\n" {
			t.Errorf("%s: status %d, lines %q", target, r.response.Status, r.response.lines)
		}
	}
}

func TestBadPatternsPanicWithPlaces(t *testing.T) {
	for _, row := range []struct{ name, first, second, want string }{
		{"duplicate", "GET /x/{id}", "GET /x/{name}", "router_internal_test.go"},
		{"no slash", "GET", "", "first / is missing"},
		{"overlap", "/a/{b}", "/{a}/b", "conflicts"},
		{"part of a segment", "/a{b}", "", "wildcard"},
		{"multi not last", "/{a...}/b", "", "end"},
		{"dollar not last", "/{$}/b", "", "end"},
		{"twice the name", "/{a}/{a}", "", "duplicate"},
	} {
		t.Run(row.name, func(t *testing.T) {
			defer func() {
				text, _ := recover().(string)
				if !strings.Contains(text, row.want) || !strings.Contains(text, "router_internal_test.go:") {
					t.Errorf("panic %q does not tell %q and the place", text, row.want)
				}
			}()
			g := NewRegistry()
			g.Handle(row.first, func(*Request) error { return nil })
			if row.second != "" {
				g.Handle(row.second, func(*Request) error { return nil })
			}
			t.Error("no panic")
		})
	}
}

func TestFindDoesNotAllocate(t *testing.T) {
	ours, _ := build(t, patterns)
	parts := make([][]byte, 0, 8)
	method, path := []byte("GET"), []byte("/orders/17")
	if n := testing.AllocsPerRun(100, func() {
		if m := ours.find(nil, method, path, parts); m.route == nil {
			t.Fatal("no route")
		}
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}
