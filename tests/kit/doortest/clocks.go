package doortest

import (
	"time"

	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/clockdoor"
	"zamqp/tests/kit/wiretest"
)

// startClocks starts the clocks of the registry.
func (p *Process) startClocks(registry *publisher.Registry, log zerolog.Logger) {
	p.w.T.Helper()
	clocks, err := clockdoor.New(p.Server, registry.Clocks(), log)
	if err != nil {
		p.w.T.Fatal(err)
	}
	if err := clocks.Elect(func(clock, connection string) (publisher.Election, error) {
		return p.Door.Election(connection, clock, publisher.ClockQueue(clock, ""))
	}); err != nil {
		p.w.T.Fatal(err)
	}
	clocks.Start(func(turn func()) clockdoor.Timer { return &clockTimer{p: p, turn: turn} })
}

// clockTimer is a timer of the world that can be set again.
type clockTimer struct {
	p    *Process
	turn func()
	last *wiretest.Timer
}

func (t *clockTimer) Stop() bool { return t.last != nil && t.last.Stop() }

func (t *clockTimer) Reset(d time.Duration) bool {
	was := t.Stop()
	t.last = t.p.w.Clock.After(d, func() {
		if !t.p.dead {
			t.turn()
		}
	})
	return was
}
