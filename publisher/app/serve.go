package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"zamqp/loop"
	"zamqp/publisher"
	"zamqp/publisher/amqpdoor"
	"zamqp/publisher/http1"
	"zamqp/publisher/httpdoor"
)

// Serve runs the server that the settings describe, with the handlers of the
// default registry, until ctx ends or a signal comes, and drains it. An error
// names what could not be opened, or that the drain was cut short.
func Serve(ctx context.Context, s *Settings, log zerolog.Logger) error {
	plan, err := Resolve(s, publisher.Default)
	if err != nil {
		return err
	}
	a, err := newApplication(plan, publisher.Default, log)
	if err != nil {
		return err
	}
	return a.run(ctx)
}

// application is the composition root: it owns the loop and joins the doors to
// it. All but run is for the loop's thread.
type application struct {
	plan      *Plan
	log       zerolog.Logger
	loop      *loop.Loop
	server    *publisher.Server
	runtime   *loopRuntime
	amqp      *amqpdoor.Door
	http      *httpdoor.Door
	brokers   []*broker
	listeners []*loop.Listener
	draining  bool
	err       error // what run returns
}

func newApplication(plan *Plan, registry *publisher.Registry, log zerolog.Logger) (*application, error) {
	s := plan.Settings
	a := &application{plan: plan, log: log}
	var err error
	a.server, err = publisher.NewServer(registry, plan.Producers, plan.Consumers, publisher.Options{
		ConflictRetries: s.Server.ConflictRetries, CallsMax: s.Server.CallsMax, Log: log,
	})
	if err != nil {
		return nil, err
	}
	a.loop, err = loop.New(loop.Options{
		HighWater: int(s.Loop.HighWater), OffloadWorkers: s.Loop.OffloadWorkers,
		StallWarning: s.Loop.StallWarning, OnStall: a.stalled, OnPanic: a.panicked,
		Tasks: a.server.RunReady,
	})
	if err != nil {
		return nil, fmt.Errorf("loop: %w", err)
	}
	a.runtime = &loopRuntime{a.loop}
	a.amqp = amqpdoor.New(a.server, a.runtime, log)
	a.http = httpdoor.New(a.server, httpConfig(&s.HTTP), s.HTTP.ConnectionsMax)
	return a, nil
}

func httpConfig(h *HTTP) http1.Config {
	cfg := http1.Config{
		TargetMax: int(h.TargetMax), HeadMax: int(h.HeadMax), FieldsMax: h.FieldsMax, BodyMax: int64(h.BodyMax),
		IdleTimeout: h.IdleTimeout, HeadTimeout: h.HeadTimeout, BodyRateMin: int64(h.BodyRateMin), ServerName: h.ServerName,
	}
	if h.BodyRateMin == 0 {
		cfg.BodyRateMin = -1
	}
	return cfg
}

// run turns the loop until the drain is over.
func (a *application) run(ctx context.Context) error {
	defer setProcessors(a.plan.Settings.Loop.Processors)()
	a.loop.OnStart(a.start)
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	defer signal.Stop(signals)
	done := make(chan struct{})
	defer close(done)
	go a.watch(ctx, signals, done)
	if err := a.loop.Run(); err != nil {
		return fmt.Errorf("loop: %w", err)
	}
	return a.err
}

// setProcessors leaves Go's scheduler with as many as the settings say and
// returns how to undo it. With more than one, Go's threads look for work that a
// server on one thread does not have, each time the loop goes to wait: a fifth
// of the CPU where turns are short.
func setProcessors(n int) (undo func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	before := runtime.GOMAXPROCS(n)
	return func() { runtime.GOMAXPROCS(before) }
}

// watch turns signals, and the end of ctx, into a drain, and a second signal
// into the end. From then on signals do what they do to any program, since a
// handler that holds the loop's thread would keep it from the second one's word.
func (a *application) watch(ctx context.Context, signals <-chan os.Signal, done <-chan struct{}) {
	ended, count := ctx.Done(), 0
	for {
		select {
		case <-done:
			return
		case <-ended:
			ended = nil
			a.loop.Post(func() { a.drain("the caller's context ended") })
		case sig := <-signals:
			if count++; count == 2 {
				signal.Reset(syscall.SIGTERM, syscall.SIGINT)
			}
			a.loop.Post(func() {
				if a.draining {
					a.fail(fmt.Errorf("a second %v ended the drain: %d calls were cut off", sig, a.server.Live()))
					a.loop.Stop()
					return
				}
				a.drain(sig.String())
			})
		}
	}
}

// start opens everything, on the loop's thread.
func (a *application) start() {
	a.server.Start(a.runtime)
	for _, address := range a.plan.Settings.HTTP.Listen {
		if err := a.listen(address); err != nil {
			a.fail(err)
			a.loop.Stop()
			return
		}
	}
	for _, name := range a.plan.Connections {
		a.connect(name)
	}
	a.sweep()
}

func (a *application) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// listen opens one HTTP listener: "host:port" or "unix:/path".
func (a *application) listen(address string) error {
	network, at := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, at = "unix", path
	}
	ln, err := a.loop.Listen(network, at, func(c *loop.Conn) loop.Peer {
		if x := a.http.Accept(c); x != nil {
			return x
		}
		return nil // the interface must be nil, not hold a nil pointer
	})
	if err != nil {
		return fmt.Errorf("http.listen = %q: %w", address, err)
	}
	a.listeners = append(a.listeners, ln)
	a.log.Info().Str("address", listenText(ln.Addr())).Msg("serving http")
	return nil
}

func listenText(addr net.Addr) string {
	if addr.Network() == "unix" {
		return "unix:" + addr.String()
	}
	return "http://" + addr.String()
}

// sweep ends the waits of calls that are older than server.call_timeout.
func (a *application) sweep() {
	limit := a.plan.Settings.Server.CallTimeout
	if limit == 0 {
		return
	}
	cause := fmt.Errorf("server.call_timeout (%s): %w", limit, context.DeadlineExceeded)
	a.server.CancelOlder(a.loop.Now().Add(-limit), cause)
	a.loop.After(max(min(time.Second, limit/4), time.Millisecond), a.sweep)
}

// stalled is the watchdog's report, on its own goroutine.
func (a *application) stalled(s loop.Stall) {
	a.log.Warn().Str("handler", s.Name).Dur("held", s.Held).Bytes("stack", s.Stack).
		Msg("the loop is held up: give what blocks to r.Offload")
}

func (a *application) panicked(p *loop.PanicError) {
	a.log.Error().Err(p).Bytes("stack", p.Stack).Msg("a panic on the loop, whose cause is not a handler: please report this")
}

// errCut says that calls did not end within the drain.
var errCut = errors.New("the drain was cut short by server.drain_timeout")
