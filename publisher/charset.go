package publisher

import (
	"bytes"
	"fmt"
	"strings"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/encoding/unicode/utf32"
)

// charsets maps the names in lower case, without hyphens, underscores and spaces, to
// character sets: each client spells them in its own way. nil is UTF-8, which needs no
// conversion.
var charsets = map[string]encoding.Encoding{
	"utf8": nil, "utf8sig": nil, "usascii": nil, "ascii": nil, "ansix3.41968": nil,
	"utf16": nil, "utf32": nil, // the text shows the order of octets
	"utf16le": unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "utf16be": unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	"utf32le": utf32.UTF32(utf32.LittleEndian, utf32.IgnoreBOM), "utf32be": utf32.UTF32(utf32.BigEndian, utf32.IgnoreBOM),
	"iso88591": charmap.ISO8859_1, "latin1": charmap.ISO8859_1, "l1": charmap.ISO8859_1, "cp819": charmap.ISO8859_1,
	"iso88592": charmap.ISO8859_2, "latin2": charmap.ISO8859_2,
	"iso88593": charmap.ISO8859_3, "iso88594": charmap.ISO8859_4, "iso88595": charmap.ISO8859_5,
	"iso88596": charmap.ISO8859_6, "iso88597": charmap.ISO8859_7, "iso88598": charmap.ISO8859_8,
	"iso88599": charmap.ISO8859_9, "latin5": charmap.ISO8859_9, "iso885910": charmap.ISO8859_10,
	"iso885913": charmap.ISO8859_13, "iso885914": charmap.ISO8859_14,
	"iso885915": charmap.ISO8859_15, "latin9": charmap.ISO8859_15, "iso885916": charmap.ISO8859_16,
	"windows1250": charmap.Windows1250, "cp1250": charmap.Windows1250, "windows1251": charmap.Windows1251, "cp1251": charmap.Windows1251,
	"windows1252": charmap.Windows1252, "cp1252": charmap.Windows1252, "windows1253": charmap.Windows1253, "cp1253": charmap.Windows1253,
	"windows1254": charmap.Windows1254, "cp1254": charmap.Windows1254, "windows1255": charmap.Windows1255, "cp1255": charmap.Windows1255,
	"windows1256": charmap.Windows1256, "cp1256": charmap.Windows1256, "windows1257": charmap.Windows1257, "cp1257": charmap.Windows1257,
	"windows1258": charmap.Windows1258, "cp1258": charmap.Windows1258, "koi8r": charmap.KOI8R, "koi8u": charmap.KOI8U,
	"ibm437": charmap.CodePage437, "cp437": charmap.CodePage437, "ibm850": charmap.CodePage850, "cp850": charmap.CodePage850,
}

// A charset is a character set under its plain name.
type charset struct {
	name     string
	encoding encoding.Encoding // nil for UTF-8, and if the text decides
}

func findCharset(name string) (charset, bool) {
	plain := strings.NewReplacer("-", "", "_", "", " ", "").Replace(strings.ToLower(name))
	e, ok := charsets[plain]
	return charset{plain, e}, ok
}

// isUTF8 reports whether a text needs no conversion.
func (c *charset) isUTF8() bool { return c.encoding == nil && c.name != "utf16" && c.name != "utf32" }

// Byte order marks, at the start of a text.
var (
	bomUTF8    = []byte("\xef\xbb\xbf")
	bomUTF16LE = []byte("\xff\xfe")
	bomUTF16BE = []byte("\xfe\xff")
	bomUTF32LE = []byte("\xff\xfe\x00\x00")
	bomUTF32BE = []byte("\x00\x00\xfe\xff")
)

// toUTF8 converts a text from the character set of that name. The result has at most limit
// octets. Octets that are invalid in the character set are an error; they are not replaced.
func toUTF8(name string, body []byte, limit int64) ([]byte, error) {
	if limit <= 0 {
		limit = UnpackMax
	}
	switch name {
	case "", "utf-8", "UTF-8":
		return bytes.TrimPrefix(body, bomUTF8), nil
	}
	c, ok := findCharset(name)
	if !ok {
		return nil, fmt.Errorf("%w: charset %s", ErrContentType, name)
	}
	if c.isUTF8() {
		return bytes.TrimPrefix(body, bomUTF8), nil
	}
	if int64(len(body)) > limit {
		return nil, tooLarge(limit)
	}
	e, body := c.order(body)
	text, err := e.NewDecoder().Bytes(body)
	if err != nil {
		return nil, &DecodeError{ContentType: name, Cause: err}
	}
	if int64(len(text)) > limit {
		return nil, tooLarge(limit)
	}
	if bytes.ContainsRune(text, '\uFFFD') { // from the sender, or what the decoder writes for invalid octets
		if again, err := e.NewEncoder().Bytes(text); err != nil || !bytes.Equal(again, body) {
			return nil, &DecodeError{ContentType: name, Cause: fmt.Errorf("it has octets that %s has no character for", name)}
		}
	}
	return text, nil
}

// order returns the encoding of a text, and the text without its byte order mark. Without a
// mark, the zeros in the first character show the order; otherwise it is big-endian
// (RFC 2781 §4.3).
func (c *charset) order(body []byte) (encoding.Encoding, []byte) {
	switch {
	case c.name == "utf32le", c.name == "utf32" && (bytes.HasPrefix(body, bomUTF32LE) || len(body) > 3 && body[0] != 0 && body[3] == 0):
		return charsets["utf32le"], bytes.TrimPrefix(body, bomUTF32LE)
	case c.name == "utf32be", c.name == "utf32":
		return charsets["utf32be"], bytes.TrimPrefix(body, bomUTF32BE)
	case c.name == "utf16le", c.name == "utf16" && (bytes.HasPrefix(body, bomUTF16LE) || len(body) > 1 && body[0] != 0 && body[1] == 0):
		return charsets["utf16le"], bytes.TrimPrefix(body, bomUTF16LE)
	case c.name == "utf16be", c.name == "utf16":
		return charsets["utf16be"], bytes.TrimPrefix(body, bomUTF16BE)
	}
	return c.encoding, body
}

// textual reports whether the bodies of a codec are text, so that a character set matters.
// Other bodies are octets, whatever their sender says.
func textual(c Codec) bool {
	media, _, _ := strings.Cut(strings.ToLower(c.ContentType()), ";")
	media = strings.TrimSpace(media)
	if strings.HasPrefix(media, "text/") {
		return true
	}
	for _, form := range [...]string{"json", "xml", "yaml", "csv"} {
		if strings.HasSuffix(media, form) {
			return true
		}
	}
	return false
}
