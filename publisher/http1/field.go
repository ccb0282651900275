package http1

import "fmt"

// AppendField appends a field line. If name is not a token, or value has control characters,
// it returns an error and dst unchanged. So input that a handler copies into a field cannot
// split the answer. RFC 9110 §5.1, §5.5.
func AppendField(dst []byte, name, value string) ([]byte, error) {
	if !validToken(name) {
		return dst, fmt.Errorf("http1: field name %q is not a token: use letters, digits and hyphens", name)
	}
	if !validValue(value) {
		return dst, fmt.Errorf("http1: value %q of field %s holds control characters: escape or leave them out", value, name)
	}
	dst = append(append(dst, name...), ": "...)
	return append(append(dst, value...), "\r\n"...), nil
}

// fieldKind says who writes a field of an answer.
type fieldKind uint8

const (
	fieldFree       fieldKind = iota // the handler
	fieldFraming                     // the machine: it says where the body ends
	fieldConnection                  // the machine: it governs the connection
	fieldMade                        // the machine, in each answer
)

// kindOf is the list of the fields that the machine writes.
func kindOf(name string) fieldKind {
	var b [len("transfer-encoding")]byte
	if len(name) > len(b) {
		return fieldFree
	}
	for i := range len(name) {
		b[i] = lower[name[i]]
	}
	switch string(b[:len(name)]) {
	case "content-length", "transfer-encoding":
		return fieldFraming
	case "connection", "keep-alive", "trailer", "upgrade":
		return fieldConnection
	case "date":
		return fieldMade
	}
	return fieldFree
}

// IsReserved reports whether the machine writes a field itself: the fields that frame
// the message or govern the connection, and Date. Server is not reserved: a Server
// field given to Answer or Start replaces the machine's.
func IsReserved(name string) bool { return kindOf(name) != fieldFree }

// IsFraming reports whether a field says where the body ends. It must never be given
// to Answer or Start.
func IsFraming(name string) bool { return kindOf(name) == fieldFraming }

// ValidName reports whether s can be the name of a field: a token. RFC 9110 §5.6.2.
func ValidName(s string) bool { return validToken(s) }

func validToken(s string) bool {
	for i := range len(s) {
		if class[s[i]]&isToken == 0 {
			return false
		}
	}
	return s != ""
}

// ValidValue reports whether s can be the value of a field: text without control characters.
// RFC 9110 §5.5.
func ValidValue(s string) bool { return validValue(s) }

func validValue(s string) bool {
	for i := range len(s) {
		if !isText(s[i]) {
			return false
		}
	}
	return true
}

// typeCache remembers the last Content-Type that was found valid. Handlers give the same
// constant again and again, and comparing a string with itself takes no time.
type typeCache struct{ last string }

// valid reports whether t can be sent as Content-Type; "" means that none is sent.
func (c *typeCache) valid(t string) bool {
	if t == c.last {
		return t != ""
	}
	if !validValue(t) {
		return false
	}
	c.last = t
	return t != ""
}
