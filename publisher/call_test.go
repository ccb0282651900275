package publisher_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// bench is a server whose surroundings the test controls: time, offloaded work, a broker that
// confirms when told to. Everything runs on the test's goroutine.
type bench struct {
	t       testing.TB
	reg     *publisher.Registry
	server  *publisher.Server
	log     strings.Builder
	now     time.Time
	timers  []*timer
	work    []work
	sent    []sent
	bodies  [][]byte // of what was sent, as they are now
	refuse  error    // what Send returns
	done    []outcome
	discard bool
	posted  chan func()
}

// work is what was given to Offload.
type work struct{ fn, done func() }

type timer struct {
	at      time.Time
	fn      func()
	stopped bool
}

type sent struct {
	exchange, key string
	mandatory     bool
	props         amqp091Publishing
	body          string
	confirm       publisher.Confirmer
}

type amqp091Publishing = publisher.Publishing

type outcome struct {
	publisher.Outcome
	status      int
	contentType string
	body, lines string
}

func newBench(t testing.TB) *bench {
	return &bench{t: t, reg: publisher.NewRegistry(), now: time.Unix(1_000_000, 0), posted: make(chan func(), 1<<16)}
}

func (b *bench) start(options publisher.Options) *bench {
	b.t.Helper()
	options.Log = zerolog.New(&b.log)
	consumers := map[string]publisher.Consumer{} // with consuming servers, each in each of them
	for server := range options.ConsumingServers {
		for name, c := range b.reg.Consumers() {
			consumers[publisher.InstanceName(name, server)] = c
		}
	}
	s, err := publisher.NewServer(b.reg, nil, consumers, options)
	if err != nil {
		b.t.Fatal(err)
	}
	b.server = s
	s.Start(b)
	for name := range b.reg.Producers() {
		s.Bind(name, b)
	}
	return b
}

func (b *bench) Now() time.Time                  { return b.now }
func (b *bench) Since(t time.Time) time.Duration { return b.now.Sub(t) }
func (b *bench) Post(fn func()) bool             { b.posted <- fn; return true }
func (b *bench) Enter(*string)                   {}
func (b *bench) Offload(_ uintptr, f, d func())  { b.work = append(b.work, work{f, d}) }
func (b *bench) Done(r *publisher.Call) {
	if b.discard {
		return
	}
	p := r.Response()
	b.done = append(b.done, outcome{*r.Outcome(), p.Status, p.ContentType, string(p.Body), string(p.Lines())})
}

func (b *bench) After(d time.Duration, fn func()) func() bool {
	t := &timer{at: b.now.Add(d), fn: fn}
	b.timers = append(b.timers, t)
	return func() bool { was := !t.stopped; t.stopped = true; return was }
}

func (b *bench) Send(p *publisher.Publication, done publisher.Confirmer) error {
	if b.refuse != nil {
		return b.refuse
	}
	var props amqpproto.Properties
	if _, err := props.Decode(p.RawProperties); err != nil {
		b.t.Errorf("properties: %v", err)
	}
	publishing, err := props.Publishing()
	if err != nil {
		b.t.Errorf("properties: %v", err)
	}
	b.bodies = append(b.bodies, p.Body)
	b.sent = append(b.sent, sent{p.Exchange, p.RoutingKey, p.Mandatory, publishing, string(p.Body), done})
	return nil
}

// advance moves time and runs what is due.
func (b *bench) advance(d time.Duration) {
	b.now = b.now.Add(d)
	for _, t := range b.timers {
		if !t.stopped && !t.at.After(b.now) {
			t.stopped = true
			t.fn()
		}
	}
	b.ready()
}

func (b *bench) ready() {
	for more := true; more; {
		for more = true; more; {
			select {
			case fn := <-b.posted:
				fn()
			default:
				more = false
			}
		}
		more = b.server.RunReady() || len(b.posted) > 0
	}
}

// until turns the loop until ok, while mounted handlers run.
func (b *bench) until(what string, ok func() bool) {
	b.t.Helper()
	limit := time.After(time.Minute)
	for b.ready(); !ok(); b.ready() {
		select {
		case fn := <-b.posted:
			fn()
		case <-limit:
			b.t.Fatalf("not within a minute: %s\n%s", what, b.log.String())
		}
	}
}

// over turns the loop until n calls are over.
func (b *bench) over(n int) outcome {
	b.t.Helper()
	b.until("the calls are over", func() bool { return len(b.done) >= n })
	return b.last()
}

// confirm ends the n-th publish.
func (b *bench) confirm(n int, err error) {
	b.sent[n].confirm.Confirmed(err)
	b.ready()
}

// offloaded runs the work given to Offload.
func (b *bench) offloaded() {
	todo := b.work
	b.work = nil
	for _, w := range todo {
		w.fn()
		w.done()
	}
	b.ready()
}

func (b *bench) request(method, target, contentType, body string) *publisher.Call {
	r := b.server.NewCall()
	var fields []publisher.Field
	if contentType != "" {
		fields = append(fields, publisher.Field{Name: []byte("Content-Type"), Value: []byte(contentType)})
	}
	r.SetHTTP([]byte(method), []byte(target), []byte("localhost"), fields, nil)
	r.AppendBody([]byte(body))
	b.server.Dispatch(r, b)
	return r
}

func (b *bench) message(consumer string, attempt int, props publisher.Publishing) *publisher.Call {
	var p amqpproto.Properties
	if err := p.SetPublishing(props); err != nil {
		b.t.Fatal(err)
	}
	raw, err := p.Append(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	r := b.server.NewCall()
	if err := r.SetMessage(&publisher.Message{
		Connection: "default", Consumer: consumer, DeliveryTag: 7, History: publisher.History{Untold: attempt - 1},
		Exchange: []byte("orders"), RoutingKey: []byte("order.created"), Properties: raw, Body: props.Body, Reply: b,
	}); err != nil {
		b.t.Fatal(err)
	}
	b.server.Dispatch(r, b)
	return r
}

func (b *bench) last() outcome {
	b.t.Helper()
	if len(b.done) == 0 {
		b.t.Fatalf("the call is not over\n%s", b.log.String())
	}
	return b.done[len(b.done)-1]
}

func (b *bench) pending() {
	b.t.Helper()
	if len(b.done) != 0 {
		b.t.Fatalf("the call is over too early: %+v", b.done)
	}
}

func TestAnswerLeavesAfterTheConfirm(t *testing.T) {
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{Exchange: "x", RoutingKey: "k"})
	b.reg.Handle("POST /", func(r *publisher.Request) error {
		var v map[string]int
		if err := r.Decode(&v); err != nil {
			return err
		}
		v["n"]++
		_ = r.Publish("out", v, publisher.MessageID("m"), publisher.Header("h", int32(5)))
		v["n"] = 100 // encoded already
		_ = r.Publish("out", "second", publisher.Key("other"), publisher.ContentType("text/plain"), publisher.Mandatory(true))
		return r.Reply(202, map[string]bool{"ok": true})
	})
	b.start(publisher.Options{})
	b.request("POST", "/", "application/json", `{"n":1}`)
	b.pending()
	if len(b.sent) != 2 {
		t.Fatalf("%d publishes have left", len(b.sent))
	}
	first, second := b.sent[0], b.sent[1]
	if first.exchange != "x" || first.key != "k" || first.body != `{"n":2}` || first.mandatory ||
		first.props.ContentType != "application/json" || first.props.MessageId != "m" ||
		first.props.DeliveryMode != 2 || first.props.Headers["h"] != int32(5) {
		t.Errorf("first: %+v", first)
	}
	if second.key != "other" || second.body != "second" || !second.mandatory || second.props.ContentType != "text/plain" {
		t.Errorf("second: %+v", second)
	}
	b.confirm(1, nil)
	b.pending()
	b.confirm(0, nil)
	if o := b.last(); o.Err != nil || o.status != 202 || o.body != `{"ok":true}` || o.contentType != "application/json" {
		t.Errorf("%+v", o)
	}
}

// The client gets no names and addresses, but the log does.
func TestFailuresOfACommitAre503AndLogged(t *testing.T) {
	for _, row := range []struct {
		name    string
		confirm error
		send    error
	}{
		{"returned", errors.New("312 NO_ROUTE"), nil},
		{"buffer full", nil, errors.New("too many unconfirmed publishes")},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.reg.Produce("out", publisher.Producer{})
			b.reg.Handle("/", func(r *publisher.Request) error {
				_ = r.Publish("out", 1)
				return r.Reply(200, "done")
			})
			b.start(publisher.Options{})
			b.refuse = row.send
			b.request("GET", "/", "", "")
			if row.send == nil {
				b.confirm(0, row.confirm)
			}
			want := errors.Join(row.confirm, row.send).Error()
			if o := b.last(); o.status != 503 || o.body != "Service Unavailable\n" || !errors.Is(o.Err, publisher.ErrUnavailable) || !strings.Contains(b.log.String(), want) {
				t.Errorf("%+v\n%s", o, b.log.String())
			}
		})
	}
}

func TestErrorsBecomeStatuses(t *testing.T) {
	for _, row := range []struct {
		name string
		err  error
		want int
		text string
	}{
		{"plain", errors.New("secret"), 500, "Internal Server Error\n"},
		{"status", publisher.Errorf(418, "teapot"), 418, "teapot\n"},
		{"no status", publisher.Errorf(600, "x"), 500, "Internal Server Error\n"},
		{"wrapped", fmt.Errorf("x: %w", publisher.Errorf(404, "")), 404, "Not Found\n"},
		{"permanent", publisher.Permanent(errors.New("x")), 500, "Internal Server Error\n"},
		{"conflict", fmt.Errorf("row 5: %w", publisher.ErrConflict), 409, "Conflict\n"},
		{"decode", &publisher.DecodeError{ContentType: "text/csv", Cause: errors.New("x")}, 400, "the body is no valid text/csv: x\n"},
		{"content type", fmt.Errorf("%w %q", publisher.ErrContentType, "a/b"), 415, "no codec for content type \"a/b\"\n"},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.reg.Produce("out", publisher.Producer{})
			b.reg.Handle("/", func(r *publisher.Request) error {
				_ = r.Publish("out", 1)
				_ = r.Reply(200, "forgotten")
				return row.err
			})
			b.start(publisher.Options{})
			b.request("GET", "/", "", "")
			if o := b.last(); o.status != row.want || o.body != row.text || o.Err != row.err {
				t.Errorf("%+v", o)
			}
			if len(b.sent) != 0 {
				t.Errorf("published in an aborted transaction: %v", b.sent)
			}
		})
	}
}

func TestPanicIsTheCallsFailure(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("/", func(*publisher.Request) error { panic("boom") })
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	var p *publisher.PanicError
	if o := b.last(); o.status != 500 || !errors.As(o.Err, &p) || strings.Contains(o.body, "boom") {
		t.Errorf("%+v", o)
	}
	if !strings.Contains(b.log.String(), "call_test.go") {
		t.Errorf("the log has no stack: %s", b.log.String())
	}
	b.request("GET", "/", "", "")
	if len(b.done) != 2 {
		t.Error("the server did not go on")
	}
}

type participant struct {
	name                  string
	log                   *[]string
	failPrepare, failDone error
}

func (p *participant) Prepare(*publisher.Request) error {
	*p.log = append(*p.log, "prepare "+p.name)
	return p.failPrepare
}
func (p *participant) Commit(*publisher.Request) error {
	*p.log = append(*p.log, "commit "+p.name)
	return p.failDone
}
func (p *participant) Abort(*publisher.Request) { *p.log = append(*p.log, "abort "+p.name) }

func TestParticipants(t *testing.T) {
	fail := errors.New("no")
	for _, row := range []struct {
		name    string
		a, b    participant
		handler error
		want    string
		sent    int
	}{
		{"both commit", participant{}, participant{}, nil, "prepare a, prepare b, commit a, commit b", 1},
		{"handler fails", participant{}, participant{}, fail, "abort a, abort b", 0},
		{"second cannot prepare", participant{}, participant{failPrepare: fail}, nil, "prepare a, prepare b, abort a, abort b", 0},
		{"first cannot commit", participant{failDone: fail}, participant{}, nil, "prepare a, prepare b, commit a, abort b", 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			var log []string
			row.a.name, row.b.name, row.a.log, row.b.log = "a", "b", &log, &log
			b := newBench(t)
			b.reg.Produce("out", publisher.Producer{})
			b.reg.Handle("/", func(r *publisher.Request) error {
				_ = r.Publish("out", 1)
				for range 2 {
					_ = r.Join(&row.a)
					_ = r.Join(&row.b)
				}
				return row.handler
			})
			b.start(publisher.Options{})
			b.request("GET", "/", "", "")
			if got := strings.Join(log, ", "); got != row.want || len(b.sent) != row.sent {
				t.Errorf("%s; %d sent", got, len(b.sent))
			}
		})
	}
}

func TestConflictRunsAgainInPlace(t *testing.T) {
	for _, row := range []struct{ conflicts, retries, runs, status int }{
		{2, 3, 3, 200}, {3, 3, 4, 200}, {9, 3, 4, 409}, {1, 0, 1, 409},
	} {
		b := newBench(t)
		runs := 0
		b.reg.Produce("out", publisher.Producer{})
		b.reg.Handle("/", func(r *publisher.Request) error {
			_ = r.Publish("out", runs)
			r.SetHeader("X-Run", fmt.Sprint(runs))
			if runs++; runs <= row.conflicts {
				return fmt.Errorf("row: %w", publisher.ErrConflict)
			}
			return r.Reply(200, nil)
		})
		b.start(publisher.Options{ConflictRetries: row.retries})
		b.request("GET", "/", "", "")
		for i := range b.sent {
			b.confirm(i, nil)
		}
		o := b.last()
		if runs != row.runs || o.status != row.status || len(b.sent) > 1 || strings.Count(o.lines, "X-Run") > 1 {
			t.Errorf("%+v: %d runs, %+v, %d sent", row, runs, o, len(b.sent))
		}
	}
}

func TestMessageOutcomes(t *testing.T) {
	passing := errors.New("may pass")
	for _, row := range []struct {
		name       string
		attempt    int
		err        error
		settlement publisher.Settlement
		delay      time.Duration
	}{
		{"ack", 1, nil, publisher.SettleAck, 0},
		{"first failure", 1, passing, publisher.SettleRetry, time.Second},
		{"third failure", 3, passing, publisher.SettleRetry, 4 * time.Second},
		{"last failure", 5, passing, publisher.SettleDeadLetter, 0},
		{"permanent", 1, publisher.Permanent(passing), publisher.SettleDeadLetter, 0},
		{"bad request", 1, publisher.Errorf(400, "x"), publisher.SettleDeadLetter, 0},
		{"too many requests", 1, publisher.Errorf(429, "x"), publisher.SettleRetry, time.Second},
		{"conflict", 1, publisher.ErrConflict, publisher.SettleRetry, time.Second},
		{"shutdown", 5, publisher.ErrShutdown, publisher.SettleRetry, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.reg.Consume("billing", publisher.Consumer{}, func(*publisher.Request) error { return row.err })
			b.start(publisher.Options{})
			b.message("billing", row.attempt, publisher.Publishing{Body: []byte("x")})
			if o := b.last(); o.Settlement != row.settlement || o.Delay != row.delay || o.Err != row.err {
				t.Errorf("%+v", o.Outcome)
			}
		})
	}
}

func TestReplyIsConfirmedBeforeTheAck(t *testing.T) {
	b := newBench(t)
	b.reg.Consume("hello", publisher.Consumer{}, func(r *publisher.Request) error {
		r.EchoHeaders()
		return r.Bytes(200, string(r.ContentType()), r.Body())
	})
	b.start(publisher.Options{})
	headers := publisher.Table{"a": int16(1), "t": publisher.Table{"x": []byte{1}}, "n": nil}
	b.message("hello", 1, publisher.Publishing{
		ReplyTo: "amq.gen-1", CorrelationId: "c1", ContentType: "x/y", Headers: headers, Body: []byte("ping"),
	})
	b.pending()
	reply := b.sent[0]
	if reply.exchange != "" || reply.key != "amq.gen-1" || reply.mandatory || reply.body != "ping" ||
		reply.props.CorrelationId != "c1" || reply.props.ContentType != "x/y" ||
		fmt.Sprint(reply.props.Headers) != fmt.Sprint(headers) {
		t.Errorf("%+v", reply)
	}
	b.confirm(0, nil)
	if o := b.last(); o.Settlement != publisher.SettleAck {
		t.Errorf("%+v", o)
	}
}

func TestFinalFailureIsToldToWhoWaitsForAReply(t *testing.T) {
	b := newBench(t)
	b.reg.Consume("hello", publisher.Consumer{}, func(r *publisher.Request) error {
		var v int
		return r.Decode(&v)
	})
	b.start(publisher.Options{})
	b.message("hello", 1, publisher.Publishing{ReplyTo: "q", ContentType: "application/json", Body: []byte("{")})
	b.pending()
	if reply := b.sent[0]; reply.props.Headers[publisher.StatusHeader] != int32(400) {
		t.Errorf("%+v", reply)
	}
	b.confirm(0, nil)
	if o := b.last(); o.Settlement != publisher.SettleDeadLetter {
		t.Errorf("%+v", o)
	}
}

func TestErrorHandlerOfTheExchange(t *testing.T) {
	for _, handled := range []bool{true, false} {
		b := newBench(t)
		b.reg.Produce("failures", publisher.Producer{})
		b.reg.Produce("out", publisher.Producer{})
		b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
			_ = r.Publish("out", "partial work")
			return errors.New("failed")
		})
		b.reg.OnError("orders", func(r *publisher.Request, err error) error {
			_ = r.Publish("failures", err.Error())
			if handled {
				return nil
			}
			return publisher.Permanent(err)
		})
		b.start(publisher.Options{})
		b.message("c", 1, publisher.Publishing{})
		if handled {
			if len(b.sent) != 1 || b.sent[0].body != `"failed"` {
				t.Fatalf("sent: %+v", b.sent)
			}
			b.confirm(0, nil)
			if o := b.last(); o.Settlement != publisher.SettleAck || o.Err != nil {
				t.Errorf("%+v", o)
			}
			continue
		}
		if o := b.last(); o.Settlement != publisher.SettleDeadLetter || len(b.sent) != 0 {
			t.Errorf("%+v, %d sent", o, len(b.sent))
		}
	}
}

func TestSubscribersShareATransaction(t *testing.T) {
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{})
	b.reg.Consume("c", publisher.Consumer{Marker: "created"}, nil)
	var failing error
	b.reg.Subscribe("created", func(r *publisher.Request) error { return r.Publish("out", 1) })
	b.reg.Subscribe("created", func(r *publisher.Request) error { return failing })
	b.start(publisher.Options{})
	b.message("c", 1, publisher.Publishing{})
	if len(b.sent) != 1 {
		t.Fatalf("%d sent", len(b.sent))
	}
	b.confirm(0, nil)
	failing = errors.New("x")
	b.message("c", 1, publisher.Publishing{})
	if len(b.sent) != 1 || b.last().Settlement != publisher.SettleRetry {
		t.Errorf("%d sent, %+v", len(b.sent), b.last())
	}
}

func TestWaits(t *testing.T) {
	b := newBench(t)
	var wake func(error)
	var steps []string
	step := func(format string, args ...any) { steps = append(steps, fmt.Sprintf(format, args...)) }
	b.reg.Handle("/", func(r *publisher.Request) error {
		step("sleep %v", r.Sleep(time.Minute))
		step("await %v", r.Await(func(done func(error)) { wake = done }))
		step("offload %v", r.Offload(func() error { return errors.New("sql") }))
		step("offload %v", r.Offload(func() error { panic("in a goroutine") }))
		return nil
	})
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	b.advance(time.Minute)
	wake(errors.New("cause"))
	wake(nil) // too late, and for nobody
	b.ready()
	b.offloaded()
	b.offloaded()
	want := "sleep <nil>, await cause, offload sql, offload the handler panicked: in a goroutine"
	if got := strings.Join(steps, ", "); got != want {
		t.Errorf("%s", got)
	}
	if o := b.last(); o.status != http.StatusNoContent {
		t.Errorf("%+v", o)
	}
}

func TestCancelEndsWaitsButNoCommit(t *testing.T) {
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{})
	b.reg.Handle("/wait", func(r *publisher.Request) error {
		err := r.Sleep(time.Hour)
		if r.Context().Err() == nil {
			t.Error("the context goes on")
		}
		return err
	})
	b.reg.Handle("/commit", func(r *publisher.Request) error { return r.Publish("out", 1) })
	b.start(publisher.Options{})
	r := b.request("GET", "/wait", "", "")
	r.Cancel(publisher.ErrGone)
	b.ready()
	if o := b.last(); o.Err != publisher.ErrGone {
		t.Errorf("%+v", o)
	}
	b.done = nil
	r = b.request("GET", "/commit", "", "")
	r.Cancel(publisher.ErrGone)
	b.ready()
	b.pending()
	b.confirm(0, nil)
	if o := b.last(); o.Err != nil {
		t.Errorf("%+v", o)
	}
	b.advance(2 * time.Hour) // the timer of the cancelled sleep is gone
}

func TestMistakesOfHandlersAreErrors(t *testing.T) {
	for _, row := range []struct {
		name, want string
		h          publisher.Handler
	}{
		{"unknown producer", "no such producer", func(r *publisher.Request) error { _ = r.Publish("none", 1); return nil }},
		{"cannot encode", "unsupported type", func(r *publisher.Request) error { _ = r.Publish("out", func() {}); return nil }},
		{"long key", "255 octets", func(r *publisher.Request) error {
			_ = r.Publish("out", 1, publisher.Key(strings.Repeat("k", 256)))
			return nil
		}},
		{"bad header value", "h", func(r *publisher.Request) error {
			_ = r.Publish("out", 1, publisher.Header("h", struct{}{}))
			return nil
		}},
		{"split answer", "control characters", func(r *publisher.Request) error {
			r.SetHeader("X", "a\r\nSet-Cookie: b")
			return r.Reply(200, nil)
		}},
		{"framing field", "transfer-encoding", func(r *publisher.Request) error {
			r.SetHeader("transfer-encoding", "chunked")
			return nil
		}},
		{"bad status", "status 99: a final status is 200 to 599", func(r *publisher.Request) error { return r.Reply(99, nil) }},
		{"status too high", "status 600: a final status is 200 to 599", func(r *publisher.Request) error { return r.Reply(600, nil) }},
		{"offload inside", "Offload", func(r *publisher.Request) error {
			return r.Offload(func() error { return r.Publish("out", 1) })
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			b := newBench(t)
			b.reg.Produce("out", publisher.Producer{})
			b.reg.Handle("/", row.h)
			b.start(publisher.Options{})
			b.request("GET", "/", "", "")
			b.offloaded()
			o := b.last()
			if o.status != 500 || !strings.Contains(fmt.Sprint(o.Err), row.want) || len(b.sent) != 0 {
				t.Errorf("%+v, %d sent", o, len(b.sent))
			}
		})
	}
}

func TestDrainWaitsForLiveCalls(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("/", func(r *publisher.Request) error { return r.Sleep(time.Second) })
	b.start(publisher.Options{CallsMax: 1})
	b.request("GET", "/", "", "")
	drained := false
	b.server.Drain(func() { drained = true })
	if drained {
		t.Error("drained with a live call")
	}
	b.request("GET", "/", "", "")
	if o := b.last(); o.status != 503 {
		t.Errorf("over CallsMax: %+v", o)
	}
	b.server.CancelOlder(b.now.Add(time.Second), errors.New("too long"))
	b.ready()
	if !drained || b.server.Live() != 0 {
		t.Error("not drained")
	}
}

// TestErrorsThatPanic: the methods of an error run, too; a typed nil is the usual mistake.
// The call ends all the same.
func TestErrorsThatPanic(t *testing.T) {
	b := newBench(t)
	var none *publisher.StatusError
	h := func(*publisher.Request) error { return none }
	b.reg.Handle("/", h)
	b.reg.Consume("c", publisher.Consumer{}, h)
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	var p *publisher.PanicError
	if o := b.last(); o.status != 500 || !errors.As(o.Err, &p) || b.server.Live() != 0 {
		t.Errorf("%+v", o)
	}
	b.message("c", 1, publisher.Publishing{})
	if o := b.last(); len(b.done) != 2 || o.Settlement != publisher.SettleRetry || b.server.Live() != 0 {
		t.Errorf("%+v", o)
	}
}

func TestNobodyTriesAMessageWithoutAcksAgain(t *testing.T) {
	b := newBench(t)
	b.reg.Consume("c", publisher.Consumer{NoAck: true}, func(*publisher.Request) error { return errors.New("may pass") })
	b.start(publisher.Options{})
	b.message("c", 1, publisher.Publishing{ReplyTo: "q"})
	if len(b.sent) != 1 || b.sent[0].props.Headers[publisher.StatusHeader] != int32(500) {
		t.Fatalf("who waits for a reply is not told: %+v", b.sent)
	}
	b.confirm(0, nil)
	if o := b.last(); o.Settlement != publisher.SettleDeadLetter {
		t.Errorf("%+v", o)
	}
}

func TestMessageForNobody(t *testing.T) {
	b := newBench(t)
	b.start(publisher.Options{})
	b.message("none", 1, publisher.Publishing{ReplyTo: "q"})
	if len(b.sent) != 1 {
		t.Fatalf("%+v", b.sent)
	}
	b.confirm(0, nil)
	if o := b.last(); o.Settlement != publisher.SettleDeadLetter || !strings.Contains(o.Err.Error(), `"none" has no handler`) {
		t.Errorf("%+v", o)
	}
}

// panicking is a participant whose Abort panics.
type panicking struct{ participant }

func (p *panicking) Abort(*publisher.Request) { panic("cannot abort") }

func TestPanicInAbortIsLogged(t *testing.T) {
	b := newBench(t)
	var log []string
	b.reg.Handle("/", func(r *publisher.Request) error {
		_ = r.Join(&panicking{})
		_ = r.Join(&participant{name: "b", log: &log})
		return errors.New("failed")
	})
	b.start(publisher.Options{})
	b.request("GET", "/", "", "")
	if len(log) != 1 || !strings.Contains(b.log.String(), "cannot abort") {
		t.Errorf("%v: %s", log, b.log.String())
	}
}

// TestConflictAfterACommit: another run would do again what one participant has committed
// already.
func TestConflictAfterACommit(t *testing.T) {
	b := newBench(t)
	var log []string
	runs := 0
	b.reg.Handle("/", func(r *publisher.Request) error {
		runs++
		_ = r.Join(&participant{name: "a", log: &log})
		return r.Join(&participant{name: "b", log: &log, failDone: publisher.ErrConflict})
	})
	b.start(publisher.Options{ConflictRetries: 3})
	b.request("GET", "/", "", "")
	if o := b.last(); runs != 1 || o.status != 500 {
		t.Errorf("%d runs, %+v: %v", runs, o, log)
	}
}

func TestSetHeadersKeepsTheTableAsItIs(t *testing.T) {
	b := newBench(t)
	table := publisher.Table{"X-A": "a", "x-table": publisher.Table{"b": 1}, "X-None": nil, "X-Bytes": []byte("c")}
	h := func(r *publisher.Request) error {
		r.SetHeaders(table)
		r.SetHeader("X-Call", "1")
		return r.Text(404, "x")
	}
	b.reg.Consume("c", publisher.Consumer{}, h)
	b.reg.Handle("/", h)
	b.start(publisher.Options{})
	b.message("c", 1, publisher.Publishing{ReplyTo: "q"})
	if got := b.sent[0].props.Headers; len(table) != 4 || len(got) != 6 {
		t.Errorf("%v became %v", got, table)
	}
	b.confirm(0, nil)
	b.request("GET", "/", "", "")
	lines := b.last().lines
	if !strings.Contains(lines, "X-A: a\r\n") || !strings.Contains(lines, "X-Bytes: c\r\n") || strings.Contains(lines, "table") || strings.Contains(lines, "None") {
		t.Errorf("%q", lines)
	}
}

func TestStatusIsInTheHeadersThatAreGivenBack(t *testing.T) {
	b := newBench(t)
	b.reg.Consume("c", publisher.Consumer{}, func(r *publisher.Request) error {
		r.EchoHeaders()
		return r.Text(404, "none")
	})
	b.start(publisher.Options{})
	b.message("c", 1, publisher.Publishing{ReplyTo: "q", Headers: publisher.Table{"a": int16(1)}})
	if got := b.sent[0].props.Headers; got["a"] != int16(1) || got[publisher.StatusHeader] != int32(404) {
		t.Errorf("%v", got)
	}
}

// TestContextIsMadeBeforeTheOffload is for the race detector.
func TestContextIsMadeBeforeTheOffload(t *testing.T) {
	b := newBench(t)
	b.reg.Handle("/", func(r *publisher.Request) error {
		return r.Offload(func() error { <-r.Context().Done(); return context.Cause(r.Context()) })
	})
	b.start(publisher.Options{})
	r := b.request("GET", "/", "", "")
	over := make(chan struct{})
	go func() { b.work[0].fn(); close(over) }()
	r.Cancel(publisher.ErrGone)
	<-over
	b.work[0].done()
	b.ready()
	if o := b.last(); o.Err != publisher.ErrGone {
		t.Errorf("%+v", o)
	}
}

func TestHotPathsDoNotAllocate(t *testing.T) {
	if debugging {
		t.Skip("each call has a request of its own")
	}
	b := newBench(t)
	b.reg.Handle("GET /hello", func(r *publisher.Request) error { return r.Text(200, "Hello, World!") })
	b.reg.Consume("c", publisher.Consumer{}, func(*publisher.Request) error { return nil })
	b.reg.Handle("PUT /items/{id}", func(r *publisher.Request) error { return nil })
	b.reg.Consume("routed", publisher.Consumer{Route: "PUT /items/7?x=1"}, nil)
	b.reg.Consume("filled", publisher.Consumer{Route: "PUT /items/{routing_key}"}, nil)
	b.start(publisher.Options{})
	b.discard = true
	method, target, host := []byte("GET"), []byte("/hello?x=1"), []byte("localhost")
	fields := []publisher.Field{{Name: []byte("User-Agent"), Value: []byte("test")}}
	if n := testing.AllocsPerRun(1000, func() {
		r := b.server.NewCall()
		r.SetHTTP(method, target, host, fields, nil)
		b.server.Dispatch(r, b)
	}); n != 0 {
		t.Errorf("a routed GET: %v allocations", n)
	}
	raw, err := (&amqpproto.Properties{Flags: amqpproto.FlagContentType, ContentType: []byte("text/plain")}).Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, consumer := range []string{"c", "routed", "filled"} {
		m := publisher.Message{Connection: "default", Consumer: consumer, RoutingKey: []byte("key"), Properties: raw, Body: make([]byte, 256)}
		if n := testing.AllocsPerRun(1000, func() {
			r := b.server.NewCall()
			if err := r.SetMessage(&m); err != nil {
				t.Fatal(err)
			}
			b.server.Dispatch(r, b)
		}); n != 0 {
			t.Errorf("a message of consumer %s: %v allocations", consumer, n)
		}
	}
}

// confirming is a sender that confirms when the test says so, and keeps nothing.
type confirming struct{ last publisher.Confirmer }

func (c *confirming) Send(_ *publisher.Publication, done publisher.Confirmer) error {
	c.last = done
	return nil
}

func TestAPublishDoesNotAllocate(t *testing.T) {
	if debugging {
		t.Skip("each call has a request of its own")
	}
	b := newBench(t)
	b.reg.Produce("out", publisher.Producer{Exchange: "x"})
	body, headers := any([]byte("body")), publisher.Table{"x-source": "test", "n": int32(1)}
	b.reg.Handle("/", func(r *publisher.Request) error {
		_ = r.Publish("out", body, publisher.Key("k"), publisher.MessageID("m"), publisher.Headers(headers))
		return r.Text(202, "accepted")
	})
	b.start(publisher.Options{})
	b.discard = true
	broker := &confirming{}
	b.server.Bind("out", broker)
	method, target := []byte("POST"), []byte("/")
	if n := testing.AllocsPerRun(1000, func() {
		r := b.server.NewCall()
		r.SetHTTP(method, target, nil, nil, nil)
		b.server.Dispatch(r, b)
		broker.last.Confirmed(nil)
		b.ready()
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkDispatch(bb *testing.B) {
	b := newBench(bb)
	b.reg.Handle("GET /hello", func(r *publisher.Request) error { return r.Text(200, "Hello, World!") })
	b.start(publisher.Options{})
	b.discard = true
	method, target, host := []byte("GET"), []byte("/hello"), []byte("localhost")
	bb.ReportAllocs()
	for bb.Loop() {
		r := b.server.NewCall()
		r.SetHTTP(method, target, host, nil, nil)
		b.server.Dispatch(r, b)
	}
}

// BenchmarkMiddleware is BenchmarkDispatch with three middleware of Use, with ids and with the
// access log.
func BenchmarkMiddleware(bb *testing.B) {
	pass := func(next publisher.Handler) publisher.Handler {
		return func(r *publisher.Request) error { return next(r) }
	}
	for name, o := range map[string]publisher.Options{
		"use": {}, "ids": {RequestID: publisher.RequestIDAccept}, "access log": {AccessLog: publisher.AccessLog{Enabled: true}},
	} {
		bb.Run(name, func(bb *testing.B) {
			b := newBench(bb)
			b.reg.Handle("GET /hello", func(r *publisher.Request) error { return r.Text(200, "Hello, World!") })
			for range 3 {
				b.reg.Use(pass)
			}
			o.Log = zerolog.New(io.Discard)
			s, err := publisher.NewServer(b.reg, nil, nil, o)
			if err != nil {
				bb.Fatal(err)
			}
			b.server, b.discard = s, true
			s.Start(b)
			method, target, host := []byte("GET"), []byte("/hello"), []byte("localhost")
			bb.ReportAllocs()
			for bb.Loop() {
				r := b.server.NewCall()
				r.SetHTTP(method, target, host, nil, nil)
				b.server.Dispatch(r, b)
			}
		})
	}
}

func BenchmarkMessage(bb *testing.B) {
	b := newBench(bb)
	b.reg.Consume("c", publisher.Consumer{}, func(*publisher.Request) error { return nil })
	b.start(publisher.Options{})
	b.discard = true
	raw, err := (&amqpproto.Properties{Flags: amqpproto.FlagContentType, ContentType: []byte("text/plain")}).Append(nil)
	if err != nil {
		bb.Fatal(err)
	}
	m := publisher.Message{Connection: "default", Consumer: "c", Properties: raw, Body: make([]byte, 256)}
	bb.ReportAllocs()
	for bb.Loop() {
		r := b.server.NewCall()
		if err := r.SetMessage(&m); err != nil {
			bb.Fatal(err)
		}
		b.server.Dispatch(r, b)
	}
}
