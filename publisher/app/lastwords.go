package app

import (
	"bytes"
	"os"
	"runtime"
	"sync"
	"time"

	"github.com/rs/zerolog"

	"zamqp/loop"
	"zamqp/publisher/logging"
)

// Exit codes of a process whose loop does not answer.
const (
	exitStalled      = 70 // the thread was held past loop.stall_limit
	exitUnresponsive = 71 // the thread was held when a signal asked for the end
)

// lastWords ends the process when the loop does not answer. It logs all stacks, and the
// exit status is one of its own, so that a supervisor can act. Any goroutine may use it.
// For messages in hand it is like a kill.
type lastWords struct {
	log  zerolog.Logger
	w    *logging.Writer // the writer under log; nil if the caller owns it
	exit func(status int)
	once sync.Once
}

// stalled is called by the watchdog.
func (w *lastWords) stalled(limit time.Duration) func(loop.Stall) {
	return func(s loop.Stall) {
		w.say(exitStalled, s, func(e *zerolog.Event) {
			e.Dur("held", s.Held.Round(time.Millisecond)).Dur("stall_limit", limit).
				Msg("the thread is held for longer than loop.stall_limit: the process ends. What holds it is in function and stack; all stacks follow")
		})
	}
}

// unresponsive is called if the loop does not react to a signal.
func (w *lastWords) unresponsive(l *loop.Loop) func(sig string) {
	return func(sig string) {
		w.say(exitUnresponsive, l.Look(), func(e *zerolog.Event) {
			e.Str("reason", sig).Msg("the thread is held and does not answer a signal: the process ends. What holds it is in function and stack; all stacks follow")
		})
	}
}

// say logs the message and the stack of each goroutine, waits until the lines are written, as
// long as the log has a reader, and ends the process.
func (w *lastWords) say(status int, s loop.Stall, line func(*zerolog.Event)) {
	w.once.Do(func() {
		if w.w != nil {
			w.w.Unbound()
		}
		line(w.log.WithLevel(zerolog.FatalLevel).Int("exit_status", status).Str("handler", s.Name).Str("phase", s.Phase).
			Str("function", s.Function).Bytes("stack", s.Stack))
		for stack := range bytes.SplitSeq(allStacks(), []byte("\n\n")) {
			w.log.WithLevel(zerolog.FatalLevel).Bytes("stack", stack).Msg("a goroutine at the end")
		}
		if w.w != nil {
			_ = w.w.Close()
		}
		w.exit(status)
	})
}

// allStacks returns the stacks of all goroutines, up to a size that a log can take.
func allStacks() []byte {
	const most = 16 << 20
	for size := 256 << 10; ; size *= 4 {
		b := make([]byte, size)
		if n := runtime.Stack(b, true); n < size || size >= most {
			return b[:n]
		}
	}
}

// newLastWords is for a server whose log belongs to the caller.
func newLastWords(log zerolog.Logger, w *logging.Writer) *lastWords {
	return &lastWords{log: log, w: w, exit: os.Exit}
}
