package tracing

import (
	"context"
	"net/http"
	"net/url"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/codes"
	"go.opentelemetry.io/otel/trace"
)

// Fetch begins the span of a request to another server. A span in the request's own context,
// which the handler has begun, is its parent.
func (s *callSpan) Fetch(req *http.Request, try int) (end func(status int, err error)) {
	in := trace.SpanFromContext(req.Context())
	if !in.SpanContext().IsValid() {
		in = trace.SpanFromContext(s.Context(context.Background()))
	}
	method := req.Method
	if method == "" {
		method = http.MethodGet
	}
	name := method
	if !isKnown(method) {
		name = "HTTP"
	}
	_, span := s.t.tracer.Start(trace.ContextWithSpan(context.Background(), in), name, s.t.kinds[trace.SpanKindClient]...)
	headers := headersOf(span.SpanContext())
	req.Header.Set("Traceparent", headers.Parent)
	if headers.State != "" {
		req.Header.Set("Tracestate", headers.State)
	}
	if !span.IsRecording() {
		return func(int, error) {}
	}
	span.SetAttributes(fetched(req, method, try)...)
	return func(status int, err error) {
		if status > 0 {
			span.SetAttributes(httpStatus.Int(status))
		}
		if fail(span, err); status >= http.StatusBadRequest {
			span.SetAttributes(errorType.String(strconv.Itoa(status)))
			span.SetStatus(codes.Error, "")
		}
		span.End()
	}
}

func fetched(req *http.Request, method string, try int) []attribute.KeyValue {
	a := make([]attribute.KeyValue, 0, 6)
	if isKnown(method) {
		a = append(a, httpMethod.String(method))
	} else {
		a = append(a, httpMethod.String(otherMethod), httpMethodOriginal.String(valid(method)))
	}
	host := req.URL.Host
	if req.URL.Port() == "" {
		switch req.URL.Scheme {
		case "http":
			host += ":80"
		case "https":
			host += ":443"
		}
	}
	a = appendHost(a, valid(host))
	shown := url.URL{Scheme: req.URL.Scheme, Host: req.URL.Host, Path: req.URL.Path, RawPath: req.URL.RawPath} // a query is often a secret, and so is a user
	a = append(a, urlFull.String(valid(shown.String())))
	if try > 0 {
		a = append(a, httpResendCount.Int(try))
	}
	return a
}
