package guide_test

import (
	"testing"

	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/trace/tracetest"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
	"zamqp/publisher/tracing"
)

func total(r *publisher.Request) error {
	_, span := otel.Tracer("shop").Start(r.Context(), "add up")
	defer span.End()
	span.SetAttributes(attribute.Int("items", 3))
	return r.Reply(200, "42")
}

func TestTracing(t *testing.T) {
	spans := tracetest.NewInMemoryExporter()
	tracer, err := tracing.New(tracing.Options{Exporter: spans, Global: true})
	if err != nil {
		t.Fatal(err)
	}
	g := publisher.NewRegistry()
	g.Handle("GET /total", total)
	s := publishertest.New(t, g, func(o *publisher.Options) { o.Tracer = tracer })
	if got := s.Request("GET", "/total", "", ""); got.Body != "42" {
		t.Fatal(got)
	}
	if err := tracer.Flush(t.Context()); err != nil {
		t.Fatal(err)
	}
	all := spans.GetSpans()
	if len(all) != 2 || all[0].Name != "add up" || all[0].Parent.SpanID() != all[1].SpanContext.SpanID() {
		t.Errorf("the spans are %v", all)
	}
}
