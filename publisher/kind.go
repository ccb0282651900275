package publisher

import (
	"fmt"
	"maps"
	"slices"
)

// A kind is a kind of thing that handler packages declare by name, such as producers, consumers
// and pools. The tables [TABLE.NAME] configure all things of a kind. A new kind is a variable
// made by newKind, beside the functions that declare it.
type kind[T any] struct {
	table    string
	function string // the function that declares one
}

// tables has the tables of all kinds. callMethods has the methods of the calls that
// declarations make by themselves.
var (
	tables      []string
	callMethods map[string]string
)

func newKind[T any](table, function string) kind[T] {
	tables = append(tables, table)
	return kind[T]{table, function}
}

// calling says that each declaration makes calls by itself, with this method, and with its
// name as path. Such declarations are listed with the routes.
func (k kind[T]) calling(method string) kind[T] {
	if callMethods == nil {
		callMethods = map[string]string{}
	}
	callMethods[k.table] = method
	return k
}

// registered is a declaration with its place, for errors.
type registered[T any] struct {
	value   T
	handler Handler
	place   string
}

// declarations holds the declarations of one kind, by name.
type declarations[T any] map[string]*registered[T]

func (d declarations[T]) names() []string { return slices.Sorted(maps.Keys(d)) }

func (d declarations[T]) each(fn func(name string, value any, place string)) {
	for _, name := range d.names() {
		fn(name, d[name].value, d[name].place)
	}
}

// declared are the [declarations] of any kind.
type declared interface {
	names() []string
	each(fn func(name string, value any, place string))
}

// in returns the declarations of a registry, which must not be changed.
func (k kind[T]) in(g *Registry) declarations[T] {
	d, _ := g.declared[k.table].(declarations[T])
	return d
}

// add adds a declaration. It panics on a bad or duplicate name.
func (k kind[T]) add(g *Registry, name string, value T, h Handler, place string) {
	checkName(k.function, name, place)
	d := k.in(g)
	if old := d[name]; old != nil {
		panic(fmt.Sprintf("publisher: %s(%q) at %s: already registered at %s", k.function, name, place, old.place))
	}
	if d == nil {
		d = declarations[T]{}
		g.declared[k.table] = d
	}
	d[name] = &registered[T]{value, h, place}
}

// values returns a copy of what a registry declares.
func (k kind[T]) values(g *Registry) map[string]T {
	d := k.in(g)
	out := make(map[string]T, len(d))
	for name, r := range d {
		out[name] = r.value
	}
	return out
}

// Each calls fn with every declaration of the kind that [table.NAME] configures, in the
// order of their names.
func (g *Registry) Each(table string, fn func(name string, value any)) {
	if d := g.declared[table]; d != nil {
		d.each(func(name string, value any, _ string) { fn(name, value) })
	}
}

// Listing returns the routes, sorted by pattern, and then the declarations that make calls by
// themselves, such as clocks, with the method and the path of those calls as pattern.
func (g *Registry) Listing() []*Route {
	all := g.Routes()
	for _, table := range tables {
		if d := g.declared[table]; d != nil && callMethods[table] != "" {
			d.each(func(name string, _ any, place string) {
				all = append(all, &Route{Pattern: callMethods[table] + " /" + name, Method: callMethods[table], Place: place})
			})
		}
	}
	return all
}

// PlaceOf returns where a consumer is declared, as file:line.
func (g *Registry) PlaceOf(consumer string) string {
	if d := consumerKind.in(g)[consumer]; d != nil {
		return d.place
	}
	return ""
}

// Names returns the names of all declarations, by the table that configures them: "consumer"
// for [consumer.NAME]. Each kind has an entry, which may be empty.
func (g *Registry) Names() map[string][]string {
	names := make(map[string][]string, len(tables))
	for _, table := range tables {
		names[table] = nil
		if d := g.declared[table]; d != nil {
			names[table] = d.names()
		}
	}
	names[poolKind.table] = append(names[poolKind.table], DefaultPool)
	return names
}
