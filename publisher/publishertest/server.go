// Package publishertest runs handlers in a test, without sockets and without a broker. The
// test makes calls and sees what they answered and published, and how their messages were
// settled. Time moves only when handlers sleep and by [Server.Advance], which makes clocks
// tick. Every publish is confirmed unless the test says otherwise. The base URL is
// http://localhost, for messages and for requests.
//
//	s := publishertest.New(t, publisher.Default)
//	if got := s.Request("GET", "/hello", "", ""); got.Status != 200 { … }
//	got := s.Deliver("billing", publisher.Publishing{ContentType: "application/json", Body: …})
//	if got.Settlement != publisher.SettleAck { … }
//	for _, p := range s.Published() { … }
//
// It shows what a handler does, not whether a broker accepts it. Tests of unroutable publishes
// and bad declarations need a real broker, as in tests/e2e.
package publishertest

import (
	"fmt"
	"net/http"
	"net/textproto"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
	"zamqp/publisher"
	"zamqp/publisher/clockdoor"
)

// A Server runs the handlers of a registry on the test's goroutine.
type Server struct {
	t         testing.TB
	registry  *publisher.Registry
	server    *publisher.Server
	clocks    *clockdoor.Door
	elections map[string]*election // of the clocks with a leader
	now       time.Time
	timers    []*timer
	todo      []func()    // ends of offloaded work, confirms
	posted    chan func() // by other goroutines
	published []Published
	confirm   error
	answer    func(Published) (*publisher.Answer, error)
	queues    map[string][]publisher.Publishing
	feeds     []*feed
}

// A Published is one publish that was sent.
type Published struct {
	Exchange, RoutingKey string
	Mandatory            bool
	publisher.Publishing // properties and body
}

// A Response is the answer to an HTTP request.
type Response struct {
	Status      int
	ContentType string
	Header      http.Header // without the fields that the connection adds
	Body        string
	Err         error // why the call failed, or nil
}

// A Result says how a message was settled.
type Result struct {
	publisher.Outcome
	Reply *Published // nil if none was sent
}

type timer struct {
	s     *Server
	at    time.Time
	fn    func()
	done  bool
	apart bool // no call waits for it: a tick of a clock, a heartbeat
}

// New returns a server for the handlers of a registry. It runs their OnStart
// functions, which fail the test if one fails, and at the end of the test their
// OnStop functions, whose errors are in the test's log.
func New(t testing.TB, registry *publisher.Registry, options ...Option) *Server {
	t.Helper()
	s := &Server{t: t, registry: registry, now: time.Now(), posted: make(chan func(), postedMax), queues: map[string][]publisher.Publishing{}}
	log := zerolog.New(zerolog.NewTestWriter(t))
	o := publisher.Options{ConflictRetries: 3, Log: log, Site: publisher.SiteVariable, BaseURL: &publisher.BaseURL{Scheme: "http", Host: "localhost"}}
	for _, option := range options {
		option(&o)
	}
	producers, consumers := instances(registry, &o)
	server, err := publisher.NewServer(registry, producers, consumers, o)
	if err != nil {
		t.Fatal(err)
	}
	s.server = server
	ctx := s.untilEnd()
	if err := server.RunOnStart(ctx); err != nil {
		t.Fatal(err)
	}
	if err := server.OpenDatabases(ctx, func(string) bool { return false }); err != nil {
		t.Fatal(err)
	}
	server.Start(runtime{s})
	for name := range server.Producers() {
		server.Bind(name, sender{s, false})
	}
	for name := range server.Consumers() {
		server.BindConsumer(name, &pauser{})
	}
	server.BindQueues(publisher.DefaultConnection, queues{s})
	if s.clocks, err = clockdoor.New(server, registry.Clocks(), log); err != nil {
		t.Fatal(err)
	}
	s.elect()
	s.startClocks()
	return s
}

// Confirm makes the broker answer every later publish with err: nil confirms it.
func (s *Server) Confirm(err error) { s.confirm = err }

// Answer sets the function that answers each later [publisher.Request.Call]: fn gets the
// request. Without it, requests are returned as unroutable.
func (s *Server) Answer(fn func(Published) (*publisher.Answer, error)) { s.answer = fn }

// Put adds a message to a queue that handlers use by [publisher.Request.Queue]. A queue exists
// only if something was put into it.
func (s *Server) Put(queue string, p publisher.Publishing) {
	s.queues[queue] = append(s.queues[queue], p)
}

// Published returns what was published since it was called last, without replies.
func (s *Server) Published() []Published {
	out := s.published
	s.published = nil
	return out
}

// Request makes an HTTP request and waits for its answer. fields are further
// header fields, as "Name: value".
func (s *Server) Request(method, target, contentType, body string, fields ...string) Response {
	s.t.Helper()
	if contentType != "" {
		fields = append(fields, "Content-Type: "+contentType)
	}
	w := &waiter{}
	s.run(s.newRequest(method, target, body, fields), w)
	return w.response
}

func (s *Server) newRequest(method, target, body string, fields []string) *publisher.Call {
	s.t.Helper()
	var head []publisher.Field
	for _, line := range fields {
		name, value, ok := strings.Cut(line, ":")
		if !ok {
			s.t.Fatalf("publishertest: %q is no header field: write \"Name: value\"", line)
		}
		head = append(head, publisher.Field{Name: []byte(name), Value: []byte(strings.TrimSpace(value))})
	}
	r := s.server.NewCall()
	r.SetHTTP([]byte(method), []byte(target), []byte("localhost"), head, nil)
	r.AppendBody([]byte(body))
	return r
}

// Deliver gives a message to a consumer and waits for its outcome. The exchange and the
// routing key are those of a message that was published to the queue by the default exchange.
func (s *Server) Deliver(consumer string, p publisher.Publishing) Result {
	s.t.Helper()
	var props amqpproto.Properties
	if err := props.SetPublishing(p); err != nil {
		s.t.Fatal(err)
	}
	raw, err := props.Append(nil)
	if err != nil {
		s.t.Fatal(err)
	}
	declared, known := s.server.Consumers()[consumer]
	if !known {
		s.t.Fatalf("publishertest: there is no consumer %q; with consuming servers, name an instance, such as \"billing@eu\"", consumer)
	}
	queue := declared.Queue
	w := &waiter{}
	r := s.server.NewCall()
	if err := r.SetMessage(&publisher.Message{
		Connection: publisher.DefaultConnection, Consumer: consumer, ConsumerTag: "test", DeliveryTag: 1,
		RoutingKey: []byte(queue), Properties: raw, Body: p.Body, Reply: sender{s, true},
	}); err != nil {
		s.t.Fatal(err)
	}
	before := len(s.published)
	s.run(r, w)
	result := Result{Outcome: w.outcome}
	for i := before; i < len(s.published); i++ {
		if p.ReplyTo != "" && s.published[i].Exchange == "" && s.published[i].RoutingKey == p.ReplyTo {
			reply := s.published[i]
			result.Reply = &reply
			s.published = append(s.published[:i], s.published[i+1:]...)
			break
		}
	}
	return result
}

// run dispatches a call, and then runs what the call waits for, one function after the other.
func (s *Server) run(r *publisher.Call, w *waiter) {
	s.t.Helper()
	s.server.Dispatch(r, w)
	s.turn(func() bool { return w.over })
}

// turn runs one function after the other until over returns true.
func (s *Server) turn(over func() bool) {
	s.t.Helper()
	for !over() {
		s.runReady()
		switch {
		case over(), s.doNext(), s.feed(), s.outside():
		case !s.sleep():
			s.t.Fatal("the call waits for something that nobody will bring: an Await whose done is not called?")
		}
	}
}

// runReady resumes the calls that can go on, until none can.
func (s *Server) runReady() {
	for s.server.RunReady() {
	}
}

// doNext does the first thing that is to be done, if there is any.
func (s *Server) doNext() bool {
	if len(s.todo) == 0 {
		return false
	}
	next := s.todo[0]
	s.todo = s.todo[1:]
	next()
	return true
}

// postedMax is how many functions other goroutines may post before the test runs them.
const postedMax = 1 << 16

// outside runs the posted functions. It waits for one while a mounted handler runs on its own
// goroutine.
func (s *Server) outside() bool {
	if s.server.Outside() == 0 {
		select {
		case fn := <-s.posted:
			fn()
			return true
		default:
			return false
		}
	}
	select {
	case fn := <-s.posted:
		fn()
	case <-time.After(handlerPatience):
		s.t.Fatal("a mounted handler does not return, and waits for nothing that the call has: does it block?")
	}
	return true
}

// handlerPatience bounds how long a test hangs.
const handlerPatience = time.Minute

// sleep moves time to the next timer that a call waits for, or to a tick before it.
func (s *Server) sleep() bool {
	next := s.earliest(false)
	if next == nil {
		return false
	}
	if tick := s.earliest(true); tick.at.Before(next.at) {
		next = tick
	}
	s.fire(next)
	return true
}

// waiter is the door of one call.
type waiter struct {
	over     bool
	outcome  publisher.Outcome
	response Response
	streamed []byte
	length   int64 // announced length of streamed; -1 for none
	begun    bool  // streamed begins
	stalled  bool  // the client reads nothing
	socket   *Socket
}

// Start begins a streamed answer.
func (w *waiter) Start(c *publisher.Call, length int64) {
	w.length, w.begun = length, true
	w.keep(c.Response())
}

// Write takes a piece of a streamed answer. It waits only if the test has stalled the client.
func (w *waiter) Write(_ *publisher.Call, p []byte) (more bool, err error) {
	w.streamed = append(w.streamed, p...)
	return !w.stalled, nil
}

// Written fails a stream that does not have the announced length.
func (w *waiter) Written(*publisher.Call) error {
	if w.length >= 0 && w.length != int64(len(w.streamed)) {
		return fmt.Errorf("%d octets were announced and %d written", w.length, len(w.streamed))
	}
	return nil
}

// Done keeps the outcome of the call.
func (w *waiter) Done(r *publisher.Call) {
	w.over, w.outcome = true, *r.Outcome()
	w.keep(r.Response())
	if w.response.Err = w.outcome.Err; r.Streamed() {
		w.response.Body = string(w.streamed)
	}
}

// keep copies the answer as it is now.
func (w *waiter) keep(p *publisher.Response) {
	w.response = Response{Status: p.Status, ContentType: p.ContentType, Header: headerOf(p.Lines()), Body: string(p.Body)}
}

// headerOf reads ready lines of a header.
func headerOf(lines []byte) http.Header {
	header := http.Header{}
	for line := range strings.SplitSeq(string(lines), "\r\n") {
		if name, value, ok := strings.Cut(line, ": "); ok {
			header.Add(textproto.CanonicalMIMEHeaderKey(name), value)
		}
	}
	return header
}

// A sender stands for a broker that confirms.
type sender struct {
	s     *Server
	reply bool
}

// Send keeps the publish and confirms it a little later, as a broker would.
func (b sender) Send(p *publisher.Publication, done publisher.Confirmer) error {
	published, err := copyOf(p)
	if err != nil {
		return err
	}
	answer := b.s.confirm
	if b.reply {
		answer = nil
	}
	b.s.published = append(b.s.published, published)
	b.s.todo = append(b.s.todo, func() { done.Confirmed(answer) })
	return nil
}

// copyOf decodes a publish.
func copyOf(p *publisher.Publication) (Published, error) {
	var props amqpproto.Properties
	if _, err := props.Decode(p.RawProperties); err != nil {
		return Published{}, err
	}
	publishing, err := props.Publishing()
	if err != nil {
		return Published{}, err
	}
	publishing.Body = append([]byte(nil), p.Body...)
	return Published{strings.Clone(p.Exchange), strings.Clone(p.RoutingKey), p.Mandatory, publishing}, nil
}

// runtime stands for the loop under the publisher.
type runtime struct{ s *Server }

func (r runtime) Now() time.Time                  { return r.s.now }
func (r runtime) Since(t time.Time) time.Duration { return r.Now().Sub(t) }
func (r runtime) Enter(*string)                   {}
func (r runtime) Post(fn func()) bool             { r.s.posted <- fn; return true }

// Turn makes [publisher.Publish] work on the test's own goroutine.
func (r runtime) Turn(over func() bool) { r.s.turn(over) }

func (r runtime) Offload(_ uintptr, fn, done func()) {
	r.s.todo = append(r.s.todo, func() { fn(); done() })
}

func (r runtime) After(d time.Duration, fn func()) func() bool { return r.after(d, fn, false) }

// AfterInBackground is for timers that do not move time by themselves.
func (r runtime) AfterInBackground(d time.Duration, fn func()) func() bool {
	return r.after(d, fn, true)
}

func (r runtime) after(d time.Duration, fn func(), apart bool) func() bool {
	t := &timer{s: r.s, at: r.s.now.Add(d), fn: fn, apart: apart}
	r.s.timers = append(r.s.timers, t)
	return t.Stop
}
