package http1

import (
	"encoding/binary"
	"math/bits"
)

// Classes of octets; class holds a set of them for each octet.
const (
	isToken  = 1 << iota // tchar, RFC 9110 §5.6.2
	isTarget             // allowed in a request-target
	isHost               // allowed in a reg-name
	isHex                // HEXDIG, either case
	isDigit
)

// class says for each octet where it is allowed.
//
// A request-target may have every octet but controls, space and #, as in net/http. RFC 3986
// allows fewer, but clients send what a user typed: UTF-8, quotes, braces. The end of such a
// target is still clear. # would begin a fragment, and one recipient could cut it off while
// another keeps it.
//
// A host must not have a percent sign. No DNS name needs one, and the decoded text would have
// to be checked again.
var class = func() (t [256]uint8) {
	for c := '0'; c <= '9'; c++ {
		t[c] |= isToken | isHost | isHex | isDigit
	}
	for c := 'a'; c <= 'z'; c++ {
		t[c] |= isToken | isHost
		t[c-'a'+'A'] |= isToken | isHost
	}
	for c := 'a'; c <= 'f'; c++ {
		t[c] |= isHex
		t[c-'a'+'A'] |= isHex
	}
	for _, c := range "!#$%&'*+-.^_`|~" {
		t[c] |= isToken
	}
	for _, c := range "-._~!$&'()*+,;=" {
		t[c] |= isHost
	}
	for c := '!'; c <= '~'; c++ {
		t[c] |= isTarget
	}
	for c := 0x80; c <= 0xff; c++ {
		t[c] |= isTarget
	}
	t['#'] &^= isTarget
	return t
}()

// lower maps A–Z to a–z and every other octet to itself.
var lower = func() (t [256]uint8) {
	for c := range t {
		t[c] = uint8(c)
		if 'A' <= c && c <= 'Z' {
			t[c] += 'a' - 'A'
		}
	}
	return t
}()

// equalFold reports whether b equals want without regard to ASCII case. want must be
// in lower case. Unlike bytes.EqualFold it does not fold Unicode: the Kelvin sign is
// not a k in a protocol element.
func equalFold(b []byte, want string) bool {
	if len(b) != len(want) {
		return false
	}
	for i, c := range b {
		if lower[c] != want[i] {
			return false
		}
	}
	return true
}

// valueEnd returns the offset, at or after i, of the first octet of b that a field value
// cannot have: a control character other than HTAB. In a well-formed line that is the CR at
// its end. It returns len(b) if there is none yet. RFC 9110 §5.5.
func valueEnd(b []byte, i int) int {
	const ones, highs = 0x0101010101010101, 0x8080808080808080
	for i+8 <= len(b) {
		x := binary.LittleEndian.Uint64(b[i:])
		del := x ^ 0x7f*ones
		// Borrows only go upwards, so the lowest marked octet is correct.
		m := ((x-0x20*ones) & ^x | (del-ones) & ^del) & highs
		if m == 0 {
			i += 8
			continue
		}
		i += bits.TrailingZeros64(m) / 8
		if b[i] != '\t' {
			return i
		}
		i++
	}
	for i < len(b) && (b[i] >= ' ' && b[i] != 0x7f || b[i] == '\t') {
		i++
	}
	return i
}

// trimOWS returns b without optional white space around it, RFC 9110 §5.6.3.
func trimOWS(b []byte) []byte {
	for len(b) > 0 && (b[0] == ' ' || b[0] == '\t') {
		b = b[1:]
	}
	for len(b) > 0 && (b[len(b)-1] == ' ' || b[len(b)-1] == '\t') {
		b = b[:len(b)-1]
	}
	return b
}

// cutElement splits the first element off a comma-separated list, without the white space
// around it. It does not look for quoted commas: no list that is read here may have a quoted
// string.
func cutElement(list []byte) (element, rest []byte, more bool) {
	for i, c := range list {
		if c == ',' {
			return trimOWS(list[:i]), list[i+1:], true
		}
	}
	return trimOWS(list), nil, false
}
