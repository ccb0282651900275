package tracing_test

import (
	"context"
	"testing"

	"github.com/rs/zerolog"
	sdk "go.opentelemetry.io/otel/sdk/trace"

	"zamqp/publisher"
	"zamqp/publisher/publishertest"
	"zamqp/publisher/tracing"
)

// BenchmarkCall is a whole call with one publish, as the test's server runs it: the differences are what tracing costs.
func BenchmarkCall(b *testing.B) {
	for _, row := range []struct{ name, sampler, arg string }{{"off", "", ""}, {"none", "always_off", ""}, {"1%", "traceidratio", "0.01"}, {"all", "always_on", ""}} {
		for _, target := range []string{"/hello", "/publish"} {
			b.Run(row.name+target, func(b *testing.B) {
				g := publisher.NewRegistry()
				g.Produce("p", publisher.Producer{Exchange: "e"})
				g.Handle("GET /hello", func(r *publisher.Request) error { return r.Text(200, "Hello, World!") })
				g.Handle("GET /publish", func(r *publisher.Request) error {
					_ = r.Publish("p", "x")
					return r.Text(200, "Hello, World!")
				})
				var o []publishertest.Option
				if row.sampler != "" {
					tr, err := tracing.New(tracing.Options{Sampler: row.sampler, SamplerArg: row.arg, Exporter: nowhere{}, Log: zerolog.Nop()})
					if err != nil {
						b.Fatal(err)
					}
					defer tr.Close(context.Background())
					o = append(o, func(o *publisher.Options) { o.Tracer = tr })
				}
				s := publishertest.New(b, g, o...)
				b.ReportAllocs()
				for b.Loop() {
					s.Request("GET", target, "", "")
					s.Published()
				}
			})
		}
	}
}

type nowhere struct{}

func (nowhere) ExportSpans(context.Context, []sdk.ReadOnlySpan) error { return nil }
func (nowhere) Shutdown(context.Context) error                        { return nil }
