package app

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"github.com/rs/zerolog"

	"zamqp/loop"
	"zamqp/publisher"
	"zamqp/publisher/amqpdoor"
	"zamqp/publisher/certificate"
	"zamqp/publisher/clockdoor"
	"zamqp/publisher/config"
	"zamqp/publisher/document"
	"zamqp/publisher/http1"
	"zamqp/publisher/httpdoor"
	"zamqp/publisher/tracing"
)

// Serve runs the server that the settings describe, with the handlers of the
// default registry, until ctx ends or a signal comes, and drains it. An error
// names what could not be opened, or that the drain was cut short. It does not return,
// and the process ends, when a handler holds the thread past loop.stall_limit or
// keeps it from a signal.
func Serve(ctx context.Context, s *config.Settings, log zerolog.Logger) error {
	return serve(ctx, s, logs{log, log}, newLastWords(log, nil))
}

// logs are the log for the server's own lines, of which some may be left out, and for those of handlers.
type logs struct{ own, calls zerolog.Logger }

// serve is Serve, with meters of parts outside of the server.
func serve(ctx context.Context, s *config.Settings, log logs, last *lastWords, meters ...publisher.Meter) error {
	plan, err := config.Resolve(s, publisher.Default)
	if err != nil {
		return err
	}
	_, embedded := plan.Embeds()
	if err := s.CheckCertificates(embedded && len(s.Broker.Listen) > 0); err != nil {
		return err
	}
	s.GiveApps()
	a, err := newApplication(plan, publisher.Default, log, last)
	if err != nil {
		return err
	}
	for _, m := range meters {
		a.server.AddMeter(m)
	}
	limitGo(s, embedded, log.own)
	return a.run(ctx)
}

// application is the composition root: it owns the loop and joins the doors to
// it. All but run is for the loop's thread.
type application struct {
	plan      *config.Plan
	log       zerolog.Logger
	last      *lastWords
	loop      *loop.Loop
	server    *publisher.Server
	runtime   *loopRuntime
	amqp      *amqpdoor.Door
	http      *httpdoor.Door
	clocks    *clockdoor.Door
	links     []*link
	embedded  *embedded // nil unless a connection in use is "embedded"
	listeners []*loop.Listener
	clientCA  *certificate.Store // the file of client.tls_ca; nil = none
	secure    *tlsDoor           // the listeners of http.tls; nil = there are none
	tracing   *tracing.Tracing   // nil = nothing is traced
	draining  bool
	shut      time.Time // when the draining server stopped listening
	hurried   bool      // a second signal has ended the drain
	stopBy    time.Time // the end of the drain
	stops     stops
	outboxes  outboxes
	err       error // the result of run

	collecting bool // collectLater was called
}

func newApplication(plan *config.Plan, registry *publisher.Registry, to logs, last *lastWords) (*application, error) {
	log := to.own
	s := plan.Settings
	a := &application{plan: plan, log: log, last: last}
	proxies, base, err := believed(s)
	if err != nil {
		return nil, err
	}
	client, clientCA, err := clientOptions(&s.Client)
	if err != nil {
		return nil, err
	}
	a.clientCA = clientCA
	if err := a.trace(); err != nil {
		return nil, err
	}
	if err := a.serveDocuments(registry); err != nil {
		return nil, err
	}
	a.server, err = publisher.NewServer(registry, plan.Producers, plan.Consumers, publisher.Options{
		ConflictRetries: s.Server.ConflictRetries, CallsMax: s.Server.CallsMax, UnpackMax: int64(s.Server.UnpackMax), Log: log, CallLog: &to.calls, Site: s.Site.ID,
		NoTimes: !s.Metrics.CallTimes,
		Pools:   poolSizes(s), Client: client, LargeDropped: a.collectLater, BaseURL: base, Proxies: proxies, Sockets: socketLimits(s),
		FilesOpen:        min(max(loop.DescriptorLimit()/16, 8), publisher.FilesOpenMax),
		Topics:           topics(s),
		RequestID:        s.Server.RequestID,
		AccessLog:        publisher.AccessLog{Enabled: s.AccessLog.Enabled, Sample: s.AccessLog.Sample},
		ConsumingServers: plan.ConsumingServers,
		Tracer:           a.tracer(),
	})
	if err != nil {
		return nil, err
	}
	if a.tracing != nil {
		a.server.AddMeter(a.tracing)
	}
	clocks := make(map[string]publisher.Clock, len(s.Clocks))
	for name, c := range s.Clocks {
		clocks[name] = *c
	}
	if a.clocks, err = clockdoor.New(a.server, clocks, log); err != nil {
		return nil, err
	}
	a.loop, err = loop.New(loop.Options{
		HighWater: int(s.Loop.HighWater), InputMax: inputMax(s), OffloadWorkers: a.server.Workers() + ownWorkers,
		SpareProcessor: s.Loop.SpareProcessor, StallWarning: s.Loop.StallWarning, OnStall: stallLogger(log), OnPanic: panicLogger(log),
		StallLimit: s.Loop.StallLimit, OnLimit: last.stalled(s.Loop.StallLimit),
		Tasks: a.server.RunReady,
	})
	if err != nil {
		return nil, fmt.Errorf("loop: %w", err)
	}
	a.runtime = &loopRuntime{a.loop}
	a.server.AddMeter(a.runtime)
	a.amqp = amqpdoor.New(a.server, a.runtime, log)
	a.http = httpdoor.New(a.server, httpConfig(&s.HTTP), httpdoor.Limits{Connections: s.HTTP.ConnectionsMax, Bodies: int64(s.HTTP.BodiesMax)})
	a.http.RedirectTo(s.HTTP.TLS.PublicPort())
	return a, nil
}

// serveDocuments adds the routes of the documents of the interface, if that is configured.
func (a *application) serveDocuments(registry *publisher.Registry) error {
	if !a.plan.Settings.HTTP.Documents {
		return nil
	}
	from := document.Source{Registry: registry, Producers: a.plan.Producers, Consumers: a.plan.Consumers, BaseURL: a.plan.Settings.Site.BaseURL}
	if err := document.Serve(from); err != nil {
		return fmt.Errorf("http.documents: %w", err)
	}
	return nil
}

// ownWorkers is the number of workers for the server's own work: passwords, replays of a
// spool.
const ownWorkers = 16

// believed returns what the server knows about its own address: which peers it believes about
// it, and the base URL for calls without a client.
func believed(s *config.Settings) (proxies publisher.Proxies, base *publisher.BaseURL, err error) {
	if s.Site.BaseURL != "" {
		if base, err = publisher.ParseBaseURL(s.Site.BaseURL); err != nil {
			return proxies, nil, fmt.Errorf("site.base_url: %w", err)
		}
	}
	if proxies, err = publisher.ParseProxies(s.HTTP.TrustedProxies, s.HTTP.Forwarded == "forwarded"); err != nil {
		return proxies, nil, fmt.Errorf("http.trusted_proxies: %w", err)
	}
	return proxies, base, nil
}

func topics(s *config.Settings) map[string]publisher.Topic {
	topics := make(map[string]publisher.Topic, len(s.Topics))
	for name, t := range s.Topics {
		topics[name] = *t
	}
	return topics
}

func poolSizes(s *config.Settings) map[string]publisher.PoolSize {
	sizes := make(map[string]publisher.PoolSize, len(s.Pools))
	for name, p := range s.Pools {
		sizes[name] = publisher.PoolSize{Workers: p.Workers, Queue: p.Queue}
	}
	return sizes
}

func httpConfig(h *config.HTTP) http1.Config {
	cfg := http1.Config{
		TargetMax: int(h.TargetMax), HeadMax: int(h.HeadMax), FieldsMax: h.FieldsMax, BodyMax: int64(h.BodyMax),
		IdleTimeout: h.IdleTimeout, HeadTimeout: h.HeadTimeout, BodyRateMin: int64(h.BodyRateMin), ServerName: h.ServerName,
		StrictTransport: h.TLS.HSTS,
	}
	if h.BodyRateMin == 0 {
		cfg.BodyRateMin = -1
	}
	if cfg.AnswerRateMin = int64(h.AnswerRateMin); cfg.AnswerRateMin == 0 {
		cfg.AnswerRateMin = -1
	}
	return cfg
}

// socketLimits are those of WebSockets. How fast a client must be is said for all of HTTP.
func socketLimits(s *config.Settings) publisher.SocketLimits {
	w, h := &s.WebSocket, &s.HTTP
	limits := publisher.SocketLimits{
		MessageMax: w.MessageMax, FrameMax: w.FrameMax, OutputMax: w.OutputMax,
		PingInterval: w.PingInterval, PongTimeout: w.PongTimeout, Origins: w.Origins, RateMin: int64(h.AnswerRateMin),
	}
	if limits.RateMin == 0 {
		limits.RateMin = -1
	}
	return limits
}

// run turns the loop until the drain is over.
func (a *application) run(ctx context.Context) error {
	defer setProcessors(a.plan.Settings.Loop.Processors)()
	serving, end := untilSignal(ctx)
	defer end()
	if err := a.server.RunOnStart(serving); err != nil {
		return a.abandon(serving, end, err)
	}
	if err := a.openDatabases(serving); err != nil {
		return a.abandon(serving, end, err)
	}
	stop := a.plan.Settings.Server
	unwatch := watch(ctx, a.loop, watching{drain: a.drain, hurry: a.hurry, unresponsive: a.last.unresponsive(a.loop), within: stop.DrainDelay + stop.DrainTimeout})
	if serving.Err() != nil { // it ended before anybody watched it
		unwatch()
		return a.abandon(serving, end, context.Cause(serving))
	}
	a.loop.OnStart(a.start)
	err := a.loop.Run()
	unwatch()
	end()
	if err != nil {
		a.fail(fmt.Errorf("loop: %w", err))
	}
	bound := stop.DrainTimeout
	if a.draining { // the drain used up all its time
		bound = cutGrace
	}
	a.stopLate(bound)
	a.endTracing()
	return a.err
}

// hurry ends the drain at once.
func (a *application) hurry(why string) {
	a.fail(fmt.Errorf("a second %s ended the drain: %d calls were cut off", why, a.server.Live()))
	a.hurried = true
	a.cutStops(fmt.Errorf("a second %s ended the drain", why))
	a.loop.Stop()
}

// spareProcessors is how many more processors Go's scheduler has than the machine. An idle
// one costs next to nothing. Goroutines that compute on the others share the machine with
// the loop by the kernel's rules, which know priorities and act within milliseconds. If
// all of Go's processors were taken, the loop would wait up to 10 ms for each goroutine in
// line. With more of them, the garbage collector would take more of the machine at once.
const spareProcessors = 4

// setProcessors sets the number of processors of Go's scheduler, and returns a function that
// undoes that. It stops all goroutines for a moment, so it is done once.
func setProcessors(n int) (undo func()) {
	if os.Getenv("GOMAXPROCS") != "" {
		return func() {}
	}
	before := runtime.GOMAXPROCS(0)
	if n == 0 {
		runtime.SetDefaultGOMAXPROCS() // as many as the machine has, or as the cgroup allows
		n = runtime.GOMAXPROCS(0) + spareProcessors
	}
	runtime.GOMAXPROCS(n)
	return func() { runtime.GOMAXPROCS(before) }
}

// start opens everything, on the loop's thread.
func (a *application) start() {
	if err := a.open(); err != nil {
		a.fail(err)
		a.loop.Stop()
	}
}

// open opens everything, up to the first error.
func (a *application) open() error {
	a.server.Start(a.runtime)
	a.loop.OnEnd(a.server.End)
	if a.clientCA != nil {
		a.watchClientCA()
	}
	if err := a.embed(); err != nil {
		return err
	}
	a.loop.OnEnd(a.amqp.End)
	if err := a.openSpools(); err != nil {
		return err
	}
	if err := a.openDedupe(); err != nil {
		return err
	}
	for _, address := range a.plan.Settings.HTTP.Listen {
		if err := a.listen(address); err != nil {
			return err
		}
	}
	if err := a.listenTLS(); err != nil {
		return err
	}
	a.warn()
	a.openInHand()
	a.openOutboxes()
	a.openInboxes()
	for _, name := range a.plan.Connections {
		a.connect(name)
	}
	a.outboxes.run()
	a.loop.OnEnd(a.outboxes.end)
	if every := a.plan.Settings.Metrics.QueueInterval; every > 0 {
		a.amqp.WatchQueues(every)
	}
	a.sweep()
	if err := a.elect(); err != nil {
		return err
	}
	a.clocks.Start(func(turn func()) clockdoor.Timer { return a.loop.After(0, turn) })
	return nil
}

func (a *application) fail(err error) {
	if a.err == nil {
		a.err = err
	}
}

// warn logs what of the plan is probably not meant.
func (a *application) warn() {
	for _, text := range a.plan.Warnings {
		a.log.Warn().Msg(text)
	}
	if names := a.plan.Unserved; len(names) > 0 {
		a.log.Warn().Strs("consumers", names).Msg("consumers are not run: no consuming server has them; add them to consuming_server.NAME.consumers, or disable them")
	}
}

// listen opens one HTTP listener: "host:port" or "unix:/path".
func (a *application) listen(address string) error {
	network, at := "tcp", address
	if path, ok := strings.CutPrefix(address, "unix:"); ok {
		network, at = "unix", path
	}
	accept := a.http.Accept
	if a.plan.Settings.HTTP.TLS.Redirect && network == "tcp" {
		accept = a.http.AcceptRedirected
	}
	ln, err := a.loop.Listen(network, at, func(c *loop.Conn) loop.Peer {
		if x := accept(c); x != nil {
			return x
		}
		return nil // the interface must be nil, not hold a nil pointer
	})
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return addressTaken("http.listen", address, " by another program", a.opened()...)
	case err != nil:
		return fmt.Errorf("http.listen = %q: %w", address, err)
	}
	a.listeners = append(a.listeners, ln)
	a.log.Info().Str("address", listenText(ln.Addr())).Msg("serving http")
	return nil
}

// opened returns the listeners that were opened before this one of http.listen.
func (a *application) opened() (own []listening) {
	s := a.plan.Settings
	if a.embedded != nil {
		own = append(own, listening{"broker.listen", s.Broker.Listen})
	}
	return append(own, listening{"http.listen", s.HTTP.Listen[:len(a.listeners)]})
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

// errCut is the error of a drain that ended before all calls had ended.
var errCut = errors.New("the drain was cut short by server.drain_timeout")
