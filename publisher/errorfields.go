package publisher

import (
	"errors"
	"maps"
	"net/http"
	"strings"
)

// keepFields empties the response for the answer to a failure. Header fields that the handler
// has set stay if they describe the answer in general: a request id, WWW-Authenticate,
// Retry-After, cookies. Fields that describe the body that is not sent are removed. The
// fields of the error itself are added.
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
	for i := range s.fields { // all are removed before any is added, as an error may bring two fields of one name
		name := s.fields[i].name
		p.lines = dropLines(p.lines, func(set string) bool { return strings.EqualFold(set, name) })
		maps.DeleteFunc(p.headers, func(set string, _ any) bool { return strings.EqualFold(set, name) })
	}
	for i := range s.fields {
		r.setHeader(s.fields[i].name, s.fields[i].value)
	}
}

// reportFields logs what is wrong with the fields of an error. The call has failed already,
// so this cannot become its error.
func (r *Request) reportFields() {
	p := &r.response
	if p.err != nil {
		r.server.log.Error().Err(p.err).Stringer("call", r).Msg("a header field of the error was left out")
		p.err = nil
	}
}

// isOfBody reports whether a field describes the body that the handler meant to send, or
// where that body is. Such a field would be wrong beside another body. RFC 9110 §8, §10.2.2,
// §14.3; RFC 9111 §5.
func isOfBody(name string) bool {
	switch name = http.CanonicalHeaderKey(name); name {
	case "Accept-Ranges", "Age", "Cache-Control", "Digest", "Etag", "Expires", "Last-Modified", "Location", "Repr-Digest":
		return true
	}
	return strings.HasPrefix(name, "Content-") && name != "Content-Security-Policy" && name != "Content-Security-Policy-Report-Only"
}
