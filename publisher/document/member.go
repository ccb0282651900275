package document

import (
	"encoding"
	"encoding/json"
	"reflect"
	"strings"
)

// A member is a field of a struct in JSON.
type member struct {
	reflect.StructField
	json    string // its name
	options string // what follows the name in the tag
}

// members returns the members of a struct, those of structs that are embedded in it included.
// Types that encode or decode themselves have none.
func members(t reflect.Type) (all []member) {
	if encodesItself(t) {
		return nil
	}
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("json")
		name, options, _ := strings.Cut(tag, ",")
		e := f.Type
		if e.Kind() == reflect.Pointer {
			e = e.Elem()
		}
		switch {
		case tag == "-":
		case f.Anonymous && name == "" && e.Kind() == reflect.Struct && !encodesItself(e):
			all = append(all, members(e)...)
		case f.IsExported():
			if name == "" {
				name = f.Name
			}
			all = append(all, member{f, name, options})
		}
	}
	return all
}

func encodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	for _, i := range []reflect.Type{
		reflect.TypeFor[json.Marshaler](), reflect.TypeFor[json.Unmarshaler](),
		reflect.TypeFor[encoding.TextMarshaler](), reflect.TypeFor[encoding.TextUnmarshaler](),
	} {
		if p.Implements(i) {
			return true
		}
	}
	return false
}

// leftOut reports whether a zero value is left out when it is given.
func (m member) leftOut() bool {
	return strings.Contains(","+m.options+",", ",omitempty,") || strings.Contains(","+m.options+",", ",omitzero,")
}

// required reports whether the member is always there, if it is given, or must be, if it is
// taken.
func (m member) required(out bool) bool {
	if out {
		return !m.leftOut()
	}
	return requires(m.Tag)
}

// requires reports whether the tag validate wants a value.
func requires(tag reflect.StructTag) bool {
	for word := range strings.SplitSeq(tag.Get("validate"), ",") {
		if word == "required" {
			return true
		}
		if word == "dive" {
			break
		}
	}
	return false
}

// nullable reports whether the member may be null when it is given.
func (m member) nullable() bool {
	if m.leftOut() || encodesItself(m.Type) {
		return false
	}
	switch m.Type.Kind() {
	case reflect.Pointer, reflect.Map, reflect.Slice:
		return true
	}
	return false
}
