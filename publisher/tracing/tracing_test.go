package tracing_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"
	"go.opentelemetry.io/otel/trace"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
	"zamqp/publisher/tracing"
)

// memory keeps the spans of a server.
type memory struct {
	t       *testing.T
	tracing *tracing.Tracing
	spans   *tracetest.InMemoryExporter
	server  *publishertest.Server
	log     bytes.Buffer
}

func newMemory(t *testing.T, g *publisher.Registry, o tracing.Options) *memory {
	t.Helper()
	m := &memory{t: t, spans: tracetest.NewInMemoryExporter()}
	o.Exporter = keeping{m.spans}
	o.Log = zerolog.New(&m.log)
	var err error
	if m.tracing, err = tracing.New(o); err != nil {
		t.Fatal(err)
	}
	m.server = publishertest.New(t, g, func(o *publisher.Options) {
		o.Tracer = m.tracing
		o.Log = zerolog.New(&m.log)
	})
	return m
}

// keeping is an exporter that keeps its spans when it is shut down.
type keeping struct{ *tracetest.InMemoryExporter }

func (keeping) Shutdown(context.Context) error { return nil }

// end returns the spans by name.
func (m *memory) end() map[string]tracetest.SpanStub {
	m.t.Helper()
	if err := m.tracing.Close(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	byName := map[string]tracetest.SpanStub{}
	for _, s := range m.spans.GetSpans() {
		for byName[s.Name].Name != "" {
			s.Name += " again"
		}
		byName[s.Name] = s
	}
	return byName
}

func get(t *testing.T, spans map[string]tracetest.SpanStub, name string) tracetest.SpanStub {
	t.Helper()
	s, ok := spans[name]
	if !ok {
		names := []string{}
		for name := range spans {
			names = append(names, name)
		}
		t.Fatalf("no span %q; there are %q", name, names)
	}
	return s
}

// wants checks attributes, as key=value.
func wants(t *testing.T, s tracetest.SpanStub, kind trace.SpanKind, attributes ...string) {
	t.Helper()
	if s.SpanKind != kind {
		t.Errorf("%s has the kind %s, want %s", s.Name, s.SpanKind, kind)
	}
	has := map[string]string{}
	for _, a := range s.Attributes {
		has[string(a.Key)] = a.Value.String()
	}
	for _, want := range attributes {
		key, value, _ := strings.Cut(want, "=")
		if got, ok := has[key]; !ok || got != value {
			t.Errorf("%s has %s=%q, want %q; all: %v", s.Name, key, got, value, has)
		}
	}
}

const remote = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"

func shop(t *testing.T) *publisher.Registry {
	t.Helper()
	g := publisher.NewRegistry()
	g.Produce("orders", publisher.Producer{Exchange: "orders", ExchangeType: "topic"})
	g.Consume("billing", publisher.Consumer{Exchange: "orders", RoutingKeys: []string{"order.*"}}, func(r *publisher.Request) error {
		r.Log().Info().Msg("billing")
		if r.Header("fail") != "" {
			return errors.New("no money")
		}
		return r.Reply(200, "paid")
	})
	g.Handle("POST /orders/{id}", func(r *publisher.Request) error {
		r.Log().Info().Msg("order")
		_ = r.Publish("orders", map[string]string{"id": r.PathValue("id")}, publisher.Key("order.created"), publisher.MessageID("m1"))
		return r.Reply(202, "ok")
	})
	g.Handle("GET /broken", func(r *publisher.Request) error { return errors.New("it broke") })
	g.Every("report", publisher.Clock{Period: 1e9}, func(*publisher.Request) error { return nil })
	return g
}

// forward returns what was published as a broker delivers it.
func (m *memory) forward() publisher.Publishing {
	m.t.Helper()
	all := m.server.Published()
	if len(all) != 1 {
		m.t.Fatalf("%d publishes, want 1", len(all))
	}
	return all[0].Publishing
}

// TestOneTrace follows a request of a traced client through its message to the reply.
func TestOneTrace(t *testing.T) {
	m := newMemory(t, shop(t), tracing.Options{})
	if got := m.server.Request("POST", "/orders/7?token=secret", "", "", "traceparent: "+remote, "tracestate: a=1", "tracestate: b=2", "User-Agent: curl/8"); got.Status != 202 {
		t.Fatal(got)
	}
	message := m.forward()
	message.ReplyTo, message.CorrelationId = "replies", "c1"
	got := m.server.Deliver("billing", message)
	if got.Settlement != publisher.SettleAck || got.Reply == nil {
		t.Fatal(got)
	}
	spans := m.end()
	server, send := get(t, spans, "POST /orders/{id}"), get(t, spans, "send orders")
	process, reply := get(t, spans, "process billing"), get(t, spans, "reply amq.default")
	for child, parent := range map[*tracetest.SpanStub]string{
		&server: remote[36:52], &send: server.SpanContext.SpanID().String(), &process: send.SpanContext.SpanID().String(), &reply: process.SpanContext.SpanID().String(),
	} {
		if child.Parent.SpanID().String() != parent || child.SpanContext.TraceID().String() != remote[3:35] {
			t.Errorf("%s: parent %s in trace %s, want parent %s in trace %s", child.Name, child.Parent.SpanID(), child.SpanContext.TraceID(), parent, remote[3:35])
		}
		if state := child.SpanContext.TraceState().String(); state != "a=1,b=2" {
			t.Errorf("%s: tracestate %q", child.Name, state)
		}
	}
	wants(t, server, trace.SpanKindServer, "http.request.method=POST", "http.route=/orders/{id}", "http.response.status_code=202", "url.path=/orders/7", "user_agent.original=curl/8")
	wants(t, send, trace.SpanKindProducer, "messaging.system=rabbitmq", "messaging.operation.type=send", "messaging.operation.name=send",
		"messaging.destination.name=orders:order.created", "messaging.rabbitmq.destination.routing_key=order.created", "messaging.message.id=m1")
	wants(t, process, trace.SpanKindConsumer, "messaging.system=rabbitmq", "messaging.operation.type=process", "messaging.message.id=m1", "messaging.message.conversation_id=c1", "zamqp.settlement=ack", "zamqp.attempt=1")
	wants(t, reply, trace.SpanKindProducer, "messaging.operation.name=reply", "messaging.destination.name=replies", "messaging.message.conversation_id=c1")
	if reply.SpanContext.SpanID().String() != fmt.Sprint(got.Reply.Headers["traceparent"])[36:52] {
		t.Errorf("the reply carries %v", got.Reply.Headers)
	}
	for _, s := range []tracetest.SpanStub{server, process} {
		if want := fmt.Sprintf(`"trace_id":"%s","span_id":"%s"`, s.SpanContext.TraceID(), s.SpanContext.SpanID()); !strings.Contains(m.log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, m.log.String())
		}
	}
	if strings.Contains(fmt.Sprint(spans), "secret") {
		t.Error("a span has the query")
	}
}

func TestStatuses(t *testing.T) {
	m := newMemory(t, shop(t), tracing.Options{})
	m.server.Request("GET", "/broken", "", "")
	m.server.Request("GET", "/nowhere", "", "")
	m.server.Request("BREW", "/broken", "", "")
	m.server.Confirm(errors.New("nacked"))
	m.server.Request("POST", "/orders/1", "", "")
	m.server.Deliver("billing", publisher.Publishing{Headers: publisher.Table{"fail": "1"}})
	m.server.Tick("report")
	spans := m.end()
	broken := get(t, spans, "GET /broken")
	if wants(t, broken, trace.SpanKindServer, "error.type=500", "http.response.status_code=500"); broken.Status.Code != codes.Error || broken.Status.Description != "it broke" {
		t.Error(broken.Status)
	}
	nowhere := get(t, spans, "GET")
	if wants(t, nowhere, trace.SpanKindServer, "http.response.status_code=404"); nowhere.Status.Code != codes.Unset {
		t.Error(nowhere.Status)
	}
	wants(t, get(t, spans, "HTTP"), trace.SpanKindServer, "http.request.method=_OTHER", "http.request.method_original=BREW", "http.response.status_code=405")
	send := get(t, spans, "send orders")
	if send.Status.Code != codes.Error || !strings.Contains(send.Status.Description, "nacked") {
		t.Error(send.Status)
	}
	wants(t, get(t, spans, "POST /orders/{id}"), trace.SpanKindServer, "http.response.status_code=503", "error.type=503")
	process := get(t, spans, "process billing")
	if wants(t, process, trace.SpanKindConsumer, "zamqp.settlement=retry", "error.type=_OTHER"); process.Status.Code != codes.Error {
		t.Error(process.Status)
	}
	wants(t, get(t, spans, "clock report"), trace.SpanKindInternal, "zamqp.clock=report")
}

// TestInvalidParents: a traceparent that is against the rules is as none.
func TestInvalidParents(t *testing.T) {
	for name, fields := range map[string][]string{
		"none":        nil,
		"empty":       {"traceparent: "},
		"upper case":  {"traceparent: 00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01"},
		"short":       {"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b716920333-01"},
		"zero trace":  {"traceparent: 00-00000000000000000000000000000000-b7ad6b7169203331-01"},
		"zero span":   {"traceparent: 00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01"},
		"version ff":  {"traceparent: ff-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"},
		"longer 00":   {"traceparent: " + remote + "-more"},
		"very long":   {"traceparent: cc" + remote[2:] + "-" + strings.Repeat("x", 4000)},
		"two of them": {"traceparent: " + remote, "traceparent: " + remote},
	} {
		t.Run(name, func(t *testing.T) {
			m := newMemory(t, shop(t), tracing.Options{})
			m.server.Request("POST", "/orders/1", "", "", fields...)
			if s := get(t, m.end(), "POST /orders/{id}"); s.Parent.IsValid() {
				t.Errorf("its parent is %v", s.Parent)
			}
		})
	}
	m := newMemory(t, shop(t), tracing.Options{})
	m.server.Request("POST", "/orders/1", "", "", "traceparent: cc"+remote[2:]+"-what-the-future-brings", "tracestate: not a state")
	if s := get(t, m.end(), "POST /orders/{id}"); s.Parent.TraceID().String() != remote[3:35] {
		t.Errorf("a later version is not understood: %v", s.Parent)
	}
}

// TestSampledFlag: what the caller does not sample has no spans here, and its message says so, too.
func TestSampledFlag(t *testing.T) {
	for _, as := range []any{remote[:53] + "00", []byte(remote[:53] + "00")} {
		m := newMemory(t, shop(t), tracing.Options{})
		m.server.Request("POST", "/orders/1", "", "", "traceparent: "+remote[:53]+"00")
		message := m.forward()
		if got := fmt.Sprint(message.Headers["traceparent"]); !strings.HasPrefix(got, remote[:36]) || !strings.HasSuffix(got, "-00") {
			t.Errorf("the message has the traceparent %q", got)
		}
		message.Headers["traceparent"] = as
		m.server.Deliver("billing", message)
		if spans := m.end(); len(spans) > 0 {
			t.Errorf("there are spans: %v", spans)
		}
		if !strings.Contains(m.log.String(), `"trace_id":"`+remote[3:35]+`"`) {
			t.Error("the log does not have the trace:", m.log.String())
		}
	}
}

// TestRetriesAreLinked: attempts are one trace, and later ones have a link to the first.
func TestRetriesAreLinked(t *testing.T) {
	for _, traced := range []any{nil, remote, []byte(remote)} {
		m := newMemory(t, shop(t), tracing.Options{})
		headers := publisher.Table{"fail": "1"}
		if traced != nil {
			headers["traceparent"] = traced
		}
		m.server.Deliver("billing", publisher.Publishing{Headers: headers})
		_ = m.tracing
		first := m.flushed("process billing")
		if traced != nil && (first.Parent.SpanID().String() != remote[36:52] || len(first.Links) > 0) {
			t.Errorf("the first attempt: parent %v, links %v", first.Parent, first.Links)
		}
		headers[publisher.TraceFirstAttempt] = "00-" + first.SpanContext.TraceID().String() + "-" + first.SpanContext.SpanID().String() + "-01"
		headers[publisher.TraceAttempt] = int64(1)
		m.server.Deliver("billing", publisher.Publishing{Headers: headers})
		second := get(t, m.end(), "process billing again")
		if len(second.Links) != 1 || second.Links[0].SpanContext.SpanID() != first.SpanContext.SpanID() {
			t.Errorf("the links are %v, want one to %v", second.Links, first.SpanContext)
		}
		if second.SpanContext.TraceID() != first.SpanContext.TraceID() {
			t.Errorf("the second attempt is another trace")
		}
		wants(t, second, trace.SpanKindConsumer, "zamqp.attempt=2")
	}
}

func (m *memory) flushed(name string) tracetest.SpanStub {
	m.t.Helper()
	if err := m.tracing.Flush(m.t.Context()); err != nil {
		m.t.Fatal(err)
	}
	for _, s := range m.spans.GetSpans() {
		if s.Name == name {
			return s
		}
	}
	m.t.Fatalf("no span %q", name)
	return tracetest.SpanStub{}
}

// TestOtherSpans: conflicts, requests to other servers, calls by AMQP, and the spans of the handler itself.
func TestOtherSpans(t *testing.T) {
	var seen http.Header
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		seen = req.Header
		w.WriteHeader(418)
	}))
	defer other.Close()
	g := publisher.NewRegistry()
	g.Produce("ask", publisher.Producer{Queue: "ask"})
	runs := 0
	work := func(r *publisher.Request, ctx context.Context) error {
		_, own := trace.SpanFromContext(ctx).TracerProvider().Tracer("handler").Start(ctx, "own", trace.WithAttributes(attribute.Bool("x", true)))
		own.End()
		resp, err := r.Client().Get(strings.Replace(other.URL, "http://", "http://user:password@", 1) + "/tea?key=secret")
		if err != nil {
			return err
		}
		_ = resp.Body.Close()
		answer, err := r.Call("ask", "?")
		if err != nil {
			return err
		}
		return r.Reply(200, string(answer.Body))
	}
	g.Handle("GET /native", func(r *publisher.Request) error {
		if runs++; runs == 1 {
			return fmt.Errorf("row 7: %w", publisher.ErrConflict)
		}
		return work(r, r.Context())
	})
	g.Handle("GET /mounted", publisher.HTTP(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		if err := work(publisher.FromContext(req.Context()), req.Context()); err != nil {
			t.Error(err)
		}
	})))
	for _, path := range []string{"/native", "/mounted"} {
		t.Run(path, func(t *testing.T) {
			m := newMemory(t, g, tracing.Options{})
			var asked publishertest.Published
			m.server.Answer(func(p publishertest.Published) (*publisher.Answer, error) {
				asked = p
				return &publisher.Answer{Status: 200, Body: []byte("!")}, nil
			})
			if got := m.server.Request("GET", path, "", ""); got.Status != 200 {
				t.Fatal(got)
			}
			spans := m.end()
			call, fetch, ask, own := get(t, spans, "GET "+path), get(t, spans, "GET"), get(t, spans, "call ask"), get(t, spans, "own")
			for _, child := range []tracetest.SpanStub{fetch, ask, own} {
				if child.Parent.SpanID() != call.SpanContext.SpanID() {
					t.Errorf("%s has the parent %s", child.Name, child.Parent.SpanID())
				}
			}
			wants(t, fetch, trace.SpanKindClient, "http.request.method=GET", "http.response.status_code=418", "error.type=418", "server.address=127.0.0.1", "url.full="+other.URL+"/tea")
			wants(t, ask, trace.SpanKindClient, "messaging.destination.name=ask", "messaging.operation.name=call", "messaging.operation.type=send")
			if got := seen.Get("Traceparent"); !strings.Contains(got, fetch.SpanContext.SpanID().String()) {
				t.Errorf("the other server got the traceparent %q", got)
			}
			if got := fmt.Sprint(asked.Headers["traceparent"]); !strings.Contains(got, ask.SpanContext.SpanID().String()) {
				t.Errorf("the other handler got the traceparent %q", got)
			}
			if path == "/native" && (len(call.Events) != 1 || call.Events[0].Name != "zamqp.conflict") {
				t.Errorf("the events are %v", call.Events)
			}
		})
	}
}

// TestFullQueue: what there is no room for is dropped and counted; nobody waits.
func TestFullQueue(t *testing.T) {
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "10")
	t.Setenv("OTEL_BSP_MAX_EXPORT_BATCH_SIZE", "5")
	held := make(chan struct{})
	tr, err := tracing.New(tracing.Options{Exporter: stuck{held}, Log: zerolog.Nop()})
	if err != nil {
		t.Fatal(err)
	}
	s := publishertest.New(t, shop(t), func(o *publisher.Options) { o.Tracer = tr })
	for range 100 {
		s.Request("GET", "/nowhere", "", "")
	}
	counts := map[string]float64{}
	for _, m := range tr.Measure(nil) {
		counts[m.Name] = m.Value
	}
	if counts["tracing_spans_dropped_total"] != 90 || counts["tracing_spans_waiting"] != 10 {
		t.Error(counts)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := tr.Close(ctx); err == nil || !strings.Contains(err.Error(), "10 spans were not sent") {
		t.Error(err)
	}
	close(held)
}

type stuck struct{ held chan struct{} }

func (s stuck) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { <-s.held; return nil }
func (stuck) Shutdown(context.Context) error                          { return nil }

// TestSpansKeepNoViews: a span is sent when the memory of its call serves another one.
func TestSpansKeepNoViews(t *testing.T) {
	m := newMemory(t, shop(t), tracing.Options{})
	for _, queue := range []string{"first", "other"} {
		if got := m.server.Deliver("billing", publisher.Publishing{ReplyTo: queue, Headers: publisher.Table{"traceparent": remote}}); got.Reply == nil {
			t.Fatal(got)
		}
	}
	spans := m.end()
	wants(t, get(t, spans, "reply amq.default"), trace.SpanKindProducer, "messaging.destination.name=first", "messaging.rabbitmq.destination.routing_key=first")
	wants(t, get(t, spans, "reply amq.default again"), trace.SpanKindProducer, "messaging.destination.name=other")
}
