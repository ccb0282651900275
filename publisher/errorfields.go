package publisher

import (
	"errors"
	"maps"
	"net/http"
	"strings"
)

// keepFields empties the response for the answer to a failure. The header fields
// that the handler had set stay if they describe the answer, whatever it is: a
// request id, WWW-Authenticate, Retry-After, cookies. Those of the body that is
// not sent go. What the error itself brings is added.
func (r *Request) keepFields(err error) {
	p := &r.response
	lines, headers := dropLines(p.lines, isOfBody), p.headers
	p.reset()
	p.lines = lines
	if headers != nil {
		maps.DeleteFunc(headers, func(name string, _ any) bool { return isOfBody(name) })
		p.headers = headers
	}
	var s *StatusError
	if !errors.As(err, &s) || !isFinal(s.Status) {
		return
	}
	for i := range s.fields { // before any is added, as an error may bring two of a name
		name := s.fields[i].name
		p.lines = dropLines(p.lines, func(set string) bool { return strings.EqualFold(set, name) })
		maps.DeleteFunc(p.headers, func(set string, _ any) bool { return strings.EqualFold(set, name) })
	}
	for i := range s.fields {
		r.setHeader(s.fields[i].name, s.fields[i].value)
	}
}

// reportFields logs what was wrong with the fields of an error, whose call has
// failed already.
func (r *Request) reportFields() {
	p := &r.response
	if p.err != nil {
		r.server.log.Error().Err(p.err).Stringer("call", r).Msg("a header field of the error was left out")
		p.err = nil
	}
}

// isOfBody reports whether a field describes the body that a handler meant to
// send, or where it is to be found: it would be wrong beside another one.
// RFC 9110 §8, §10.2.2, §14.3; RFC 9111 §5.
func isOfBody(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Accept-Ranges", "Age", "Cache-Control", "Digest", "Etag", "Expires", "Last-Modified", "Location", "Repr-Digest":
		return true
	}
	return strings.HasPrefix(name, "Content-") && name != "Content-Security-Policy" && name != "Content-Security-Policy-Report-Only"
}
