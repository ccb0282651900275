package publisher

import (
	"net/http"
	"slices"
	"strconv"
	"strings"

	"zamqp/publisher/http1"
)

// sortedNames returns the names of header fields in order, because a map has no order.
func sortedNames(h http.Header) []string {
	names := make([]string, 0, len(h))
	for name := range h {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}

// clean returns a field's value as net/http sends it: line ends become spaces, and spaces at
// both ends are removed. Other control characters become spaces too (RFC 9110 §5.5), which
// net/http sends unchanged.
func clean(value string) string {
	for i := range len(value) {
		if isControl(value[i]) {
			b := []byte(value)
			for ; i < len(b); i++ {
				if isControl(b[i]) {
					b[i] = ' '
				}
			}
			value = string(b)
			break
		}
	}
	return strings.Trim(value, " \t")
}

func isControl(c byte) bool { return c < ' ' && c != '\t' || c == 0x7f }

// appendFields appends the lines of a header, except fields that frame the message and
// fields that cannot be sent.
func appendFields(dst []byte, h http.Header) []byte {
	for _, name := range sortedNames(h) {
		if http1.IsFraming(name) {
			continue
		}
		for _, value := range h[name] {
			dst, _ = http1.AppendField(dst, name, clean(value))
		}
	}
	return dst
}

// headLines appends the lines of the answer's head, except the content type and the fields
// that frame the message. As in net/http, a field with a malformed name is left out; here
// that is logged.
func (w *responseWriter) headLines(r *Request) {
	p := &r.response
	for _, name := range sortedNames(w.sent) {
		switch {
		case name == "Content-Type" || http1.IsFraming(name) || strings.HasPrefix(name, http.TrailerPrefix):
			continue
		case http.CanonicalHeaderKey(name) == "Connection":
			closes := hasToken(w.sent[name], "close")
			p.closes = p.closes || closes
			if !closes && (r.protocol.closes || w.framing == LengthUntilClose) {
				continue // the machine says close
			}
		}
		for _, value := range w.sent[name] {
			lines, err := http1.AppendField(p.lines, name, clean(value))
			if err != nil {
				r.server.log.Warn().Err(err).Stringer("call", r).Msg("a mounted handler's header field was left out")
				break
			}
			p.lines = lines
		}
	}
}

// frame decides, when the head is written, how the end of the body is marked, as net/http does
// it: by the length that was declared; by the end of the connection, if the handler has asked for
// the transfer coding identity; otherwise the server decides when it knows the body.
func (w *responseWriter) frame() {
	w.framing = LengthUnknown
	if n, err := strconv.ParseInt(first(w.sent["Content-Length"]), 10, 64); err == nil && n >= 0 && hasBody(w.status) {
		w.length, w.framing = n, n
	}
	switch coding := first(w.sent["Transfer-Encoding"]); {
	case coding == "", coding == "identity" && w.length >= 0:
	case coding == "identity" && !w.noBody:
		w.framing = LengthUntilClose
	default:
		w.framing = LengthUnknown
	}
}

func first(values []string) string {
	if len(values) == 0 {
		return ""
	}
	return values[0]
}

// lengthIsFree reports whether the server decides how the end of the body is marked.
func (w *responseWriter) lengthIsFree() bool {
	if first(w.sent["Transfer-Encoding"]) != "" || len(w.sent["Trailer"]) > 0 {
		return false
	}
	for name := range w.sent {
		if strings.HasPrefix(name, http.TrailerPrefix) {
			return false
		}
	}
	return true
}

// plain reports whether the answer is a whole body that is sent with its length.
func (w *responseWriter) plain() bool {
	switch {
	case w.noBody, len(w.trailers) > 0, w.written > w.taken:
		return false
	case w.framing >= 0, !hasBody(w.status):
		return true
	}
	return w.lengthIsFree()
}

// isTrailer reports whether the handler has declared the field as a trailer.
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

// notTrailers are the fields that must not follow a body, besides those whose name
// begins with If-: they frame, route, authenticate or describe it. RFC 9110 §6.5.1.
var notTrailers = map[string]bool{
	"Authorization": true, "Cache-Control": true, "Connection": true, "Content-Encoding": true, "Content-Length": true,
	"Content-Range": true, "Content-Type": true, "Expect": true, "Host": true, "Keep-Alive": true, "Max-Forwards": true,
	"Pragma": true, "Proxy-Authenticate": true, "Proxy-Authorization": true, "Proxy-Connection": true, "Range": true,
	"Realm": true, "Te": true, "Trailer": true, "Transfer-Encoding": true, "Www-Authenticate": true,
}

// appendTrailers appends the fields that follow the body: those that were declared, and
// those with http.TrailerPrefix. A body of a declared length has none. RFC 9110 §6.5.
func (w *responseWriter) appendTrailers(dst []byte) []byte {
	if w.framing >= 0 || !hasBody(w.status) {
		return dst
	}
	for _, name := range sortedNames(w.header) {
		bare, prefixed := strings.CutPrefix(name, http.TrailerPrefix)
		if !prefixed && !w.isTrailer(name) {
			continue
		}
		if key := http.CanonicalHeaderKey(bare); notTrailers[key] || strings.HasPrefix(key, "If-") {
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
