//go:build !loopdebug

package loop

// debugState does nothing without the build tag loopdebug. The compiler removes the calls.
type debugState struct{}

const debugging = false

func (*debugState) disown()                {}
func (*debugState) own()                   {}
func (*debugState) onThread(*Loop, string) {}
func (*debugState) poison([]byte)          {}
func (*debugState) pending(*Conn, []byte)  {}
func (*debugState) unsent(*Conn, []byte)   {}
func (*debugState) forget(*Conn)           {}
