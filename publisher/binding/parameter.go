package binding

import (
	"encoding"
	"errors"
	"fmt"
	"math"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A Parameter is a field that gets its value from the path, the query or a header field.
type Parameter struct {
	In      string // InPath, InQuery or InHeader
	Name    string
	Default string // as the tag says; only if HasDefault
	Field   reflect.StructField
	// Multiple says that the field is a slice, and each value an element.
	Multiple   bool
	HasDefault bool

	index []int
	path  string // for mistakes
	set   setter
	text  bool // an empty text is a value
}

// A setter sets a value from its text. The error says what the text should be.
type setter func(v reflect.Value, text string) error

func (p *Plan) addParameter(t reflect.Type, f reflect.StructField, index []int, in, name string) error {
	param := Parameter{In: in, Name: name, Field: f, index: index, path: in + "." + name}
	switch {
	case !f.IsExported():
		return fieldError(t, f, "it has the tag %s and is not exported: begin its name with a capital", in)
	case name == "":
		return fieldError(t, f, "the tag %s names nothing: write %s:\"name\"", in, in)
	}
	for _, other := range places {
		if _, twice := f.Tag.Lookup(other); twice && other != in {
			return fieldError(t, f, "it has the tags %s and %s: keep one", in, other)
		}
	}
	for i := range p.Parameters {
		if q := &p.Parameters[i]; q.In == in && (q.Name == name || in == InHeader && strings.EqualFold(q.Name, name)) {
			return fieldError(t, f, "%s %q belongs to the field %s already", in, name, q.Field.Name)
		}
	}
	err := param.findSetter()
	if err == nil {
		if param.Default, param.HasDefault = f.Tag.Lookup("default"); param.HasDefault {
			if in == InPath {
				return fieldError(t, f, "a value of the path is always there: remove the default")
			}
			if err = param.setDefault(reflect.New(f.Type).Elem()); err != nil {
				err = fmt.Errorf("default %q: %w", param.Default, err)
			}
		}
	}
	if err != nil {
		return fieldError(t, f, "%v", err)
	}
	p.query = p.query || in == InQuery
	p.Parameters = append(p.Parameters, param)
	return nil
}

func (q *Parameter) findSetter() (err error) {
	t := q.Field.Type
	if t.Kind() == reflect.Slice && !isText(t) && t.Elem().Kind() != reflect.Uint8 {
		if q.In == InPath {
			return errors.New("a value of the path is one value: take a slice from the query or a header field")
		}
		q.Multiple, t = true, t.Elem()
		if t.Kind() == reflect.Pointer {
			return fmt.Errorf("elements of type %s: take the values, %s", t, t.Elem())
		}
	}
	q.set, err = setterOf(t)
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	q.text = t.Kind() == reflect.String
	return err
}

func isText(t reflect.Type) bool { return reflect.PointerTo(t).Implements(textUnmarshaler) }

// setterOf finds the setter of a type.
func setterOf(t reflect.Type) (setter, error) {
	switch {
	case t.Kind() == reflect.Pointer:
		elem, err := setterOf(t.Elem())
		if err != nil {
			return nil, err
		}
		return func(v reflect.Value, text string) error {
			v.Set(reflect.New(v.Type().Elem()))
			return elem(v.Elem(), text)
		}, nil
	case t == reflect.TypeFor[time.Time]():
		return setTime, nil
	case isText(t):
		return setText, nil
	case t == reflect.TypeFor[time.Duration]():
		return setDuration, nil
	}
	switch t.Kind() {
	case reflect.String:
		return func(v reflect.Value, text string) error { v.SetString(text); return nil }, nil
	case reflect.Bool:
		return setBool, nil
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		return setInt, nil
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return setUint, nil
	case reflect.Float32, reflect.Float64:
		return setFloat, nil
	}
	return nil, fmt.Errorf("a value cannot become a %s: take a string, a number, a bool, a time.Time, a time.Duration or an encoding.TextUnmarshaler, or a slice of these", t)
}

func setTime(v reflect.Value, text string) error {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return errors.New("is no time such as 2006-01-02T15:04:05Z")
	}
	v.Set(reflect.ValueOf(at))
	return nil
}

func setText(v reflect.Value, text string) error {
	return v.Addr().Interface().(encoding.TextUnmarshaler).UnmarshalText([]byte(text))
}

func setDuration(v reflect.Value, text string) error {
	d, err := time.ParseDuration(text)
	if err != nil {
		return errors.New("is no duration such as 1m30s")
	}
	v.SetInt(int64(d))
	return nil
}

func setBool(v reflect.Value, text string) error {
	on, err := strconv.ParseBool(text)
	if err != nil {
		return errors.New("is neither true nor false")
	}
	v.SetBool(on)
	return nil
}

func setInt(v reflect.Value, text string) error {
	n, err := strconv.ParseInt(text, 10, v.Type().Bits())
	if err != nil {
		return numberError(err, v.Type())
	}
	v.SetInt(n)
	return nil
}

func setUint(v reflect.Value, text string) error {
	n, err := strconv.ParseUint(text, 10, v.Type().Bits())
	if err != nil {
		return numberError(err, v.Type())
	}
	v.SetUint(n)
	return nil
}

func setFloat(v reflect.Value, text string) error {
	n, err := strconv.ParseFloat(text, v.Type().Bits())
	if err == nil && (math.IsNaN(n) || math.IsInf(n, 0)) {
		return errors.New("is no number")
	}
	if err != nil {
		return numberError(err, v.Type())
	}
	v.SetFloat(n)
	return nil
}

// numberError says which numbers a type takes.
func numberError(err error, t reflect.Type) error {
	switch out := errors.Is(err, strconv.ErrRange); {
	case out && t.Kind() <= reflect.Int64:
		least := int64(-1) << (t.Bits() - 1)
		return fmt.Errorf("is out of range: %d to %d", least, ^least)
	case out && t.Kind() <= reflect.Uint64:
		return fmt.Errorf("is out of range: 0 to %d", ^uint64(0)>>(64-t.Bits()))
	case out:
		return errors.New("is out of range")
	case t.Kind() <= reflect.Int64:
		return errors.New("is no whole number")
	case t.Kind() <= reflect.Uint64:
		return errors.New("is no whole number of 0 or more")
	}
	return errors.New("is no number")
}

// setDefault sets the default; elements are separated by commas.
func (q *Parameter) setDefault(v reflect.Value) error {
	if !q.Multiple {
		return q.set(v, q.Default)
	}
	if q.Default == "" {
		return nil
	}
	return q.setAll(v, splitList(q.Default))
}

// setAll sets a slice.
func (q *Parameter) setAll(v reflect.Value, texts []string) error {
	all := reflect.MakeSlice(v.Type(), len(texts), len(texts))
	for i, text := range texts {
		if err := q.set(all.Index(i), text); err != nil {
			return fmt.Errorf("value %d %w", i+1, err)
		}
	}
	v.Set(all)
	return nil
}

func splitList(list string) []string {
	parts := strings.Split(list, ",")
	for i := range parts {
		parts[i] = strings.TrimSpace(parts[i])
	}
	return slices.DeleteFunc(parts, func(s string) bool { return s == "" })
}
