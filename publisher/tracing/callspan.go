package tracing

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"

	"zamqp/publisher"
)

// A callSpan is the span of a call.
type callSpan struct {
	t    *Tracing
	span trace.Span // nil if the call is not sampled
	sc   trace.SpanContext
}

// Call begins the span of a call.
func (t *Tracing) Call(c *publisher.Call) publisher.CallSpan {
	parent, first := parentOf(c)
	retried := first.IsValid()
	if !parent.IsValid() { // then at least all attempts are one trace
		parent = first
	}
	id := parent.TraceID()
	if !parent.IsValid() {
		id = newTraceID()
	}
	if t.sampler.drops(parent, id) {
		return &callSpan{t: t, sc: trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: newSpanID(), TraceState: parent.TraceState()})}
	}
	ctx := context.Background()
	if parent.IsValid() {
		ctx = trace.ContextWithRemoteSpanContext(ctx, parent)
	} else {
		ctx = context.WithValue(ctx, chosenTrace{}, id)
	}
	name, kind := t.nameOf(c)
	_, span := t.tracer.Start(ctx, name, t.kinds[kind]...)
	if retried {
		span.AddLink(trace.Link{SpanContext: first})
	}
	return &callSpan{t: t, span: span, sc: span.SpanContext()}
}

// nameKey is what the name of an HTTP span is made of.
type nameKey struct{ method, pattern string }

// nameOf returns the name of a call's span, and its kind.
func (t *Tracing) nameOf(c *publisher.Call) (string, trace.SpanKind) {
	r := c.Request()
	switch r.Origin() {
	case publisher.OriginMessage:
		m := c.Message()
		if m.Queue == "" || strings.HasPrefix(m.Queue, "amq.") { // the broker has made the name up
			return process + " " + m.Consumer, trace.SpanKindConsumer
		}
		return process + " " + m.Queue, trace.SpanKindConsumer
	case publisher.OriginClock:
		return "clock " + strings.TrimPrefix(r.Path(), "/"), trace.SpanKindInternal
	}
	method := r.Method()
	if !isKnown(method) {
		method = "HTTP"
	}
	key := nameKey{method, r.Pattern()}
	name, known := t.names[key]
	if !known {
		if name = method; key.pattern != "" {
			name += " " + routeOf(key.pattern)
		}
		t.names[key] = name
	}
	return name, trace.SpanKindServer
}

// routeOf returns the path of a pattern.
func routeOf(pattern string) string {
	if i := strings.IndexByte(pattern, '/'); i > 0 {
		return pattern[i:]
	}
	return pattern
}

// isKnown reports whether a method may be the value of an attribute. Clients can make up
// any number of others.
func isKnown(method string) bool {
	switch method {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete, http.MethodPatch,
		http.MethodOptions, http.MethodTrace, http.MethodConnect, "QUERY":
		return true
	}
	return false
}

func (s *callSpan) Context(ctx context.Context) context.Context {
	if s.span == nil {
		return trace.ContextWithSpanContext(ctx, s.sc)
	}
	return trace.ContextWithSpan(ctx, s.span)
}

func (s *callSpan) IDs() (traceID, spanID string) {
	return s.sc.TraceID().String(), s.sc.SpanID().String()
}

func (s *callSpan) Again(cause error) {
	if s.span != nil {
		s.span.AddEvent(conflictEvent, trace.WithAttributes(attribute.String("zamqp.conflict.cause", describe(cause))))
	}
}

// End ends the span of the call.
func (s *callSpan) End(c *publisher.Call) {
	r := c.Request()
	if m := c.Message(); m.FirstAttempt == "" && r.Origin() == publisher.OriginMessage && c.Outcome().Err != nil {
		if _, first, _, _ := c.TraceContext(); first == nil { // that of the first attempt stays
			m.FirstAttempt = parentText(s.sc.TraceID(), s.sc.SpanID(), s.sc.TraceFlags())
		}
	}
	if s.span == nil {
		return
	}
	switch r.Origin() {
	case publisher.OriginMessage:
		s.describeMessage(c)
	case publisher.OriginClock:
		s.span.SetAttributes(zamqpClock.String(strings.TrimPrefix(r.Path(), "/")), zamqpScheduled.String(r.Scheduled().Format(time.RFC3339Nano)))
		fail(s.span, c.Outcome().Err)
	default:
		s.describeRequest(c)
	}
	s.span.End()
}

func (s *callSpan) describeRequest(c *publisher.Call) {
	r := c.Request()
	method := r.Method()
	a := make([]attribute.KeyValue, 0, 12)
	if isKnown(method) {
		a = append(a, httpMethod.String(method))
	} else {
		a = append(a, httpMethod.String(otherMethod), httpMethodOriginal.String(valid(method)))
	}
	path, _, _ := strings.Cut(r.Target(), "?") // what a query has is often a secret
	a = append(a, urlPath.String(valid(path)), urlScheme.String(r.Scheme()))
	if pattern := r.Pattern(); pattern != "" {
		a = append(a, httpRoute.String(routeOf(pattern)))
	}
	a = appendHost(a, valid(r.Host()))
	if addr := r.ClientAddr(); addr.IsValid() {
		a = append(a, clientAddress.String(addr.String()))
	}
	if agent := r.HeaderBytes("User-Agent"); len(agent) > 0 {
		a = append(a, userAgent.String(valid(string(agent))))
	}
	status := c.Response().Status
	if status > 0 {
		a = append(a, httpStatus.Int(status))
	}
	s.span.SetAttributes(a...)
	err := c.Outcome().Err
	switch {
	case status >= http.StatusInternalServerError:
		s.span.SetAttributes(errorType.String(strconv.Itoa(status)))
		s.span.SetStatus(codes.Error, describe(err))
	case status == 0 && err != nil: // the answer was cut, or the client has gone
		fail(s.span, err)
	}
}

// appendHost appends the name and the port that a client has asked for.
func appendHost(a []attribute.KeyValue, host string) []attribute.KeyValue {
	name, port := host, 0
	if i := strings.LastIndexByte(host, ':'); i > 0 && !strings.HasSuffix(host, "]") {
		if n, err := strconv.Atoi(host[i+1:]); err == nil && n > 0 && n < 1<<16 {
			name, port = host[:i], n
		}
	}
	if name != "" {
		a = append(a, serverAddress.String(strings.Trim(name, "[]")))
	}
	if port > 0 {
		a = append(a, serverPort.Int(port))
	}
	return a
}

func (s *callSpan) describeMessage(c *publisher.Call) {
	r, m, o := c.Request(), c.Message(), c.Outcome()
	key := valid(string(m.RoutingKey))
	a := append(make([]attribute.KeyValue, 0, 13), messagingSystem.String(rabbitmq), messagingOperationName.String(process), messagingOperationType.String(process),
		messagingDestination.String(consumed(valid(string(m.Exchange)), key, m.Queue)),
		messagingBodySize.Int(len(r.Body())), messagingDeliveryTag.Int64(int64(m.DeliveryTag)),
		zamqpConsumer.String(m.Consumer), zamqpAttempt.Int(r.Attempt()), zamqpSettlement.String(o.Settlement.String()))
	if key != "" {
		a = append(a, messagingRoutingKey.String(key))
	}
	if id := r.MessageID(); len(id) > 0 {
		a = append(a, messagingMessageID.String(valid(string(id))))
	}
	if id := r.CorrelationID(); len(id) > 0 {
		a = append(a, messagingConversationID.String(valid(string(id))))
	}
	if o.Reason != "" {
		a = append(a, zamqpReason.String(o.Reason))
	}
	if pattern := r.Pattern(); pattern != "" {
		a = append(a, httpRoute.String(routeOf(pattern)))
	}
	s.span.SetAttributes(a...)
	fail(s.span, o.Err)
}

// consumed is the messaging.destination.name of a message that was consumed: its exchange, routing
// key and queue, without those that are empty or said already.
func consumed(exchange, key, queue string) string {
	name := produced(exchange, key)
	switch {
	case exchange == "":
		return queue
	case key == queue, queue == "":
		return name
	}
	return name + ":" + queue
}

// produced is the messaging.destination.name of a publish.
func produced(exchange, key string) string {
	switch {
	case exchange != "" && key != "":
		return exchange + ":" + key
	case exchange != "":
		return exchange
	case key != "":
		return key
	}
	return defaultName
}

// fail sets the status of a span after an error; nil leaves it unset.
func fail(span trace.Span, err error) {
	if err == nil {
		return
	}
	span.SetAttributes(errorType.String(typeOf(err)))
	span.SetStatus(codes.Error, describe(err))
}

// describe is the text of an error, bounded.
func describe(err error) string {
	if err == nil {
		return ""
	}
	text := err.Error()
	return valid(text[:min(len(text), publisher.TraceErrorMax)])
}

// typeOf names the kind of an error; there are few of them.
func typeOf(err error) string {
	var panicked *publisher.PanicError
	var status *publisher.StatusError
	switch {
	case errors.As(err, &panicked):
		return "panic"
	case errors.Is(err, publisher.ErrConflict):
		return "conflict"
	case errors.Is(err, context.DeadlineExceeded):
		return "timeout"
	case errors.Is(err, context.Canceled), errors.Is(err, publisher.ErrGone), errors.Is(err, publisher.ErrShutdown):
		return "cancelled"
	case errors.As(err, &status):
		return strconv.Itoa(status.Status)
	case errors.Is(err, publisher.ErrUnavailable):
		return "unavailable"
	}
	for inner := err; inner != nil; inner = errors.Unwrap(inner) {
		err = inner
	}
	if name := fmt.Sprintf("%T", err); !strings.HasPrefix(name, "*errors.") && !strings.HasPrefix(name, "*fmt.") {
		return name
	}
	return otherError
}

// valid is text as OTLP takes it: UTF-8.
func valid(text string) string { return strings.ToValidUTF8(text, "?") }
