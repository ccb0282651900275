package loop

import (
	"bytes"
	"strings"
	"time"
)

// Stall reports that something has held the loop's thread for too long.
type Stall struct {
	Name  string        // the name that Enter was given; "" if none
	Peer  string        // remote address of the connection whose peer is being called; "" if there is none
	Held  time.Duration // how long it has lasted so far, at least
	Stack []byte        // the stack of the goroutine or coroutine on the loop's thread, as runtime.Stack prints it

	// These are read from the stack, so they cost the loop nothing; "" if the stack does not show
	// them.
	Phase    string // the phase of the turn: "reading", "timers", "posted functions", "tasks", "writing", "closing", "ending"
	Function string // the innermost function outside of Go's own library: "zamqp/amqpproto/broker.(*queue).purge"
}

// phases are the loop's methods that a turn consists of.
var phases = map[string]string{
	"(*Loop).readEvents": "reading", "(*Loop).readQueued": "reading", "(*Loop).runTimers": "timers", "(*mailbox).run": "posted functions",
	"(*Loop).runTasks": "tasks", "(*Loop).flushDirty": "writing", "(*Loop).closeDoomed": "closing", "(*Loop).end": "ending",
}

// locate fills in what the stack shows.
func (s *Stall) locate() {
	for line := range bytes.SplitSeq(s.Stack, []byte("\n")) {
		name := frame(string(line))
		if name == "" {
			continue
		}
		if s.Function == "" && !standard(name) {
			s.Function = name
		}
		if method, ok := strings.CutPrefix(name, "zamqp/loop."); ok && phases[method] != "" {
			s.Phase = phases[method]
			return
		}
	}
}

// frame returns the function that a line of a stack names: "zamqp/loop.(*Loop).turn(0x…)" has
// arguments at its end, and the line of its file begins with a tab.
func frame(line string) string {
	if strings.HasPrefix(line, "\t") || strings.HasPrefix(line, "goroutine ") || strings.HasPrefix(line, "created by ") {
		return ""
	}
	i := strings.LastIndexByte(line, '(')
	if i <= 0 {
		return ""
	}
	return line[:i]
}

// standard reports whether a function belongs to Go's standard library. Its import paths begin with
// a word without a dot, as only this module's paths and a program's main do otherwise.
func standard(function string) bool {
	first, _, more := strings.Cut(function, "/")
	if !more {
		return !strings.HasPrefix(function, "main.")
	}
	return !strings.Contains(first, ".") && first != "zamqp"
}
