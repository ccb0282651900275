package app

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// stops runs the handlers' OnStop functions. During the loop it belongs to the
// loop's thread, afterwards to the goroutine that ran the loop.
type stops struct {
	begun, over bool
	cancel      context.CancelCauseFunc // cancels their context; nil before they run
}

// endSignals are the signals that end the server.
func endSignals() []os.Signal {
	signals := []os.Signal{syscall.SIGTERM, syscall.SIGINT}
	if !signal.Ignored(syscall.SIGHUP) { // under nohup it stays ignored
		signals = append(signals, syscall.SIGHUP)
	}
	return signals
}

// untilSignal returns a context that the first signal cancels, with the signal as
// its cause. A second signal does what it does to any program, so nothing else may
// listen for it.
func untilSignal(ctx context.Context) (context.Context, context.CancelFunc) {
	ctx, stop := signal.NotifyContext(ctx, endSignals()...)
	context.AfterFunc(ctx, stop)
	return ctx, stop
}

// abandon ends a start that failed during the OnStart functions. end cancels their context.
func (a *application) abandon(serving context.Context, end func(), err error) error {
	a.server.End()
	a.draining = true // a signal that was posted must do nothing
	a.loop.Stop()
	if err := a.loop.Run(); err != nil { // Run releases the loop's resources
		a.log.Warn().Err(err).Msg("the loop was not closed cleanly")
	}
	a.fail(err)
	if cause := context.Cause(serving); cause != nil && (errors.Is(err, cause) || errors.Is(err, serving.Err())) {
		a.log.Info().Str("reason", cause.Error()).Msg("the start was ended before the server was ready")
		a.err = nil
	}
	end()
	a.stopLate(a.plan.Settings.Server.DrainTimeout)
	return a.err
}

// runOnStop runs the OnStop functions beside the loop, and then calls done.
func (a *application) runOnStop(done func()) {
	if !a.server.HasOnStop() {
		done()
		return
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	bounded, free := context.WithDeadlineCause(ctx, a.stopBy, errCut)
	a.stops = stops{begun: true, cancel: cancel}
	go func() {
		defer a.loop.Post(func() { // also after runtime.Goexit
			if context.Cause(bounded) == errCut {
				a.fail(fmt.Errorf("%w: OnStop functions took all the time that was left", errCut))
			}
			cancel(nil)
			free()
			a.stops.over = true
			done()
		})
		a.server.RunOnStop(bounded)
	}()
}

// cutStops tells the OnStop functions that there is no time left.
func (a *application) cutStops(cause error) {
	if a.stops.begun && !a.stops.over {
		if name := a.server.RunningHook(); name != "" {
			cause = fmt.Errorf("%w: %s has not returned", cause, name)
		}
		a.fail(cause)
		a.stops.cancel(cause)
	}
}

// stopLate runs after the loop. If the drain has not run the OnStop functions, because the
// start failed or calls did not end, it runs them, within bound.
func (a *application) stopLate(bound time.Duration) {
	switch {
	case a.stops.over || !a.server.HasOnStop():
	case a.stops.begun:
		a.leaveStops()
	case a.hurried:
		a.log.Warn().Msg("no OnStop function was run: a second signal ended the drain")
	default:
		a.stopWithin(bound)
	}
}

// stopWithin runs the OnStop functions without a loop.
func (a *application) stopWithin(bound time.Duration) {
	ctx, release := untilSignal(context.Background())
	defer release()
	ctx, cancel := context.WithTimeoutCause(ctx, bound, errCut)
	defer cancel()
	done := make(chan struct{})
	go func() {
		defer close(done)
		a.server.RunOnStop(ctx)
	}()
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	select { // waits for the functions that watch their context
	case <-done:
	case <-time.After(cutGrace):
		a.leaveStops()
	}
}

// leaveStops continues without an OnStop function that does not return.
func (a *application) leaveStops() {
	name := cmp.Or(a.server.RunningHook(), "an OnStop function")
	a.log.Error().Str("function", name).Msg("an OnStop function has not returned: the server ends without waiting for it, and does not run the ones after it")
	a.fail(fmt.Errorf("%s has not returned", name))
}
