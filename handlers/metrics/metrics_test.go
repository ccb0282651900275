package metrics_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	_ "zamqp/handlers/metrics"
	"zamqp/publisher"
	"zamqp/publisher/publishertest"
)

// scrape gets the page and parses it.
func scrape(t *testing.T) (families map[string]*dto.MetricFamily, text string) {
	t.Helper()
	s := publishertest.New(t, publisher.Default)
	got := s.Request("GET", "/metrics", "", "")
	if got.Status != 200 || !strings.HasPrefix(got.ContentType, "text/plain; version=0.0.4") {
		t.Fatalf("%+v", got)
	}
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(got.Body))
	if err != nil {
		t.Fatalf("%v in:\n%s", err, got.Body)
	}
	return families, got.Body
}

func TestPage(t *testing.T) {
	families, text := scrape(t)
	if f := families["zamqp_requests_total"]; f.GetType() != dto.MetricType_COUNTER || f.GetMetric()[0].GetCounter().GetValue() != 1 {
		t.Errorf("requests: %v", f)
	}
	if f := families["zamqp_calls"]; f.GetType() != dto.MetricType_GAUGE || f.GetMetric()[0].GetGauge().GetValue() != 1 {
		t.Errorf("calls: %v", f)
	}
	for _, name := range []string{"zamqp_ready", "go_goroutines"} {
		if families[name] == nil {
			t.Errorf("no %s", name)
		}
	}
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range problems {
		if strings.HasPrefix(p.Metric, "zamqp_") {
			t.Errorf("%s: %s", p.Metric, p.Text)
		}
	}
}

// failing is a collector that only returns an error.
type failing struct{}

var broken = prometheus.NewDesc("shop_broken", "Fails.", nil, nil)

func (failing) Describe(to chan<- *prometheus.Desc) { to <- broken }

func (failing) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.NewInvalidMetric(broken, errors.New("on purpose"))
}

// TestOwnMetrics: what handlers register with the library is on the page, and one
// that fails hides no other.
func TestOwnMetrics(t *testing.T) {
	sold := prometheus.NewCounter(prometheus.CounterOpts{Name: "shop_sold_total", Help: "Items sold."})
	for _, c := range []prometheus.Collector{sold, failing{}} {
		prometheus.MustRegister(c)
		defer prometheus.Unregister(c)
	}
	sold.Add(3)
	families, _ := scrape(t)
	if f := families["shop_sold_total"]; f == nil || f.GetMetric()[0].GetCounter().GetValue() != 3 {
		t.Errorf("a handler's own: %v", f)
	}
	if families["zamqp_requests_total"] == nil {
		t.Error("the server's are hidden")
	}
}
