package app

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"zamqp/loop"
)

// watch turns a signal, and the end of ctx, into a call of drain, and a second
// signal into one of hurry, both on the loop's thread. From then on signals do
// what they do to any program, since a handler that holds that thread would keep
// it from the second one's word. SIGHUP drains, too: there is nothing that is read
// anew. It is never the second signal, since a terminal that is closed and its
// shell send one each. It returns what ends the watching.
func watch(ctx context.Context, l *loop.Loop, drain, hurry func(why string)) (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	if !signal.Ignored(syscall.SIGHUP) { // as it is under nohup
		signal.Notify(signals, syscall.SIGHUP)
	}
	done := make(chan struct{})
	draining := false // for the loop's thread
	say := func(why string) {
		l.Post(func() {
			if draining {
				hurry(why)
				return
			}
			draining = true
			drain(why)
		})
	}
	go func() {
		ended, count := ctx.Done(), 0
		for {
			select {
			case <-done:
				return
			case <-ended:
				ended = nil
				l.Post(func() { // never in a hurry
					if !draining {
						draining = true
						drain("the caller's context ended")
					}
				})
			case sig := <-signals:
				if sig == syscall.SIGHUP && count > 0 {
					continue
				}
				if count++; count == 2 {
					signal.Reset(syscall.SIGTERM, syscall.SIGINT)
				}
				say(sig.String())
			}
		}
	}()
	return func() {
		signal.Stop(signals)
		close(done)
	}
}

// stallLogger takes the watchdog's report, on a goroutine of its own.
func stallLogger(log zerolog.Logger) func(loop.Stall) {
	return func(s loop.Stall) {
		e := log.Warn().Dur("held", s.Held.Round(time.Millisecond)).Str("phase", s.Phase).Str("function", s.Function)
		if s.Name != "" {
			e.Str("handler", s.Name).Bytes("stack", s.Stack).Msg("a handler holds the loop: give what blocks or computes for long to r.Offload")
			return
		}
		e.Bytes("stack", s.Stack).Msg("the loop holds itself up, outside of handlers: what it does is in function; if no other program " +
			"kept it from its processor, please report this")
	}
}

func panicLogger(log zerolog.Logger) func(*loop.PanicError) {
	return func(p *loop.PanicError) {
		log.Error().Err(p).Bytes("stack", p.Stack).Msg("a panic on the loop, whose cause is not a handler: please report this")
	}
}
