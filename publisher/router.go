package publisher

import (
	"bytes"
	"path"
	"sort"
	"strings"
)

// A router finds the route of a request: by host, then method, then the parts of the path. A
// literal part is preferred to {name}, and {name} to {name...}. The rules and the redirects
// are those of net/http's ServeMux; a fuzz test compares both. The router works on bytes and
// does not allocate.
type router struct {
	hosts map[string]*methods
	any   *methods
}

type methods struct {
	byName map[string]*node
	any    *node
}

// A node is a position in the path; the children are the parts that can follow.
type node struct {
	literals map[string]*node
	single   *node
	multi    *Route
	leaf     *Route
}

func newRouter(routes []*Route) *router {
	t := &router{hosts: map[string]*methods{}}
	for _, route := range routes {
		t.add(route)
	}
	return t
}

func (t *router) add(route *Route) {
	m := t.any
	if route.Host != "" {
		m = t.hosts[route.Host]
	}
	if m == nil {
		m = &methods{byName: map[string]*node{}}
		if route.Host == "" {
			t.any = m
		} else {
			t.hosts[route.Host] = m
		}
	}
	n := m.any
	if route.Method != "" {
		n = m.byName[route.Method]
	}
	if n == nil {
		n = &node{}
		if route.Method == "" {
			m.any = n
		} else {
			m.byName[route.Method] = n
		}
	}
	n.add(route)
}

func (n *node) add(route *Route) {
	for _, seg := range route.segments {
		switch {
		case seg.multi:
			n.multi = route
			return
		case seg.wildcard:
			if n.single == nil {
				n.single = &node{}
			}
			n = n.single
		default:
			if n.literals == nil {
				n.literals = map[string]*node{}
			}
			if n.literals[seg.text] == nil {
				n.literals[seg.text] = &node{}
			}
			n = n.literals[seg.text]
		}
	}
	n.leaf = route
}

// A match is a route with the parts of the path that its wildcards matched: escaped, as views
// into the path.
type match struct {
	route *Route
	parts [][]byte
}

// find returns the route for a request, nil if there is none. p is the escaped
// path; the parts are appended to parts[:0].
func (t *router) find(host, method, p []byte, parts [][]byte) match {
	if len(host) > 0 && len(t.hosts) > 0 {
		if m := t.hosts[string(host)].find(method, p, parts); m.route != nil {
			return m
		}
	}
	return t.any.find(method, p, parts)
}

func (s *methods) find(method, p []byte, parts [][]byte) match {
	if s == nil {
		return match{}
	}
	if m := s.byName[string(method)].find(p, parts[:0]); m.route != nil {
		return m
	}
	if string(method) == "HEAD" {
		if m := s.byName["GET"].find(p, parts[:0]); m.route != nil {
			return m
		}
	}
	return s.any.find(p, parts[:0])
}

func (n *node) find(p []byte, parts [][]byte) match {
	if n == nil {
		return match{}
	}
	if len(p) == 0 {
		return match{n.leaf, parts}
	}
	seg, rest := firstSegment(p)
	if len(n.literals) > 0 {
		if m := n.literal(seg).find(rest, parts); m.route != nil {
			return m
		}
	}
	if n.single != nil && !isSlash(seg) {
		if m := n.single.find(rest, append(parts, seg)); m.route != nil {
			return m
		}
	}
	if n.multi != nil {
		if n.multi.segments[len(n.multi.segments)-1].text != "" {
			parts = append(parts, p[1:])
		}
		return match{n.multi, parts}
	}
	return match{}
}

// isSlash reports whether a part is the trailing slash. As in net/http, an escaped one counts too.
func isSlash(seg []byte) bool {
	return string(seg) == "/" || len(seg) == 3 && string(seg[:2]) == "%2" && lower(seg[2]) == 'f'
}

func (n *node) literal(seg []byte) *node {
	if bytes.IndexByte(seg, '%') < 0 {
		return n.literals[string(seg)]
	}
	var buf [64]byte
	plain, _ := appendUnescaped(buf[:0], seg)
	return n.literals[string(plain)]
}

// firstSegment cuts the first part off a path that starts with "/": "/a/b" is
// "a" and "/b"; the trailing slash alone is itself a part.
func firstSegment(p []byte) (seg, rest []byte) {
	if len(p) == 1 {
		return p, nil
	}
	p = p[1:]
	if i := bytes.IndexByte(p, '/'); i >= 0 {
		return p[:i], p[i:]
	}
	return p, nil
}

// redirect returns the path of a redirection, or "". There is one if the given path has no exact
// route, but its cleaned form or its form with a trailing slash has.
func (t *router) redirect(host, method, p []byte, m match) string {
	clean := p
	if !isClean(p) {
		clean = []byte(cleanPath(string(p)))
		m = t.find(host, method, clean, nil)
	}
	if !m.exact(clean) && clean[len(clean)-1] != '/' {
		slashed := append(append([]byte(nil), clean...), '/')
		if m := t.find(host, method, slashed, nil); m.exact(slashed) {
			return string(slashed)
		}
	}
	if len(clean) != len(p) || !bytes.Equal(clean, p) {
		return string(clean)
	}
	return ""
}

// encodeTarget escapes the octets that a URI must not have (RFC 3986 §2). They are accepted from
// clients, but never sent. A backslash is one of them: a browser reads "/\host" as another
// host.
func encodeTarget(target string) string {
	const never = "\"<>\\^`{|}"
	var b []byte
	for i := range len(target) {
		c := target[i]
		bad := c <= ' ' || c >= 0x7f || strings.IndexByte(never, c) >= 0
		if bad && b == nil {
			b = append(make([]byte, 0, len(target)+32), target[:i]...)
		}
		switch {
		case bad:
			b = append(b, '%', hexDigits[c>>4], hexDigits[c&15])
		case b != nil:
			b = append(b, c)
		}
	}
	if b == nil {
		return target
	}
	return string(b)
}

const hexDigits = "0123456789ABCDEF"

// exact reports whether no {name...} wildcard matched a non-empty rest.
func (m match) exact(p []byte) bool {
	if m.route == nil {
		return false
	}
	if !m.route.segments[len(m.route.segments)-1].multi {
		return true
	}
	return p[len(p)-1] == '/' && len(m.route.segments) == bytes.Count(p, []byte("/"))
}

// isClean reports whether cleanPath would leave p unchanged.
func isClean(p []byte) bool {
	if len(p) == 0 || p[0] != '/' {
		return false
	}
	for i := 1; i < len(p); i++ {
		if p[i-1] != '/' {
			continue
		}
		if p[i] == '/' || p[i] == '.' && dots(p[i:]) {
			return false
		}
	}
	return true
}

// dots reports whether p starts with a "." or ".." part.
func dots(p []byte) bool {
	if len(p) > 1 && p[1] == '.' {
		p = p[1:]
	}
	return len(p) == 1 || p[1] == '/'
}

// cleanPath works as in net/http: path.Clean, but it keeps a trailing slash.
func cleanPath(p string) string {
	if p == "" || p[0] != '/' {
		p = "/" + p
	}
	clean := path.Clean(p)
	if strings.HasSuffix(p, "/") && clean != "/" {
		clean += "/"
	}
	return clean
}

// allowed returns the methods that a path has routes for, sorted.
func (t *router) allowed(host, p []byte) []string {
	set := map[string]bool{}
	for _, s := range []*methods{t.hosts[string(host)], t.any} {
		if s == nil {
			continue
		}
		for name, n := range s.byName {
			if n.find(p, nil).route != nil {
				set[name] = true
			}
		}
	}
	if set["GET"] {
		set["HEAD"] = true
	}
	names := make([]string, 0, len(set))
	for name := range set {
		names = append(names, name)
	}
	sort.Strings(names)
	return names
}
