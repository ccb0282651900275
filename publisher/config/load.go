package config

import (
	"reflect"
	"slices"
	"strings"

	"zamqp/publisher"
)

// defaultFile is read when --config names none and it is in the current folder.
const defaultFile = "config.toml"

// Sources are where a configuration comes from. A later one in this struct wins over an
// earlier one, and each wins over the defaults.
type Sources struct {
	File    string   // "" = config.toml, if there is one
	Environ []string // "NAME=value"; those with ZAMQP_ in front are settings, and all can be used as ${NAME}
	Options []string // "key.path=value"
}

// Load reads, merges, expands and checks the whole configuration. The error is a
// Problems with everything that is wrong, not only the first thing. The registry says
// which consumers, producers, pools and settings of handlers there are.
func Load(src Sources, registry *publisher.Registry) (*Settings, error) {
	names := namesOf(registry)
	whole, tables, err := withApp(names.app)
	if err != nil {
		return nil, err
	}
	lookup := environment(src.Environ)
	name, optional := src.File, false
	if name == "" {
		name, optional = defaultFile, true
	}
	file := readFile(whole, name, optional)
	options := readOptions(whole, src.Options, lookup)
	env := readEnv(whole, src.Environ, func(table []string) []string {
		return known(table, names, file, options)
	})

	tree := map[string]any{}
	d := &decoder{origins: map[string]Origin{}, lookup: lookup}
	for _, l := range []*layer{file, env, options} {
		l.expandShorthand(whole, nil, l.tree)
		d.problems = append(d.problems, l.problems...)
		d.problems = append(d.problems, l.unknown(names)...)
		for path, origin := range l.origins {
			d.origins[path] = origin
		}
		overlay(tree, l.tree)
	}

	s := Defaults()
	s.addRegistered(registry)
	d.site = siteOf(tree, lookup)
	d.table(reflect.ValueOf(s).Elem(), settingsSchema, nil, tree)
	s.apps = d.apps(tables, tree)
	s.origins = d.origins
	limit, _ := memoryLimit(machine)
	s.fitMemory(limit)
	// If the file could not be read, its keys are missing, and checks of several keys would
	// report that, too.
	if len(file.problems) == 0 {
		d.problems = append(d.problems, s.check(d.problems)...)
	}
	if err := d.problems.err(); err != nil {
		return nil, err
	}
	return s, nil
}

// addRegistered fills the tables [table.NAME] of what handler packages register with
// copies of it, where the settings have the same type.
func (s *Settings) addRegistered(registry *publisher.Registry) {
	for _, r := range settingsSchema.rules {
		if r.kind == kindNamed {
			registry.Each(r.name, func(name string, value any) { s.add(r, name, reflect.ValueOf(value)) })
		}
	}
}

// add puts a copy of a value into a table, if it is of the table's type.
func (s *Settings) add(r *rule, name string, value reflect.Value) {
	field := r.field(reflect.ValueOf(s).Elem())
	if field.Type().Elem().Elem() != value.Type() {
		return
	}
	if field.IsNil() {
		field.Set(reflect.MakeMap(field.Type()))
	}
	made := reflect.New(value.Type())
	made.Elem().Set(value)
	field.SetMapIndex(reflect.ValueOf(name), made)
}

// environment returns the lookup for ${NAME}.
func environment(environ []string) func(string) (string, bool) {
	variables := make(map[string]string, len(environ))
	for _, entry := range environ {
		name, value, _ := strings.Cut(entry, "=")
		variables[name] = value
	}
	return func(name string) (string, bool) {
		value, ok := variables[name]
		return value, ok
	}
}

// known lists the names of [table.NAME]: registered ones, and those in the layers.
func known(table []string, names names, layers ...*layer) []string {
	var all []string
	switch join(table) {
	case "connection":
		all = append(all, "default")
	case appKey:
		for _, t := range names.app {
			all = append(all, t.Name)
		}
	default:
		all = slices.Clone(names.registered[join(table)])
	}
	for _, l := range layers {
		below := l.tree
		for _, segment := range table {
			below, _ = below[segment].(map[string]any)
		}
		for name := range below {
			all = append(all, name)
		}
	}
	return all
}

// Keys lists the paths of all keys. [table.NAME] is listed with each registered name.
func Keys(registry *publisher.Registry) ([]string, error) {
	names := namesOf(registry)
	whole, _, err := withApp(names.app)
	if err != nil {
		return nil, err
	}
	var keys []string
	for _, key := range whole.keys("", "\x00") {
		table, _, named := strings.Cut(key, ".\x00.")
		if !named {
			keys = append(keys, key)
			continue
		}
		for _, name := range known(strings.Split(table, "."), names) {
			keys = append(keys, strings.ReplaceAll(key, "\x00", name))
		}
	}
	return keys, nil
}
