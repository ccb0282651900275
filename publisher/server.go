package publisher

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
	"zamqp/loop/coro"
	"zamqp/publisher/websocket"
)

// Options are the settings of a server.
type Options struct {
	ConflictRetries int                 // how often a call is run again after a conflict
	CallsMax        int                 // live HTTP calls; above it, the answer is 503. 0 means no limit
	UnpackMax       int64               // octets of an unpacked body; 0 is 64 MiB
	LargeDropped    func()              // called when the call of a large body is over and its memory can be collected
	Pools           map[string]PoolSize // a size that is not 0 replaces the registered one
	Topics          map[string]Topic    // replace those registered
	FilesOpen       int                 // files that stay open while they are sent; 0 is FilesOpenMax
	Client          ClientOptions       // options of [Request.Client]
	Sockets         SocketLimits        // of WebSockets; zero is [SocketDefaults]
	Site            string              // replaces [SiteVariable] in names
	BaseURL         *BaseURL            // for URLs in calls without a client; may be nil
	// ConsumingServers run the consumers, each its own instances; without any, each
	// consumer runs once, for Site and BaseURL.
	ConsumingServers map[string]ConsumingServer
	AccessLog        AccessLog
	RequestID        string  // what is done with the ids of requests, such as [RequestIDAccept]
	Proxies          Proxies // peers whose forwarding fields are believed
	NoTimes          bool    // do not measure how long calls take
	Tracer           Tracer  // makes the spans of calls; nil traces nothing
	Log              zerolog.Logger
	CallLog          *zerolog.Logger // of [Request.Log]; nil = Log
}

// A Server runs the calls of a registry on one loop. Call its methods
// on the loop's thread, unless a method says otherwise.
type Server struct {
	options       Options
	log           zerolog.Logger
	runtime       Runtime
	tasks         *coro.Pool
	router        *router
	routes        []*Route
	chain         *chain // nil without middleware
	producers     map[string]*producing
	consumers     map[string]*consuming
	clocks        map[string]Handler
	pages         map[int]ErrorPage    // by status; nil without any
	unrouted      *Route               // of requests without a route whose answer is a page
	slots         map[*inFlight]*slots // made when they are first used
	main          *serving             // of calls without a consuming server
	servings      map[string]*serving  // the consuming servers; empty without any
	reporters     []Reporter
	meters        []Meter
	queues        map[string]Queues // by connection
	pausers       map[string]Pauser // by consumer
	pools         map[string]*pool
	bodies        *pool // decodes and encodes large bodies
	files         sentFiles
	wrongPorts    wrongPorts
	outgoing      *outgoing
	free          []*Request
	live          []*Request
	watching      int // how many of live are on routes that watch the server
	drained       func()
	draining      bool
	messageOctets int64 // octets in the bodies of messages
	streams       int   // answers that are being streamed
	sockets       *websocket.Server
	// socketSettings never changes.
	socketSettings map[*socketRoute]*socketSettings

	started      bool // see Snapshot.Started
	openSockets  int  // WebSockets whose calls are live
	databases    []*database
	boxes        bool   // publishes may become rows of an outbox
	tracer       Tracer // nil traces nothing
	registry     *Registry
	hooks        hooks
	detached     detaching
	ended        chan struct{} // closed when the loop has ended
	workers      workers       // run mounted handlers
	outside      int           // see [Server.Outside]
	packer       packer
	scratch      []byte // for Fingerprint and the access log
	accesses     uint64 // calls that the access log has seen
	ids          bool   // calls have request ids
	foreign      foreignUses
	hijacked     []*hijacked // connections that handlers have taken over
	unhijacked   func()      // called when none of them is left
	sweeping     bool        // CancelOlder has not come to its end
	contentType  string      // the last valid content type: handlers pass the same constants again and again
	stats        Stats
	noBase       atomic.Bool // warned: site.base_url is missing
	badForwarded atomic.Bool // warned: a malformed field of a trusted proxy
	realtime
	measured
}

// producing is a producer as the server uses it.
type producing struct {
	Producer
	name        string
	codec       Codec
	contentType string
	mode        uint8
	mandatory   bool
	expiration  string // in milliseconds
	sender      Sender
}

// NewServer checks the registry together with the settings, and makes a server for it.
// producers and consumers replace those registered under the same names. With consuming
// servers, consumers has all instances, by [InstanceName], and producers may have some of
// their own. The error lists all mistakes.
func NewServer(g *Registry, producers map[string]Producer, consumers map[string]Consumer, options Options) (*Server, error) {
	routes, wrong := g.wrapRoutes()
	s := &Server{
		options: options, log: options.Log, tracer: options.Tracer,
		routes: routes, router: newRouter(routes),
		producers: map[string]*producing{}, consumers: map[string]*consuming{},
		queues: map[string]Queues{}, pausers: map[string]Pauser{},
		registry: g, hooks: hooks{starts: slices.Clone(g.starts), stops: slices.Clone(g.stops)},
		measured: newMeasured(g),
		detached: detaching{serving: make(chan struct{})}, ended: make(chan struct{}),
	}
	s.makePages(g)
	s.ids = options.RequestID != "" && options.RequestID != RequestIDOff
	s.makePools(g.Pools(), options.Pools)
	if s.files.openMax = options.FilesOpen; s.files.openMax <= 0 {
		s.files.openMax = FilesOpenMax
	}
	s.makeSockets(options.Sockets)
	s.outgoing = newOutgoing(options.Client)
	s.makeTopics(g.Topics(), options.Topics)
	chain, err := s.newChain(g, routes)
	s.chain = chain
	return s, errors.Join(s.makeServings(g), s.makeProducers(g, producers), s.makeConsumers(g, consumers), s.makeClocks(g), wrong, err)
}

func newProducing(name string, p Producer) (*producing, error) {
	if p.RoutingKey == "" {
		p.RoutingKey = p.Queue
	}
	if p.Connection == "" {
		p.Connection = DefaultConnection
	}
	codec := p.Codec
	if codec == "" {
		codec = "json"
	}
	c, err := codecFor([]byte(codec))
	if err != nil {
		return nil, err
	}
	made := &producing{Producer: p, name: name, codec: c, contentType: c.ContentType(), mode: 2, mandatory: p.IsMandatory()}
	if p.Transient {
		made.mode = 1
	}
	if p.Expiration > 0 {
		made.expiration = strconv.FormatInt(max(1, p.Expiration.Milliseconds()), 10)
	}
	return made, nil
}

// DefaultConnection is the connection of producers and consumers that do not name one.
const DefaultConnection = "default"

// Start binds the server to its loop. Call it inside the loop's Run: a task that
// is made before the thread is locked cannot be resumed afterwards.
func (s *Server) Start(rt Runtime) {
	s.runtime = rt
	for _, p := range s.eachPool() {
		p.runtime = rt
	}
	s.tasks = coro.NewPool(tasksIdleMax, func(_ coro.Runner, p *coro.PanicError) {
		s.log.Error().Interface("panic", p.Value).Bytes("stack", p.Stack).Msg("a call ended outside its handler: please report this")
	})
	s.serve()
}

// Close ends the server's coroutines if no call is live. Call it on the loop's
// thread. It is for programs that outlive their server, such as tests: without it,
// the memory that the coroutines refer to is never freed.
func (s *Server) Close() {
	if len(s.live) == 0 {
		s.tasks.Close()
		s.workers.close()
	}
}

// Outside counts the mounted handlers, on goroutines of their own, that are not
// waiting for the loop: they may still ask for something. It is for programs that
// turn a loop of their own, such as tests. Loop thread only.
func (s *Server) Outside() int { return s.outside }

// End tells the server that the loop has ended, or will not run. It ends the waits of
// mounted handlers and of other goroutines that publish, because nothing would answer
// them. Loop thread only.
func (s *Server) End() {
	s.cancelCalls(ErrShutdown).whole()
	s.cancelHijacked(ErrShutdown).whole()
	s.CloseHijacked()
	s.detach()
	s.workers.close()
	s.outgoing.transport.Load().CloseIdleConnections()
	close(s.ended)
}

const tasksIdleMax = 1024

// RunReady resumes calls whose waits have ended, in the order in which they have ended, but no
// more than fit into a turn. It is the loop's task phase. more reports that more calls are ready.
func (s *Server) RunReady() (more bool) { return s.tasks != nil && s.tasks.RunReady() }

// Producers returns the registered producers with their overrides, for doors.
func (s *Server) Producers() map[string]Producer {
	out := make(map[string]Producer, len(s.producers))
	for name, p := range s.producers {
		out[name] = p.Producer
	}
	return out
}

// Consumers returns the registered consumers with their overrides, for doors.
func (s *Server) Consumers() map[string]Consumer {
	out := make(map[string]Consumer, len(s.consumers))
	for name, c := range s.consumers {
		out[name] = c.Consumer
	}
	return out
}

// Consumes reports whether the consumer has a handler for its messages. Without
// one, its queue is only declared.
func (s *Server) Consumes(name string) bool {
	c := s.consumers[name]
	return c != nil && len(c.handlers) > 0 && !c.DeclareOnly
}

// Bind gives a producer the sender that reaches its broker. A door calls it.
func (s *Server) Bind(producer string, sender Sender) {
	s.producers[producer].sender = sender
}

func noProducer(name string) error {
	return fmt.Errorf("no such producer: register it by publisher.Produce(%q, …)", name)
}

func (s *Server) producer(name string) (*producing, error) {
	p := s.producers[name]
	if p == nil {
		return nil, noProducer(name)
	}
	return p.ready()
}

// ready returns the producer, or why it cannot publish.
func (p *producing) ready() (*producing, error) {
	if p.sender == nil {
		return nil, fmt.Errorf("%w: its connection %q is not set up", ErrUnavailable, p.Connection)
	}
	return p, nil
}

// NewCall returns a call for a door to fill and dispatch.
func (s *Server) NewCall() *Call {
	if n := len(s.free); n > 0 {
		r := s.free[n-1]
		s.free = s.free[:n-1]
		return r.forDoor()
	}
	return &Call{server: s, source: unanswered{}}
}

// Discard takes back a call that will not be dispatched.
func (s *Server) Discard(c *Call) { s.recycle(c.Request()) }

// Dispatch runs the call. It returns when the call is over or waits. At the end of
// the call it calls d.Done, perhaps before Dispatch returns.
func (s *Server) Dispatch(c *Call, d Door) {
	r := c.Request()
	if r.large.Busy() { // the door does not wait for EndBody
		r.body = r.large.Take()
	}
	r.door, r.live, r.slot, r.started = d, true, len(s.live), s.runtime.Now()
	s.live = append(s.live, r)
	if s.options.AccessLog.Enabled {
		r.began = time.Now() // the loop's time would make most calls take none
	}
	goesOn := r.source.begin(r)
	if s.tracer != nil {
		s.beginSpan(r)
	}
	if !goesOn {
		s.finish(r)
		return
	}
	s.tasks.Start(c)
}

// finish tells its door that the call is over, and keeps the request for another call.
func (s *Server) finish(r *Request) {
	last := len(s.live) - 1
	s.live[r.slot] = s.live[last]
	s.live[r.slot].slot = r.slot
	s.live[last] = nil
	s.live = s.live[:last]
	if r.watches {
		s.watching--
	}
	if r.source.hasClient() {
		s.answers.count(r.response.Status)
	}
	if r.cancelCtx != nil {
		r.cancelCtx(ErrOver)
	}
	if r.incoming != nil {
		r.incoming.close()
	}
	if r.span != nil {
		r.span.End(r.forDoor())
	}
	r.answerID()
	if s.options.AccessLog.Enabled {
		s.logAccess(r)
	}
	r.door.Done(r.forDoor())
	r.span = nil
	s.recycle(r)
	if s.draining && len(s.live) == 0 && s.drained != nil {
		done := s.drained
		s.drained = nil
		done()
	}
}

// keepMax is the size of the largest buffer that a request keeps for the next call.
const keepMax = 64 << 10

func (s *Server) recycle(r *Request) {
	r.owner.Store(0)
	r.live, r.watches, r.label, r.route, r.consumer, r.handler, r.door = false, false, nil, nil, nil, nil, nil
	r.main, r.running, r.children, r.limited, r.inner, r.came, r.socket = strand{}, nil, nil, false, nil, nil, nil
	r.ctx, r.cancelCtx, r.cancelled, r.told, r.remote = nil, nil, nil, false, nil
	if r.outcome, r.path = (Outcome{}), nil; r.delivered {
		r.message = Message{}
	}
	if r.bridge = nil; r.lent {
		r.lent, r.arena, r.body = false, nil, nil
	}
	r.tx.reset()
	r.response.reset()
	if cap(r.body) > amqpproto.LargeBody && s.options.LargeDropped != nil {
		s.options.LargeDropped()
	}
	r.count(0)
	r.large, r.expected = amqpproto.Collector{}, 0
	r.incoming, r.reader, r.trailers = nil, nil, nil
	r.body, r.unpacked = keepSmall(r.body), nil
	r.arena = keepSmall(r.arena)
	r.tx.arena = keepSmall(r.tx.arena)
	r.tx.table = keepSmall(r.tx.table)
	r.response.Body = keepSmall(r.response.Body)
	if poison {
		r.poison()
		return
	}
	if len(s.free) < freeMax {
		s.free = append(s.free, r)
	}
}

const freeMax = 4096

func keepSmall(b []byte) []byte {
	if cap(b) > keepMax {
		return nil
	}
	return b[:0]
}

// BeginDrain makes the server unready, and tells that to the streams and to the handlers that
// have taken over their connections, over as many turns of the loop as it takes. Calls still
// run.
func (s *Server) BeginDrain() {
	s.draining = true
	s.eachCall(func(r *Request) bool {
		if !r.response.begun || r.cancelled != nil {
			return false
		}
		r.cancel(ErrDraining)
		return true
	}).run()
	s.cancelHijacked(ErrDraining).run()
}

// Drain calls done when no call is live. New calls still run, because the doors
// stop first.
func (s *Server) Drain(done func()) {
	s.draining = true
	if len(s.live) == 0 {
		done()
		return
	}
	s.drained = done
}

// CancelAll ends the waits of every live call. It cancels the contexts of handlers
// that have taken over their connections. With very many of them this takes several turns of
// the loop, and may also end calls that begin meanwhile.
func (s *Server) CancelAll(cause error) {
	s.cancelCalls(cause).run()
	s.cancelHijacked(cause).run()
}

// cancelCalls is a walk that ends the waits of the live calls.
func (s *Server) cancelCalls(cause error) *walk[*Request] {
	return s.eachCall(func(r *Request) bool {
		r.cancel(cause)
		return true
	})
}

// CancelOlder ends the waits of the calls that began before then, and have got nothing of a body
// that streams since then. It leaves out answers that stream, and calls with a time limit of their
// own. With very many calls this takes several turns of the loop. Meanwhile CancelOlder does
// nothing: call it from time to time.
func (s *Server) CancelOlder(then time.Time, cause error) {
	if s.sweeping {
		return
	}
	s.sweeping = true
	w := s.eachCall(func(r *Request) bool {
		if !r.started.Before(then) || r.response.begun || r.limited || r.incoming != nil && !r.incoming.read.Before(then) {
			return false
		}
		r.cancel(cause)
		return true
	})
	w.over = func() { s.sweeping = false }
	w.run()
}

// Now is the time of the loop's turn.
func (s *Server) Now() time.Time { return s.runtime.Now() }

// InNextTurn runs fn in the next turn of the loop. Doors continue with it what is too much for one
// turn.
func (s *Server) InNextTurn(fn func()) { s.runtime.After(0, fn) }

// Draining reports whether the drain has begun. From then on, nothing should begin new calls
// by itself.
func (s *Server) Draining() bool { return s.draining }

// Live is the number of calls that run or wait.
func (s *Server) Live() int { return len(s.live) }
