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

// watching receives the signals and acts on them.
type watching struct {
	drain, hurry func(why string) // called on the loop's thread
	unresponsive func(sig string) // called if the loop's thread does not answer; on another goroutine
	within       time.Duration    // how long a drain may take; negative = unknown
}

const (
	// answerMax is how long the loop may take to run a posted function after the second
	// signal. A turn takes milliseconds, also under load.
	answerMax = 2 * time.Second
	// endMax is how long the loop may then take to end, which includes writing to the disk.
	endMax = 10 * time.Second
)

// watch calls drain after a signal or the end of ctx, and hurry after a second signal,
// both on the loop's thread. If a handler holds that thread, unresponsive is called: soon
// after the second signal, or when the drain should be over. From the second signal on,
// signals do what they do to any program. SIGHUP drains as well, because there is nothing
// to reload. It never counts as the second signal: a terminal that is closed and its shell
// send one each. stop ends the watching.
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

// signalled is the goroutine that receives signals.
type signalled struct {
	watching
	loop     *loop.Loop
	signals  chan os.Signal
	done     chan struct{} // closed when the loop has ended
	draining bool          // for the loop's thread
	count    int           // number of signals
	last     string        // the last signal
	heard    *atomic.Bool  // the loop has run the last function that was posted
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
			s.loop.Post(func() { // this one never hurries
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

// take handles a signal.
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

// ask posts a function and records that it has begun.
func (s *signalled) ask(fn func()) {
	heard := &atomic.Bool{}
	s.heard = heard
	s.loop.Post(func() {
		heard.Store(true)
		fn()
	})
}

// check ends the process if the loop has not run the posted function. Otherwise it asks
// again: the loop may be held later on its way to the end.
func (s *signalled) check() {
	if !s.heard.Load() {
		s.unresponsive(s.last)
		return
	}
	s.ask(func() {})
	wait := answerMax
	if s.count > 1 { // the loop was told to stop, and closes files
		wait = endMax
	}
	s.look = time.After(wait)
}

// stallLogger logs the watchdog's reports, on the watchdog's goroutine.
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
