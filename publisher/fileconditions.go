package publisher

import (
	"net/http"
	"strings"
	"time"
)

// fileConditions are the fields of a request that decide whether a file is sent, and which
// part of it. RFC 9110 §13, §14.
type fileConditions struct {
	head                                        bool // the method is HEAD
	ifMatch, ifNoneMatch                        string
	ifModifiedSince, ifUnmodifiedSince, ifRange string
	ranges                                      string
	encodings                                   string // Accept-Encoding
}

// conditions reads the fields.
func (r *Request) conditions() fileConditions {
	return fileConditions{
		head:    string(r.method) == http.MethodHead,
		ifMatch: r.fieldList("If-Match"), ifNoneMatch: r.fieldList("If-None-Match"),
		ifModifiedSince: string(r.HeaderBytes("If-Modified-Since")), ifUnmodifiedSince: string(r.HeaderBytes("If-Unmodified-Since")),
		ifRange: string(r.HeaderBytes("If-Range")), ranges: string(r.HeaderBytes("Range")),
		encodings: r.fieldList("Accept-Encoding"),
	}
}

// status is 0 if the file is to be sent, or else 304 or 412. The order is that of
// RFC 9110 §13.2.2. The method is GET or HEAD.
func (c *fileConditions) status(etag string, modified time.Time) int {
	switch {
	case c.ifMatch != "":
		if !matches(c.ifMatch, etag, true) {
			return http.StatusPreconditionFailed
		}
	case c.ifUnmodifiedSince != "":
		if then, ok := conditionDate(c.ifUnmodifiedSince, modified); ok && modified.Truncate(time.Second).After(then) {
			return http.StatusPreconditionFailed
		}
	}
	switch {
	case c.ifNoneMatch != "":
		if matches(c.ifNoneMatch, etag, false) {
			return http.StatusNotModified
		}
	case c.ifModifiedSince != "":
		if then, ok := conditionDate(c.ifModifiedSince, modified); ok && !modified.Truncate(time.Second).After(then) {
			return http.StatusNotModified
		}
	}
	if c.ranges != "" && c.ifRange != "" && !c.rangeHolds(etag, modified) {
		c.ranges = ""
	}
	return 0
}

// rangeHolds reports whether Range may be used: If-Range names this version of the file, so the
// client's part is of the same one. RFC 9110 §13.1.5.
func (c *fileConditions) rangeHolds(etag string, modified time.Time) bool {
	if tag, _ := cutTag(c.ifRange); tag != "" {
		return tag == etag && tag[0] == '"'
	}
	then, ok := conditionDate(c.ifRange, modified)
	return ok && then.Unix() == modified.Unix()
}

// conditionDate parses the date of a condition. It is not ok if there is nothing to compare it with.
func conditionDate(value string, modified time.Time) (then time.Time, ok bool) {
	if !knownTime(modified) {
		return then, false
	}
	then, err := http.ParseTime(value)
	return then, err == nil
}

// knownTime reports whether t can be the time of a file's last change. Embedded files have
// none, and the start of the Unix epoch means the same.
func knownTime(t time.Time) bool { return !t.IsZero() && !t.Equal(time.Unix(0, 0)) }

// matches reports whether a list of entity tags has this one, or is "*". From a malformed tag on,
// the list is ignored. RFC 9110 §8.8.3.2.
func matches(list, etag string, strong bool) bool {
	for {
		list = strings.TrimLeft(list, " \t,")
		if strings.HasPrefix(list, "*") {
			return true
		}
		tag, rest := cutTag(list)
		switch {
		case tag == "":
			return false
		case strong && tag == etag && tag[0] == '"', !strong && strings.TrimPrefix(tag, "W/") == strings.TrimPrefix(etag, "W/"):
			return true
		}
		list = rest
	}
}

// cutTag cuts an entity tag off the front of s; "" if s does not begin with one.
// RFC 9110 §8.8.3.
func cutTag(s string) (tag, rest string) {
	s = strings.TrimLeft(s, " \t")
	start := 0
	if strings.HasPrefix(s, "W/") {
		start = 2
	}
	if len(s) < start+2 || s[start] != '"' {
		return "", ""
	}
	for i := start + 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			return s[:i+1], s[i+1:]
		case c <= ' ' || c == 0x7f:
			return "", ""
		}
	}
	return "", ""
}
