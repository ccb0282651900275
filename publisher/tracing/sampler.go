package tracing

import (
	"cmp"
	"os"
	"strconv"
	"strings"

	sdk "go.opentelemetry.io/otel/sdk/trace"
)

// samplerOf returns the sampler of that name, or of OTEL_TRACES_SAMPLER. The default follows the
// caller, and samples all traces that begin here.
func samplerOf(name, arg string) (sdk.Sampler, error) {
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
		return sdk.AlwaysSample(), nil
	case "always_off":
		return sdk.NeverSample(), nil
	case "traceidratio":
		return sdk.TraceIDRatioBased(ratio), nil
	case "parentbased_always_on":
		return sdk.ParentBased(sdk.AlwaysSample()), nil
	case "parentbased_always_off":
		return sdk.ParentBased(sdk.NeverSample()), nil
	case "parentbased_traceidratio":
		return sdk.ParentBased(sdk.TraceIDRatioBased(ratio)), nil
	}
	return nil, wrong(from, name, "want always_on, always_off, traceidratio, parentbased_always_on, parentbased_always_off or parentbased_traceidratio")
}
