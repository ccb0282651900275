package binding

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"

	"github.com/go-playground/locales/en"
	ut "github.com/go-playground/universal-translator"
	"github.com/go-playground/validator/v10"
	english "github.com/go-playground/validator/v10/translations/en"
)

// checker has the validator of all plans.
var checker struct {
	once    sync.Once
	v       *validator.Validate
	changed bool // somebody has got it, and may have registered checks without tags

	texts sync.Once
	text  ut.Translator
}

// Validator returns the validator of all plans, so that handler packages can register tags of their
// own. They do so in init functions, before they make the handlers that use the tags.
func Validator() *validator.Validate {
	checker.changed = true
	return instance()
}

func instance() *validator.Validate {
	checker.once.Do(func() {
		checker.v = validator.New(validator.WithRequiredStructEnabled())
		checker.v.RegisterTagNameFunc(nameOf)
	})
	return checker.v
}

// nameOf is what the text of a mistake calls a field; "" is its name in Go.
func nameOf(f reflect.StructField) string {
	if in, name := parameterOf(f); in != "" {
		return name
	}
	if name := jsonName(f); name != "-" {
		return name
	}
	return ""
}

// blocking are the tags whose checks use the file system, or look up a name.
var blocking = []string{
	"file", "dir", "filepath", "dirpath", "image", "uds_exists", "ip_addr", "ip4_addr", "ip6_addr",
	"tcp_addr", "tcp4_addr", "tcp6_addr", "udp_addr", "udp4_addr", "udp6_addr", "unix_addr",
}

// planChecks finds out what is to be checked, and tries each tag, so that one that the validator
// does not know, or that does not fit its field, is an error now and not at the first call.
func (p *Plan) planChecks() error {
	err := p.tryChecks(p.Type, map[reflect.Type]bool{})
	p.validates = p.validates || checker.changed
	if p.Type.Kind() != reflect.Struct {
		p.dives = elemOf(p.Type) != nil
		p.validates = p.validates && p.dives
	}
	return err
}

func (p *Plan) tryChecks(t reflect.Type, seen map[reflect.Type]bool) (err error) {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map:
		return p.tryChecks(t.Elem(), seen)
	case reflect.Struct:
	default:
		return nil
	}
	if seen[t] || decodesItself(t) {
		return nil
	}
	seen[t] = true
	checked := false
	for i := range t.NumField() {
		f := t.Field(i)
		if !f.IsExported() && !f.Anonymous {
			continue
		}
		if tag := f.Tag.Get("validate"); tag != "" && tag != "-" {
			checked = true
			err = errors.Join(err, p.tryField(t, f, tag))
		}
		if f.Tag.Get("validate") != "-" {
			err = errors.Join(err, p.tryChecks(f.Type, seen))
		}
	}
	if checked && err == nil {
		p.validates = true
		err = guarded(func() { _ = instance().Struct(reflect.New(t).Interface()) })
	}
	return err
}

// tryField tries the tags of a field, one by one, on a value that is not zero.
func (p *Plan) tryField(t reflect.Type, f reflect.StructField, tag string) (err error) {
	at := f.Type
	keys := false
	for one := range strings.SplitSeq(tag, ",") {
		name, _, _ := strings.Cut(one, "=")
		switch {
		case name == "dive":
			p.dives = true
			if at = elemOf(at); at == nil {
				return errors.Join(err, fieldError(t, f, "validate: dive is for slices, arrays and maps"))
			}
			continue
		case name == "keys" || name == "endkeys":
			keys = name == "keys"
			continue
		}
		for alternative := range strings.SplitSeq(one, "|") {
			word, _, _ := strings.Cut(alternative, "=")
			p.Blocks = p.Blocks || slices.Contains(blocking, word)
		}
		if keys || needsStruct(name) {
			continue
		}
		sample := sampleOf(at)
		if failed := guarded(func() { _ = instance().Var(sample, one) }); failed != nil {
			err = errors.Join(err, fieldError(t, f, "validate: the tag %q does not fit a %s: %v", one, at, failed))
		}
	}
	return err
}

// elemOf is the type of the elements that dive goes to; nil if there are none.
func elemOf(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch t.Kind() {
	case reflect.Slice, reflect.Array, reflect.Map:
		return t.Elem()
	}
	return nil
}

// needsStruct reports whether a tag says something only about the field of a struct.
func needsStruct(name string) bool {
	switch name {
	case "omitempty", "omitnil", "omitzero", "structonly", "nostructlevel", "isdefault", "skip_unless", "validateFn", "":
		return true
	}
	return strings.HasPrefix(name, "required") || strings.HasPrefix(name, "excluded") || strings.HasSuffix(name, "field") || strings.HasPrefix(name, "field")
}

// sampleOf makes a value that is not zero where that is possible.
func sampleOf(t reflect.Type) any {
	v := reflect.New(t).Elem()
	for e := v; ; e = e.Elem() {
		switch e.Kind() {
		case reflect.Pointer:
			e.Set(reflect.New(e.Type().Elem()))
			continue
		case reflect.String:
			e.SetString("1")
		case reflect.Slice:
			e.Set(reflect.MakeSlice(e.Type(), 1, 1))
		case reflect.Map:
			e.Set(reflect.MakeMap(e.Type()))
		}
		return v.Interface()
	}
}

// guarded returns the panic of fn as an error. The validator panics about wrong tags.
func guarded(fn func()) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = fmt.Errorf("%v", v)
		}
	}()
	fn()
	return nil
}

// Check checks a filled value, and appends the mistakes in what has none yet.
func (p *Plan) Check(value reflect.Value, mistakes []Mistake) []Mistake {
	if !p.validates {
		return mistakes
	}
	if p.dives {
		if n := p.items(value, p.itemsMax+1); n > p.itemsMax {
			return append(mistakes, Mistake{"", fmt.Sprintf("has more than %d elements to check", p.itemsMax)})
		}
	}
	var err error
	if panicked := guarded(func() {
		if p.Type.Kind() == reflect.Struct {
			err = instance().Struct(value.Addr().Interface())
		} else {
			err = instance().Var(value.Interface(), "omitempty,dive")
		}
	}); panicked != nil { // a tag does not fit what the client has put into an interface
		return append(mistakes, Mistake{"", "has a value of a kind that cannot be checked"})
	}
	if err == nil {
		return mistakes
	}
	var failed validator.ValidationErrors
	if !errors.As(err, &failed) {
		return append(mistakes, Mistake{"", err.Error()})
	}
	known := len(mistakes)
	for i, f := range failed {
		if len(mistakes) >= MistakesMax {
			return append(mistakes, Mistake{"", fmt.Sprintf("and %d mistakes more", len(failed)-i)})
		}
		path := p.pathOf(f.StructNamespace())
		if !slices.ContainsFunc(mistakes[:known], func(m Mistake) bool { return covers(m.Path, path) }) {
			mistakes = append(mistakes, Mistake{path, detail(f)})
		}
	}
	return mistakes
}

// covers reports whether a mistake is at a path, or at what contains that.
func covers(mistake, path string) bool {
	rest, ok := strings.CutPrefix(path, mistake)
	return ok && (rest == "" || rest[0] == '/')
}

// items counts the elements of slices and maps in a value, up to most.
func (p *Plan) items(v reflect.Value, most int) (n int) {
	switch v.Kind() {
	case reflect.Pointer:
		return p.items(v.Elem(), most)
	case reflect.Slice, reflect.Array:
		if n = v.Len(); !holds(v.Type().Elem()) {
			return n
		}
		for i := 0; i < v.Len() && n < most; i++ {
			n += p.items(v.Index(i), most-n)
		}
	case reflect.Map:
		n = v.Len()
		for each := v.MapRange(); n < most && each.Next(); {
			n += p.items(each.Value(), most-n)
		}
	case reflect.Struct:
		if decodesItself(v.Type()) {
			return 0
		}
		for i := 0; i < v.NumField() && n < most; i++ {
			n += p.items(v.Field(i), most-n)
		}
	}
	return n
}

// holds reports whether values of a type may have elements.
func holds(t reflect.Type) bool {
	switch t.Kind() {
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct:
		return true
	}
	return false
}

// detail is the text of a mistake, in English, without the name of the field: its path has that.
func detail(f validator.FieldError) string {
	checker.texts.Do(func() {
		locale := en.New()
		checker.text, _ = ut.New(locale, locale).GetTranslator(locale.Locale())
		if err := english.RegisterDefaultTranslations(instance(), checker.text); err != nil {
			checker.text = nil
		}
	})
	text := ""
	if checker.text != nil {
		text = f.Translate(checker.text)
	}
	if text == "" || text == f.Error() {
		if text = "does not fulfil " + f.Tag(); f.Param() != "" {
			text += "=" + f.Param()
		}
		return text
	}
	if rest, ok := strings.CutPrefix(text, f.Field()+" "); ok {
		return rest
	}
	return text
}
