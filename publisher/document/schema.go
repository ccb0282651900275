package document

import (
	"encoding/json"
	"fmt"
	"path"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/invopop/jsonschema"
)

// schemas makes the JSON schemas of Go types (draft 2020-12, which OpenAPI 3.1 uses), and keeps
// those of structs with a name as components, each once.
//
// What a handler takes and what it gives may need two schemas of one type: a member that is
// always given need not be sent. Then the second one has the name with "Output" appended.
type schemas struct {
	components map[string]*jsonschema.Schema
	names      map[direction]string
	taken      map[string]reflect.Type // types by name
	inputs     map[reflect.Type]bool   // structs that are taken somewhere
	plainNames map[reflect.Type]string // names of types that have none of their own
	differ     map[reflect.Type]bool   // see differs
	fixed      map[*jsonschema.Schema]bool
}

// A direction is a type that is taken, or given (out).
type direction struct {
	t   reflect.Type
	out bool
}

func newSchemas() *schemas {
	return &schemas{
		components: map[string]*jsonschema.Schema{}, names: map[direction]string{}, taken: map[string]reflect.Type{},
		inputs: map[reflect.Type]bool{}, plainNames: map[reflect.Type]string{}, differ: map[reflect.Type]bool{}, fixed: map[*jsonschema.Schema]bool{},
	}
}

// addInput notes that a type is taken, before any schema is made. A body that is decoded into a
// type without a name gets that of the handler's type.
func (s *schemas) addInput(body, named reflect.Type) {
	if body != named && body.Name() == "" {
		s.plainNames[body] = named.Name()
	}
	s.collect(body)
}

func (s *schemas) collect(t reflect.Type) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		s.collect(t.Elem())
	case reflect.Struct:
		if s.inputs[t] {
			return
		}
		s.inputs[t] = true
		for _, f := range members(t) {
			s.collect(f.Type)
		}
	}
}

// of returns the schema of a type: a reference, if it is a struct with a name. The error names
// the type that has no JSON.
func (s *schemas) of(t reflect.Type, out bool) (schema *jsonschema.Schema, err error) {
	defer func() {
		if v := recover(); v != nil {
			schema, err = nil, fmt.Errorf("%s: %v", t, v)
		}
	}()
	types := map[string]reflect.Type{}
	r := jsonschema.Reflector{Anonymous: true, AllowAdditionalProperties: true, Mapper: mapped}
	r.Namer = func(t reflect.Type) string {
		name := s.name(t, out)
		types[name] = t
		return name
	}
	schema = r.ReflectFromType(t)
	schema.Version = ""
	for name, def := range schema.Definitions {
		if s.components[name] == nil {
			s.components[name] = def
			s.fix(def, types[name], out)
		}
	}
	schema.Definitions = nil
	s.fixValue(schema, t, out)
	return schema, nil
}

// mapped has the schemas of types that encode themselves in a known way.
func mapped(t reflect.Type) *jsonschema.Schema {
	switch about := aboutOf(t); {
	case about == "":
		return nil
	case t == reflect.TypeFor[time.Duration]():
		return &jsonschema.Schema{Type: "integer", Format: "int64", Description: about}
	default:
		return &jsonschema.Schema{Description: about}
	}
}

// aboutOf is the description of a type whose schema needs one. A schema with nothing in it would be
// true, which many programs cannot read.
func aboutOf(t reflect.Type) string {
	switch {
	case t == reflect.TypeFor[time.Duration]():
		return "Nanoseconds."
	case t.Kind() == reflect.Interface, t == reflect.TypeFor[json.RawMessage]():
		return "Any value."
	}
	return ""
}

var notInNames = regexp.MustCompile(`[^A-Za-z0-9_]+`)

// name is the name of the component of a type; "" is none.
func (s *schemas) name(t reflect.Type, out bool) string {
	out = out && s.inputs[t] && s.differs(t)
	if name, ok := s.names[direction{t, out}]; ok {
		return name
	}
	name := t.Name()
	if name == "" {
		name = s.plainNames[t]
	}
	if name == "" || t.Kind() != reflect.Struct {
		return ""
	}
	if base, of, generic := strings.Cut(name, "["); generic { // Page[example.com/shop.Order]
		name = base
		for part := range strings.SplitSeq(strings.TrimSuffix(of, "]"), ",") {
			name += strings.ToUpper(part[strings.LastIndex(part, ".")+1:][:1]) + part[strings.LastIndex(part, ".")+1:][1:]
		}
	}
	name = strings.Trim(notInNames.ReplaceAllString(name, "_"), "_")
	if name == "" { // no letter of its name may be in a name of the document
		name = "Type"
	}
	if name[0] >= 'a' && name[0] <= 'z' {
		name = strings.ToUpper(name[:1]) + name[1:]
	}
	if out {
		name += "Output"
	}
	if s.taken[name] != nil {
		if owner := notInNames.ReplaceAllString(path.Base(t.PkgPath()), ""); owner != "" {
			name = strings.ToUpper(owner[:1]) + owner[1:] + name
		}
	}
	for n, first := 2, name; s.taken[name] != nil; n++ {
		name = fmt.Sprintf("%s%d", first, n)
	}
	s.taken[name], s.names[direction{t, out}] = t, name
	return name
}

// fix makes the schema of a struct what its Go type says: which members must be there, which may
// be null, and what is checked.
func (s *schemas) fix(schema *jsonschema.Schema, t reflect.Type, out bool) {
	if s.fixed[schema] || t == nil || schema.Properties == nil {
		return
	}
	s.fixed[schema] = true
	schema.Required = nil
	for _, f := range members(t) {
		property, ok := schema.Properties.Get(f.json)
		if !ok {
			continue
		}
		s.fixValue(property, f.Type, out)
		if !out || s.inputs[t] {
			constrain(property, f.Type, f.Tag.Get("validate"))
		}
		if text, ok := f.Tag.Lookup("default"); ok && !out {
			property.Default = defaultOf(f.Type, text)
		}
		if f.required(out) {
			schema.Required = append(schema.Required, f.json)
		}
		if out && f.nullable() {
			schema.Properties.Set(f.json, &jsonschema.Schema{AnyOf: []*jsonschema.Schema{property, {Type: "null"}}})
		}
	}
	slices.Sort(schema.Required)
}

// fixValue sets the reference of a schema, or goes into what it is made of.
func (s *schemas) fixValue(schema *jsonschema.Schema, t reflect.Type, out bool) {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	if name, ok := strings.CutPrefix(schema.Ref, "#/$defs/"); ok {
		schema.Ref = "#/components/schemas/" + name
		return
	}
	if schema.Description == "" { // a field without a description has removed it
		schema.Description = aboutOf(t)
	}
	addFormat(schema, t)
	switch {
	case t.Kind() == reflect.Struct:
		s.fix(schema, t, out)
	case schema.Items != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array):
		s.fixValue(schema.Items, t.Elem(), out)
	case t.Kind() == reflect.Map:
		if schema.AdditionalProperties != nil {
			s.fixValue(schema.AdditionalProperties, t.Elem(), out)
		}
		for _, each := range schema.PatternProperties {
			s.fixValue(each, t.Elem(), out)
		}
	}
}

// addFormat says how large a number may be.
func addFormat(schema *jsonschema.Schema, t reflect.Type) {
	if schema.Format != "" || schema.Type != "integer" && schema.Type != "number" {
		return
	}
	switch k := t.Kind(); k {
	case reflect.Int, reflect.Int64:
		schema.Format = "int64"
	case reflect.Int32:
		schema.Format = "int32"
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		schema.Minimum = "0"
	case reflect.Float32:
		schema.Format = "float"
	case reflect.Float64:
		schema.Format = "double"
	}
}

// differs reports whether a type needs two schemas if it is taken and given.
func (s *schemas) differs(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return s.differs(t.Elem())
	case reflect.Struct:
	default:
		return false
	}
	if known, ok := s.differ[t]; ok {
		return known
	}
	s.differ[t] = false // while its own members are looked at
	for _, f := range members(t) {
		if f.required(true) != f.required(false) || f.nullable() || s.differs(f.Type) {
			s.differ[t] = true
			return true
		}
	}
	return false
}
