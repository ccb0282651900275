package publisher

import (
	"errors"
	"fmt"
	"net/url"
	"slices"
	"strings"

	"zamqp/publisher/http1"
)

// A via is the route that a consumer's messages run, with the head of the requests that are
// made from them.
type via struct {
	route               *Route
	method, host, query []byte
	pieces              []piece  // pieces of the path
	target, path        []byte   // the whole path, if no piece depends on the message
	parts               [][]byte // the values of the route's wildcards, in the same case
	fields              []string // further header fields that pass; see routeFields
}

// A piece is one part of the path of a [Consumer.Route].
type piece struct {
	literal []byte // escaped
	place   string // the name in a placeholder; "" for a literal piece
	header  string // NAME of {header:NAME}
}

// placeholders are the parts of a Route that each message fills in.
const placeholders = "{routing_key}, {message_id}, {correlation_id}, {type} or {header:NAME}"

// newVia finds the route that a consumer names. The error names the mistake and the
// remedy.
func newVia(routes []*Route, text string, names []string) (*via, error) {
	fields, err := routeFieldNames(names)
	if err != nil {
		return nil, err
	}
	method, rest, found := strings.Cut(text, " ")
	rest = strings.TrimLeft(rest, " \t")
	slash := strings.IndexByte(rest, '/')
	if !found || !http1.ValidName(method) || slash < 0 {
		return nil, errors.New(`a route is "METHOD [HOST]/PATH": write one such as "POST /orders"` + methodsText(routes, text))
	}
	v := &via{method: []byte(method), host: []byte(rest[:slash]), fields: fields}
	p, query, hasQuery := strings.Cut(rest[slash:], "?")
	if v.pieces, err = readPieces(p); err != nil {
		return nil, err
	}
	if hasQuery {
		v.query = []byte(query)
	}
	sample := v.join(nil, func(piece) string { return "\x00" }) // no literal part of a pattern contains this
	if u, err := url.ParseRequestURI(string(sample) + "?" + query); err != nil || u.Fragment != "" || strings.ContainsAny(query, "{}# ") {
		return nil, errors.New("its path or its query is malformed: escape what is no part of a URL, as %20")
	}
	if !isClean(sample) {
		return nil, fmt.Errorf("its path is not clean: write %q", cleanPath(p))
	}
	if v.route, err = findVia(routes, v, sample); err != nil {
		return nil, err
	}
	if v.route.streamTimeout > 0 {
		return nil, fmt.Errorf("the answers of %q are streams (publisher.StreamTimeout, at %s), which a message cannot take: name another route", v.route.Pattern, v.route.Place)
	}
	if v.route.socket != nil {
		return nil, fmt.Errorf("%q is a WebSocket (at %s), and a message has no connection: name another route", v.route.Pattern, v.route.Place)
	}
	if !slices.ContainsFunc(v.pieces, func(p piece) bool { return p.place != "" }) {
		v.path = sample
		v.target = v.withQuery(slices.Clone(sample))
		v.parts = v.wildcards(nil, v.path)
	}
	return v, nil
}

// findVia finds the route of a sample path.
func findVia(routes []*Route, v *via, sample []byte) (*Route, error) {
	t := newRouter(routes)
	m := t.find(v.host, v.method, sample, nil)
	if m.route != nil && (len(v.host) == 0 || m.route.Host != "") {
		return m.route, nil
	}
	var hosts []string
	for host := range t.hosts {
		if other := t.find([]byte(host), v.method, sample, nil); other.route != nil && other.route.Host != "" {
			hosts = append(hosts, host)
		}
	}
	slices.Sort(hosts)
	method, p := string(v.method), v.text()
	switch allowed := t.allowed(v.host, sample); {
	case m.route != nil:
		return nil, fmt.Errorf("no route has the host %s, but %q has any: write %q", v.host, m.route.Pattern, method+" "+p)
	case len(hosts) > 1:
		return nil, fmt.Errorf("ambiguous: there is such a route for each of the hosts %s: write one, as %q", strings.Join(hosts, ", "), method+" "+hosts[0]+p)
	case len(hosts) == 1:
		return nil, fmt.Errorf("there is such a route for one host only: write %q", method+" "+hosts[0]+p)
	case len(allowed) > 0:
		return nil, fmt.Errorf("no route takes %s there, but one takes %s: write that", method, strings.Join(allowed, ", "))
	}
	if to := t.redirect(v.host, v.method, sample, m); to != "" && strings.HasSuffix(to, "/") {
		return nil, fmt.Errorf("there is no such route, but %q is one: write the slash", method+" "+p+"/")
	}
	return nil, errors.New("there is no such route: `zamqp routes` prints those that there are")
}

// methodsText says which methods a path has routes for.
func methodsText(routes []*Route, text string) string {
	if !strings.HasPrefix(text, "/") {
		return ""
	}
	if allowed := newRouter(routes).allowed(nil, []byte(text)); len(allowed) > 0 {
		return "; there are routes of that path for " + strings.Join(allowed, ", ")
	}
	return ""
}

// readPieces splits a path into its pieces.
func readPieces(p string) ([]piece, error) {
	var pieces []piece
	for part := range strings.SplitSeq(p[1:], "/") {
		name, isPlace := strings.CutPrefix(part, "{")
		name, closed := strings.CutSuffix(name, "}")
		switch header, isHeader := strings.CutPrefix(name, "header:"); {
		case !strings.ContainsAny(part, "{}"):
			pieces = append(pieces, piece{literal: []byte(part)})
		case part == "{$}":
			return nil, errors.New("{$} belongs into patterns only: end the path with the slash")
		case !isPlace || !closed || strings.ContainsAny(name, "{}"):
			return nil, fmt.Errorf("%q: what a message fills in is a whole part of the path: write %s", part, placeholders)
		case isHeader && header != "":
			pieces = append(pieces, piece{place: name, header: header})
		case slices.Contains([]string{"routing_key", "message_id", "correlation_id", "type"}, name):
			pieces = append(pieces, piece{place: name})
		default:
			return nil, fmt.Errorf("the wildcard %s has no value: write one, or %s for what each message brings", part, placeholders)
		}
	}
	return pieces, nil
}

// text returns the path as it was written.
func (v *via) text() string {
	var b strings.Builder
	for _, p := range v.pieces {
		b.WriteByte('/')
		if b.Write(p.literal); p.place != "" {
			b.WriteString("{" + p.place + "}")
		}
	}
	return b.String()
}

// join appends the path with the values of its placeholders, which are escaped.
func (v *via) join(dst []byte, value func(piece) string) []byte {
	for _, p := range v.pieces {
		dst = append(append(dst, '/'), p.literal...)
		if p.place != "" {
			dst = appendEscaped(dst, value(p))
		}
	}
	return dst
}

func (v *via) withQuery(path []byte) []byte {
	if v.query == nil {
		return path
	}
	return append(append(path, '?'), v.query...)
}

// wildcards appends the parts of a path that the route's wildcards match. Each wildcard
// matches the part at its own position. A consumer always keeps its route, even if another
// route would match a value.
func (v *via) wildcards(dst [][]byte, path []byte) [][]byte {
	rest := path
	for _, s := range v.route.segments {
		if s.multi {
			if s.text != "" {
				dst = append(dst, rest[1:])
			}
			break
		}
		var part []byte
		if part, rest = firstSegment(rest); s.wildcard {
			dst = append(dst, part)
		}
	}
	return dst
}

// head builds the head of the request for a message.
func (v *via) head(r *Request) error {
	r.route, r.method, r.host, r.query = v.route, v.method, v.host, v.query
	if v.path != nil {
		r.path, r.target, r.parts = v.path, v.target, append(r.parts[:0], v.parts...)
		return nil
	}
	b, start := r.arena, len(r.arena)
	for _, p := range v.pieces {
		b = append(append(b, '/'), p.literal...)
		if p.place == "" {
			continue
		}
		value, ok := r.placeholder(p)
		if !ok {
			return Permanent(fmt.Errorf("the message has no %s for %q: an empty one, \".\", \"..\" and \"/\" are none", p.place, v.text()))
		}
		b = appendEscaped(b, value)
	}
	end := len(b)
	b = v.withQuery(b)
	r.arena, r.path, r.target = b, b[start:end:end], b[start:len(b):len(b)]
	r.parts = v.wildcards(r.parts[:0], r.path)
	return nil
}

// placeholder returns the value that a message has for a part of a path.
func (r *Request) placeholder(p piece) (value string, ok bool) {
	switch p.place {
	case "routing_key":
		value = text(r.message.RoutingKey)
	case "message_id":
		value = text(r.props.MessageID)
	case "correlation_id":
		value = text(r.props.CorrelationID)
	case "type":
		value = text(r.props.Type)
	default:
		if f, found := r.props.Headers.Lookup(p.header); found {
			value, _ = simple(f)
		}
	}
	switch value {
	case "", ".", "..", "/":
		return "", false
	}
	return value, true
}
