package tracing

import (
	"cmp"
	"encoding/binary"
	"os"
	"strconv"
	"strings"

	sdk "go.opentelemetry.io/otel/sdk/trace"
	"go.opentelemetry.io/otel/trace"
)

// A sampler decides which traces have spans. It is OpenTelemetry's, and knows without asking it which
// calls have none: they are most of them, and asking costs more than the call's headers.
type sampler struct {
	sdk.Sampler
	follows bool   // the parent decides, if there is one
	below   uint64 // of the last 63 bits of a trace id
}

// all is more than 63 bits can say.
const all = 1 << 63

func share(ratio float64) uint64 {
	if ratio >= 1 {
		return all
	}
	return uint64(ratio * all)
}

// drops reports whether a span has to be left out. It is exact for traces that have no parent here.
func (s *sampler) drops(parent trace.SpanContext, id trace.TraceID) bool {
	if s.follows && parent.IsValid() {
		return !parent.IsSampled()
	}
	return binary.BigEndian.Uint64(id[8:])>>1 >= s.below
}

// samplerOf returns the sampler of that name, or of OTEL_TRACES_SAMPLER. The default follows the
// caller, and samples all traces that begin here.
func samplerOf(name, arg string) (*sampler, error) {
	from, argFrom := "tracing.sampler", "tracing.sampler_arg"
	if name == "" {
		name, from = strings.ToLower(strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER"))), "OTEL_TRACES_SAMPLER"
	}
	if arg == "" {
		arg, argFrom = strings.TrimSpace(os.Getenv("OTEL_TRACES_SAMPLER_ARG")), "OTEL_TRACES_SAMPLER_ARG"
	}
	ratio := 1.0
	if strings.HasSuffix(name, "traceidratio") && arg != "" {
		var err error
		if ratio, err = strconv.ParseFloat(arg, 64); err != nil || !(ratio >= 0 && ratio <= 1) {
			return nil, wrong(argFrom, arg, "want the share of traces that are sampled, from 0 to 1, like 0.01")
		}
	}
	switch cmp.Or(name, "parentbased_always_on") {
	case "always_on":
		return &sampler{sdk.AlwaysSample(), false, all}, nil
	case "always_off":
		return &sampler{sdk.NeverSample(), false, 0}, nil
	case "traceidratio":
		return &sampler{sdk.TraceIDRatioBased(ratio), false, share(ratio)}, nil
	case "parentbased_always_on":
		return &sampler{sdk.ParentBased(sdk.AlwaysSample()), true, all}, nil
	case "parentbased_always_off":
		return &sampler{sdk.ParentBased(sdk.NeverSample()), true, 0}, nil
	case "parentbased_traceidratio":
		return &sampler{sdk.ParentBased(sdk.TraceIDRatioBased(ratio)), true, share(ratio)}, nil
	}
	return nil, wrong(from, name, "want always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio")
}
