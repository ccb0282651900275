package publisher

import (
	"errors"
	"fmt"
	"net/http"
	"reflect"
	"strings"

	"github.com/go-playground/validator/v10"

	"zamqp/publisher/binding"
)

// JSON makes a [Handler] of a function that takes and returns values:
//
//	type NewOrder struct {
//		Shop  string `path:"shop"`
//		Dry   bool   `query:"dry"`
//		Item  string `json:"item" validate:"required"`
//		Count int    `json:"count" validate:"min=1" default:"1"`
//	}
//
//	func create(r *publisher.Request, in NewOrder) (Receipt, error) { … }
//
//	publisher.Handle("POST /shops/{shop}/orders", publisher.JSON(create, publisher.DefaultStatus(201)))
//
// The tags path, query and header name the value that a field gets, and default its text if
// there is none. Such a field is a string, a number, a bool, a [time.Time], a [time.Duration], an
// [encoding.TextUnmarshaler], a pointer to one of these (nil if there is no value), or a slice of
// them for a value that may come several times. A body cannot set it. The other fields are the
// members of the body, which is decoded as by [Request.Decode]; a body without a content type is
// JSON. Without such fields, and for an In of struct{}, the body is not read.
//
// The tag validate checks fields, in the words of github.com/go-playground/validator/v10. All
// mistakes are told at once, by a [Problem]: with 400 if the body cannot be read, otherwise with 422.
// A message goes to the dead-letter queue.
//
// The answer is Out as JSON, with 200 or [DefaultStatus]; an Out of struct{} is 204 without
// a body, or what fn itself has answered. An Out may have the methods of [StatusCoder] and
// [Headerer]. A message without a reply_to, and a clock, get no answer.
//
// The handler is for all sources: routes, [Consume], [Subscribe]; for [Every], if In has no
// fields. JSON panics if a tag is wrong, and names the field.
func JSON[In, Out any](fn func(*Request, In) (Out, error), options ...TypedOption) Handler {
	t := newTyped(reflect.TypeFor[In](), reflect.TypeFor[Out](), options, caller(2))
	t.call = func(r *Request) error {
		var in In
		if t.reads {
			value := new(In)
			if err := t.fill(r, reflect.ValueOf(value).Elem()); err != nil {
				return err
			}
			in = *value
		}
		out, err := fn(r, in)
		if err != nil {
			return err
		}
		if t.form.direct {
			return t.answer(r, out)
		}
		return t.answer(r, &out)
	}
	return t.handle
}

// A TypedOption changes one thing of a handler that [JSON] makes.
type TypedOption func(*typed)

// DefaultStatus is the status of the answers, in place of 200, or of 204 if there is no value. [JSON]
// panics if it is not 200 to 299.
func DefaultStatus(code int) TypedOption { return func(t *typed) { t.status = code } }

// DisallowUnknownFields refuses bodies with members that In has no field for. They are ignored
// otherwise.
func DisallowUnknownFields(t *typed) { t.strict = true }

// OptionalBody takes calls without a body: the members get their defaults or zero values, and
// are checked. Otherwise a body must be there if In has members.
func OptionalBody(t *typed) { t.optional = true }

// ItemsMax bounds the elements of slices and maps in a body that are checked one by one, by the
// tag dive, in place of 10 000.
func ItemsMax(n int) TypedOption { return func(t *typed) { t.itemsMax = n } }

// Validator returns what checks the values of [JSON], so that handler packages can register tags
// of their own, in init functions, before they call JSON. What they register runs on the loop's
// thread, and must not wait.
func Validator() *validator.Validate { return binding.Validator() }

// A typed is a handler that JSON has made.
type typed struct {
	plan     *binding.Plan
	out      reflect.Type
	place    string // where JSON was called
	status   int
	form     answerForm
	reads    bool // there is something to fill
	strict   bool
	optional bool
	itemsMax int
	call     Handler
}

func newTyped(in, out reflect.Type, options []TypedOption, place string) *typed {
	t := &typed{out: out, place: place, form: answerFormOf(out)}
	for _, option := range options {
		option(t)
	}
	var err error
	if t.plan, err = binding.New(in, binding.Options{ItemsMax: t.itemsMax}); err != nil {
		panic(fmt.Sprintf("publisher: JSON at %s: %v", place, err))
	}
	if t.status != 0 && (t.status < 200 || t.status > 299) {
		panic(fmt.Sprintf("publisher: JSON at %s: status %d: an answer is 200 to 299; return publisher.Errorf(%[2]d, …) for a failure", place, t.status))
	}
	if t.status == 0 {
		if t.status = http.StatusOK; t.form.empty {
			t.status = http.StatusNoContent
		}
	}
	t.reads = t.plan.Body != nil || len(t.plan.Parameters) > 0
	return t
}

// handle is the handler. Without a request it returns what it is: see typedOf.
func (t *typed) handle(r *Request) error {
	if r == nil {
		return &itself{t}
	}
	return t.call(r)
}

// An itself is how a typed handler says what it is.
type itself struct{ t *typed }

func (*itself) Error() string { return "a typed handler" }

// typedCode is the code of every [typed.handle].
var typedCode = reflect.ValueOf((&typed{}).handle).Pointer()

// typedOf returns what JSON has made a handler of; nil if it is another handler.
func typedOf(h Handler) *typed {
	if h == nil || reflect.ValueOf(h).Pointer() != typedCode {
		return nil
	}
	return h(nil).(*itself).t
}

// checkRoute returns why a handler cannot be that of a route.
func (t *typed) checkRoute(names []string) (err error) {
	if t == nil {
		return nil
	}
next:
	for i := range t.plan.Parameters {
		q := &t.plan.Parameters[i]
		if q.In != binding.InPath {
			continue
		}
		for _, name := range names {
			if name == q.Name {
				continue next
			}
		}
		err = errors.Join(err, fmt.Errorf("the field %s of the handler's %s wants {%s}, which is not in the pattern", q.Field.Name, t.plan.Type, q.Name))
	}
	return err
}

// checkTyped panics if a handler without a route wants something that its calls do not have. A
// clock has nothing at all.
func checkTyped(what, name, place string, h Handler, clock bool) {
	t := typedOf(h)
	if t == nil {
		return
	}
	var wants []string
	for i := range t.plan.Parameters {
		if q := &t.plan.Parameters[i]; clock || q.In == binding.InPath || q.In == binding.InQuery {
			wants = append(wants, q.In+" "+q.Name)
		}
	}
	if clock && t.plan.Body != nil {
		wants = append(wants, "a body")
	}
	if len(wants) > 0 {
		panic(fmt.Sprintf("publisher: %s(%q) at %s: its calls do not have what %s of the handler wants: %s", what, name, place, t.plan.Type, strings.Join(wants, ", ")))
	}
}
