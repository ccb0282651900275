package e2e_test

import (
	"fmt"
	"maps"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"

	_ "zamqp/handlers/metrics"
	"zamqp/tests/kit/selfsigned"
	"zamqp/tests/kit/wait"
)

// scrape gets the page of metrics and takes it apart.
func (s *server) scrape() map[string]*dto.MetricFamily {
	s.t.Helper()
	status, text := s.get("/metrics")
	parser := expfmt.NewTextParser(model.UTF8Validation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text))
	if status != 200 || err != nil {
		s.t.Fatalf("%d, %v:\n%s", status, err, text)
	}
	return families
}

// metric is the value of the metric with these labels, "name=value" each, and
// whatever others; -1 if there is none.
func (s *server) metric(name string, labels ...string) float64 {
	s.t.Helper()
	for _, m := range s.scrape()["zamqp_"+name].GetMetric() {
		if pairs := pairsOf(m); !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(pairs, l) }) {
			return m.GetCounter().GetValue() + m.GetGauge().GetValue()
		}
	}
	return -1
}

func pairsOf(m *dto.Metric) (pairs []string) {
	for _, l := range m.GetLabel() {
		pairs = append(pairs, l.GetName()+"="+l.GetValue())
	}
	return pairs
}

func TestMetricsOfTraffic(t *testing.T) { everywhere(t, metricsOfTraffic) }

func metricsOfTraffic(t *testing.T, at broker) {
	url := at(t)
	s := start(t, func(*testing.T) string { return url })
	requests, calls := s.metric("requests_total"), s.metric("consumer_calls_total", "consumer=e2e-work")
	if status, body := s.do("POST", "/work", "", unique(t)); status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	if status, _ := s.do("POST", "/work", "", "fail "+unique(t)); status != 202 {
		t.Fatal(status)
	}
	atLeast := func(value float64, name string, labels ...string) {
		t.Helper()
		wait.Until(t, fmt.Sprintf("%s%q is %v", name, labels, value), func() bool { return s.metric(name, labels...) >= value })
	}
	atLeast(requests+3, "requests_total")
	atLeast(calls+2, "consumer_calls_total", "consumer=e2e-work")
	atLeast(1, "consumer_failures_total", "consumer=e2e-work")
	atLeast(1, "failures_total")
	const connection = "connection=default"
	atLeast(4, "connection_published_total", connection) // two of each: what was asked for, and what became of it
	atLeast(4, "connection_confirmed_total", connection)
	atLeast(2, "connection_delivered_total", connection)
	atLeast(2, "connection_acked_total", connection)
	atLeast(1, "connection_connects_total", connection)
	atLeast(100, "connection_received_bytes_total", connection)
	atLeast(1, "connection_state", connection, "state=connected")
	atLeast(1, "consumer_state", connection, "consumer=e2e-work", "state=up")
	atLeast(1, "producer_up", connection, "producer=e2e-work")
	atLeast(1, "part_ready", "kind=connection", "name=default")
	if url == "embedded" {
		atLeast(4, "broker_published_total")
		atLeast(1, "broker_queue_consumers", "vhost=/", "queue=e2e-work")
		atLeast(1, "broker_queue_messages", "vhost=/", "queue=e2e-work.dead")
	} else if got := s.metric("broker_published_total"); got != -1 {
		t.Errorf("metrics of a broker that is not this process's: %v", got)
	}
	ch := s.channel() // other tests look into these queues
	s.take(ch, "e2e-work.dead")
	s.take(ch, "e2e-done")
}

func TestMetricsOfTheSpool(t *testing.T) {
	s := startUnready(t, "amqp://guest:guest@127.0.0.1:1/", "connection.default.spool=file", "connection.default.spool_dir="+t.TempDir(),
		"connection.default.spool_max=1MiB")
	for range 3 {
		if status, body := s.do("POST", "/work", "", "for later"); status != 202 {
			t.Fatalf("%d %s", status, body)
		}
	}
	for name, want := range map[string]float64{
		"spool_messages": 3, "spool_added_total": 3, "spool_left_total": 0, "spool_max_bytes": 1 << 20, "spool_failed": 0,
		"spool_aside_messages": 0, "spool_expired_total": 0, "connection_up": 0,
	} {
		if got := s.metric(name, "connection=default"); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if octets, disk := s.metric("spool_bytes"), s.metric("spool_disk_bytes"); octets < 3*64 || disk <= 0 {
		t.Errorf("%v octets in %v of files", octets, disk)
	}
	if got := s.metric("part_ready", "kind=spool", "name=default"); got != 1 {
		t.Errorf("the spool's readiness is %v", got)
	}
}

// TestMetricsAreDocumented holds the guide's table to what a server with one of
// everything shows, and the names to the rules.
func TestMetricsAreDocumented(t *testing.T) {
	own := selfsigned.New(t)
	s := start(t, embedded, "connection.default.spool=file", "connection.default.spool_dir="+t.TempDir(), "connection.default.keepalive=1h",
		"server.data_dir="+t.TempDir(), "consumer.e2e-work.dedupe.key=message_id", "tracing.endpoint=http://127.0.0.1:9",
		"http.tls.listen=127.0.0.1:0", "http.tls.cert_file="+own.Cert, "http.tls.key_file="+own.Key)
	guide, err := os.ReadFile("../../docs/guide/metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	documented := map[string]bool{}
	_, table, _ := strings.Cut(string(guide), "\n## All of them\n")
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "| `zamqp_") {
			documented[strings.TrimSpace(line)] = true
		}
	}
	// With a spool the server is ready before a queue is declared.
	wait.Until(t, "a queue is declared", func() bool { return s.metric("broker_queue_messages") >= 0 })
	wait.Until(t, "the broker has told how long a queue is", func() bool { return s.metric("queue_messages") >= 0 })
	families := s.scrape()
	for _, name := range slices.Sorted(maps.Keys(families)) {
		if !strings.HasPrefix(name, "zamqp_") {
			continue
		}
		labels := ""
		for _, l := range families[name].GetMetric()[0].GetLabel() {
			labels += " `" + l.GetName() + "`"
		}
		row := fmt.Sprintf("| `%s` |%s | %s |", name, labels, families[name].GetHelp())
		if !documented[row] {
			t.Errorf("docs/guide/metrics.md lacks this row:\n%s", row)
		}
		delete(documented, row)
	}
	for row := range documented {
		if strings.HasPrefix(row, "| `zamqp_log_") {
			continue // of the log that the command makes; these servers have the test's
		}
		if strings.HasPrefix(row, "| `zamqp_client_host_") {
			continue // of hosts that calls have asked; this server has asked none
		}
		if strings.HasPrefix(row, "| `zamqp_outbox_") {
			continue // of databases with an outbox; this server has none
		}
		t.Errorf("docs/guide/metrics.md has what is not there:\n%s", row)
	}
	_, text := s.get("/metrics")
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

func TestOpenMetrics(t *testing.T) {
	s := start(t, embedded)
	req, err := http.NewRequest("GET", s.url+"/metrics", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Accept", "application/openmetrics-text;version=1.0.0;q=0.6,text/plain;version=0.0.4;q=0.5,*/*;q=0.1")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	var page strings.Builder
	if err := resp.Write(&page); err != nil {
		t.Fatal(err)
	}
	kind, text := resp.Header.Get("Content-Type"), page.String()
	if !strings.HasPrefix(kind, "application/openmetrics-text; version=1.0.0") || !strings.Contains(text, "\n# TYPE zamqp_requests counter\n") ||
		!strings.HasSuffix(text, "\n# EOF\n") {
		t.Errorf("%s:\n%s", kind, text)
	}
}
