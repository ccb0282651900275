#include "textflag.h"

// func Self() uintptr
//
// The address of the runtime's own record of the running goroutine, which has a
// register of its own. The record is never moved or freed.
TEXT ·Self(SB), NOSPLIT, $0-8
	MOVD g, R0
	MOVD R0, ret+0(FP)
	RET
