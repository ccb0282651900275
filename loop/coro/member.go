package coro

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
)

// members are the coroutines of a pool, by their Identity. A coroutine is added and removed once in its life, not
// once for each run, so a run costs nothing for it.
type members struct {
	mu  sync.Mutex
	all map[uintptr]struct{}
}

func (m *members) enter() (leave func()) {
	self := Identity()
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.all == nil {
		m.all = map[uintptr]struct{}{}
	}
	m.all[self] = struct{}{}
	return func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		delete(m.all, self)
	}
}

// Inside reports whether the calling goroutine is a coroutine of the pool in the middle of a run. Any goroutine may
// call it.
func (p *Pool) Inside() bool {
	self := Identity()
	p.members.mu.Lock()
	defer p.members.mu.Unlock()
	_, is := p.members.all[self]
	return is
}

// Identity is Self. Where Self is 0, it is the number of the goroutine, which takes some microseconds to find.
func Identity() uintptr {
	if self := Self(); self != 0 {
		return self
	}
	return goroutineNumber()
}

// goroutineNumber reads it from the head of a stack trace: "goroutine 17 [running]:".
func goroutineNumber() uintptr {
	var buf [64]byte
	fields := bytes.Fields(buf[:runtime.Stack(buf[:], false)])
	if len(fields) < 2 {
		return 0
	}
	n, err := strconv.ParseUint(string(fields[1]), 10, 64)
	if err != nil {
		return 0
	}
	return uintptr(n)
}
