package loop

import (
	"fmt"
	"os"
	"runtime/debug"
)

// PanicError is a panic that the loop caught. It is the cause of Lost when it came from a peer.
type PanicError struct {
	Doing string // what was being called: "feed", "tick", "timer", "post", …
	Addr  string // remote address of the connection, if it came from a peer
	Value any
	Stack []byte
}

// Error leaves the stack to the log.
func (e *PanicError) Error() string {
	if e.Addr != "" {
		return fmt.Sprintf("loop: panic in %s of %s: %v", e.Doing, e.Addr, e.Value)
	}
	return fmt.Sprintf("loop: panic in %s: %v", e.Doing, e.Value)
}

// Unwrap gives the value if it was an error.
func (e *PanicError) Unwrap() error {
	err, _ := e.Value.(error)
	return err
}

// rescue is deferred by every phase. After a panic the phase ends, and its caller starts it again
// at the cursor. One deferred call for each phase, and not for each callback, keeps this cost off
// the hot path.
func (l *Loop) rescue() {
	v := recover()
	if v == nil {
		return
	}
	e := &PanicError{Doing: l.doing, Value: v, Stack: debug.Stack()}
	c := l.cur
	l.setCurrent(nil)
	if c != nil {
		if a := c.RemoteAddr(); a != nil {
			e.Addr = a.String()
		}
		c.doom(e, false)
	}
	l.report(e)
}

func (l *Loop) report(e *PanicError) {
	l.shown.panics.Add(1)
	if l.opt.OnPanic != nil {
		l.opt.OnPanic(e)
		return
	}
	fmt.Fprintf(os.Stderr, "%v\n%s\n", e, e.Stack)
}
