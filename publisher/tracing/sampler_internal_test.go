package tracing

import (
	"context"
	"testing"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// TestDropsAsTheLibrary: what is left out without asking OpenTelemetry is what it would leave out.
func TestDropsAsTheLibrary(t *testing.T) {
	for _, name := range []string{"always_on", "always_off", "traceidratio", "parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"} {
		for _, share := range []string{"0", "0.01", "0.3", "0.999999", "1"} {
			s, err := samplerOf(name, share)
			if err != nil {
				t.Fatal(err)
			}
			for n := range 3000 {
				id := newTraceID()
				var parent trace.SpanContext
				if n%3 > 0 {
					parent = trace.NewSpanContext(trace.SpanContextConfig{TraceID: id, SpanID: newSpanID(), TraceFlags: trace.TraceFlags(n % 3 % 2), Remote: true})
				}
				asked := s.ShouldSample(sdk.SamplingParameters{ParentContext: trace.ContextWithRemoteSpanContext(context.Background(), parent), TraceID: id})
				if want := asked.Decision == sdk.Drop; s.drops(parent, id) != want {
					t.Fatalf("%s %s: %v with parent %v: dropped %v, want %v", name, share, id, parent.IsSampled(), !want, want)
				}
			}
		}
	}
}
