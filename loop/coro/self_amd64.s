#include "textflag.h"

// func Self() uintptr
//
// The address of the runtime's own record of the running goroutine. It is kept in
// thread-local storage, and the record is never moved or freed.
TEXT ·Self(SB), NOSPLIT, $0-8
	MOVQ (TLS), AX
	MOVQ AX, ret+0(FP)
	RET
