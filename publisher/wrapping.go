package publisher

import (
	"errors"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"runtime"
	"slices"
	"strings"
)

// Use puts middleware around handlers, whatever calls them: HTTP requests, messages and clocks.
// It is a function that gets the next handler and returns one that does more:
//
//	publisher.Use(func(next publisher.Handler) publisher.Handler {
//		return func(r *publisher.Request) error {
//			if r.Header("X-Tenant") == "" {
//				return publisher.Errorf(400, "X-Tenant is missing") // the handler does not run
//			}
//			err := next(r)
//			…
//			return err
//		}
//	}, "/api/", "consumer billing")
//
// Targets limit it to the requests that a pattern of [Handle] without a host matches, to the
// messages of "consumer NAME", and to the ticks of "clock NAME"; NAME may be "*". A message that
// runs a route ([Consumer.Route]) is meant by both, and passes once. Without targets it is around
// all handlers, those that watch the server included; it is never around the consumers of topics.
//
// The first one that was registered is the outermost. [UseHTTP] is further out than all of
// them. Each is called once for each handler, when the server starts. What it returns runs on the
// loop's thread, in the call and its transaction: it can publish, set fields of the answer,
// answer itself, and return another error than the handler. After a conflict it runs again, with
// the handler. It calls next at most once, on the goroutine on which it was called; a second
// time is an error, and the call fails. When next returns, the answer of the handler is complete
// and not sent, unless a mounted handler has begun to send it. The commit, a [Request.Stream]
// and a file follow.
//
// Requests that have no route pass through UseHTTP only. A malformed target panics; one that
// means nothing that is registered is an error when the server starts.
func Use(middleware func(next Handler) Handler, targets ...string) {
	Default.use(middleware, targets, caller(2))
}

// Use is the package's [Use] for this registry.
func (g *Registry) Use(middleware func(next Handler) Handler, targets ...string) {
	g.use(middleware, targets, caller(2))
}

// A wrapping is one registration of Use.
type wrapping struct {
	wrap    func(Handler) Handler
	targets []string
	http    *middleware // the targets that are patterns; nil for none
	names   []string    // the others, as "consumer NAME"
	place   string
}

// callerTarget is a target that is no pattern.
var callerTarget = regexp.MustCompile(`^(consumer|clock) (\*|[a-z0-9_-]+)$`)

func (g *Registry) use(wrap func(Handler) Handler, targets []string, place string) {
	if wrap == nil {
		panic(fmt.Sprintf("publisher: Use at %s: the middleware is nil", place))
	}
	w := &wrapping{wrap: wrap, targets: slices.Clone(targets), place: place}
	for _, target := range targets {
		if callerTarget.MatchString(target) {
			w.names = append(w.names, target)
			continue
		}
		p, err := parsePattern(target, place)
		if err != nil {
			panic(fmt.Sprintf(`publisher: Use(%q) at %s: no pattern, "consumer NAME" or "clock NAME": %v`, target, place, err))
		}
		if w.http == nil {
			w.http = &middleware{place: place}
		}
		w.http.patterns = append(w.http.patterns, p)
	}
	if w.http != nil {
		w.http.router = newRouter(w.http.patterns)
	}
	g.wrappings = append(g.wrappings, w)
}

// functionName is the name of a function, without its module: "main.requireTenant", "Authenticate".
func functionName(f any) string {
	if middleware, ok := f.(func(Handler) Handler); ok && gateOf(middleware) != nil {
		return "Authenticate"
	}
	name := path.Base(runtime.FuncForPC(reflect.ValueOf(f).Pointer()).Name())
	name, _, _ = strings.Cut(name, ".func")
	return strings.TrimPrefix(strings.TrimSuffix(name, "-fm"), "publisher.")
}

// A wrapped is what middleware is put around: a route, a consumer, or both, or a clock.
type wrapped struct {
	route *Route
	name  string // "consumer NAME", "clock NAME"; "" for a route
}

// reach says whether a wrapping is around the calls of a handler.
type reach uint8

const (
	reachesNone reach = iota
	reachesSome       // it depends on the path of each call
	reachesAll
)

func (w *wrapping) reach(x wrapped) reach {
	kind, _, _ := strings.Cut(x.name, " ")
	switch {
	case len(w.targets) == 0, x.name != "" && (slices.Contains(w.names, x.name) || slices.Contains(w.names, kind+" *")):
		return reachesAll
	case w.http == nil || x.route == nil || !w.http.mayMatch(x.route):
		return reachesNone
	case slices.ContainsFunc(w.http.patterns, func(p *Route) bool { return covers(p, x.route) }):
		return reachesAll
	}
	return reachesSome
}

// covers reports whether a pattern matches all requests of a route. It may miss that: then each
// request is looked at.
func covers(p, route *Route) bool {
	if p.Method != "" && p.Method != route.Method && !(p.Method == "GET" && route.Method == "HEAD") {
		return false
	}
	for i, s := range p.segments {
		if s.multi {
			return i < len(route.segments)
		}
		if i == len(route.segments) || route.segments[i].multi {
			return false
		}
		if other := route.segments[i]; s.wildcard && other.text == "/" && !other.wildcard || !s.wildcard && (other.wildcard || s.text != other.text) {
			return false
		}
	}
	return len(p.segments) == len(route.segments)
}

// A link is a wrapping with its reach.
type link struct {
	*wrapping
	reach reach
}

// around returns the wrappings of a handler, the outermost first.
func (g *Registry) around(x wrapped) (links []link) {
	name, isConsumer := strings.CutPrefix(x.name, "consumer ")
	if isConsumer && g.OfTopic(name) {
		return nil
	}
	for _, w := range g.wrappings {
		if reach := w.reach(x); reach != reachesNone {
			links = append(links, link{w, reach})
		}
	}
	return links
}

// wrap puts its middleware around a handler.
func (g *Registry) wrap(h Handler, x wrapped) (Handler, error) {
	links := g.around(x)
	if len(links) == 0 || h == nil {
		return h, nil
	}
	var failed error
	for i := len(links) - 1; i >= 0; i-- {
		w := links[i].wrapping
		next := entering(h, i, w.place)
		err := guardAs("it", func() error {
			if h = w.wrap(next); h == nil {
				return errors.New("it has returned nil and no handler")
			}
			return nil
		})
		if err != nil {
			failed = errors.Join(failed, fmt.Errorf("Use (registered at %s): %w", w.place, err))
			h = next
		}
		if links[i].reach == reachesSome {
			h = w.passing(h, next)
		}
	}
	inner := h
	return func(r *Request) error {
		r.entered = 0
		return inner(r)
	}, failed
}

// entering makes the next handler of the middleware at a depth. That can be entered only
// once in a run of the handler: each middleware further in has a greater depth.
func entering(h Handler, depth int, place string) Handler {
	return func(r *Request) error {
		if err := r.own(); err != nil {
			return err
		}
		if r.entered != depth {
			err := fmt.Errorf("the middleware at %s has called next again: a handler runs once in a transaction", place)
			if r.tx.err == nil { // the call fails, whatever the middleware does with the error
				r.tx.err = err
			}
			return err
		}
		r.entered++
		return h(r)
	}
}

// passing lets the calls that no pattern matches pass by the middleware.
func (w *wrapping) passing(with, next Handler) Handler {
	longest := 0
	for _, p := range w.http.patterns {
		longest = max(longest, len(p.segments))
	}
	scratch := make([][]byte, 0, longest) // loop thread only
	return func(r *Request) error {
		method, path := r.method, r.path
		if r.inner != nil { // as it came: UseHTTP may have changed it
			came := &r.inner.bridge.passage.came
			method, path = came.method, came.path
		}
		if w.http.matches(method, path, scratch) {
			return with(r)
		}
		return next(r)
	}
}

// wrapRoutes returns the registry's routes with their middleware. Several servers may run the
// registry, so its own routes stay as they are.
func (g *Registry) wrapRoutes() ([]*Route, error) {
	failed := g.checkTargets(g.routes)
	if len(g.wrappings) == 0 {
		return g.routes, nil
	}
	routes := make([]*Route, len(g.routes))
	for i, route := range g.routes {
		own := *route
		h, err := g.wrap(route.Handler, wrapped{route: route})
		own.Handler, failed = h, errors.Join(failed, err)
		routes[i] = &own
	}
	return routes, failed
}

// CheckMiddleware returns what is wrong with the targets of [Use] and the patterns of [UseHTTP].
// more are patterns of routes that the server adds later.
func (g *Registry) CheckMiddleware(more ...string) error {
	routes := slices.Clone(g.routes)
	for _, pattern := range more {
		route, err := parseRoute(pattern, nil, "the server")
		if err != nil {
			return err
		}
		routes = append(routes, route)
	}
	err := g.checkTargets(routes)
	for _, m := range g.middleware {
		err = errors.Join(err, m.checkPatterns("UseHTTP", routes, false))
	}
	return err
}

// checkTargets finds targets that mean nothing. They are probably misspelt, and what they should
// protect would be open.
func (g *Registry) checkTargets(routes []*Route) (err error) {
	for _, w := range g.wrappings {
		if w.http != nil {
			err = errors.Join(err, w.http.checkPatterns("Use", routes, true))
		}
		for _, target := range w.names {
			kind, name, _ := strings.Cut(target, " ")
			known := slices.DeleteFunc(slices.Clone(consumerKind.in(g).names()), g.OfTopic)
			if kind == "clock" {
				known = clockKind.in(g).names()
			}
			if name != "*" && !slices.Contains(known, name) {
				err = errors.Join(err, fmt.Errorf("Use (registered at %s): there is no %s %q: there are %s", w.place, kind, name, strings.Join(known, ", ")))
			}
		}
	}
	return err
}

// A Middleware is a registration of [Use] or [UseHTTP] that is around a handler.
type Middleware struct {
	Name  string // of the function
	Place string // file:line of the registration
	Some  bool   // it is around some of the handler's calls: its pattern decides by the path
}

// MiddlewareOf returns the middleware around the handler of a route, or of "consumer NAME" or
// "clock NAME", in the order in which a call meets it.
func (g *Registry) MiddlewareOf(route *Route, name string) (all []Middleware) {
	if route != nil && name == "" {
		for _, m := range g.middleware {
			if m.mayMatch(route) {
				all = append(all, Middleware{functionName(m.wrap), m.place, !slices.ContainsFunc(m.patterns, func(p *Route) bool { return covers(p, route) }) && len(m.patterns) > 0})
			}
		}
	}
	for _, l := range g.around(wrapped{route, name}) {
		all = append(all, Middleware{functionName(l.wrap), l.place, l.reach == reachesSome})
	}
	return all
}
