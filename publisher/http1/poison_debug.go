//go:build loopdebug

package http1

// poison overwrites a returned buffer, so that tests find code that still reads it.
func poison(b []byte) {
	b = b[:cap(b)]
	for i := range b {
		b[i] = 0xDB
	}
}
