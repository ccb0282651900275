package app

import (
	"context"
	"os"
	"os/signal"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"zamqp/loop"
)

// watching is what becomes of signals.
type watching struct {
	drain, hurry func(why string) // on the loop's thread
	deaf         func(sig string) // when that does not answer; on another goroutine
	within       time.Duration    // what a drain may take; negative is not known
}

const (
	// answerMax is how long the loop may take to hear of a signal that does not wait. A
	// turn takes milliseconds, also under load.
	answerMax = 2 * time.Second
	// endMax is how long it may take then to come to its end, by way of the disk.
	endMax = 10 * time.Second
)

// watch turns a signal, and the end of ctx, into a call of drain, and a second
// signal into one of hurry, both on the loop's thread. A handler that holds that
// thread keeps it from the word: then deaf is called, soon after the second signal, or
// when the drain should be over. From the second signal on signals do what they do to
// any program. SIGHUP drains, too: there is nothing that is read
// anew. It is never the second signal, since a terminal that is closed and its
// shell send one each. It returns what ends the watching.
func watch(ctx context.Context, l *loop.Loop, w watching) (stop func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, endSignals()...)
	s := &signalled{watching: w, loop: l, signals: signals, done: make(chan struct{})}
	go s.run(ctx)
	return func() {
		signal.Stop(signals)
		close(s.done)
	}
}

// signalled is the goroutine that hears signals.
type signalled struct {
	watching
	loop     *loop.Loop
	signals  chan os.Signal
	done     chan struct{} // closed when the loop has ended
	draining bool          // for the loop's thread
	count    int           // of signals
	last     string        // the last of them
	heard    *atomic.Bool  // the loop has heard what it was asked last
	look     <-chan time.Time
}

func (s *signalled) run(ctx context.Context) {
	ended := ctx.Done()
	for {
		select {
		case <-s.done:
			return
		case <-ended:
			ended = nil
			s.loop.Post(func() { // never in a hurry
				if !s.draining {
					s.draining = true
					s.drain("the caller's context ended")
				}
			})
		case sig := <-s.signals:
			if sig != syscall.SIGHUP || s.count == 0 {
				s.take(sig)
			}
		case <-s.look:
			s.check()
		}
	}
}

// take tells the loop of a signal.
func (s *signalled) take(sig os.Signal) {
	s.count++
	s.last = sig.String()
	why := s.last
	s.ask(func() {
		if s.draining {
			s.hurry(why)
			return
		}
		s.draining = true
		s.drain(why)
	})
	switch {
	case s.count > 1:
		signal.Reset(syscall.SIGTERM, syscall.SIGINT)
		s.look = time.After(answerMax)
	case s.within >= 0:
		s.look = time.After(s.within + endMax)
	}
}

// ask posts a function and notes when it has begun.
func (s *signalled) ask(fn func()) {
	heard := &atomic.Bool{}
	s.heard = heard
	s.loop.Post(func() {
		heard.Store(true)
		fn()
	})
}

// check ends the process if the loop has not heard what it was asked. One that has
// may still be held on its way to the end.
func (s *signalled) check() {
	if !s.heard.Load() {
		s.deaf(s.last)
		return
	}
	s.ask(func() {})
	wait := answerMax
	if s.count > 1 { // it was told to stop, and closes files
		wait = endMax
	}
	s.look = time.After(wait)
}

// stallLogger takes the watchdog's report, on a goroutine of its own.
func stallLogger(log zerolog.Logger) func(loop.Stall) {
	return func(s loop.Stall) {
		e := log.Warn().Dur("held", s.Held.Round(time.Millisecond)).Str("phase", s.Phase).Str("function", s.Function)
		if s.Peer != "" {
			e.Str("peer", s.Peer)
		}
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
