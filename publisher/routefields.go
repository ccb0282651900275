package publisher

import (
	"fmt"
	"net/http"
	"slices"
	"strings"

	"zamqp/publisher/http1"
)

// routeFields are the keys of a message's headers table that a handler of a route sees as
// header fields. They describe the body, the wanted answer, the condition and the trace. None
// of them says who the client is. Otherwise anybody who may publish to the queue could log in
// as somebody else, or name any address as the client's. The header fields that the message's
// properties become (Content-Type, Message-Id and so on) pass as well.
var routeFields = map[string]bool{
	"Accept": true, "Accept-Charset": true, "Accept-Language": true, "Prefer": true,
	"Content-Digest": true, "Content-Disposition": true, "Content-Language": true, "Content-Location": true,
	"Content-Md5": true, "Date": true, "Digest": true, "Repr-Digest": true,
	"Idempotency-Key": true, "If-Match": true, "If-Modified-Since": true, "If-None-Match": true, "If-Unmodified-Since": true,
	"Baggage": true, "Traceparent": true, "Tracestate": true, "X-Correlation-Id": true, "X-Request-Id": true,
}

// neverFields are the fields that RouteHeaders must not name. They say who the client is and
// which way it came, or they belong to the wire.
var neverFields = map[string]bool{
	"Authorization": true, "Cookie": true, "Expect": true, "Forwarded": true, "Host": true, "Proxy-Authorization": true,
	"Proxy-Connection": true, "Te": true, "True-Client-Ip": true, "Via": true, "X-Client-Ip": true, "X-Real-Ip": true,
}

// routeFieldNames checks RouteHeaders, and returns its names in their canonical form.
func routeFieldNames(names []string) ([]string, error) {
	var fields []string
	for _, name := range names {
		key := http.CanonicalHeaderKey(name)
		switch {
		case !http1.ValidName(key):
			return nil, fmt.Errorf("route_headers: %q is no name of a header field", name)
		case neverFields[key], http1.IsReserved(key) && key != "Date", strings.HasPrefix(key, "X-Forwarded"):
			return nil, fmt.Errorf("route_headers: a message must not bring %s, which says who asks, or belongs to the wire: remove it", key)
		case isProperty(key):
			return nil, fmt.Errorf("route_headers: %s is made of a property of the message, and passes already: remove it", key)
		}
		fields = append(fields, key)
	}
	return fields, nil
}

func isProperty(name string) bool {
	return slices.ContainsFunc(properties[:], func(p property) bool { return p.name == name })
}

// passes reports whether a key of the headers table is a header field for the
// handler of the route.
func (v *via) passes(name string) bool {
	key := http.CanonicalHeaderKey(name)
	return routeFields[key] || slices.Contains(v.fields, key)
}
