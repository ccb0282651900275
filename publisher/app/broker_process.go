package app

import (
	"context"
	"errors"
	"fmt"

	"zamqp/loop"
	"zamqp/publisher/config"

	"github.com/rs/zerolog"
)

// ServeBroker runs the broker of the settings alone, until ctx ends or a signal
// comes. An error names what could not be opened.
func ServeBroker(ctx context.Context, s *config.Settings, log zerolog.Logger) error {
	return serveBroker(ctx, s, log, newLastWords(log, nil))
}

func serveBroker(ctx context.Context, s *config.Settings, log zerolog.Logger, last *lastWords) error {
	if len(s.Broker.Listen) == 0 {
		return errors.New(`broker.listen = "": a broker that runs alone has nobody to talk to: write an address`)
	}
	limitGo(s, true, log)
	p := &brokerProcess{log: log}
	var err error
	p.loop, err = loop.New(loop.Options{
		HighWater: int(s.Loop.HighWater), InputMax: inputMax(s),
		StallWarning: s.Loop.StallWarning, OnStall: stallLogger(log), OnPanic: panicLogger(log),
		StallLimit: s.Loop.StallLimit, OnLimit: last.stalled(s.Loop.StallLimit),
	})
	if err != nil {
		return fmt.Errorf("loop: %w", err)
	}
	defer setProcessors(s.Loop.Processors)()
	p.loop.OnStart(func() { p.start(&s.Broker) })
	defer watch(ctx, p.loop, watching{drain: p.drain, hurry: p.hurry, unresponsive: last.unresponsive(p.loop), within: -1})()
	if err := p.loop.Run(); err != nil {
		return fmt.Errorf("loop: %w", err)
	}
	return p.err
}

// brokerProcess is the broker without a server around it. All of it is for the
// loop's thread.
type brokerProcess struct {
	log    zerolog.Logger
	loop   *loop.Loop
	broker *embedded
	err    error // what ServeBroker returns
}

func (p *brokerProcess) start(s *config.Broker) {
	if p.broker, p.err = newEmbedded(p.loop, s, p.log); p.err == nil {
		p.err = p.broker.listen("")
	}
	if p.err != nil {
		p.loop.Stop()
	}
}

func (p *brokerProcess) drain(why string) {
	p.log.Info().Str("reason", why).Int("connections", p.broker.server.Stats().Connections).Msg("broker: stopping")
	p.broker.stop(func() {
		p.log.Info().Msg("stopped")
		p.loop.Stop()
	})
}

func (p *brokerProcess) hurry(string) { p.loop.Stop() }
