//go:build loopdebug

package loop

import (
	"bytes"
	"fmt"
	"sync/atomic"
)

const debugging = true

// debugState checks for violations of the contract that nothing else would notice.
type debugState struct {
	thread atomic.Int64     // the thread of Run; 0 before it
	left   map[*Conn][]byte // the rest of each connection's Pending after the last flush
}

// own remembers the thread. It is the thread and not the goroutine, because a task has a goroutine
// of its own on the same thread.
func (d *debugState) own() { d.thread.Store(threadID()) }

// disown forgets the thread: after the end of the loop, other threads may call its methods.
func (d *debugState) disown() { d.thread.Store(0) }

// onThread panics if a method of the loop's thread is called on another thread while the loop runs.
func (d *debugState) onThread(_ *Loop, method string) {
	if t := d.thread.Load(); t != 0 && t != threadID() {
		panic(fmt.Sprintf("loop: %s called outside of the loop's thread; use Post", method))
	}
}

// poison overwrites bytes, because a peer may have kept a view of them.
func (d *debugState) poison(b []byte) {
	for i := range b {
		b[i] = 0xDB
	}
}

// pending checks that the rest of Pending is still at its beginning.
func (d *debugState) pending(c *Conn, p []byte) {
	if old := d.left[c]; !bytes.HasPrefix(p, old) {
		panic(fmt.Sprintf("loop: Pending of %T changed %d bytes that Sent did not name", c.peer, len(old)))
	}
}

// unsent remembers the rest of Pending.
func (d *debugState) unsent(c *Conn, p []byte) {
	if d.left == nil {
		d.left = map[*Conn][]byte{}
	}
	if len(p) == 0 {
		delete(d.left, c)
		return
	}
	d.left[c] = append(d.left[c][:0], p...)
}

func (d *debugState) forget(c *Conn) { delete(d.left, c) }
