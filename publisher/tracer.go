package publisher

import (
	"context"
	"net/http"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
)

// A Tracer makes the spans of a server; see [Options.Tracer]. publisher/tracing is one for
// OpenTelemetry. This package knows nothing of it but these three interfaces, and a server
// without a tracer pays for none of them.
type Tracer interface {
	// Call begins the span of a call whose source has chosen its handler. Loop thread.
	Call(c *Call) CallSpan
	// Publish prepares the span of a publish outside of calls, of the caller's context. Any
	// goroutine may call it.
	Publish(ctx context.Context) (PublishSpan, TraceHeaders)
}

// A CallSpan is the span of one call. Its methods are for the loop's thread, except Context,
// IDs and Fetch, which any goroutine may use, also after the call.
type CallSpan interface {
	// Context returns ctx with the span, for what the handler traces itself.
	Context(ctx context.Context) context.Context
	// IDs returns the ids for lines of the log, as hexadecimal text.
	IDs() (trace, span string)
	// Again notes that the call runs again after a conflict.
	Again(cause error)
	// Publish prepares the span of a publish of the call. The PublishSpan is nil if the call is not
	// sampled; its message has the headers even then.
	Publish(as Sending) (PublishSpan, TraceHeaders)
	// Fetch begins the span of a request to another server, and gives the request the fields
	// that continue the trace. It is ended with the answer's status, or with the error. try is
	// 0 for the first.
	Fetch(req *http.Request, try int) (end func(status int, err error))
	// End ends the span. The outcome and the response of the call are set.
	End(c *Call)
}

// A PublishSpan is the span of one publish. It begins when the publish is sent; one that is
// never sent has no span. Loop thread only.
type PublishSpan interface {
	// Send begins the span.
	Send(p *Publication)
	// End ends it, with the outcome. Only the first End counts.
	End(err error)
}

// Sending says what a publish is.
type Sending uint8

const (
	SendPublish Sending = iota // by Publish; the span ends with the broker's confirm
	SendReply                  // the reply to a message
	SendCall                   // the request of a [Request.Call]; the span ends with its reply
)

// TraceHeaders are headers of a message that continue a trace.
type TraceHeaders struct {
	Parent string // traceparent; "" for none
	State  string // tracestate; "" for none
}

// The header fields, and keys of the headers table, of W3C Trace Context.
const (
	traceParent = "traceparent"
	traceState  = "tracestate"
)

// TraceContext returns the values that continue a trace, as they came with the request or
// the message: views, unchecked. parents counts the traceparents; more than one is an error.
// first is the [TraceFirstAttempt] of a message.
func (c *Call) TraceContext() (parent, first []byte, parents int, states [][]byte) {
	r := c.Request()
	see := func(key, value []byte) {
		switch {
		case len(key) == len(traceParent) && equalFold(key, traceParent):
			parent = value
			parents++
		case len(key) == len(traceState) && equalFold(key, traceState):
			states = append(states, value)
		case len(key) == len(TraceFirstAttempt) && string(key) == TraceFirstAttempt:
			first = value
		}
	}
	if !r.delivered {
		for i := range r.fields {
			see(r.fields[i].Name, r.fields[i].Value)
		}
		return parent, nil, parents, states
	}
	_ = r.props.Headers.Each(func(key []byte, v amqpproto.Field) bool { // SetMessage has validated them
		if text, ok := v.Bytes(); ok {
			see(key, text)
		}
		return true
	})
	return parent, first, parents, states
}

// beginSpan begins the span of a call; the server has a tracer.
func (s *Server) beginSpan(r *Request) { r.span = s.tracer.Call(r.forDoor()) }

// spanFields adds the ids of the call's span to a line of the log.
func (r *Request) spanFields(c zerolog.Context) zerolog.Context {
	trace, span := r.span.IDs()
	return c.Str("trace_id", trace).Str("span_id", span)
}

// traced gives a publish the headers that continue the call's trace, and returns its span; nil for none.
func (r *Request) traced(d *draft, as Sending) PublishSpan {
	if r.span == nil {
		return nil
	}
	span, headers := r.span.Publish(as)
	if d.trace = headers; as == SendReply { // it may have the headers of its request, with another trace
		d.trace = TraceHeaders{}
		d.addHeader(traceParent, headers.Parent)
		if headers.State != "" {
			d.addHeader(traceState, headers.State)
		}
	}
	return span
}

// appendTo appends the headers to an encoded headers table, unless the handler has set its own.
func (h *TraceHeaders) appendTo(table amqpproto.RawTable) amqpproto.RawTable {
	if _, own := table.Lookup(traceParent); own {
		return table
	}
	table = amqpproto.AppendField(table, view(traceParent), amqpproto.Field{Type: amqpproto.FieldString, Raw: view(h.Parent)})
	if h.State != "" {
		table = amqpproto.AppendField(table, view(traceState), amqpproto.Field{Type: amqpproto.FieldString, Raw: view(h.State)})
	}
	return table
}

// endingSpan is done, the end of a [Request.Call], with the end of its span.
func endingSpan(span PublishSpan, done func(*Answer, error)) func(*Answer, error) {
	return func(a *Answer, err error) {
		failure := err
		if err == nil && a.Status >= http.StatusBadRequest {
			failure = &StatusError{Status: a.Status, Text: http.StatusText(a.Status)}
		}
		span.End(failure)
		done(a, err)
	}
}
