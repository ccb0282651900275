package publisher

import (
	"net/http"
	"reflect"
)

// A StatusCoder is an Out of [JSON] that says with which status it is sent. 500 and more is a
// failure for a message, as after [Request.Reply].
type StatusCoder interface{ StatusCode() int }

// A Headerer is an Out of [JSON] that brings header fields for the answer.
type Headerer interface{ Headers() http.Header }

// answerForm is what is known of an Out before there is one.
type answerForm struct {
	empty  bool // struct{}: there is no body
	direct bool // a pointer or an interface: its methods are those of the value, and not of a pointer to it
	codes  bool // it may be a StatusCoder
	fields bool // it may be a Headerer
}

func answerFormOf(out reflect.Type) answerForm {
	f := answerForm{empty: out.Kind() == reflect.Struct && out.NumField() == 0}
	f.direct = out.Kind() == reflect.Pointer || out.Kind() == reflect.Interface
	has := out
	if !f.direct {
		has = reflect.PointerTo(out)
	}
	open := out.Kind() == reflect.Interface
	f.codes = open || has.Implements(reflect.TypeFor[StatusCoder]())
	f.fields = open || has.Implements(reflect.TypeFor[Headerer]())
	return f
}

// answer answers with an Out, or with a pointer to it.
func (t *typed) answer(r *Request, out any) error {
	status := t.status
	if (t.form.codes || t.form.fields) && !isNil(out) {
		if c, ok := out.(StatusCoder); ok {
			status = c.StatusCode()
		}
		if h, ok := out.(Headerer); ok {
			for name, values := range h.Headers() {
				for _, value := range values {
					r.SetHeader(name, value)
				}
			}
		}
	}
	switch {
	case t.form.empty:
		return r.answerEmpty(status)
	case !r.source.hasClient() && len(r.props.ReplyTo) == 0 && status < http.StatusBadRequest:
		return r.Bytes(status, "", nil) // nobody waits for the value
	}
	return r.replyAs(status, jsonCodec{}, out)
}

// isNil reports whether a value is nil, or a nil pointer.
func isNil(v any) bool {
	at := reflect.ValueOf(v)
	return !at.IsValid() || at.Kind() == reflect.Pointer && at.IsNil()
}

// answerEmpty answers without a body, unless the handler has answered already.
func (r *Request) answerEmpty(status int) error {
	if r.toCall != nil {
		return r.toCall.do(func(r *Request) error { return r.answerEmpty(status) })
	}
	if r.response.set {
		return nil
	}
	return r.Bytes(status, "", nil)
}
