// Package binding fills a Go struct from what comes with a call: the members of the body, and
// the values of path, query and header fields that the struct's tags name. It checks the values
// and tells every mistake at once.
//
// What reflection can find out is found out once, in [New]: a wrong tag is an error there. A
// [Plan] has no lock and never changes, so any goroutine may use it.
package binding

import (
	"encoding"
	"encoding/json"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"unsafe"
)

// The places that a parameter may come from, as OpenAPI names them.
const (
	InPath   = "path"
	InQuery  = "query"
	InHeader = "header"
)

// places has the tags that name a parameter.
var places = [...]string{InPath, InQuery, InHeader}

// A Mistake is one thing that is wrong with a call.
type Mistake struct {
	Path   string // a JSON pointer into the body, or "query.limit", "path.id", "header.X-Tenant"; "" is the whole body
	Detail string
}

// MistakesMax bounds the mistakes that are told. One more says how many there are.
const MistakesMax = 100

// ItemsMax is the default for [Options.ItemsMax].
const ItemsMax = 10_000

// Options change how a plan fills a value.
type Options struct {
	// ItemsMax bounds the elements of slices and maps that are checked one by one, by the tag
	// "dive", because each may be a mistake; 0 is [ItemsMax].
	ItemsMax int
}

// A Plan knows how to fill values of one type.
type Plan struct {
	Type       reflect.Type
	Parameters []Parameter
	// Body is the type that the body is decoded into: a struct with the layout of Type, whose
	// parameters have no members in JSON. It is nil if the body is not read.
	Body reflect.Type
	// Blocks says that a check asks the file system or the network.
	Blocks bool

	validates bool // something is to be checked
	dives     bool // elements are checked one by one
	itemsMax  int
	presets   []preset
	query     bool // a parameter is of the query
}

// A preset is the default of a member of the body.
type preset struct {
	index []int
	text  string
	set   setter
}

var (
	jsonUnmarshaler = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

// New makes the plan of a type: of a struct, or of what a whole body is decoded into. The error
// names the fields that are wrong.
func New(t reflect.Type, o Options) (*Plan, error) {
	p, err := Read(t)
	if err != nil {
		return nil, err
	}
	if p.itemsMax = o.ItemsMax; p.itemsMax <= 0 {
		p.itemsMax = ItemsMax
	}
	return p, p.planChecks()
}

// Read is New for those who only want to know what there is to fill: the plan does not fill or
// check anything. A program that calls Read and not New is built without the validator.
func Read(t reflect.Type) (*Plan, error) {
	p := &Plan{Type: t}
	if t.Kind() == reflect.Pointer {
		return nil, fmt.Errorf("%s is a pointer: take the value, %s", t, t.Elem())
	}
	if t.Kind() != reflect.Struct || decodesItself(t) && !hasParameters(t) {
		p.Body = t
		return p, p.refuseInside(inside{t: t}, map[inside]bool{})
	}
	members, err := p.addFields(t, nil)
	if err == nil && (members > 0 || decodesItself(t)) {
		p.Body, err = p.bodyType()
	}
	return p, err
}

func decodesItself(t reflect.Type) bool {
	p := reflect.PointerTo(t)
	return p.Implements(jsonUnmarshaler) || p.Implements(textUnmarshaler)
}

func hasParameters(t reflect.Type) bool {
	for i := range t.NumField() {
		if in, _ := parameterOf(t.Field(i)); in != "" {
			return true
		}
	}
	return false
}

// parameterOf returns which parameter a field is; in is "" if it is none.
func parameterOf(f reflect.StructField) (in, name string) {
	for _, place := range places {
		if name, tagged := f.Tag.Lookup(place); tagged {
			return place, name
		}
	}
	return "", ""
}

// addFields adds the fields of a struct, and of structs that are embedded in it, and returns how
// many members of the body there are.
func (p *Plan) addFields(t reflect.Type, index []int) (members int, err error) {
	for i := range t.NumField() {
		f := t.Field(i)
		at := append(slices.Clip(index), i)
		in, name := parameterOf(f)
		switch {
		case in != "":
			err = errors.Join(err, p.addParameter(t, f, at, in, name))
			continue
		case f.Anonymous && isPlainStruct(f.Type) && jsonName(f) == "":
			n, failed := p.addFields(f.Type, at)
			err, members = errors.Join(err, failed), members+n
			continue
		case !f.IsExported() || f.Tag.Get("json") == "-":
			if f.Tag.Get("default") != "" {
				err = errors.Join(err, fieldError(t, f, "it has a default, and is no member of the body"))
			}
			continue
		}
		members++
		err = errors.Join(err, p.refuseInside(inside{t: f.Type}, map[inside]bool{}))
		if text, ok := f.Tag.Lookup("default"); ok {
			err = errors.Join(err, p.addPreset(t, f, at, text))
		} else if isPlainStruct(f.Type) {
			err = errors.Join(err, p.addInner(f.Type, at))
		}
	}
	return members, err
}

// addInner adds the defaults of a struct that is a member.
func (p *Plan) addInner(t reflect.Type, index []int) (err error) {
	for i := range t.NumField() {
		f, at := t.Field(i), append(slices.Clip(index), i)
		if text, ok := f.Tag.Lookup("default"); ok && f.IsExported() {
			err = errors.Join(err, p.addPreset(t, f, at, text))
		} else if isPlainStruct(f.Type) && (f.IsExported() || f.Anonymous) {
			err = errors.Join(err, p.addInner(f.Type, at))
		}
	}
	return err
}

// An inside is a type in what a member is made of; made says that its values are made while the
// body is decoded.
type inside struct {
	t    reflect.Type
	made bool
}

// refuseInside returns an error for each parameter in what a member is made of, and for each
// default in what is made while the body is decoded: nothing sets it before.
func (p *Plan) refuseInside(at inside, seen map[inside]bool) (err error) {
	for at.t.Kind() == reflect.Pointer || at.t.Kind() == reflect.Slice || at.t.Kind() == reflect.Array || at.t.Kind() == reflect.Map {
		at.t, at.made = at.t.Elem(), true
	}
	if !isPlainStruct(at.t) || seen[at] {
		return nil
	}
	seen[at] = true
	for i := range at.t.NumField() {
		f := at.t.Field(i)
		if in, _ := parameterOf(f); in != "" && f.IsExported() {
			err = errors.Join(err, fieldError(at.t, f, "the tag %s is only for fields of the struct itself, and of structs that are embedded in it", in))
		}
		if at.made && f.IsExported() && f.Tag.Get("default") != "" {
			err = errors.Join(err, fieldError(at.t, f, "a default is not possible behind a pointer and in the elements of a slice or a map: remove it, and let the handler look for zero"))
		}
		if f.IsExported() || f.Anonymous {
			err = errors.Join(err, p.refuseInside(inside{f.Type, at.made}, seen))
		}
	}
	return err
}

// isPlainStruct reports whether a struct is made of its fields.
func isPlainStruct(t reflect.Type) bool { return t.Kind() == reflect.Struct && !decodesItself(t) }

func (p *Plan) addPreset(t reflect.Type, f reflect.StructField, index []int, text string) error {
	set, err := setterOf(f.Type)
	if err == nil {
		err = set(reflect.New(f.Type).Elem(), text)
	}
	if err != nil {
		return fieldError(t, f, "default %q: %v", text, err)
	}
	p.presets = append(p.presets, preset{index, text, set})
	return nil
}

func fieldError(t reflect.Type, f reflect.StructField, format string, args ...any) error {
	owner := t.String()
	if t.Name() == "" {
		owner = "the struct"
	}
	return fmt.Errorf("field %s of %s: %s", f.Name, owner, fmt.Sprintf(format, args...))
}

// jsonName is the name that the tag of a field gives it; "" is none.
func jsonName(f reflect.StructField) string {
	name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
	return name
}

// bodyType is the type itself if no member of a body can reach a parameter. Otherwise it is a
// type of the same layout whose parameters have the tag json:"-".
func (p *Plan) bodyType() (body reflect.Type, err error) {
	if decodesItself(p.Type) {
		return p.Type, nil // the parameters are set after it has decoded itself
	}
	fields, changed := make([]reflect.StructField, p.Type.NumField()), false
	for i := range fields {
		f := p.Type.Field(i)
		in, _ := parameterOf(f)
		hidden := in != "" && f.Tag.Get("json") != "-"
		if f.Anonymous && isPlainStruct(f.Type) && jsonName(f) == "" {
			switch reached := reachable(f.Type); {
			case countMembers(f.Type) == 0:
				hidden = true
			case reached:
				return nil, fieldError(p.Type, f, `it has members of the body and parameters: give the parameters the tag json:"-", too, so that no body can set them`)
			}
		}
		if hidden {
			f.Tag, changed = `json:"-" msgpack:"-" pickle:"-"`, true
			f.Name, f.PkgPath, f.Anonymous = fmt.Sprintf("Hidden%d", i), "", false
		}
		fields[i] = f
	}
	if !changed {
		return p.Type, nil
	}
	defer func() {
		if recover() != nil || err == nil && body.Size() != p.Type.Size() {
			body, err = nil, fmt.Errorf(`%s: it embeds a struct that is not exported or has methods: give the parameters the tag json:"-", too, so that no body can set them`, p.Type)
		}
	}()
	return reflect.StructOf(fields), nil
}

// reachable reports whether a member of a body could set a parameter in an embedded struct.
func reachable(t reflect.Type) bool {
	for i := range t.NumField() {
		f := t.Field(i)
		if in, _ := parameterOf(f); in != "" && f.Tag.Get("json") != "-" {
			return true
		}
		if f.Anonymous && isPlainStruct(f.Type) && jsonName(f) == "" && reachable(f.Type) {
			return true
		}
	}
	return false
}

func countMembers(t reflect.Type) int {
	n, _ := (&Plan{}).addFields(t, nil)
	return n
}

// Target returns what a body is decoded into, for a value of the plan's type: both are the same
// memory. The defaults of members are set.
func (p *Plan) Target(value reflect.Value) any {
	for i := range p.presets {
		d := &p.presets[i]
		_ = d.set(value.FieldByIndex(d.index), d.text) // New has tried it
	}
	if p.Body == p.Type {
		return value.Addr().Interface()
	}
	// The layouts are equal: only tags differ.
	return reflect.NewAt(p.Body, unsafe.Pointer(value.Addr().Pointer())).Interface()
}
