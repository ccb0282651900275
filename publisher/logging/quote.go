package logging

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quoting is an output for text that may be foreign: of messages, of a broker, of
// whoever made the request that is logged. What a terminal would obey is written
// as an escape that JSON has, too, and so nobody sees anything but what is there.
type Quoting struct{ W io.Writer }

// Write writes p, quoted.
func (q Quoting) Write(p []byte) (int, error) {
	if isPlain(p) {
		return q.W.Write(p)
	}
	if _, err := q.W.Write(appendQuoted(nil, p)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// isPlain tells, for nearly all text, that there is nothing to look for.
func isPlain(p []byte) bool {
	for _, c := range p {
		if c >= utf8.RuneSelf || c < ' ' && c != '\n' && c != '\t' || c == 0x7f {
			return false
		}
	}
	return true
}

func appendQuoted(dst, p []byte) []byte {
	for len(p) > 0 {
		r, n := utf8.DecodeRune(p)
		switch {
		case r == utf8.RuneError && n == 1:
			dst = fmt.Appendf(dst, `\x%02x`, p[0])
		case isObeyed(r):
			dst = fmt.Appendf(dst, `\u%04x`, r)
		default:
			dst = append(dst, p[:n]...)
		}
		p = p[n:]
	}
	return dst
}

// isObeyed reports whether a terminal does something else with a character than show
// it: the controls, with U+009B that begins an escape sequence, and what turns the
// direction of a line.
func isObeyed(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029')
}

// Bare is the output behind a quoting one.
func Bare(w io.Writer) io.Writer {
	if q, ok := w.(Quoting); ok {
		return q.W
	}
	return w
}

// OneLine is foreign text within a line.
func OneLine(text string) string {
	if !strings.ContainsAny(text, "\n\t") {
		return text // the output does the rest
	}
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(text)
}
