package publisher

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Settings declares the table [app.NAME] of the configuration. into points to a
// struct that holds the defaults; its fields get what the file, the environment
// (ZAMQP_APP__NAME__KEY) and -o say, before any
// handler is called. It stays the caller's, who only reads it from then on. A bad or duplicate
// name panics, and so does a value that is no pointer to a struct.
//
//	var config = struct {
//		Bank    string        `key:"bank" secret:"url"`
//		Timeout time.Duration `key:"timeout" min:"1s" max:"1m"`
//	}{Timeout: 5 * time.Second}
//
//	func init() { publisher.Settings("shop", &config) }
//
// A field without a key tag is left alone. The tags: key is the name, made of a-z,
// 0-9 and _; min and max are the range, in the field's own notation; off says what
// 0 and "off" do, which are refused without it; oneof lists the words that are
// allowed, with blanks between; not, in place of key, names the key of a bool that
// has the opposite of its value; unit "ms" or "s" refuses fractions of it; zero is
// what the field gets for 0 and "off", if that is another value; secret:"url" masks a password in a URL, and
// secret:"all" the whole value, wherever it is shown. Types are string, int, bool,
// [time.Duration], [Size], []string, pointers to these (nil is not set), [Table],
// structs, and maps from string to pointers to structs, for tables whose names are
// the user's. If *into has a method Check() error, it is asked about the whole; its
// error is one of the configuration.
func Settings(name string, into any) { Default.settings(name, into, caller(2)) }

// Settings is the package's [Settings] for this registry.
func (g *Registry) Settings(name string, into any) { g.settings(name, into, caller(2)) }

// AppSettings is one table that [Settings] has declared.
type AppSettings struct {
	Name  string
	Into  any    // a pointer to a struct
	Place string // that declared it
}

func (g *Registry) settings(name string, into any, place string) {
	checkName("Settings", name, place)
	v := reflect.ValueOf(into)
	if v.Kind() != reflect.Pointer || v.IsNil() || v.Elem().Kind() != reflect.Struct {
		panic(fmt.Sprintf("publisher: Settings(%q) at %s: want a pointer to a struct, not %T", name, place, into))
	}
	for _, old := range g.app {
		if old.Name == name {
			panic(fmt.Sprintf("publisher: Settings(%q) at %s: already registered at %s", name, place, old.Place))
		}
	}
	g.app = append(g.app, AppSettings{name, into, place})
}

// AppSettings returns the tables that [Settings] has declared, by name.
func (g *Registry) AppSettings() []AppSettings {
	all := slices.Clone(g.app)
	slices.SortFunc(all, func(a, b AppSettings) int { return strings.Compare(a.Name, b.Name) })
	return all
}
