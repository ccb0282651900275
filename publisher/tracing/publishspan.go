package tracing

import (
	"context"
	"strings"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/trace"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// A publishSpan is the span of a publish that is sampled. Its id is in the message long before
// the span begins.
type publishSpan struct {
	t    *Tracing
	in   trace.Span // the span of the call; nil outside of calls
	id   trace.SpanID
	as   publisher.Sending
	span trace.Span // nil until it is sent
}

// Publish prepares the span of a publish of the call.
func (s *callSpan) Publish(as publisher.Sending) (publisher.PublishSpan, publisher.TraceHeaders) {
	if s.span == nil {
		return nil, headersOf(s.sc)
	}
	p := &publishSpan{t: s.t, in: s.span, id: newSpanID(), as: as}
	return p, publisher.TraceHeaders{Parent: parentText(s.sc.TraceID(), p.id, s.sc.TraceFlags()), State: s.sc.TraceState().String()}
}

// Publish begins the span of a publish outside of calls.
func (t *Tracing) Publish(ctx context.Context) (publisher.PublishSpan, publisher.TraceHeaders) {
	_, span := t.tracer.Start(trace.ContextWithSpan(context.Background(), trace.SpanFromContext(ctx)), operationSend, t.kinds[trace.SpanKindProducer]...)
	headers := headersOf(span.SpanContext())
	if !span.IsRecording() {
		return nil, headers
	}
	return &publishSpan{t: t, span: span}, headers
}

// Send begins the span.
func (p *publishSpan) Send(to *publisher.Publication) {
	operation, kind := operationSend, trace.SpanKindProducer
	switch p.as {
	case publisher.SendCall:
		operation, kind = operationCall, trace.SpanKindClient
	case publisher.SendReply:
		operation = operationReply
	}
	exchange, key := valid(strings.Clone(to.Exchange)), valid(strings.Clone(to.RoutingKey)) // they may be views of the call's memory
	name := operation + " " + p.target(exchange, key)
	if p.span == nil {
		ctx := context.WithValue(trace.ContextWithSpan(context.Background(), p.in), chosenID{}, p.id)
		_, p.span = p.t.tracer.Start(ctx, name, p.t.kinds[kind]...)
	} else {
		p.span.SetName(name)
	}
	a := append(make([]attribute.KeyValue, 0, 9), messagingSystem.String(rabbitmq), messagingOperationName.String(operation), messagingOperationType.String(operationSend),
		messagingDestination.String(produced(exchange, key)), messagingBodySize.Int(len(to.Body)))
	if key != "" {
		a = append(a, messagingRoutingKey.String(key))
	}
	var props amqpproto.Properties
	if _, err := props.Decode(to.RawProperties); err == nil {
		if len(props.MessageID) > 0 {
			a = append(a, messagingMessageID.String(valid(string(props.MessageID))))
		}
		if len(props.CorrelationID) > 0 {
			a = append(a, messagingConversationID.String(valid(string(props.CorrelationID))))
		}
	}
	p.span.SetAttributes(a...)
}

// target is what the name of the span says about where the message goes. Routing keys to an exchange
// may be of any number, so they are left out; so are the queues of replies.
func (p *publishSpan) target(exchange, key string) string {
	switch {
	case exchange != "":
		return exchange
	case p.as == publisher.SendReply || strings.HasPrefix(key, "amq.") || key == "":
		return defaultName
	}
	return key
}

// End ends the span. One that was not begun is none.
func (p *publishSpan) End(err error) {
	if p.span == nil {
		return
	}
	fail(p.span, err)
	p.span.End()
}
