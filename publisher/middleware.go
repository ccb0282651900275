package publisher

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// UseHTTP puts middleware of net/http around the handlers of HTTP requests: around
// mounted ones, around those of this package, and around the answer to a request that
// has no route. Patterns limit it to the requests that one of them matches, in the
// syntax of [Handle] without a host:
//
//	publisher.UseHTTP(cors.Default().Handler)
//	publisher.UseHTTP(requireToken, "/api/", "POST /orders")
//
// The first one that was registered is the outermost. The chain is made once, when the
// server starts, and runs on a goroutine of its own, as [HTTP] does. A handler of this
// package still runs on the loop's thread, as part of the chain: it sees what the
// middleware has changed of the request, and [Request.Context] has the values of the
// request's context. Its answer is written to the ResponseWriter of the chain; so is the
// answer to its error, and its panic goes through the chain.
//
// The call ends when the whole chain has returned. The status that the chain has answered decides
// whether it commits. If a middleware answers by itself, there is nothing to commit. Middleware
// can use the call, too: [FromContext] returns it.
//
// Messages and clocks do not pass through middleware, not even through that of a
// [Consumer.Route]. A malformed pattern panics. A pattern that matches no route is an error when
// the server starts.
func UseHTTP(middleware func(http.Handler) http.Handler, patterns ...string) {
	Default.useHTTP(middleware, patterns, caller(2))
}

// UseHTTP is the package's [UseHTTP] for this registry.
func (g *Registry) UseHTTP(middleware func(http.Handler) http.Handler, patterns ...string) {
	g.useHTTP(middleware, patterns, caller(2))
}

// A middleware is one registration of UseHTTP.
type middleware struct {
	wrap     func(http.Handler) http.Handler
	patterns []*Route // none: all requests
	router   *router  // of the patterns
	place    string
}

func (g *Registry) useHTTP(wrap func(http.Handler) http.Handler, patterns []string, place string) {
	if wrap == nil {
		panic(fmt.Sprintf("publisher: UseHTTP at %s: the middleware is nil", place))
	}
	m := &middleware{wrap: wrap, place: place}
	for _, pattern := range patterns {
		p, err := parsePattern(pattern, place)
		if err != nil {
			panic(fmt.Sprintf("publisher: UseHTTP(%q) at %s: %v", pattern, place, err))
		}
		m.patterns = append(m.patterns, p)
	}
	m.router = newRouter(m.patterns)
	g.middleware = append(g.middleware, m)
}

// parsePattern parses a pattern of middleware, and lets net/http's mux check it. It refuses a host: a
// client that names another host would get past the middleware.
func parsePattern(pattern, place string) (p *Route, err error) {
	if p, err = parseRoute(pattern, nil, place); err != nil {
		return nil, err
	}
	if p.Host != "" {
		return nil, errors.New("a pattern of middleware has no host: let the middleware look at the request's Host")
	}
	defer func() {
		if bad := recover(); bad != nil {
			err = errors.New(strings.TrimSpace(fmt.Sprint(bad)))
		}
	}()
	http.NewServeMux().Handle(pattern, http.NotFoundHandler())
	return p, nil
}

// matches reports whether the middleware is for a request. It looks at the request as
// it came, whatever other middleware has changed. scratch is memory for its wildcards.
func (m *middleware) matches(method, path []byte, scratch [][]byte) bool {
	if len(m.patterns) == 0 {
		return true
	}
	if !isClean(path) {
		path = []byte(cleanPath(string(path)))
	}
	return m.router.find(nil, method, path, scratch).route != nil
}

// mayMatch reports whether there are requests for both the route and the middleware.
func (m *middleware) mayMatch(route *Route) bool {
	return len(m.patterns) == 0 || slices.ContainsFunc(m.patterns, func(p *Route) bool {
		return methodsOverlap(p.Method, route.Method) && pathsOverlap(p.segments, route.segments)
	})
}

// methodsOverlap reports whether two patterns' methods have one in common. GET matches
// HEAD, too.
func methodsOverlap(a, b string) bool {
	return a == "" || b == "" || a == b || a == "GET" && b == "HEAD" || a == "HEAD" && b == "GET"
}

// pathsOverlap reports whether some path may match both patterns.
func pathsOverlap(a, b []segment) bool {
	for i := 0; ; i++ {
		switch {
		case i == len(a) || i == len(b):
			return len(a) == len(b)
		case a[i].multi || b[i].multi:
			return true
		case !a[i].wildcard && !b[i].wildcard && a[i].text != b[i].text:
			return false
		}
	}
}

// A chain is the middleware of a server, around the handlers of its routes.
type chain struct {
	links    []*middleware
	byRoute  map[*Route][]*middleware // that may match a request of the route; no entry for none
	unrouted *Route                   // of the requests that have no route
	handler  Handler
	scratch  [][]byte // loop thread only
}

// newChain makes the chain of a registry; nil if there is no middleware.
func (s *Server) newChain(g *Registry, routes []*Route) (*chain, error) {
	if len(g.middleware) == 0 {
		return nil, nil
	}
	c := &chain{links: slices.Clone(g.middleware), byRoute: map[*Route][]*middleware{}}
	c.unrouted = &Route{Handler: (*Request).refuseUnrouted}
	for _, m := range c.links {
		for _, p := range m.patterns {
			c.scratch = slices.Grow(c.scratch, len(p.segments))
		}
	}
	for _, route := range routes {
		for _, m := range c.links {
			if m.mayMatch(route) {
				c.byRoute[route] = append(c.byRoute[route], m)
			}
		}
	}
	var err error
	for _, m := range c.links {
		err = errors.Join(err, m.checkPatterns("UseHTTP", g.routes, false))
	}
	h := http.Handler(http.HandlerFunc(c.dispatch))
	for _, m := range slices.Backward(c.links) {
		inner := h
		if failed := guardAs("it", func() error { h = m.around(inner); return nil }); failed != nil {
			err = errors.Join(err, fmt.Errorf("UseHTTP (registered at %s): %w", m.place, failed))
		}
	}
	c.handler = func(r *Request) error { return c.run(r, h) }
	return c, err
}

// checkPatterns finds patterns that match no route. They are probably misspelt, and what they
// should protect would be open. UseHTTP also sees methods that no route has, such as OPTIONS.
func (m *middleware) checkPatterns(function string, routes []*Route, methods bool) (err error) {
	for _, p := range m.patterns {
		if !slices.ContainsFunc(routes, func(r *Route) bool {
			return pathsOverlap(p.segments, r.segments) && (!methods || methodsOverlap(p.Method, r.Method))
		}) {
			err = errors.Join(err, fmt.Errorf("%s (registered at %s): the pattern %q matches no route: `zamqp routes` prints those that there are", function, m.place, p.Pattern))
		}
	}
	return err
}

// around makes the handler of a middleware. A request that no pattern matches goes to next
// directly.
func (m *middleware) around(next http.Handler) http.Handler {
	with := m.wrap(next)
	if with == nil {
		panic("it has returned nil instead of a handler")
	}
	if len(m.patterns) == 0 {
		return with
	}
	return http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if came := &bridgeOf(req).passage.came; m.matches(came.method, came.path, nil) {
			with.ServeHTTP(w, req)
			return
		}
		next.ServeHTTP(w, req)
	})
}

// takes reports whether a call with a route goes through the chain.
func (c *chain) takes(r *Request) bool {
	if r.route == c.unrouted {
		return true
	}
	for _, m := range c.byRoute[r.route] {
		if m.matches(r.method, r.path, c.scratch) {
			return true
		}
	}
	return false
}

// takesUnrouted gives a request that has no route to the chain, if some middleware matches it.
func (c *chain) takesUnrouted(r *Request) bool {
	if c == nil || !slices.ContainsFunc(c.links, func(m *middleware) bool { return m.matches(r.method, r.path, c.scratch) }) {
		return false
	}
	r.route, r.parts = c.unrouted, r.parts[:0]
	return true
}
