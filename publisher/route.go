package publisher

import (
	"errors"
	"fmt"
	"strings"
	"time"
)

// A Route is a registered pattern with its handler.
type Route struct {
	Pattern string // as registered
	Method  string // "" is any; GET serves HEAD, too
	Host    string // "" is any
	Handler Handler
	Place   string // file:line of the registration

	number        int           // from 1, in the order of registration; 0 is the route of requests that have none
	timeout       time.Duration // limits a call; 0 = server.call_timeout
	streamTimeout time.Duration // limits a Stream; 0 = no limit
	monitoring    bool          // see Monitoring
	socket        *socketRoute  // nil unless it is of a WebSocket
	bodyMax       int64         // of a request; 0 = http.body_max
	streaming     bool          // see Streaming
	mounted       bool          // its handler is one of HTTP
	doc           Doc

	segments []segment
	names    []string // names of the wildcards, in order
}

// A RouteOption changes one thing of a route.
type RouteOption func(*Route)

// StreamTimeout limits how long a [Request.Stream] of the route may last. Without it, a
// stream ends only when its client goes or the server drains.
func StreamTimeout(d time.Duration) RouteOption {
	return func(r *Route) { r.streamTimeout = d }
}

// Monitoring marks a route by which people and programs watch the server: health, metrics,
// administration. Its calls do not count towards calls_max and are not refused when that is
// reached: a busy server must not look like a dead one. They have a small limit of their own,
// 32 at once on all such routes.
func Monitoring(route *Route) { route.monitoring = true }

// A segment is one part of a pattern's path: a literal, {name}, {name...} or
// {$}, which is the literal "/".
type segment struct {
	text     string
	wildcard bool
	multi    bool
}

// parseRoute splits a pattern into its parts. It checks little, because net/http's own mux checks
// the pattern again when the route is registered.
func parseRoute(pattern string, h Handler, place string) (*Route, error) {
	route := &Route{Pattern: pattern, Handler: h, Place: place}
	rest := pattern
	if method, after, found := strings.Cut(pattern, " "); found {
		route.Method, rest = method, strings.TrimLeft(after, " \t")
	}
	slash := strings.IndexByte(rest, '/')
	if slash < 0 {
		return nil, errors.New(`a pattern is "[METHOD ][HOST]/[PATH]": the path's first / is missing`)
	}
	route.Host, rest = rest[:slash], rest[slash:]
	for rest != "" {
		rest = rest[1:] // the slash
		end := strings.IndexByte(rest, '/')
		if end < 0 {
			end = len(rest)
		}
		part := rest[:end]
		rest = rest[end:]
		seg, err := parseSegment(part, rest == "")
		if err != nil {
			return nil, err
		}
		if seg.wildcard && seg.text != "" {
			route.names = append(route.names, seg.text)
		}
		route.segments = append(route.segments, seg)
	}
	return route, nil
}

func parseSegment(part string, last bool) (segment, error) {
	switch {
	case part == "" && last: // a trailing slash matches everything below
		return segment{wildcard: true, multi: true}, nil
	case part == "{$}":
		return segment{text: "/"}, nil
	case strings.HasPrefix(part, "{") && strings.HasSuffix(part, "...}"):
		return segment{text: part[1 : len(part)-4], wildcard: true, multi: true}, nil
	case strings.HasPrefix(part, "{") && strings.HasSuffix(part, "}"):
		return segment{text: part[1 : len(part)-1], wildcard: true}, nil
	case strings.ContainsAny(part, "{}"):
		return segment{}, fmt.Errorf("in %q: a wildcard is a whole part of the path", part)
	}
	return segment{text: unescape(part)}, nil
}

func unescape(s string) string {
	if b, ok := appendUnescaped(nil, []byte(s)); ok {
		return string(b)
	}
	return s
}

// appendUnescaped appends s with each %XX replaced. If an escape is invalid, it returns false and
// appends s unchanged, as net/http's mux does.
func appendUnescaped(dst, s []byte) ([]byte, bool) {
	start := len(dst)
	for i := 0; i < len(s); i++ {
		if s[i] != '%' {
			dst = append(dst, s[i])
			continue
		}
		if i+2 >= len(s) || hexDigit(s[i+1]) < 0 || hexDigit(s[i+2]) < 0 {
			return append(dst[:start], s...), false
		}
		dst = append(dst, byte(hexDigit(s[i+1])<<4|hexDigit(s[i+2])))
		i += 2
	}
	return dst, true
}

func hexDigit(c byte) int {
	switch {
	case c >= '0' && c <= '9':
		return int(c - '0')
	case c >= 'a' && c <= 'f':
		return int(c-'a') + 10
	case c >= 'A' && c <= 'F':
		return int(c-'A') + 10
	}
	return -1
}
