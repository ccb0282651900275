package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/streadway/amqp"
)

// kind is the form of a key's value in the configuration.
type kind int

const (
	kindText     kind = iota // a string
	kindNumber               // a whole number
	kindTruth                // true or false
	kindRate                 // "10/s"
	kindDuration             // "60s"
	kindSize                 // "64KiB"
	kindList                 // a string or a list of strings
	kindFree                 // a table with keys of the user's choice, for the broker
	kindTable                // a table of known keys: [http], retry
	kindNamed                // a table of tables with the user's names: [connection.NAME]
)

// rule is one key of a table, read from the tags of a struct's field:
//
//	key     the name
//	not     the name, where the field of a bool has the opposite of the key's value
//	min     the range of a quantity, in the key's own notation
//	max
//	off     allows "off" and 0, and says what they do
//	zero    what the field gets for "off" and 0, if that is not 0
//	unit    ms or s: what AMQP counts in, so that no fraction may be lost
//	oneof   the words that are allowed
//	kind    name: a name of AMQP, of 255 octets at most, with ${site_id} in it
//	secret  url: a URL that may hold a password; another word: not to be shown at all
//	short   of a table of names: an entry that is no table is the value of this key
type rule struct {
	name   string
	kind   kind
	fields []target // usually one
	min    int64    // in octets, nanoseconds or ones; without meaning unless ranged
	max    int64
	ranged bool   // min and max apply
	off    string // "" = 0 and "off" are refused
	zero   int64
	unit   time.Duration // 0 = any
	oneof  []string
	isName bool
	secret string
	short  string
	table  *schema // the keys of a kindTable, and of each entry of a kindNamed
}

// target is a field of the struct that a table is decoded into.
type target struct {
	index int
	not   bool // the field has the opposite of the key's value
}

// field is the field in which a rule with one field puts its value.
func (r *rule) field(of reflect.Value) reflect.Value { return of.Field(r.fields[0].index) }

// set puts a value into the fields of a struct.
func (r *rule) set(of reflect.Value, value any) {
	for _, t := range r.fields {
		field, v := of.Field(t.index), value
		if t.not {
			v = !value.(bool)
		}
		if field.Kind() == reflect.Pointer {
			field.Set(reflect.New(field.Type().Elem()))
			field = field.Elem()
		}
		field.Set(reflect.ValueOf(v).Convert(field.Type()))
	}
}

// schema has the keys of one table.
type schema struct {
	rules  []*rule // in the order of the struct's fields
	byName map[string]*rule
}

// settingsSchema is the schema of the whole configuration. A bad tag in it panics when
// the program starts.
var settingsSchema = schemaOf(reflect.TypeFor[Settings]())

func schemaOf(t reflect.Type) *schema {
	s := &schema{byName: map[string]*rule{}}
	for i := range t.NumField() {
		f := t.Field(i)
		name, not := f.Tag.Get("key"), f.Tag.Get("not")
		to := target{index: i, not: not != ""}
		if name += not; name == "" || name == "-" {
			continue
		}
		if r := s.byName[name]; r != nil { // a key with two fields
			r.fields = append(r.fields, to)
			continue
		}
		r := ruleOf(f, name)
		r.fields = []target{to}
		s.rules = append(s.rules, r)
		s.byName[name] = r
	}
	return s
}

func ruleOf(f reflect.StructField, name string) *rule {
	t := f.Type
	if t.Kind() == reflect.Pointer { // a pointer only says "not set"
		t = t.Elem()
	}
	r := &rule{
		name: name, off: f.Tag.Get("off"), secret: f.Tag.Get("secret"), short: f.Tag.Get("short"),
		isName: f.Tag.Get("kind") == "name", unit: map[string]time.Duration{"ms": time.Millisecond, "s": time.Second}[f.Tag.Get("unit")],
	}
	if words := f.Tag.Get("oneof"); words != "" {
		r.oneof = strings.Fields(words)
	}
	switch {
	case t == reflect.TypeFor[time.Duration]():
		r.kind = kindDuration
	case t == reflect.TypeFor[Size]():
		r.kind = kindSize
	case t == reflect.TypeFor[amqp.Table]():
		r.kind = kindFree
	case t.Kind() == reflect.String:
		r.kind = kindText
	case t.Kind() == reflect.Int || t.Kind() == reflect.Uint8:
		r.kind = kindNumber
	case t.Kind() == reflect.Float64:
		r.kind = kindRate
	case t.Kind() == reflect.Bool:
		r.kind = kindTruth
	case t.Kind() == reflect.Slice:
		r.kind = kindList
	case t.Kind() == reflect.Struct:
		r.kind, r.table = kindTable, schemaOf(t)
	case t.Kind() == reflect.Map:
		r.kind, r.table = kindNamed, schemaOf(t.Elem().Elem())
	default:
		panic(fmt.Sprintf("config: settings field %s: no kind for %s", f.Name, t))
	}
	if low, high := f.Tag.Get("min"), f.Tag.Get("max"); low != "" {
		r.ranged, r.min, r.max = true, r.bound(f.Name, low), r.bound(f.Name, high)
	}
	if zero := f.Tag.Get("zero"); zero != "" {
		r.zero = r.bound(f.Name, zero)
	}
	return r
}

// bound reads a min or max tag in the notation of the key itself.
func (r *rule) bound(field, text string) int64 {
	n, err := r.quantity(text)
	if err != nil {
		panic(fmt.Sprintf("config: settings field %s: tag %q: %v", field, text, err))
	}
	return n
}

// show writes a quantity in the notation of the key.
func (r *rule) show(n int64) string {
	switch r.kind {
	case kindDuration:
		return FormatDuration(time.Duration(n))
	case kindSize:
		return Size(n).String()
	}
	return fmt.Sprint(n)
}

// names lists the table's keys in their own order.
func (s *schema) names() []string {
	names := make([]string, 0, len(s.rules))
	for _, r := range s.rules {
		names = append(names, r.name)
	}
	return names
}

// lookup follows a path from the top. It returns the rule of the path, and how many parts of
// the path lead to it: fewer than all if the path continues inside a free table. The part
// below a kindNamed key is a name that the user chooses and may be anything. rule is nil if
// there is no such key.
func (s *schema) lookup(path []string) (r *rule, n int) {
	for n < len(path) {
		if r = s.byName[path[n]]; r == nil {
			return nil, n
		}
		n++
		switch r.kind {
		case kindTable:
			s = r.table
		case kindNamed:
			s = r.table
			if n == len(path) {
				return r, n
			}
			n++
		default:
			if n < len(path) && r.kind != kindFree {
				return nil, n
			}
			return r, n
		}
	}
	return r, n
}

// holdsNames reports whether the user chooses the keys below a path.
func (s *schema) holdsNames(path []string) bool {
	for len(path) > 0 {
		r := s.byName[path[0]]
		switch path = path[1:]; {
		case r == nil:
			return false
		case r.kind == kindNamed && len(path) == 0:
			return true
		case r.kind == kindNamed:
			path = path[1:]
		case r.kind != kindTable:
			return false
		}
		s = r.table
	}
	return false
}

// keys lists every key below s as a dotted path, with name in place of the names that the
// user chooses. Completion, tests and the search for the nearest key use it.
func (s *schema) keys(prefix, name string) []string {
	var all []string
	for _, r := range s.rules {
		path := prefix + r.name
		switch r.kind {
		case kindTable:
			all = append(all, r.table.keys(path+".", name)...)
		case kindNamed:
			all = append(all, r.table.keys(path+"."+name+".", name)...)
		default:
			all = append(all, path)
		}
	}
	sort.Strings(all)
	return all
}
