package http1

import (
	"bytes"
	"net/netip"
)

// TargetForm is the form of a request-target, RFC 9112 §3.2.
type TargetForm uint8

// The forms. A target of authority-form is only for CONNECT, which is refused.
const (
	OriginForm    TargetForm = iota // /path?query
	AbsoluteForm                    // http://host/path?query
	AuthorityForm                   // host:port
	AsteriskForm                    // *
)

// String names the form.
func (f TargetForm) String() string {
	return [...]string{"origin-form", "absolute-form", "authority-form", "asterisk-form"}[f&3]
}

var (
	slash    = []byte("/")
	asterisk = []byte("*")
)

// splitTarget finds the form of h.Target, checks that the method may have it,
// and sets Path and Query, and Host if the target names one.
func (h *Head) splitTarget() *Error {
	h.Host = nil
	t := h.Target
	switch {
	case string(h.Method) == "CONNECT":
		h.Form = AuthorityForm
		if h.Path, h.Query, h.Host = nil, nil, t; !validAuthority(t, true) {
			return errTargetForm
		}
		return nil
	case t[0] == '/':
		h.Form = OriginForm
	case len(t) == 1 && t[0] == '*':
		h.Form = AsteriskForm
		if string(h.Method) != "OPTIONS" {
			return errTargetForm
		}
	default:
		h.Form = AbsoluteForm
		n := schemeLen(t)
		if n == 0 {
			return errTargetForm
		}
		t = t[n:]
		end := bytes.IndexAny(t, "/?")
		if end < 0 {
			end = len(t)
		}
		if h.Host = t[:end]; !validAuthority(h.Host, false) {
			return errTargetForm
		}
		t = t[end:]
	}
	h.Path, h.Query = t, nil
	if i := bytes.IndexByte(t, '?'); i >= 0 {
		h.Path, h.Query = t[:i], t[i+1:]
	}
	if len(h.Path) == 0 {
		// http://host means http://host/, but OPTIONS http://host means OPTIONS * (RFC 9112
		// §3.2.4).
		h.Path = slash
		if string(h.Method) == "OPTIONS" && h.Query == nil {
			h.Path = asterisk
		}
	}
	return checkEscapes(h.Path)
}

// schemeLen returns the length of the scheme and the slashes that t begins
// with; 0 if they are not of http or https, the only ones served here.
func schemeLen(t []byte) int {
	for _, scheme := range [...]string{"http://", "https://"} {
		if len(t) >= len(scheme) && equalFold(t[:len(scheme)], scheme) {
			return len(scheme)
		}
	}
	return 0
}

// checkEscapes refuses a percent sign that does not begin an escape: two recipients may
// decode such a path differently. It does not check queries, because browsers send
// stray percent signs in them.
func checkEscapes(path []byte) *Error {
	for {
		i := bytes.IndexByte(path, '%')
		if i < 0 {
			return nil
		}
		if i+2 >= len(path) || class[path[i+1]]&class[path[i+2]]&isHex == 0 {
			return errTargetEscape
		}
		path = path[i+3:]
	}
}

// ValidHost reports whether b can be the value of a Host field. RFC 9110 §7.2.
func ValidHost(b []byte) bool { return len(b) > 0 && validAuthority(b, false) }

// validAuthority reports whether b is uri-host [ ":" port ] with a host that is not empty
// (RFC 9110 §4.2.1). needPort requires a port. User information is refused, RFC 9110 §4.2.4.
func validAuthority(b []byte, needPort bool) bool {
	i := 0
	if len(b) > 0 && b[0] == '[' {
		end := bytes.IndexByte(b, ']')
		if end < 0 {
			return false
		}
		a, err := netip.ParseAddr(string(b[1:end]))
		if err != nil || !a.Is6() || a.Zone() != "" {
			return false
		}
		i = end + 1
	} else {
		for i < len(b) && class[b[i]]&isHost != 0 {
			i++
		}
		if i == 0 {
			return false
		}
	}
	if i == len(b) {
		return !needPort
	}
	if b[i] != ':' {
		return false
	}
	return validPort(b[i+1:], needPort)
}

// validPort reports whether b is a port number. It may be empty unless needed is set. RFC
// 3986 §3.2.3.
func validPort(b []byte, needed bool) bool {
	if len(b) > 5 || needed && len(b) == 0 {
		return false
	}
	port := 0
	for _, c := range b {
		if class[c]&isDigit == 0 {
			return false
		}
		port = port*10 + int(c-'0')
	}
	return port <= 65535
}
