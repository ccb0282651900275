package publisher

import (
	"net/http"
	"slices"
	"strings"

	"zamqp/publisher/http1"
)

// sortedNames are the names of header fields in their order: a map has none.
func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// clean is a field's value as net/http sends it: line ends are spaces, and there
// are none at the ends.
func clean(value string) string {
	if strings.ContainsAny(value, "\r\n") {
		value = strings.NewReplacer("\n", " ", "\r", " ").Replace(value)
	}
	return strings.Trim(value, " \t")
}

// appendFields appends the lines of a header, but those that the wire makes and
// those that cannot be sent.
func appendFields(dst []byte, h http.Header) []byte {
	for _, name := range sortedNames(h) {
		if reservedField(name) && name != "Content-Type" {
			continue
		}
		for _, value := range h[name] {
			dst, _ = http1.AppendField(dst, name, clean(value))
		}
	}
	return dst
}

// isTrailer reports whether the handler has declared a field as one that follows
// the body.
func (w *responseWriter) isTrailer(name string) bool {
	return slices.ContainsFunc(w.sent["Trailer"], func(list string) bool {
		for declared := range strings.SplitSeq(list, ",") {
			if http.CanonicalHeaderKey(strings.TrimSpace(declared)) == name {
				return true
			}
		}
		return false
	})
}

// appendTrailers appends the fields that follow the body: those that were declared, and
// those with http.TrailerPrefix. A body of a declared length has none. RFC 9110 §6.5.
func (w *responseWriter) appendTrailers(dst []byte) []byte {
	if w.length >= 0 || !hasBody(w.status) {
		return dst
	}
	for _, name := range sortedNames(w.header) {
		bare, prefixed := strings.CutPrefix(name, http.TrailerPrefix)
		if !prefixed && !w.isTrailer(name) || reservedField(bare) {
			continue
		}
		for _, value := range w.header[name] {
			dst, _ = http1.AppendField(dst, bare, clean(value))
		}
	}
	return dst
}

// hasToken reports whether a list field has a token. RFC 9110 §5.6.1.
func hasToken(values []string, token string) bool {
	for _, list := range values {
		for item := range strings.SplitSeq(list, ",") {
			if strings.EqualFold(strings.TrimSpace(item), token) {
				return true
			}
		}
	}
	return false
}
