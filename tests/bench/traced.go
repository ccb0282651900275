package main

// Names of a server that traces its calls.
const (
	tracedSome = "zamqp, traced, 1 % sampled"
	tracedAll  = "zamqp, traced, all sampled"
)

// traced are a server without tracing, and the same one with it. Nobody takes their spans: what a
// receiver costs is not measured.
func traced(p *programSet) []contestant {
	with := func(name, share string) contestant {
		return contestant{name, &program{name: ours + "-traced-" + share, build: p.zamqp.build, needs: p.zamqp.needs, remedy: p.zamqp.remedy,
			argv: append([]string{"/usr/bin/env", "ZAMQP_TRACING__ENDPOINT=http://127.0.0.1:9", "ZAMQP_TRACING__SAMPLER=traceidratio", "ZAMQP_TRACING__SAMPLER_ARG=" + share},
				p.zamqp.argv...)}, 0}
	}
	return []contestant{{ours, p.zamqp, 0}, with(tracedSome, "0.01"), with(tracedAll, "1")}
}

func tracedWorkloads(p *programSet) []workload {
	goals := []goal{costsAtMost(tracedSome, ours, 1.1)}
	return []workload{
		{name: "http-traced", title: "HTTP GET /hello, traced", unit: "request", contestants: traced(p), run: httpPlain, goals: goals,
			what: "The same as `http-plain`, with OpenTelemetry's spans for 1 % of the requests, and for all."},
		{name: "orders-traced", title: "HTTP POST → publish → confirm → 202, and the consumer, traced", unit: "request", broker: true, contestants: traced(p), run: orders64, goals: goals,
			what: "The same as `orders`, with spans for the request, the publish and the message."},
	}
}
