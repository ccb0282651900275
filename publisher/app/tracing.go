package app

import (
	"context"
	"time"

	"zamqp/publisher"
	"zamqp/publisher/tracing"
)

// trace begins to trace the server, if the settings ask for it.
func (a *application) trace() (err error) {
	t := &a.plan.Settings.Tracing
	if !t.On() {
		return nil
	}
	o := t.Options()
	o.Log, o.Global = a.log, true
	if a.tracing, err = tracing.New(o); err != nil {
		return err
	}
	a.log.Info().Str("receiver", a.tracing.Receiver()).Msg("tracing")
	return nil
}

// tracer returns what makes the spans of the server; nil for none.
func (a *application) tracer() publisher.Tracer {
	if a.tracing == nil {
		return nil // the interface must be nil, not hold a nil pointer
	}
	return a.tracing
}

// spansGrace is how long a server that stops waits for the receiver of its spans. It has that long
// even if the drain has used up its time, and no longer if the drain has much time left.
const spansGrace = 2 * time.Second

// endTracing sends the spans that wait.
func (a *application) endTracing() {
	if a.tracing == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), spansGrace)
	defer cancel()
	if err := a.tracing.Close(ctx); err != nil {
		a.log.Warn().Err(err).Msg("the receiver of spans does not take them")
	}
}
