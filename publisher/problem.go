package publisher

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"zamqp/publisher/http1"
)

// A Problem is an error whose answer is a document of RFC 9457, application/problem+json:
//
//	return &publisher.Problem{Status: 422, Title: "The order is invalid",
//		Errors: []publisher.ProblemError{{Path: "/items/0/count", Detail: "is at least 1"}}}
//
// It counts as a [StatusError] of its Status: [errors.As] finds one in it, and for a message a
// 4xx is a permanent failure, with the same exceptions. A reply to a message has the document,
// too. A client whose Accept prefers text gets title, detail and errors as text/plain.
//
// Everything except Cause goes to the client. A Problem may be a package's variable, if
// nothing changes it.
type Problem struct {
	Type     string         // a URI that names the kind of problem; "" is about:blank: Status says all
	Title    string         // what this kind of problem is called; "" is the text of Status
	Status   int            // 400 to 599; everything else is a mistake, answered with 500
	Detail   string         // what went wrong this time; "" leaves it out
	Instance string         // a URI of this occurrence; "" is the path of the request
	Errors   []ProblemError // the member "errors": all that is wrong with the request
	Members  map[string]any // further extension members; those above win over the same names
	Cause    error          // goes to the log, not to the client; may be nil

	fields []answerField
}

// A ProblemError says what is wrong with one part of a request.
type ProblemError struct {
	Path   string `json:"path,omitempty"` // where, such as a JSON pointer "/items/0/count" (RFC 6901), or "query.page"
	Detail string `json:"detail"`
}

// problemErrorsMax bounds how many of its errors a Problem names in its text.
const problemErrorsMax = 10

// With returns a copy of the problem with a header field for the answer; see
// [StatusError.With].
func (p *Problem) With(name, value string) *Problem {
	with := *p
	with.fields = append(slices.Clip(with.fields), answerField{name, value})
	return &with
}

// Error is the status, the title, the detail and the first errors, for the log and for a dead
// letter.
func (p *Problem) Error() string {
	text := fmt.Sprintf("%d %s", p.Status, strings.ReplaceAll(p.plain(problemErrorsMax), "\n", "; "))
	if p.Cause != nil {
		return text + ": " + p.Cause.Error()
	}
	return text
}

// Unwrap returns the cause.
func (p *Problem) Unwrap() error { return p.Cause }

// As makes the problem a [StatusError], too.
func (p *Problem) As(target any) bool {
	s, ok := target.(**StatusError)
	if ok {
		*s = &StatusError{Status: p.status(), Text: p.plain(len(p.Errors)), Cause: p.Cause, fields: p.fields}
	}
	return ok
}

// status is the Status, or 0, which is no status, for one that is no failure.
func (p *Problem) status() int {
	if p.Status < 400 || p.Status > 599 {
		return 0
	}
	return p.Status
}

// title is the title, which every problem has.
func (p *Problem) title() string {
	if p.Title == "" {
		return http1.StatusText(p.Status)
	}
	return p.Title
}

// plain is the problem as a text of several lines, with at most so many errors.
func (p *Problem) plain(most int) string {
	var b strings.Builder
	b.WriteString(p.title())
	if p.Detail != "" {
		b.WriteString(": " + p.Detail)
	}
	for i, e := range p.Errors {
		if i == most {
			fmt.Fprintf(&b, "\nand %d more", len(p.Errors)-most)
			break
		}
		b.WriteByte('\n')
		if e.Path != "" {
			b.WriteString(e.Path + ": ")
		}
		b.WriteString(e.Detail)
	}
	return b.String()
}

// append appends the document. An error says which member cannot be encoded; the document
// then lacks the errors and the further members.
func (p *Problem) append(dst []byte, instance string) (_ []byte, err error) {
	kind := p.Type
	if kind == "" {
		kind = "about:blank"
	}
	if p.Instance != "" {
		instance = p.Instance
	}
	dst = appendMember(append(dst, '{'), "type", kind)
	dst = appendMember(append(dst, ','), "title", p.title())
	dst = fmt.Appendf(dst, `,"status":%d`, p.Status)
	if p.Detail != "" {
		dst = appendMember(append(dst, ','), "detail", p.Detail)
	}
	if instance != "" {
		dst = appendMember(append(dst, ','), "instance", instance)
	}
	with, err := p.appendExtensions(dst)
	if err == nil {
		dst = with
	}
	return append(dst, "}\n"...), err
}

// appendExtensions appends the errors and the further members, in the order of their names.
func (p *Problem) appendExtensions(dst []byte) ([]byte, error) {
	members := maps.Clone(p.Members)
	if len(p.Errors) > 0 {
		if members == nil {
			members = map[string]any{}
		}
		members["errors"] = p.Errors
	}
	for _, name := range []string{"type", "title", "status", "detail", "instance"} {
		delete(members, name)
	}
	for _, name := range slices.Sorted(maps.Keys(members)) {
		var value []byte
		err := guard(func() (err error) { value, err = json.Marshal(members[name]); return err })
		if err != nil {
			return dst, fmt.Errorf("the member %q of a problem: %w", name, err)
		}
		dst = append(appendJSON(append(dst, ','), name), ':')
		dst = append(dst, value...)
	}
	return dst, nil
}

// appendMember appends a member whose value is a text.
func appendMember(dst []byte, name, value string) []byte {
	return appendJSON(append(appendJSON(dst, name), ':'), value)
}

func appendJSON(dst []byte, text string) []byte {
	b, _ := json.Marshal(text) // a text can always be encoded
	return append(dst, b...)
}

const problemType = "application/problem+json"

// answerError answers with an error of this status, as the client prefers: in JSON if it asks
// for that, or if the error is a Problem and it does not prefer text, and otherwise as text. err
// may be nil.
func (r *Request) answerError(err error, status int, text string) error {
	var p *Problem
	its := errors.As(err, &p) && p.Status == status
	if status < http.StatusBadRequest || !r.asksForJSON(its) {
		body := r.copyBody(r.response.Body, view(text))
		if r.source.hasClient() {
			body = append(body, '\n')
		}
		r.response.Body = body
		return r.answer(status, "text/plain; charset=utf-8", body)
	}
	if !its {
		p = &Problem{Status: status, Detail: text}
		if text == p.title() || text == http.StatusText(status) {
			p.Detail = ""
		}
	}
	instance := ""
	if r.source.hasClient() {
		instance = string(r.path)
	}
	body, failed := p.append(r.response.Body[:0], instance)
	if failed != nil {
		r.server.log.Error().Err(failed).Stringer("call", r).Msg("a problem was answered without its further members")
	}
	r.response.Body = body
	if !its && r.source.hasClient() {
		r.setHeader("Vary", "Accept")
	}
	return r.answer(status, problemType, body)
}
