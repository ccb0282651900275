package config

import (
	"errors"
	"fmt"
	"reflect"
	"strconv"
	"strings"
	"time"

	"zamqp/amqpproto"

	"github.com/streadway/amqp"
)

// decoder fills Settings from the merged tree. It continues after a problem, so that the user
// sees all problems at once.
type decoder struct {
	origins  map[string]Origin
	lookup   func(string) (string, bool) // environment, for ${NAME}
	site     string                      // site.id
	problems Problems
}

func (d *decoder) fail(path []string, shown, text string) {
	d.problems = append(d.problems, &Problem{Origin: d.origins[join(path)], Key: join(path), Value: shown, Text: text})
}

// table fills the fields of v, one struct of Settings, from tree.
func (d *decoder) table(v reflect.Value, s *schema, path []string, tree map[string]any) {
	for _, r := range s.rules {
		raw, ok := tree[r.name]
		if !ok {
			continue
		}
		here := append(path[:len(path):len(path)], r.name)
		switch r.kind {
		case kindTable:
			if below, ok := d.subtree(here, raw); ok {
				d.table(r.field(v), r.table, here, below)
			}
		case kindNamed:
			if below, ok := d.subtree(here, raw); ok {
				d.named(r.field(v), r, here, below)
			}
		case kindFree:
			if below, ok := d.subtree(here, raw); ok {
				r.field(v).Set(reflect.ValueOf(d.free(here, below)))
			}
		default:
			d.value(v, r, here, raw)
		}
	}
}

// named fills a map of tables, each entry starting from what is there or from its
// defaults.
func (d *decoder) named(m reflect.Value, r *rule, path []string, tree map[string]any) {
	if m.IsNil() {
		m.Set(reflect.MakeMap(m.Type()))
	}
	for name, raw := range tree {
		here := append(path[:len(path):len(path)], name)
		if _, table := raw.(map[string]any); !table && r.table.byName[name] != nil {
			entry := "NAME"
			if m.Type().Elem() == reflect.TypeFor[*Connection]() {
				entry = "default"
			}
			d.fail(here, "", fmt.Sprintf("is one table too high: write [%s.%s] and %s below it", join(path), entry, name))
			continue
		}
		below, ok := d.subtree(here, raw)
		if !ok {
			continue
		}
		key := reflect.ValueOf(name)
		entry := m.MapIndex(key)
		if !entry.IsValid() {
			entry = reflect.New(m.Type().Elem().Elem())
			if entry.Type() == reflect.TypeFor[*Connection]() {
				entry = reflect.ValueOf(defaultConnection())
			}
			m.SetMapIndex(key, entry)
		}
		d.table(entry.Elem(), r.table, here, below)
	}
}

func (d *decoder) subtree(path []string, raw any) (map[string]any, bool) {
	below, ok := raw.(map[string]any)
	if !ok {
		// The value is not shown: a string here may be the URL that belongs one level below.
		d.fail(path, "", fmt.Sprintf("want a table: write [%s] and its keys below it", join(path)))
	}
	return below, ok
}

// value reads one key into its field of v. The field keeps its value if that fails.
func (d *decoder) value(v reflect.Value, r *rule, path []string, raw any) {
	shown := show(raw)
	if _, list := raw.([]any); list && r.secret != "" {
		shown = shownText(r, fmt.Sprint(raw)) // it may have a password anywhere
	}
	written, isString := raw.(string)
	if isString {
		text, expanded, err := expand(written, d.lookup)
		if err != nil {
			d.fail(path, shownText(r, written), err.Error())
			return
		}
		raw, shown = text, shownText(r, text)
		if expanded {
			raw, shown = plainText(text), fmt.Sprintf("%s (from %s)", shown, shownText(r, written))
		}
	} else if text, ok := raw.(plainText); ok {
		shown = shownText(r, string(text))
	}
	value, err := r.read(raw, d.lookup)
	if err != nil {
		if r.hidden() {
			shown = `"***"`
		}
		d.fail(path, shown, err.Error())
		return
	}
	if text, shown := r.badName(value); text != "" {
		d.fail(path, shown, text)
		return
	}
	if text, shown := r.fraction(value); text != "" {
		d.fail(path, shown, text)
		return
	}
	r.set(v, d.expandSite(path, value))
}

// read converts a TOML value, or plainText, into a value for the key's field.
func (r *rule) read(raw any, lookup func(string) (string, bool)) (any, error) {
	switch r.kind {
	case kindText, kindRate:
		text, err := r.readText(raw)
		if err == nil && r.kind == kindRate {
			return readRate(text)
		}
		return text, err
	case kindTruth:
		return readTruth(raw)
	case kindList:
		return readList(raw, lookup)
	case kindNumber:
		if s, ok := raw.(string); ok {
			if _, err := r.quantity(s); err == nil {
				return nil, fmt.Errorf("want a whole number: write %s without quotes", s)
			}
		}
	}
	n, err := r.readQuantity(raw)
	if err != nil {
		return nil, err
	}
	if err := r.inRange(n); err != nil {
		return nil, err
	}
	if n == 0 {
		n = r.zero
	}
	return n, nil
}

func (r *rule) readText(raw any) (string, error) {
	switch v := raw.(type) {
	case string:
		return v, r.isWord(v)
	case plainText:
		return string(v), r.isWord(string(v))
	case bool, int64, float64:
		if r.secret == "" {
			return "", fmt.Errorf("want a string: write \"%v\"", raw)
		}
	}
	return "", errors.New("want a string")
}

// badName returns what is wrong with a name of AMQP, or with one of a list, and the name in a
// form that can be shown; "" = nothing.
func (r *rule) badName(value any) (text, shown string) {
	if !r.isName {
		return "", ""
	}
	names, _ := value.([]string)
	if name, ok := value.(string); ok {
		names = []string{name}
	}
	for _, name := range names {
		if len(name) > amqpproto.ShortstrMax {
			return TooLong(name), show(name)
		}
	}
	return "", ""
}

// fraction returns the error for a time that would lose its fraction on the wire; "" = it has
// none.
func (r *rule) fraction(value any) (text, shown string) {
	n, ok := value.(int64)
	if !ok || r.unit == 0 || n%int64(r.unit) == 0 {
		return "", ""
	}
	if r.unit == time.Second {
		return "AMQP counts heartbeats in whole seconds: round it", r.show(n)
	}
	return "AMQP counts in milliseconds: round it", r.show(n)
}

// rateMin is the smallest number in a rate. With less, the time between two messages would be
// too long for a time.Duration.
const rateMin = 1e-3

// readRate reads "10/s", "90/m" or "1000/h" as messages a second; "off" and "" are 0.
func readRate(text string) (any, error) {
	if text == "" || text == "off" {
		return 0.0, nil
	}
	number, unit, _ := strings.Cut(text, "/")
	n, err := strconv.ParseFloat(strings.TrimSpace(number), 64)
	seconds := map[string]float64{"s": 1, "m": time.Minute.Seconds(), "h": time.Hour.Seconds()}[strings.TrimSpace(unit)]
	if err != nil || seconds == 0 || !(n >= rateMin && n <= 1e9) { // NaN is neither
		return nil, errors.New(`want messages for each second, minute or hour: write "10/s", "90/m" or "1000/h"`)
	}
	return n / seconds, nil
}

func (r *rule) readQuantity(raw any) (int64, error) {
	switch v := raw.(type) {
	case int64:
		if r.kind == kindDuration && v != 0 {
			return 0, fmt.Errorf("a duration needs a unit: write \"%ds\"", v)
		}
		return v, nil
	case string:
		raw = plainText(v)
	case float64:
		if r.kind == kindDuration {
			return 0, fmt.Errorf("a duration needs a unit: write %q", FormatDuration(time.Duration(v*float64(time.Second))))
		}
	}
	if text, ok := raw.(plainText); ok {
		if text == "off" {
			if r.off == "" {
				return 0, fmt.Errorf("cannot be off: the least is %s", r.show(r.min))
			}
			return 0, nil
		}
		return r.quantity(string(text))
	}
	_, err := r.quantity("") // its error says what is wanted
	return 0, err
}

func (r *rule) isWord(s string) error {
	if r.oneof == nil {
		return nil
	}
	for _, word := range r.oneof {
		// "x-" stands for every exchange type that a broker's plugin brings.
		if s == word || strings.HasSuffix(word, "-") && strings.HasPrefix(s, word) {
			return nil
		}
	}
	if best := nearest(s, r.oneof); best != "" {
		return fmt.Errorf("no such word; did you mean %q?", best)
	}
	return fmt.Errorf("no such word; there are %s", strings.Join(r.oneof, ", "))
}

func readTruth(raw any) (any, error) {
	switch raw {
	case true, plainText("true"):
		return true, nil
	case false, plainText("false"):
		return false, nil
	case "true", "false":
		return nil, fmt.Errorf("want true or false: write %v without quotes", raw)
	}
	return nil, errors.New("want true or false")
}

// isTOMLList reports whether text begins like a TOML list of strings, and not like an IPv6
// address in brackets.
func isTOMLList(text string) bool {
	inside, ok := strings.CutPrefix(text, "[")
	inside = strings.TrimLeft(inside, " \t\r\n\f")
	return ok && inside != "" && strings.IndexByte(`"']`, inside[0]) >= 0
}

// readList reads a string or a list of strings. plainText is a list with commas between
// its items, or a TOML list if it begins like one.
func readList(raw any, lookup func(string) (string, bool)) (any, error) {
	want := errors.New(`want a string or a list of strings, like ["a", "b"]`)
	if text, ok := raw.(plainText); ok {
		if !isTOMLList(string(text)) {
			parts := strings.Split(string(text), ",")
			for i := range parts {
				parts[i] = strings.TrimSpace(parts[i])
			}
			return parts, nil
		}
		if raw = parseValue(string(text)); raw == nil {
			return nil, want
		}
		lookup = nil // expanded already, or taken unchanged
	}
	switch v := raw.(type) {
	case string:
		return []string{v}, nil // the caller expands it
	case []any:
		list := make([]string, 0, len(v))
		for _, item := range v {
			s, ok := item.(string)
			if !ok {
				return nil, want
			}
			if lookup != nil {
				var err error
				if s, _, err = expand(s, lookup); err != nil {
					return nil, err
				}
			}
			list = append(list, s)
		}
		return list, nil
	}
	return nil, want
}

// free converts a table for the broker. Its values have types that both TOML and AMQP have.
func (d *decoder) free(path []string, tree map[string]any) amqp.Table {
	table := make(amqp.Table, len(tree))
	for name, raw := range tree {
		here := append(path[:len(path):len(path)], name)
		if len(name) > amqpproto.ShortstrMax {
			d.fail(here, "", "the name of an argument has at most 255 octets")
		}
		table[name] = d.argument(here, raw)
	}
	return table
}

func (d *decoder) argument(path []string, raw any) any {
	switch v := raw.(type) {
	case string:
		text, _, err := expand(v, d.lookup)
		if err != nil {
			d.fail(path, show(v), err.Error())
		}
		return d.expandSite(path, text)
	case plainText:
		return d.expandSite(path, string(v))
	case map[string]any:
		return d.free(path, v)
	case []any:
		list := make([]any, 0, len(v))
		for _, item := range v {
			list = append(list, d.argument(path, item))
		}
		return list
	case bool, int64, float64, time.Time:
		return v
	}
	d.fail(path, show(raw), "AMQP has no such type: want a string, a number, true or false, a time with its zone, a list or a table")
	return nil
}

// show formats a value for an error message, and cuts it where it gets long. Anything
// that looks like a URL is shown without its password, whatever the key is.
func show(raw any) string {
	if _, ok := raw.(map[string]any); ok {
		return "" // too long to show, and the key says enough
	}
	text := fmt.Sprint(raw)
	if strings.Contains(text, "://") {
		text = maskURL(text)
	}
	switch raw.(type) {
	case string, plainText:
		text = strconv.Quote(text)
	}
	if len(text) > 80 {
		return text[:77] + "..."
	}
	return text
}

// shownText is show for a key that may hold a secret: a URL without its scheme, or a
// password instead of its hash.
func shownText(r *rule, text string) string {
	switch {
	case r.hidden():
		return `"***"`
	case r.secret == "url":
		text = maskURL(text)
	}
	return show(text)
}

// hidden reports whether the value must not be shown at all.
func (r *rule) hidden() bool { return r.secret != "" && r.secret != "url" }
