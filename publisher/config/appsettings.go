package config

import (
	"errors"
	"fmt"
	"io"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/streadway/amqp"

	"zamqp/publisher"
)

// appKey is the table whose tables belong to handlers.
const appKey = "app"

// appTable is one table [app.NAME], with the struct that a handler package has registered for
// it.
type appTable struct {
	publisher.AppSettings
	schema *schema
	value  reflect.Value // a pointer to a copy of the struct, decoded
}

// withApp returns the schema of the whole configuration with the tables of handlers. An error
// is a mistake in one of their structs.
func withApp(declared []publisher.AppSettings) (*schema, []appTable, error) {
	below := &schema{byName: map[string]*rule{}}
	var tables []appTable
	var mistakes []error
	for _, d := range declared {
		t := reflect.TypeOf(d.Into).Elem()
		if err := checkStruct(t, t.Name(), nil); err != nil {
			mistakes = append(mistakes, fmt.Errorf("publisher.Settings(%q) at %s: %w", d.Name, d.Place, err))
			continue
		}
		s, err := schemaOfHandler(t)
		if err != nil {
			mistakes = append(mistakes, fmt.Errorf("publisher.Settings(%q) at %s: %w", d.Name, d.Place, err))
			continue
		}
		r := &rule{name: d.Name, kind: kindTable, table: s}
		below.rules, below.byName[d.Name] = append(below.rules, r), r
		tables = append(tables, appTable{AppSettings: d, schema: s})
	}
	whole := &schema{rules: slices.Clone(settingsSchema.rules), byName: map[string]*rule{}}
	whole.rules = append(whole.rules, &rule{name: appKey, kind: kindTable, table: below})
	for _, r := range whole.rules {
		whole.byName[r.name] = r
	}
	return whole, tables, errors.Join(mistakes...)
}

// schemaOfHandler is schemaOf, but returns the panic of a bad range as an error.
func schemaOfHandler(t reflect.Type) (s *schema, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = errors.New(strings.TrimPrefix(fmt.Sprint(p), "config: settings "))
		}
	}()
	return schemaOf(t), nil
}

// keyLetters are the letters that an environment variable and a path can both have.
const keyLetters = "abcdefghijklmnopqrstuvwxyz0123456789_"

// checkStruct looks for fields that the decoder could not set. above are the structs that
// contain t.
func checkStruct(t reflect.Type, name string, above []reflect.Type) error {
	if slices.Contains(above, t) {
		return fmt.Errorf("%s is a part of itself", t)
	}
	above = append(above[:len(above):len(above)], t)
	seen := map[string]bool{}
	for i := range t.NumField() {
		f := t.Field(i)
		key := f.Tag.Get("key") + f.Tag.Get("not")
		if key == "" || key == "-" {
			continue
		}
		field := strings.TrimPrefix(name+"."+f.Name, ".")
		switch {
		case !f.IsExported():
			return fmt.Errorf("field %s has a key and is not exported", field)
		case strings.Trim(key, keyLetters) != "" || strings.Contains(key, "__"):
			return fmt.Errorf("field %s: key %q: a key is made of a-z, 0-9 and single _", field, key)
		case seen[key]:
			return fmt.Errorf("field %s: key %q is there twice", field, key)
		case f.Tag.Get("not") != "" && f.Type.Kind() != reflect.Bool:
			return fmt.Errorf("field %s: not is for a bool, not %s: name the key with key", field, f.Type)
		case f.Tag.Get("min") == "" != (f.Tag.Get("max") == ""):
			return fmt.Errorf("field %s: min and max come together", field)
		}
		seen[key] = true
		if err := checkField(f.Type, field, above); err != nil {
			return err
		}
	}
	return nil
}

func checkField(t reflect.Type, field string, above []reflect.Type) error {
	switch {
	case t.Kind() == reflect.Struct:
		return checkStruct(t, field, above)
	case t.Kind() == reflect.Map && t != reflect.TypeFor[amqp.Table]():
		if e := t.Elem(); t.Key().Kind() == reflect.String && e.Kind() == reflect.Pointer && e.Elem().Kind() == reflect.Struct {
			return checkStruct(e.Elem(), field, above)
		}
		return fmt.Errorf("field %s: a map goes from string to a pointer to a struct, not %s", field, t)
	case t.Kind() == reflect.Pointer && t.Elem().Kind() != reflect.Struct && t.Elem().Kind() != reflect.Map:
		t = t.Elem()
	}
	switch t {
	case reflect.TypeFor[time.Duration](), reflect.TypeFor[Size](), reflect.TypeFor[amqp.Table](), reflect.TypeFor[[]string]():
		return nil
	}
	switch t.Kind() {
	case reflect.String, reflect.Int, reflect.Bool:
		return nil
	}
	return fmt.Errorf("field %s: a setting is no %s: see publisher.Settings for the types", field, t)
}

// apps decodes the tables of handlers into copies of their structs, so that check
// changes nothing.
func (d *decoder) apps(tables []appTable, tree map[string]any) []appTable {
	whole, ok := tree[appKey]
	below := map[string]any{}
	if ok {
		below, _ = d.subtree([]string{appKey}, whole)
	}
	for i := range tables {
		t := &tables[i]
		given := reflect.ValueOf(t.Into).Elem()
		t.value = reflect.New(given.Type())
		t.value.Elem().Set(copied(given))
		path := []string{appKey, t.Name}
		found := len(d.problems)
		if raw, ok := below[t.Name]; ok {
			if inside, ok := d.subtree(path, raw); ok {
				d.table(t.value.Elem(), t.schema, path, inside)
			}
		}
		c, ok := t.value.Interface().(interface{ Check() error })
		if !ok || len(d.problems) > found {
			continue
		}
		if err := c.Check(); err != nil {
			d.fail(path, "", err.Error())
		}
	}
	return tables
}

// copied returns a deep copy of a struct: it shares no map and no entry of a map.
func copied(v reflect.Value) reflect.Value {
	own := reflect.New(v.Type()).Elem()
	own.Set(v)
	for i := range v.NumField() {
		f := own.Field(i)
		switch {
		case !f.CanSet():
		case f.Kind() == reflect.Struct:
			f.Set(copied(f))
		case f.Kind() == reflect.Map && f.Type().Elem().Kind() == reflect.Pointer && f.Type().Elem().Elem().Kind() == reflect.Struct && !f.IsNil():
			entries := reflect.MakeMap(f.Type())
			for at := f.MapRange(); at.Next(); {
				entry := at.Value()
				if !entry.IsNil() {
					entry = reflect.New(entry.Type().Elem())
					entry.Elem().Set(copied(at.Value().Elem()))
				}
				entries.SetMapIndex(at.Key(), entry)
			}
			f.Set(entries)
		}
	}
	return own
}

// GiveApps copies the settings of handlers into the structs that they registered.
func (s *Settings) GiveApps() {
	for _, t := range s.apps {
		if t.value.IsValid() {
			reflect.ValueOf(t.Into).Elem().Set(t.value.Elem())
		}
	}
}

// WriteApps prints the settings of handlers, each with the place it comes from.
func (s *Settings) WriteApps(w io.Writer) {
	if len(s.apps) > 0 {
		fmt.Fprintf(w, "settings of handlers\n")
	}
	for _, t := range s.apps {
		s.writeApp(w, t.schema, t.value.Elem(), t.Name)
	}
}

func (s *Settings) writeApp(w io.Writer, keys *schema, v reflect.Value, path string) {
	for _, r := range keys.rules {
		field, here := r.field(v), path+"."+r.name
		switch {
		case r.kind == kindTable:
			s.writeApp(w, r.table, field, here)
			continue
		case r.kind == kindNamed:
			for _, name := range slices.SortedFunc(slices.Values(field.MapKeys()), func(a, b reflect.Value) int { return strings.Compare(a.String(), b.String()) }) {
				if entry := field.MapIndex(name); !entry.IsNil() {
					s.writeApp(w, r.table, entry.Elem(), here+"."+name.String())
				}
			}
			continue
		}
		from := s.origin(appKey + "." + here).String()
		if r.kind == kindFree { // its keys may come from several places
			from = ""
		}
		fmt.Fprintf(w, "  %s\t%s\t%s\n", here, r.text(field), from)
	}
}

// text returns a setting's value for a person.
func (r *rule) text(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return "not set"
		}
		v = v.Elem()
	}
	switch r.kind {
	case kindText:
		if v.String() == "" {
			return `""`
		}
		return shownText(r, v.String())
	case kindDuration, kindSize:
		if v.Int() == 0 && r.off != "" {
			return "off"
		}
		return r.show(v.Int())
	case kindList:
		shown := make([]string, v.Len())
		for i := range shown {
			shown[i] = shownText(r, v.Index(i).String())
		}
		return "[" + strings.Join(shown, ", ") + "]"
	case kindFree:
		if r.secret != "" {
			return `"***"`
		}
	}
	return fmt.Sprint(v.Interface())
}
