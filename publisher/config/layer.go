package config

import (
	"strings"
)

// layer is one source of settings: a tree as a TOML parser makes it, and the place that
// each key comes from.
type layer struct {
	tree     map[string]any
	origins  map[string]Origin // by dotted path, tables included
	problems Problems          // of the source itself: syntax, unreadable
	schema   *schema
}

func newLayer(s *schema) *layer {
	return &layer{tree: map[string]any{}, origins: map[string]Origin{}, schema: s}
}

// plainText is a value from the environment or from -o. It has no type, so the kind of
// the key decides how to read it.
type plainText string

// put stores text at a path. Whether that is a key is checked later.
func (l *layer) put(path []string, text string, from Origin) {
	r, n := l.schema.lookup(path)
	var value any = plainText(text)
	if r != nil && r.kind == kindFree {
		if n < len(path) {
			// In a free table all the rest is one key: "x-max-length", "a.b".
			path = append(path[:n:n], strings.Join(path[n:], "."))
			value = guess(text)
		} else if table, ok := parseValue(text).(map[string]any); ok {
			value = table
		}
	}
	tree := l.tree
	for i, segment := range path[:len(path)-1] {
		l.origins[join(path[:i+1])] = from
		below, ok := tree[segment].(map[string]any)
		if !ok {
			below = map[string]any{}
			tree[segment] = below
		}
		tree = below
	}
	l.origins[join(path)] = from
	tree[path[len(path)-1]] = value
}

// guess reads text as a TOML value if it is one, or else as plain text. Arguments of
// queues have no schema, and x-max-length=5 has to be a number.
func guess(text string) any {
	if value := parseValue(text); value != nil {
		return value
	}
	return plainText(text)
}

// overlay merges a tree into another: tables are merged key by key, other values are
// replaced. After that, the two share no table.
func overlay(under, over map[string]any) {
	for name, value := range over {
		table, ok := value.(map[string]any)
		if !ok {
			under[name] = value
			continue
		}
		below, ok := under[name].(map[string]any)
		if !ok {
			below = map[string]any{}
			under[name] = below
		}
		overlay(below, table)
	}
}

// expandShorthand replaces values that stand for a table: users.shop = "…" is short for
// users.shop.hash = "…". After that, nothing else has to know the short form.
func (l *layer) expandShorthand(s *schema, path []string, tree map[string]any) {
	for _, r := range s.rules {
		below, ok := tree[r.name].(map[string]any)
		if !ok {
			continue
		}
		here := append(path[:len(path):len(path)], r.name)
		switch r.kind {
		case kindTable:
			l.expandShorthand(r.table, here, below)
		case kindNamed:
			for name, value := range below {
				at := append(here[:len(here):len(here)], name)
				if inside, ok := value.(map[string]any); ok {
					l.expandShorthand(r.table, at, inside)
				} else if r.short != "" {
					below[name] = map[string]any{r.short: value}
					l.origins[join(append(at, r.short))] = l.origins[join(at)]
				}
			}
		}
	}
}

func join(path []string) string { return strings.Join(path, ".") }
