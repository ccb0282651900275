package logging

import (
	"fmt"
	"io"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Quoting is an output for text that may come from others: from messages, a broker or a
// client. Control characters, which a terminal would obey, are written as JSON escapes.
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

// isPlain is a fast test for text without anything to quote.
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

// isObeyed reports whether a terminal obeys a character instead of showing it: controls,
// with U+009B, which begins an escape sequence, and characters that change the direction
// of a line.
func isObeyed(r rune) bool {
	return r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) || r == '\u2028' || r == '\u2029')
}

// Bare is the output that a Quoting writes to, or w itself.
func Bare(w io.Writer) io.Writer {
	if q, ok := w.(Quoting); ok {
		return q.W
	}
	return w
}

// OneLine makes foreign text fit into a line.
func OneLine(text string) string {
	if !strings.ContainsAny(text, "\n\t") {
		return text // Quoting escapes the other characters
	}
	return strings.NewReplacer("\n", `\n`, "\t", `\t`).Replace(text)
}
