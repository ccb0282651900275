package publisher

import (
	"database/sql"
	"errors"
	"fmt"
	"net/http"
	"path"
	"runtime"
	"sort"
	"strings"
	"sync/atomic"
)

// A Handler answers one call. nil commits the call's transaction, an error aborts it. r and all
// octets got from it are valid only until the call is over.
type Handler func(r *Request) error

// An ErrorHandler gets the failure of a message's call first. If it returns nil, it has dealt
// with the failure: its own publishes are sent, and the message is acked. If it returns an
// error, the same or another one, the message is treated in the usual way for that error.
type ErrorHandler func(r *Request, err error) error

// A Registry holds what the handler packages declare. The package's own functions fill the
// registry that the server binary runs; tests make their own.
type Registry struct {
	routes        []*Route
	middleware    []*middleware       // of UseHTTP
	wrappings     []*wrapping         // of Use
	declared      map[string]declared // by table
	subscribers   map[string][]Handler
	errorHandlers map[string]*registered[ErrorHandler]
	pages         map[int]*registered[ErrorPage] // by status
	app           []AppSettings
	databases     map[string]*registered[func() (*sql.DB, error)]
	starts, stops []hook
	mux           *http.ServeMux         // it never serves: it checks the syntax and the conflicts of patterns
	running       atomic.Pointer[Server] // the server that [Publish] uses
	info          Info
}

// The kinds of things that handler packages declare by name.
var (
	producerKind = newKind[Producer]("producer", "Produce")
	consumerKind = newKind[Consumer]("consumer", "Consume")
	poolKind     = newKind[PoolSize]("pool", "Pool")
)

// Default is the registry of the package's functions.
var Default = NewRegistry()

// NewRegistry returns an empty registry.
func NewRegistry() *Registry {
	return &Registry{
		declared:      map[string]declared{},
		subscribers:   map[string][]Handler{},
		errorHandlers: map[string]*registered[ErrorHandler]{},
		databases:     map[string]*registered[func() (*sql.DB, error)]{},
		mux:           http.NewServeMux(),
	}
}

// Handle registers h for the requests that pattern matches, in the pattern
// syntax of net/http: "[METHOD ][HOST]/[PATH]" with {name}, {name...} and {$}.
// The more specific pattern wins, whatever the order. A pattern that is
// malformed, or conflicts with another, panics with both places named.
func Handle(pattern string, h Handler, options ...RouteOption) {
	Default.handle(pattern, h, options, caller(2))
}

// Produce declares a producer, which [Request.Publish] names. It panics on a bad or duplicate
// name.
func Produce(name string, p Producer) { producerKind.add(Default, name, p, nil, caller(2)) }

// Consume declares a consumer whose messages h handles. If h is nil, the subscribers of its
// Marker handle them. If there are none either, its exchange, queue and bindings are declared
// and nothing is consumed. Consume panics on a bad or duplicate name.
func Consume(name string, c Consumer, h Handler) { Default.consume(name, c, h, caller(2)) }

// Subscribe adds h to the handlers of each message of the consumers with this marker. They
// run in the order of registration and in one transaction.
func Subscribe(marker string, h Handler) { Default.subscribe(marker, h, caller(2)) }

// OnError registers the error handler for messages of an exchange; "" is the
// default exchange.
func OnError(exchange string, h ErrorHandler) { Default.onError(exchange, h, caller(2)) }

// Pool declares a pool for [Request.OffloadTo] with that number of workers, which [pool.NAME]
// in config.toml can change. It panics on a bad or duplicate name, on "default" and on less
// than one worker.
func Pool(name string, workers int) { Default.pool(name, workers, caller(2)) }

// Handle is the package's [Handle] for this registry.
func (g *Registry) Handle(pattern string, h Handler, options ...RouteOption) {
	g.handle(pattern, h, options, caller(2))
}

// Produce is the package's [Produce] for this registry.
func (g *Registry) Produce(name string, p Producer) { producerKind.add(g, name, p, nil, caller(2)) }

// Consume is the package's [Consume] for this registry.
func (g *Registry) Consume(name string, c Consumer, h Handler) { g.consume(name, c, h, caller(2)) }

// Subscribe is the package's [Subscribe] for this registry.
func (g *Registry) Subscribe(marker string, h Handler) { g.subscribe(marker, h, caller(2)) }

// OnError is the package's [OnError] for this registry.
func (g *Registry) OnError(exchange string, h ErrorHandler) { g.onError(exchange, h, caller(2)) }

// Pool is the package's [Pool] for this registry.
func (g *Registry) Pool(name string, workers int) { g.pool(name, workers, caller(2)) }

func (g *Registry) handle(pattern string, h Handler, options []RouteOption, place string) {
	if h == nil {
		panic(fmt.Sprintf("publisher: Handle(%q) at %s: the handler is nil", pattern, place))
	}
	route, err := parseRoute(pattern, h, place)
	if err == nil {
		err = errors.Join(typedOf(h).checkRoute(route.names), g.conflict(route))
	}
	if err != nil {
		panic(fmt.Sprintf("publisher: Handle(%q) at %s: %v", pattern, place, err))
	}
	route.mounted = isMounted(h)
	for _, option := range options {
		option(route)
	}
	route.number = len(g.routes) + 1
	g.routes = append(g.routes, route)
}

// conflict also registers the pattern with a net/http mux, which defines the rules, and turns
// its panic into an error that names our places.
func (g *Registry) conflict(route *Route) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = g.explain(route, fmt.Sprint(p))
		}
	}()
	g.mux.Handle(route.Pattern, http.NotFoundHandler())
	return nil
}

func (g *Registry) explain(route *Route, text string) error {
	for _, other := range g.routes {
		if !strings.Contains(text, fmt.Sprintf("%q", other.Pattern)) {
			continue
		}
		_, why, _ := strings.Cut(text, "\n")
		return fmt.Errorf("conflicts with %q registered at %s: %s",
			other.Pattern, other.Place, strings.TrimSpace(why))
	}
	return fmt.Errorf("%s", text)
}

func (g *Registry) consume(name string, c Consumer, h Handler, place string) {
	checkTyped("Consume", name, place, h, false)
	consumerKind.add(g, name, c, h, place)
}

func (g *Registry) subscribe(marker string, h Handler, place string) {
	if marker == "" || h == nil {
		panic(fmt.Sprintf("publisher: Subscribe(%q) at %s: needs a marker and a handler", marker, place))
	}
	checkTyped("Subscribe", marker, place, h, false)
	g.subscribers[marker] = append(g.subscribers[marker], h)
}

func (g *Registry) onError(exchange string, h ErrorHandler, place string) {
	if h == nil {
		panic(fmt.Sprintf("publisher: OnError(%q) at %s: the handler is nil", exchange, place))
	}
	if old := g.errorHandlers[exchange]; old != nil {
		panic(fmt.Sprintf("publisher: OnError(%q) at %s: already registered at %s", exchange, place, old.place))
	}
	g.errorHandlers[exchange] = &registered[ErrorHandler]{value: h, place: place}
}

func (g *Registry) pool(name string, workers int, place string) {
	switch {
	case name == DefaultPool:
		panic(fmt.Sprintf("publisher: Pool(%q) at %s: that one is there already, for Offload", name, place))
	case workers < 1:
		panic(fmt.Sprintf("publisher: Pool(%q, %d) at %s: a pool has one worker at least", name, workers, place))
	}
	poolKind.add(g, name, PoolSize{Workers: workers}, nil, place)
}

// Pools returns the declared pools by name.
func (g *Registry) Pools() map[string]PoolSize { return poolKind.values(g) }

// Routes returns the registered routes sorted by pattern.
func (g *Registry) Routes() []*Route {
	routes := append([]*Route(nil), g.routes...)
	sort.Slice(routes, func(i, j int) bool { return routes[i].Pattern < routes[j].Pattern })
	return routes
}

// Producers returns a copy of the declared producers by name.
func (g *Registry) Producers() map[string]Producer { return producerKind.values(g) }

// Consumers returns a copy of the declared consumers by name.
func (g *Registry) Consumers() map[string]Consumer { return consumerKind.values(g) }

// checkName accepts only names that can be keys in the file, in the environment and on the
// command line.
func checkName(what, name, place string) {
	for _, c := range name {
		if c >= 'a' && c <= 'z' || c >= '0' && c <= '9' || c == '_' || c == '-' {
			continue
		}
		name = ""
		break
	}
	if name == "" {
		panic(fmt.Sprintf("publisher: %s at %s: a name is made of a-z, 0-9, _ and -", what, place))
	}
}

func caller(skip int) string {
	_, file, line, ok := runtime.Caller(skip)
	if !ok {
		return "an unknown place"
	}
	return fmt.Sprintf("%s:%d", path.Join(path.Base(path.Dir(file)), path.Base(file)), line)
}
