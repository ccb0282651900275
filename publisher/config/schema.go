package config

import (
	"fmt"
	"reflect"
	"sort"
	"strings"
	"time"

	"github.com/streadway/amqp"
)

// kind is what a key's value looks like in the configuration.
type kind int

const (
	kindText     kind = iota // a string
	kindNumber               // a whole number
	kindTruth                // true or false
	kindDuration             // "60s"
	kindSize                 // "64KiB"
	kindList                 // a string or a list of strings
	kindFree                 // a table whose keys are the user's, sent to the broker
	kindTable                // a table of known keys: [http], retry
	kindNamed                // a table of tables with the user's names: [connection.NAME]
)

// rule is one key of a table, read from the tags of a field of Settings.
type rule struct {
	name   string
	kind   kind
	index  int    // of the struct field
	min    int64  // in octets, nanoseconds or ones; of no meaning unless ranged
	max    int64  //
	ranged bool   // min and max hold
	off    string // what "off" and 0 do; "" = they are refused
	oneof  []string
	secret string  // "url": a URL that may hold a password; another word: not to be shown at all
	short  string  // of kindNamed: the key that an entry stands for which is no table
	table  *schema // of kindTable, and of each entry of kindNamed
}

// schema is the keys of one table.
type schema struct {
	rules  []*rule // in the order of the struct's fields
	byName map[string]*rule
}

// settingsSchema is the schema of the whole configuration. Its tags are ours:
// a bad one panics when the program starts.
var settingsSchema = schemaOf(reflect.TypeFor[Settings]())

func schemaOf(t reflect.Type) *schema {
	s := &schema{byName: map[string]*rule{}}
	for i := range t.NumField() {
		f := t.Field(i)
		name := f.Tag.Get("key")
		if name == "" || name == "-" {
			continue
		}
		r := ruleOf(f, name)
		r.index = i
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
	r := &rule{name: name, off: f.Tag.Get("off"), secret: f.Tag.Get("secret"), short: f.Tag.Get("short")}
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
	case t.Kind() == reflect.Int:
		r.kind = kindNumber
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

// lookup follows a path from the top and returns its rule, and how many
// segments of the path it took: fewer than all when the path goes on inside a
// free table. The segment below a kindNamed key is the user's and matches
// anything. A nil rule: there is no such key.
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

// holdsNames tells whether what comes below a path are names of the user's.
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

// keys lists every key below s as a dotted path, the user's names replaced by
// name; for completion, for tests and to look for the nearest key.
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
