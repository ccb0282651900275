package e2e_test

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	tracepb "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

func init() {
	publisher.Produce("e2e-trace", publisher.Producer{Exchange: "e2e-traces", ExchangeType: "topic", RoutingKey: "trace.it"})
	publisher.Consume("e2e-trace", publisher.Consumer{Exchange: "e2e-traces", RoutingKeys: []string{"trace.*"},
		Retry: publisher.Retry{Attempts: 2, Min: time.Millisecond}}, func(r *publisher.Request) error {
		r.Log().Info().Bytes("body", r.Body()).Msg("traced")
		if strings.HasPrefix(string(r.Body()), "fail") {
			return errors.New("on purpose")
		}
		return r.Text(200, "traced")
	})
	publisher.Handle("POST /trace", func(r *publisher.Request) error {
		_ = r.Publish("e2e-trace", string(r.Body()), publisher.ContentType("text/plain"))
		return r.Reply(202, "accepted")
	})
	publisher.Handle("POST /trace/call", func(r *publisher.Request) error {
		answer, err := r.Call("e2e-trace", string(r.Body()), publisher.ContentType("text/plain"))
		if err != nil {
			return err
		}
		return r.Text(200, string(answer.Body))
	})
}

// receiver takes spans by OTLP over HTTP.
type receiver struct {
	*httptest.Server
	mu       sync.Mutex
	spans    []*tracepb.Span
	services map[string]bool
}

func newReceiver(t *testing.T) *receiver {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	t.Setenv("OTEL_EXPORTER_OTLP_HEADERS", "api-key=s%20ecret")
	x := &receiver{services: map[string]bool{}}
	x.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		var data tracepb.TracesData
		if err == nil {
			err = proto.Unmarshal(body, &data)
		}
		if err != nil || req.Method != "POST" || req.URL.Path != "/v1/traces" || req.Header.Get("Content-Type") != "application/x-protobuf" || req.Header.Get("Api-Key") != "s ecret" {
			t.Errorf("the receiver got %s %s %v: %v", req.Method, req.URL, req.Header, err)
		}
		x.mu.Lock()
		defer x.mu.Unlock()
		for _, r := range data.ResourceSpans {
			for _, a := range r.Resource.Attributes {
				if a.Key == "service.name" {
					x.services[a.Value.GetStringValue()] = true
				}
			}
			for _, s := range r.ScopeSpans {
				x.spans = append(x.spans, s.Spans...)
			}
		}
	}))
	t.Cleanup(x.Close)
	return x
}

// await waits until a trace has n spans of that name, and returns them in their order.
func (x *receiver) await(t *testing.T, trace, name string, n int) (found []*tracepb.Span) {
	t.Helper()
	wait.Until(t, fmt.Sprintf("%d spans %q of trace %s have come", n, name, trace), func() bool {
		x.mu.Lock()
		defer x.mu.Unlock()
		found = nil
		for _, s := range x.spans {
			if s.Name == name && hex.EncodeToString(s.TraceId) == trace {
				found = append(found, s)
			}
		}
		return len(found) == n
	})
	return found
}

// child checks that a span is the child of another.
func child(t *testing.T, s *tracepb.Span, parent []byte) {
	t.Helper()
	if string(s.ParentSpanId) != string(parent) {
		t.Errorf("%s has the parent %x, want %x", s.Name, s.ParentSpanId, parent)
	}
}

// newTrace returns the traceparent of a client, with its parts.
func newTrace() (parent, trace string, span []byte) {
	trace = fmt.Sprintf("%032x", time.Now().UnixNano())
	span = []byte{1, 2, 3, 4, 5, 6, 7, 8}
	return "00-" + trace + "-" + hex.EncodeToString(span) + "-01", trace, span
}

func (s *server) traced(path, body, parent string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest("POST", s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Traceparent", parent)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		s.t.Fatal(err)
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}

func TestTracing(t *testing.T) { everywhere(t, testTracing) }

func testTracing(t *testing.T, at broker) {
	x := newReceiver(t)
	s := start(t, at, "tracing.endpoint="+x.URL, "tracing.service_name=e2e")
	ch := s.channel()

	t.Run("request, call, reply", func(t *testing.T) {
		parent, trace, client := newTrace()
		if status, body := s.traced("/trace/call", "ok", parent); status != 200 || body != "traced" {
			t.Fatal(status, body)
		}
		request := x.await(t, trace, "POST /trace/call", 1)[0]
		call := x.await(t, trace, "call e2e-traces", 1)[0]
		process := x.await(t, trace, "process e2e-trace", 1)[0]
		reply := x.await(t, trace, "reply amq.default", 1)[0]
		child(t, request, client)
		child(t, call, request.SpanId)
		child(t, process, call.SpanId)
		child(t, reply, process.SpanId)
		if call.StartTimeUnixNano > process.StartTimeUnixNano || call.EndTimeUnixNano < process.StartTimeUnixNano {
			t.Error("the call is not around what it caused")
		}
		if !x.services["e2e"] {
			t.Errorf("the services are %v", x.services)
		}
		want := fmt.Sprintf(`"trace_id":"%s","span_id":"%x"`, trace, process.SpanId)
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log lacks %s", want)
		}
	})

	t.Run("other clients", func(t *testing.T) {
		for _, as := range []func(string) any{func(s string) any { return s }, func(s string) any { return []byte(s) }} {
			parent, trace, client := newTrace()
			if err := ch.PublishWithContext(context.Background(), "e2e-traces", "trace.other", false, false, amqp.Publishing{
				Headers: amqp.Table{"traceparent": as(parent), "tracestate": as("a=1")}, MessageId: trace, Body: []byte("ok")}); err != nil {
				t.Fatal(err)
			}
			process := x.await(t, trace, "process e2e-trace", 1)[0]
			child(t, process, client)
			if process.TraceState != "a=1" {
				t.Errorf("tracestate %q", process.TraceState)
			}
		}
	})

	t.Run("retry and dead letter", func(t *testing.T) {
		parent, trace, _ := newTrace()
		if status, body := s.traced("/trace", "fail "+trace, parent); status != 202 {
			t.Fatal(status, body)
		}
		attempts := x.await(t, trace, "process e2e-trace", 2)
		send := x.await(t, trace, "send e2e-traces", 1)[0]
		for i, a := range attempts {
			child(t, a, send.SpanId)
			if a.Status.GetCode() != tracepb.Status_STATUS_CODE_ERROR || a.Status.GetMessage() != "on purpose" {
				t.Errorf("attempt %d: %v", i+1, a.Status)
			}
		}
		if len(attempts[0].Links) != 0 || len(attempts[1].Links) != 1 || string(attempts[1].Links[0].SpanId) != string(attempts[0].SpanId) {
			t.Errorf("links: %v, %v", attempts[0].Links, attempts[1].Links)
		}
		d := s.takeDead(ch, "e2e-trace.dead", trace)
		p := publisher.Publishing{Headers: publisher.Table(d.Headers), Body: []byte("repaired")}
		exchange, key, ok := publisher.Untrace(&p)
		if !ok || exchange != "e2e-traces" {
			t.Fatal(exchange, key, ok)
		}
		if err := ch.PublishWithContext(context.Background(), exchange, key, false, false, amqp.Publishing{Headers: amqp.Table(p.Headers), Body: p.Body}); err != nil {
			t.Fatal(err)
		}
		third := x.await(t, trace, "process e2e-trace", 3)[2]
		if len(third.Links) != 1 || string(third.Links[0].SpanId) != string(attempts[0].SpanId) {
			t.Errorf("links of the dead letter's attempt: %v", third.Links)
		}
	})
}

// TestTracingThroughTheSpool: a publish that waited on disk is in the trace of its call.
func TestTracingThroughTheSpool(t *testing.T) {
	x := newReceiver(t)
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	port := ln.Addr().String()
	ln.Close()
	s := startUnready(t, "amqp://guest:guest@"+port+"/", "tracing.endpoint="+x.URL, "connection.default.spool=file", "connection.default.spool_dir="+t.TempDir(),
		"connection.default.confirm_timeout=100ms", "consumer.e2e-stream.enabled=false")
	parent, trace, _ := newTrace()
	if status, body := s.traced("/trace", "ok", parent); status != 202 {
		t.Fatal(status, body)
	}
	send := x.await(t, trace, "send e2e-traces", 1)[0] // it ended on the disk
	start(t, embedded, "broker.listen="+port, "tracing.enabled=off", "consumer.e2e-trace.enabled=false")
	process := x.await(t, trace, "process e2e-trace", 1)[0]
	child(t, process, send.SpanId)
}

// TestTracingWithoutAReceiver: calls go on, the log has one line, and the drain is not held up.
func TestTracingWithoutAReceiver(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	t.Setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "50")
	x := httptest.NewServer(http.NotFoundHandler())
	x.Close()
	s := start(t, embedded, "tracing.endpoint="+strings.Replace(x.URL, "://", "://user:password@", 1))
	wait.Until(t, "two batches are lost", func() bool {
		if status, body := s.do("POST", "/trace", "", "ok"); status != 202 {
			t.Fatal(status, body)
		}
		return s.metric("tracing_spans_failed_total") > 20
	})
	if n := strings.Count(s.log.String(), "spans could not be sent"); n != 1 {
		t.Errorf("the log says it %d times", n)
	}
	if err := s.drain(); err != nil {
		t.Error(err)
	}
	if strings.Contains(s.log.String(), "password") {
		t.Error("the log has the receiver's password")
	}
}

// TestTracingWithAStuckReceiver: a receiver that never answers holds up neither calls nor the end.
func TestTracingWithAStuckReceiver(t *testing.T) {
	t.Setenv("OTEL_BSP_SCHEDULE_DELAY", "20")
	t.Setenv("OTEL_BSP_MAX_QUEUE_SIZE", "8")
	held := make(chan struct{})
	x := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-held }))
	defer x.Close()
	defer close(held)
	s := start(t, embedded, "tracing.endpoint="+x.URL)
	wait.Until(t, "spans are dropped", func() bool {
		if status, body := s.do("POST", "/trace", "", "ok"); status != 202 {
			t.Fatal(status, body)
		}
		return s.metric("tracing_spans_dropped_total") > 0
	})
	if err := s.drain(); err != nil {
		t.Error(err)
	}
	if !strings.Contains(s.log.String(), "spans were not sent") {
		t.Error("the log does not say that spans were left")
	}
}
