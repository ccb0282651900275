package tracing

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/rs/zerolog"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace"
	"go.opentelemetry.io/otel/propagation"
	"go.opentelemetry.io/otel/sdk/resource"
	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"

	"zamqp/publisher"
)

// Options say where spans go and which calls have some. A text that is empty is read from the
// environment variable that OpenTelemetry has for it, and then has OpenTelemetry's default.
type Options struct {
	Endpoint    string // URL of the receiver, without /v1/traces: OTEL_EXPORTER_OTLP_ENDPOINT
	ServiceName string // OTEL_SERVICE_NAME; then "zamqp"
	Sampler     string // OTEL_TRACES_SAMPLER
	SamplerArg  string // OTEL_TRACES_SAMPLER_ARG
	Log         zerolog.Logger
	// Exporter is where spans go instead of a receiver.
	Exporter sdk.SpanExporter
	// Global makes the spans of other libraries in this process part of the same traces.
	Global bool
}

// Tracing makes the spans of one server. It is a [publisher.Tracer] and a [publisher.Meter].
type Tracing struct {
	provider *sdk.TracerProvider
	tracer   trace.Tracer
	sampler  *sampler
	queue    *queue
	receiver string             // URL, without a password
	names    map[nameKey]string // of HTTP spans; loop thread only
	kinds    [trace.SpanKindConsumer + 1][]trace.SpanStartOption
}

// A Problem is a setting that is wrong.
type Problem struct {
	Key   string // endpoint, sampler or sampler_arg; "" if it is a variable of the environment, which Err names
	Value string
	Err   error
}

// Wanted reports whether the environment, or an endpoint, asks for tracing.
func (o Options) Wanted() bool {
	if strings.EqualFold(os.Getenv("OTEL_SDK_DISABLED"), "true") || strings.TrimSpace(os.Getenv("OTEL_TRACES_EXPORTER")) == "none" {
		return false
	}
	set, _ := variable("ENDPOINT")
	return o.Endpoint != "" || set != ""
}

// Check returns what is wrong with the options and with the variables of OpenTelemetry.
func (o Options) Check() (found []Problem) {
	note := func(err error) {
		var s *settingError
		switch {
		case errors.As(err, &s):
			found = append(found, Problem{s.key, s.value, s.err})
		case err != nil:
			found = append(found, Problem{Err: err})
		}
	}
	_, err := samplerOf(o.Sampler, o.SamplerArg)
	note(err)
	_, err = newOTLP(o.Endpoint)
	note(err)
	_, err = queueSize()
	note(err)
	return found
}

// A settingError is about a key of [tracing].
type settingError struct {
	key, value string
	err        error
}

func (e *settingError) Error() string {
	return fmt.Sprintf("tracing.%s = %q: %v", e.key, e.value, e.err)
}

// wrong is the error of a value. from is a key of [tracing], or the name of a variable.
func wrong(from, value, want string) error {
	if key, ours := strings.CutPrefix(from, "tracing."); ours {
		return &settingError{key, value, errors.New(want)}
	}
	return fmt.Errorf("%s = %q: %s", from, value, want)
}

// New returns a tracing whose spans are sent from now on. An error names the setting, or the
// variable, that is wrong.
func New(o Options) (*Tracing, error) {
	sampler, err := samplerOf(o.Sampler, o.SamplerArg)
	if err != nil {
		return nil, err
	}
	exporter, receiver := o.Exporter, ""
	if exporter == nil {
		x, err := newOTLP(o.Endpoint)
		if err != nil {
			return nil, err
		}
		if exporter, err = otlptrace.New(context.Background(), x); err != nil {
			return nil, err
		}
		receiver = x.at.Redacted()
	}
	q, err := newQueue(exporter, o.Log)
	if err != nil {
		return nil, err
	}
	t := &Tracing{queue: q, sampler: sampler, receiver: receiver, names: map[nameKey]string{}}
	t.provider = sdk.NewTracerProvider(sdk.WithSpanProcessor(q), sdk.WithSampler(sampler), sdk.WithResource(resourceOf(o.ServiceName)), sdk.WithIDGenerator(ids{}))
	t.tracer = t.provider.Tracer("zamqp", trace.WithSchemaURL(schemaURL))
	for kind := range t.kinds {
		t.kinds[kind] = []trace.SpanStartOption{trace.WithSpanKind(trace.SpanKind(kind))}
	}
	if o.Global {
		otel.SetTracerProvider(t.provider)
		otel.SetTextMapPropagator(propagation.NewCompositeTextMapPropagator(propagation.TraceContext{}, propagation.Baggage{}))
		otel.SetErrorHandler(otel.ErrorHandlerFunc(func(err error) { o.Log.Warn().Err(err).Msg("tracing") }))
	}
	return t, nil
}

// resourceOf describes this process in the spans.
func resourceOf(service string) *resource.Resource {
	named := resource.NewSchemaless(attribute.String("service.name", "zamqp"))
	found, err := resource.New(context.Background(), resource.WithTelemetrySDK(), resource.WithHost(), resource.WithProcessPID(), resource.WithFromEnv())
	if err == nil || errors.Is(err, resource.ErrPartialResource) || errors.Is(err, resource.ErrSchemaURLConflict) {
		named = merged(named, found)
	}
	if service != "" {
		named = merged(named, resource.NewSchemaless(attribute.String("service.name", service)))
	}
	return named
}

// merged is a with what b says; b wins.
func merged(a, b *resource.Resource) *resource.Resource {
	if both, err := resource.Merge(a, b); err == nil {
		return both
	}
	return a
}

// Receiver returns the URL that spans are sent to.
func (t *Tracing) Receiver() string { return t.receiver }

// Close sends what is left, until ctx ends. An error says how many spans were not sent.
func (t *Tracing) Close(ctx context.Context) error {
	err := t.provider.Shutdown(ctx)
	if left := t.queue.left(); left > 0 {
		return fmt.Errorf("%d spans were not sent: %w", left, errors.Join(err, context.Cause(ctx)))
	}
	return nil
}

// Measure appends the metrics of the tracing.
func (t *Tracing) Measure(dst []publisher.Metric) []publisher.Metric { return t.queue.measure(dst) }

// Flush sends what waits, until ctx ends.
func (t *Tracing) Flush(ctx context.Context) error { return t.provider.ForceFlush(ctx) }
