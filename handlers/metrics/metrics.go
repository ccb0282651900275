// Package metrics exports the server's numbers to Prometheus.
package metrics

import (
	"bytes"
	"log/slog"
	"net/http"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/common/expfmt"

	"zamqp/publisher"
)

func init() {
	publisher.Handle("GET /metrics", scrape, publisher.Monitoring)
}

// scrape answers with the page in the format that the request asks for. The loop's
// thread only reads the counters. Another thread makes the page, with what Go and
// the process report about themselves, and with the metrics that handlers have
// registered with the Prometheus library.
func scrape(r *publisher.Request) error {
	metrics := r.Server().Metrics()
	format := expfmt.NegotiateAccept(http.Header{"Accept": r.Headers()["Accept"]}, expfmt.DefaultOpenMetricsAcceptedFormats()...)
	var page bytes.Buffer
	err := r.Offload(func() error { return write(&page, format, metrics) })
	if err != nil {
		return err
	}
	return r.Bytes(200, string(format), page.Bytes())
}

// write makes the page. If a collector of a handler fails, the page still has the server's own
// numbers, and everything else that could be gathered.
func write(page *bytes.Buffer, format expfmt.Format, metrics []publisher.Metric) error {
	own := prometheus.NewRegistry()
	if err := own.Register(collector(metrics)); err != nil {
		return err
	}
	families, err := prometheus.Gatherers{own, prometheus.DefaultGatherer}.Gather()
	if err != nil {
		slog.Warn("metrics: some could not be gathered", "error", err)
	}
	encoder := expfmt.NewEncoder(page, format)
	for _, family := range families {
		if err := encoder.Encode(family); err != nil {
			return err
		}
	}
	if end, ok := encoder.(expfmt.Closer); ok {
		return end.Close() // # EOF
	}
	return nil
}
