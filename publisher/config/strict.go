package config

import (
	"fmt"
	"slices"
	"strings"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// names are the names that tables may have that configure something compiled in.
type names struct {
	registered map[string][]string // by table, for each kind that is registered
	app        []publisher.AppSettings
}

func namesOf(registry *publisher.Registry) names {
	return names{registered: registry.Names(), app: registry.AppSettings()}
}

// nameLetters may be in the name of a [connection.NAME]. A dot would make its path
// ambiguous, a space the command line.
const nameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_-"

// unknown reports every key of the layer that the schema does not have. Each layer is checked
// separately, so a typo in the file is found even if the environment sets the same key.
func (l *layer) unknown(names names) Problems {
	return l.unknownIn(l.schema, nil, l.tree, names)
}

func (l *layer) unknownIn(s *schema, path []string, tree map[string]any, names names) Problems {
	var problems Problems
	for name, value := range tree {
		here := append(path[:len(path):len(path)], name)
		r := s.byName[name]
		if r == nil {
			problems = append(problems, l.problem(here, unknownKey(s, path, name)))
			continue
		}
		// The decoder reports a value where a table should be.
		below, _ := value.(map[string]any)
		switch r.kind {
		case kindTable:
			problems = append(problems, l.unknownIn(r.table, here, below, names)...)
		case kindNamed:
			for entry, value := range below {
				if _, isTable := value.(map[string]any); !isTable && r.table.byName[entry] != nil {
					continue // the decoder reports it as well
				}
				at := append(here[:len(here):len(here)], entry)
				if text := unknownName(join(here), entry, names); text != "" {
					problems = append(problems, l.problem(at, text))
					continue
				}
				inside, _ := value.(map[string]any)
				problems = append(problems, l.unknownIn(r.table, at, inside, names)...)
			}
		}
	}
	return problems
}

func (l *layer) problem(path []string, text string) *Problem {
	return &Problem{Origin: l.origins[join(path)], Key: join(path), Text: text}
}

// moved maps old names of keys to the new ones.
var moved = map[string]string{"loop.offload_workers": "pool.default.workers"}

// unknownKey names the nearest key of the same table, or keys of the same name in other
// tables, or else all keys of the table.
func unknownKey(s *schema, path []string, name string) string {
	prefix := join(path)
	if prefix != "" {
		prefix += "."
	}
	if now := moved[prefix+name]; now != "" {
		return fmt.Sprintf("unknown key; it is %s now", now)
	}
	if prefix == appKey+"." {
		return unknownAmong(prefix, "no handler package registers settings of this name", name, s.names())
	}
	if best := nearest(name, s.names()); best != "" {
		return fmt.Sprintf("unknown key; did you mean %s?", prefix+best)
	}
	var elsewhere []string
	for _, key := range settingsSchema.keys("", "NAME") {
		if strings.HasSuffix(key, "."+name) {
			elsewhere = append(elsewhere, key)
		}
	}
	if len(elsewhere) > 0 {
		return fmt.Sprintf("unknown key; did you mean %s?", strings.Join(elsewhere, " or "))
	}
	where := "there are the tables"
	if len(path) > 0 {
		where = fmt.Sprintf("[%s] has", join(path))
	}
	return fmt.Sprintf("unknown key; %s %s", where, strings.Join(s.names(), ", "))
}

// unknownName says what is wrong with the NAME of [table.NAME]; "" = nothing.
func unknownName(table, name string, names names) string {
	registered, isKind := names.registered[table]
	switch {
	case isKind:
	case table == "broker.users":
		if name == "" || len(name) > amqpproto.ShortstrMax {
			return "a user's name has 1 to 255 octets"
		}
		return ""
	default:
		if strings.HasSuffix(table, ".permissions") {
			return "" // these are names of virtual hosts, compared with broker.vhosts later
		}
		if name == "" || strings.Trim(name, nameLetters) != "" {
			return "a name is made of letters, digits, - and _"
		}
		return ""
	}
	if slices.Contains(registered, name) {
		return ""
	}
	return unknownAmong(table+".", fmt.Sprintf("no handler package registers a %s of this name", table), name, registered)
}

// unknownAmong adds the nearest registered name to text, or else all of them.
func unknownAmong(prefix, text, name string, registered []string) string {
	if best := nearest(name, registered); best != "" {
		return fmt.Sprintf("%s; did you mean %s%s?", text, prefix, best)
	}
	if len(registered) == 0 {
		return text + "; this program has none"
	}
	return fmt.Sprintf("%s; there are %s", text, strings.Join(slices.Sorted(slices.Values(registered)), ", "))
}
