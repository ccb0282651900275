package coro

import (
	"bytes"
	"runtime"
	"strconv"
	"sync"
)

// members has the pool of each coroutine, by the coroutine's Identity. A coroutine is added and
// removed once in its life, not once for each run, so a run costs nothing for it.
var members = struct {
	sync.Mutex
	pools map[uintptr]*Pool
}{pools: map[uintptr]*Pool{}}

// enter makes the calling coroutine a member of the pool.
func (p *Pool) enter() (leave func()) {
	self := Identity()
	members.Lock()
	defer members.Unlock()
	members.pools[self] = p
	return func() {
		members.Lock()
		defer members.Unlock()
		delete(members.pools, self)
	}
}

// poolHere is the pool of the calling coroutine; nil for every other goroutine.
func poolHere() *Pool {
	self := Identity()
	members.Lock()
	defer members.Unlock()
	return members.pools[self]
}

// Inside reports whether the calling goroutine is a coroutine of the pool, in the
// middle of a run. Any goroutine may call it.
func (p *Pool) Inside() bool { return poolHere() == p }

// Current is the Runner whose run the calling code is a part of; nil outside of runs.
// Any goroutine may call it. It takes a lock, so it is not for each call.
func Current() Runner {
	if p := poolHere(); p != nil && p.current != nil { // which runs, so nobody changes it
		return p.current.runner
	}
	return nil
}

// Identity is Self. Where Self is 0, it is the number of the goroutine, which takes some
// microseconds to find.
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
