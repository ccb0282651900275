package publisher

import (
	"net/http"
	"strconv"
	"strings"
)

// monitoringMax is how many calls may be live on routes that watch the server.
// They are few and short, and must be answered when everything else is refused.
const monitoringMax = 32

// Admit finds the route of an HTTP request before its body is read. It returns false if
// there is no route, or if there are too many calls. Then the response says which; the door
// sends it at once, without reading the body, and discards the call.
func (s *Server) Admit(c *Call) bool {
	r := c.Request()
	r.live = true // as far as answering it goes
	ok := s.find(r, 1)
	if !ok {
		r.answerID()
		s.logRefusal(r)
	}
	r.live = false
	if !ok {
		s.stats.Requests++
	}
	return ok
}

// Refuse makes the response of a call that is not dispatched. Its door sends it, and
// discards the call.
func (s *Server) Refuse(c *Call, status int, text string) {
	r := c.Request()
	r.live = true
	s.refuse(r, status, text)
	r.answerID()
	s.logRefusal(r)
	r.live = false
	s.stats.Requests++
}

// Refusal returns the document of a request that is refused before it is a call, if its
// fields ask for JSON; else nil. The fields are those of the call, unless c is nil.
func (s *Server) Refusal(c *Call, fields []Field, status int, detail string) (contentType string, body []byte) {
	if c != nil {
		fields = c.fields
	}
	if !asksForJSON(fields, false) {
		return "", nil
	}
	p := Problem{Status: status, Detail: detail}
	body, _ = p.append(nil, "") // no error without further members
	return problemType, body
}

// RedirectToTLS makes the response of a call that is only redirected to https, on the given
// port. It returns false for a call on a monitoring route, because programs that check the
// server's health or read its metrics need not know its certificate.
func (s *Server) RedirectToTLS(c *Call, port int) bool {
	r := c.Request()
	if r.scheme == "https" { // a trusted proxy has ended TLS
		return false
	}
	host := stripPort(r.host)
	if isClean(r.path) {
		if m := s.router.find(host, r.method, r.path, r.parts[:0]); m.route != nil && m.route.monitoring {
			return false
		}
	}
	if len(host) == 0 {
		s.Refuse(c, http.StatusBadRequest, "this server speaks https: name it in the Host field, or connect to its other port")
		return true
	}
	to := "https://" + string(host)
	if port != 443 {
		to += ":" + strconv.Itoa(port)
	}
	if r.path[0] == '/' {
		to += string(r.path)
	}
	if r.query != nil {
		to += "?" + string(r.query)
	}
	s.Refuse(c, http.StatusPermanentRedirect, http.StatusText(http.StatusPermanentRedirect))
	r.live = true
	r.setHeader("Location", encodeTarget(to))
	r.live = false
	return true
}

// route finds the request's route, unless Admit has found it, and checks whether there is
// room for the call. If there is no route or no room, it answers the request.
func (s *Server) route(r *Request) bool {
	if r.route == nil {
		return s.find(r, 0)
	}
	if s.full(r.route, 0) {
		s.refuseFull(r)
		return false
	}
	return true
}

// full reports whether there is no room for another call. more is the number of calls to add
// to the live ones.
func (s *Server) full(route *Route, more int) bool {
	if route != nil && route.monitoring {
		return s.watching >= monitoringMax
	}
	return s.options.CallsMax > 0 && len(s.live)-s.watching-s.eventStreams-s.openSockets+more > s.options.CallsMax
}

func (s *Server) refuseFull(r *Request) {
	s.refuse(r, http.StatusServiceUnavailable, "too many calls at once")
}

// find finds the request's route. If there is no route or no room, it answers the request.
func (s *Server) find(r *Request, more int) bool {
	m := s.match(r)
	if s.full(m.route, more) {
		s.refuseFull(r)
		return false
	}
	if m.fits(r.path) {
		r.route, r.parts = m.route, m.parts
		return true
	}
	l := s.lookUp(r, m)
	switch {
	case l.route != nil:
		r.route, r.parts = l.route, l.parts
		return true
	case s.chain.takesUnrouted(r), s.takesUnrouted(r, l):
		return true
	}
	s.refuseUnrouted(r, l)
	return false
}

// match asks the router for the route of a request, by its path as it is.
func (s *Server) match(r *Request) (m match) {
	if isClean(r.path) {
		m = s.router.find(s.routedHost(r), r.method, r.path, r.parts[:0])
	}
	return m
}

// routedHost is the host of a request as routes name it.
func (s *Server) routedHost(r *Request) []byte {
	if len(s.router.hosts) > 0 {
		return stripPort(r.host)
	}
	return r.host
}

// fits reports whether there is a route that takes the path without a redirection.
func (m match) fits(path []byte) bool {
	return m.route != nil && (!m.route.segments[len(m.route.segments)-1].multi || m.exact(path))
}

// A lookup is what the router says of a request whose first match does not fit.
type lookup struct {
	match          // the route; none where the answer is a redirection or a refusal
	to      string // the path of a redirection; "" for none
	allowed []string
}

// lookUp returns how to answer a request with this match.
func (s *Server) lookUp(r *Request, m match) (l lookup) {
	switch {
	case m.fits(r.path): // middleware has changed the path of a request without a route
		l.match = m
		return l
	case string(r.target) == "*":
		return l
	}
	host := s.routedHost(r)
	if l.to = s.router.redirect(host, r.method, r.path, m); l.to != "" {
		return l
	}
	if l.match = m; m.route == nil {
		l.allowed = s.router.allowed(host, r.path)
	}
	return l
}

// refuseUnrouted answers a request that has no route.
func (s *Server) refuseUnrouted(r *Request, l lookup) {
	switch {
	case l.to != "":
		if r.query != nil {
			l.to += "?" + string(r.query)
		}
		s.refuse(r, http.StatusTemporaryRedirect, http.StatusText(http.StatusTemporaryRedirect))
		r.setHeader("Location", encodeTarget(l.to))
	case string(r.target) == "*":
		_ = r.answer(http.StatusOK, "", nil)
	case len(l.allowed) > 0:
		s.refuse(r, http.StatusMethodNotAllowed, http.StatusText(http.StatusMethodNotAllowed))
		r.setHeader("Allow", strings.Join(l.allowed, ", "))
	default:
		s.refuse(r, http.StatusNotFound, "404 page not found")
	}
}

func (s *Server) refuse(r *Request, status int, text string) {
	s.stats.Refused++
	_ = r.answerError(nil, status, text)
	if status == http.StatusServiceUnavailable {
		r.setHeader(retryAfter, "1") // what is full now is soon less full: calls are short
	}
}

// stripPort cuts ":port" off a Host value. The brackets of an IPv6 address stay.
func stripPort(host []byte) []byte {
	for i := len(host) - 1; i >= 0; i-- {
		switch c := host[i]; {
		case c == ':':
			return host[:i]
		case c < '0' || c > '9':
			return host
		}
	}
	return host
}
