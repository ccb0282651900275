package binding

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
)

const (
	// searchMax is the largest body, in octets, in which all wrong members are looked for.
	// In a larger one, only the first is told.
	searchMax = 1 << 20
	// searchDepth is how deep they are looked for. Each level reads the octets once more.
	searchDepth = 16
)

// Wrong returns what is wrong with the members of a body in JSON that could not be decoded: all
// members of a wrong type and, if strict, all that are unknown. It returns nil if the reason is
// another one, such as a wrong syntax.
func (p *Plan) Wrong(body []byte, cause error, strict bool) []Mistake {
	var first *json.UnmarshalTypeError
	typed := errors.As(cause, &first)
	if !typed && !strict || !json.Valid(body) {
		return nil
	}
	s := search{strict: strict}
	if len(body) <= searchMax {
		s.value(body, p.Body, "", 0)
	}
	if len(s.found) == 0 && typed {
		path := ""
		if first.Field != "" {
			path = "/" + strings.ReplaceAll(escapePointer(first.Field), ".", "/")
		}
		s.add(path, typeText(first))
	}
	return s.found
}

// A search looks for wrong members.
type search struct {
	strict bool
	found  []Mistake
	known  map[reflect.Type]map[string]reflect.StructField // members of the structs that were met
}

func (s *search) add(path, detail string) {
	if len(s.found) < MistakesMax {
		s.found = append(s.found, Mistake{path, detail})
	}
}

// value looks into a value that is to become a t.
func (s *search) value(raw []byte, t reflect.Type, path string, depth int) {
	for t.Kind() == reflect.Pointer && !decodesItself(t.Elem()) {
		t = t.Elem()
	}
	if len(s.found) >= MistakesMax || string(raw) == "null" {
		return
	}
	first := raw[firstOctet(raw)]
	switch kind := t.Kind(); {
	case depth >= searchDepth, decodesItself(t), t.Kind() == reflect.Interface:
	case kind == reflect.Struct && first == '{':
		s.members(raw, t, path, depth)
		return
	case (kind == reflect.Slice || kind == reflect.Array) && first == '[' && t.Elem().Kind() != reflect.Uint8:
		var all []json.RawMessage
		if json.Unmarshal(raw, &all) == nil {
			for i := range all {
				s.value(all[i], t.Elem(), fmt.Sprintf("%s/%d", path, i), depth+1)
			}
			return
		}
	case kind == reflect.Map && first == '{' && t.Key().Kind() == reflect.String:
		var all map[string]json.RawMessage
		if json.Unmarshal(raw, &all) == nil {
			for _, key := range slices.Sorted(maps.Keys(all)) {
				s.value(all[key], t.Elem(), path+"/"+escapePointer(key), depth+1)
			}
			return
		}
	}
	var wrong *json.UnmarshalTypeError
	if err := json.Unmarshal(raw, reflect.New(t).Interface()); errors.As(err, &wrong) {
		s.add(path, typeText(wrong))
	} else if err != nil {
		s.add(path, err.Error())
	}
}

func firstOctet(raw []byte) int {
	for i, c := range raw {
		if c != ' ' && c != '\t' && c != '\n' && c != '\r' {
			return i
		}
	}
	return 0
}

// members looks into the members of an object.
func (s *search) members(raw []byte, t reflect.Type, path string, depth int) {
	var all map[string]json.RawMessage
	if json.Unmarshal(raw, &all) != nil {
		return
	}
	known := s.known[t]
	if known == nil {
		if s.known == nil {
			s.known = map[reflect.Type]map[string]reflect.StructField{}
		}
		known = map[string]reflect.StructField{}
		addMembers(t, known, 0)
		s.known[t] = known
	}
	for _, name := range slices.Sorted(maps.Keys(all)) {
		f, ok := known[name]
		if !ok {
			f, ok = known[strings.ToLower(name)]
		}
		at := path + "/" + escapePointer(name)
		switch {
		case !ok && s.strict:
			s.add(at, "is unknown")
		case ok && !strings.Contains(f.Tag.Get("json"), ",string"):
			s.value(all[name], f.Type, at, depth+1)
		}
	}
}

// addMembers finds the members of a struct, also by their names in lower case. Those of the
// struct hide those of structs that are embedded in it.
func addMembers(t reflect.Type, known map[string]reflect.StructField, depth int) {
	var embedded []reflect.Type
	for i := range t.NumField() {
		f := t.Field(i)
		e := f.Type
		if e.Kind() == reflect.Pointer {
			e = e.Elem()
		}
		switch {
		case f.Tag.Get("json") == "-":
		case f.Anonymous && jsonName(f) == "" && e.Kind() == reflect.Struct:
			embedded = append(embedded, e)
		case f.IsExported():
			for _, name := range []string{memberName(f), strings.ToLower(memberName(f))} {
				if _, hidden := known[name]; !hidden {
					known[name] = f
				}
			}
		}
	}
	for _, e := range embedded {
		if depth < searchDepth {
			addMembers(e, known, depth+1)
		}
	}
}

// typeText says what is wrong with the type of a member.
func typeText(e *json.UnmarshalTypeError) string {
	t := e.Type
	is, number := e.Value, ""
	if what, value, ok := strings.Cut(is, " "); ok && what == "number" {
		is, number = what, value
	}
	switch k := t.Kind(); {
	case number != "" && k >= reflect.Int && k <= reflect.Uint64:
		var x reflect.Value = reflect.New(t).Elem()
		set := setInt
		if k >= reflect.Uint {
			set = setUint
		}
		if err := set(x, number); err != nil {
			return err.Error()
		}
		return "is no whole number"
	case number != "" && (k == reflect.Float32 || k == reflect.Float64):
		return "is out of range"
	}
	return fmt.Sprintf("is %s, and not %s", withArticle(is), wanted(t))
}

func withArticle(is string) string {
	switch is {
	case "array", "object":
		return "an " + is
	case "bool":
		return "true or false"
	}
	return "a " + is
}

// wanted is what JSON calls a type.
func wanted(t reflect.Type) string {
	switch k := t.Kind(); {
	case k == reflect.Bool:
		return "true or false"
	case k >= reflect.Int && k <= reflect.Uint64:
		return "a whole number"
	case k == reflect.Float32, k == reflect.Float64:
		return "a number"
	case k == reflect.Slice && t.Elem().Kind() == reflect.Uint8:
		return "a string in base64"
	case k == reflect.Slice, k == reflect.Array:
		return "an array"
	case k == reflect.Struct, k == reflect.Map:
		return "an object"
	}
	return "a string"
}
