package publisher

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
)

// Settings declares the table [app.NAME] of the configuration. into points to a struct
// that holds the defaults. Before any handler is called, its fields are set from the
// file, the environment (ZAMQP_APP__NAME__KEY) and -o. The caller keeps the struct, and
// may only read it from then on. Settings panics if the name is bad or a duplicate, or
// if into is not a pointer to a struct.
//
//	var config = struct {
//		Bank    string        `key:"bank" secret:"url"`
//		Timeout time.Duration `key:"timeout" min:"1s" max:"1m"`
//	}{Timeout: 5 * time.Second}
//
//	func init() { publisher.Settings("shop", &config) }
//
// A field without a key tag is left alone. These are the tags:
//   - key is the name, made of a-z, 0-9 and _.
//   - not, in place of key, is the key of a bool. The field gets the opposite of its value.
//   - min and max are the range, in the field's own notation.
//   - off says what 0 and "off" do. Without it they are refused.
//   - zero is the value that the field gets for 0 and "off", if it is another one.
//   - oneof lists the allowed words, separated by blanks.
//   - unit "ms" or "s" refuses fractions of that unit.
//   - secret:"url" masks a password in a URL wherever the value is shown. secret:"all"
//     masks the whole value.
//
// The types are string, int, bool, [time.Duration], [Size], []string, pointers to these
// (nil means not set), [Table], structs, and maps from string to pointers to structs, for
// tables whose names the user chooses. If *into has a method Check() error, it is called
// to check the whole struct. Its error is an error of the configuration.
func Settings(name string, into any) { Default.settings(name, into, caller(2)) }

// Settings is the package's [Settings] for this registry.
func (g *Registry) Settings(name string, into any) { g.settings(name, into, caller(2)) }

// AppSettings is one table that [Settings] has declared.
type AppSettings struct {
	Name  string
	Into  any    // a pointer to a struct
	Place string // in the source, where it was declared
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
