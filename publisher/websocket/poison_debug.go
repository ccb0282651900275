//go:build loopdebug

package websocket

// poison overwrites a buffer that is not valid any more, so that code that still uses it fails in
// tests.
func poison(b []byte) { poisonPart(b[:cap(b)]) }

// poisonPart overwrites the part of a buffer that is not valid any more, while the rest is in
// use.
func poisonPart(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}
