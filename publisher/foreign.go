package publisher

import (
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"zamqp/loop/coro"
)

// ErrForeign is the error of a call's methods on a goroutine that is not its
// handler's: one started by a go statement, or that of a function given to [Request.Offload].
// The methods do nothing there, and the log names the place. Return to the handler first, or
// mount the handler by [HTTP], under which every goroutine may call them.
var ErrForeign = errors.New("called on a goroutine that is not the handler's (a go statement, or a function given to Offload): return to the handler first")

// own returns an error if a method of a native handler's request cannot be used here. Only
// the handler's own goroutine gets nil, so the code after it needs no lock.
func (r *Request) own() error {
	owner := r.owner.Load()
	if owner == coro.Self() && r.live {
		return nil
	}
	return r.server.foreign.refuse(r.server, owner)
}

// foreignUses counts calls of methods on goroutines where they cannot work. Any goroutine may
// use it.
type foreignUses struct {
	total  atomic.Uint64
	mu     sync.Mutex
	places map[uintptr]*foreignPlace // by program counter
}

type foreignPlace struct {
	told   time.Time
	missed int // uses since the last line
}

// foreignEvery is the least time between two log lines about the same place.
const foreignEvery = time.Second

// refuse logs the use of a method on a wrong goroutine, and returns its error.
func (f *foreignUses) refuse(s *Server, owner uintptr) error {
	err := ErrForeign
	if owner == 0 || owner == coro.Self() { // nobody runs this call now, or this goroutine runs another one
		err = ErrOver
	}
	f.log(s, err)
	return err
}

// log counts a use, and logs it with its place.
func (f *foreignUses) log(s *Server, err error) {
	f.total.Add(1)
	method, place, pc := foreignCaller()
	if times := f.tell(pc); times > 0 {
		s.log.Error().Err(err).Str("place", place).Str("method", method).Int("times", times).
			Msg("a method was called where it cannot work, and did nothing")
	}
}

// tell returns how many uses of a place the next log line reports, including this one. 0
// means that no line is logged now.
func (f *foreignUses) tell(pc uintptr) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.places == nil {
		f.places = map[uintptr]*foreignPlace{}
	}
	p := f.places[pc]
	if p == nil {
		p = &foreignPlace{}
		f.places[pc] = p
	}
	p.missed++
	now := time.Now()
	if now.Sub(p.told) < foreignEvery {
		return 0
	}
	times := p.missed
	p.told, p.missed = now, 0
	return times
}

// foreignCaller finds the method that was called, and the line outside of this
// package that called it.
func foreignCaller() (method, place string, pc uintptr) {
	var pcs [16]uintptr
	frames := runtime.CallersFrames(pcs[:runtime.Callers(3, pcs[:])])
	for {
		f, more := frames.Next()
		if name, inside := strings.CutPrefix(f.Function, "zamqp/publisher."); inside {
			method = name[strings.LastIndexByte(name, '.')+1:]
		} else if strings.HasPrefix(f.Function, "runtime.") {
			return method, "a go or defer statement", f.PC
		} else {
			return method, fmt.Sprintf("%s:%d", path.Join(path.Base(path.Dir(f.File)), path.Base(f.File)), f.Line), f.PC
		}
		if !more {
			return method, "an unknown place", f.PC
		}
	}
}
