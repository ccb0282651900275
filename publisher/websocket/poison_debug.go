//go:build loopdebug

package websocket

// poison overwrites a buffer whose time is over, so that who keeps a part of it finds
// out.
func poison(b []byte) { poisonPart(b[:cap(b)]) }

// poisonPart overwrites what is left of a buffer that is still in use.
func poisonPart(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}
