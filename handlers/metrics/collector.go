package metrics

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"

	"zamqp/publisher"
)

// prefix begins the name of each of the server's own metrics.
const prefix = "zamqp_"

// A collector gives the metrics of one scrape to the Prometheus library's registry,
// which checks and sorts them.
type collector []publisher.Metric

// Describe describes nothing, because the metrics depend on what runs.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect sends the metrics.
func (c collector) Collect(to chan<- prometheus.Metric) {
	descs := map[string]*prometheus.Desc{}
	for i := range c {
		m := &c[i]
		names, values := make([]string, len(m.Labels)), make([]string, len(m.Labels))
		for k, label := range m.Labels {
			// Clients name queues, with any octets.
			names[k], values[k] = label.Name, strings.ToValidUTF8(label.Value, "\uFFFD")
		}
		desc := descs[m.Name]
		if desc == nil {
			desc = prometheus.NewDesc(prefix+m.Name, m.Help, names, nil)
			descs[m.Name] = desc
		}
		if m.Times != nil {
			to <- histogramOf(desc, m.Times, values)
			continue
		}
		kind := prometheus.GaugeValue
		if strings.HasSuffix(m.Name, "_total") {
			kind = prometheus.CounterValue
		}
		metric, err := prometheus.NewConstMetric(desc, kind, m.Value, values...)
		if err != nil {
			metric = prometheus.NewInvalidMetric(desc, err)
		}
		to <- metric
	}
}

// histogramOf gives the buckets as the library wants them: each with all that is shorter.
func histogramOf(desc *prometheus.Desc, h *publisher.Histogram, values []string) prometheus.Metric {
	buckets, count := make(map[float64]uint64, len(h.Counts)), uint64(0)
	for i, n := range h.Counts {
		count += n
		if i < len(publisher.HistogramBounds) {
			buckets[publisher.HistogramBounds[i].Seconds()] = count
		}
	}
	metric, err := prometheus.NewConstHistogram(desc, count, h.Sum.Seconds(), buckets, values...)
	if err != nil {
		return prometheus.NewInvalidMetric(desc, err)
	}
	return metric
}
