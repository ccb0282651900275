package publisher

import (
	"errors"
	"net/http"
	"reflect"

	"zamqp/publisher/binding"
)

// typedApart is the size of a body, in octets, above which it is decoded and checked on another
// goroutine while the call waits.
const typedApart = 64 << 10

// fill fills the value of a call. An error about what the call brings is a [Problem] with all
// mistakes.
func (t *typed) fill(r *Request, value reflect.Value) error {
	in := input{t: t, r: r, value: value}
	var err error
	if t.plan.Body != nil {
		if in.contentType, in.encoding, in.body, err = r.undecoded(); err != nil {
			return err
		}
	}
	switch {
	case t.plan.Blocks:
		err = r.Offload(in.apart().read)
	case len(in.body) > typedApart:
		err = r.apart(in.apart().read)
	default:
		return in.read()
	}
	return err
}

// An input is what comes with a call, on its way into a value.
type input struct {
	t           *typed
	r           *Request
	value       reflect.Value
	contentType []byte
	encoding    contentEncoding
	body        []byte
	mistakes    []binding.Mistake
	broken      error // the body cannot be read
}

// apart returns an input of its own memory. Most inputs live on the stack.
func (in *input) apart() *input { own := *in; return &own }

// read decodes, fills and checks the value. It only reads the call, and may do so on another
// goroutine while the call waits.
func (in *input) read() error {
	plan := in.t.plan
	if plan.Body != nil {
		if err := in.decode(); err != nil {
			return in.r.explainDecode(in.contentType, err)
		}
	}
	in.mistakes = plan.Fill(in.value, parameters{in.r}, in.mistakes)
	if in.broken == nil {
		in.mistakes = plan.Check(in.value, in.mistakes)
	}
	if in.broken == nil && len(in.mistakes) == 0 {
		return nil
	}
	return in.problem()
}

// decode decodes the body. The error is that of a content type without a codec; what is wrong
// with the body itself is noted.
func (in *input) decode() error {
	target := in.t.plan.Target(in.value)
	if len(in.body) == 0 {
		if !in.t.optional {
			in.broken = errNoBody
		}
		return nil
	}
	contentType := in.contentType
	if len(contentType) == 0 {
		contentType = view("json")
	}
	codec, body, err := readBody(contentType, &in.encoding, in.body, in.r.server.options.UnpackMax)
	switch strict, can := codec.(strictCodec); {
	case err != nil:
		if d := (*DecodeError)(nil); errors.As(err, &d) {
			in.broken = err
			return nil
		}
		return err
	case !in.t.strict:
		err = codec.Decode(body, target)
	case can:
		err = strict.DecodeStrict(body, target)
	default:
		return Errorf(http.StatusUnsupportedMediaType, "%s: unknown members must be refused here, and its codec cannot tell: send JSON", codec.ContentType())
	}
	if err == nil {
		return nil
	}
	if _, is := codec.(jsonCodec); is {
		in.mistakes = in.t.plan.Wrong(body, err, in.t.strict)
	}
	if len(in.mistakes) == 0 {
		in.broken = &DecodeError{ContentType: codec.ContentType(), Cause: err}
	}
	return nil
}

var errNoBody = errors.New("the body is missing")

// problem is the error of an input that does not fit.
func (in *input) problem() error {
	p := &Problem{Status: http.StatusUnprocessableEntity, Title: "The input is invalid"}
	if in.broken != nil {
		p.Status, p.Title, p.Detail = http.StatusBadRequest, "The body cannot be read", in.broken.Error()
	}
	for _, m := range in.mistakes {
		p.Errors = append(p.Errors, ProblemError{m.Path, m.Detail})
	}
	return p
}

// parameters are those of a call, for its plan.
type parameters struct{ r *Request }

func (p parameters) PathValue(name string) string { return p.r.PathValue(name) }
func (p parameters) Header(name string) string    { return p.r.Header(name) }

func (p parameters) RawQuery() []byte { return p.r.query }

func (p parameters) HeaderList(name string) string {
	if len(p.r.fields) > 0 {
		return p.r.fieldList(name)
	}
	return p.r.Header(name)
}
