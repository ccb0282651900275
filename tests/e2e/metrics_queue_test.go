package e2e_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/wait"
)

// TestMetricsOfQueues: the server asks the broker how much waits in the queues of its consumers. A
// queue that is gone costs nobody anything.
func TestMetricsOfQueues(t *testing.T) { everywhere(t, metricsOfQueues) }

func metricsOfQueues(t *testing.T, at broker) {
	url := at(t)
	s := start(t, func(*testing.T) string { return url }, "metrics.queue_interval=1s")
	const consumer, dead = "consumer=e2e-work", "queue=e2e-work.dead"
	if status, _ := s.do("POST", "/work", "", "fail "+unique(t)); status != 202 {
		t.Fatal(status)
	}
	wait.Until(t, "the dead letter is counted", func() bool {
		return s.metric("queue_messages", "connection=default", consumer, dead, "role=dead") >= 1
	})
	if n := s.metric("queue_consumers", consumer, "queue=e2e-work", "role=main"); n < 1 {
		t.Errorf("%v consumers of the queue", n)
	}
	ch := s.channel()
	if _, err := ch.QueueDelete("e2e-work.dead", false, false, false); err != nil {
		t.Fatal(err)
	}
	wait.Until(t, "the missing queue has no metric", func() bool { return s.metric("queue_messages", consumer, dead) == -1 })
	errors := s.metric("connection_channel_errors_total", "connection=default")
	if errors < 1 {
		t.Errorf("%v channel errors: nobody asked for the missing queue", errors)
	}
	marker := unique(t)
	if status, body := s.do("POST", "/work", "", marker); status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	s.takeDead(ch, "e2e-done", marker) // the consumer still works
	if n := s.metric("connection_channel_errors_total", "connection=default"); n != errors {
		t.Errorf("%v channel errors, and then %v: a missing queue is asked for again in each round", errors, n)
	}
	for _, part := range []string{"kind=connection", "kind=consumer"} {
		if s.metric("part_ready", part) != 1 {
			t.Errorf("%s is not ready", part)
		}
	}
	if _, err := ch.QueueDeclare("e2e-work.dead", true, false, false, false, nil); err != nil { // other tests use it
		t.Fatal(err)
	}
}

func TestMetricsWithoutQueues(t *testing.T) {
	s := start(t, embedded, "metrics.queue_interval=off", "metrics.call_times=false")
	if status, _ := s.do("POST", "/work", "", unique(t)); status != 202 {
		t.Fatal(status)
	}
	for _, name := range []string{"zamqp_queue_messages", "zamqp_call_duration_seconds"} {
		if s.scrape()[name] != nil {
			t.Errorf("%s is there, and was switched off", name)
		}
	}
}

func TestMetricsOfCallTimes(t *testing.T) {
	s := start(t, embedded)
	for range 3 {
		if status, _ := s.do("POST", "/work", "", unique(t)); status != 202 {
			t.Fatal(status)
		}
	}
	count := func(name string, labels ...string) uint64 {
		for _, m := range s.scrape()["zamqp_"+name].GetMetric() {
			if pairs := pairsOf(m); !slices.ContainsFunc(labels, func(l string) bool { return !slices.Contains(pairs, l) }) {
				return m.GetHistogram().GetSampleCount()
			}
		}
		return 0
	}
	if n := count("call_duration_seconds", "source=http", "handler=POST /work"); n != 3 {
		t.Errorf("%d calls of the route were measured", n)
	}
	wait.Until(t, "the messages are measured", func() bool {
		return count("call_duration_seconds", "source=message", "handler=e2e-work") == 3
	})
	for name, labels := range map[string][]string{
		"connection_confirm_duration_seconds": {"connection=default"}, "loop_turn_duration_seconds": nil, "loop_lag_seconds": nil,
	} {
		if count(name, labels...) == 0 {
			t.Errorf("%s has counted nothing", name)
		}
	}
	if n := s.metric("http_answers_total", "status=2xx"); n < 3 {
		t.Errorf("%v answers", n)
	}
}

// TestMetricsHaveBoundedLabels: whatever clients and messages say, the number of series stays.
func TestMetricsHaveBoundedLabels(t *testing.T) {
	s := start(t, embedded, "metrics.queue_interval=1s")
	ch := s.channel()
	attack := func(n int) {
		t.Helper()
		tag := fmt.Sprintf("attack-%d", n)
		for _, path := range []string{"/" + tag, "/work/" + tag, "/livez?" + tag, "/work"} {
			for _, method := range []string{"GET", "POST", "X" + tag} {
				req, err := http.NewRequest(method, s.url+path, strings.NewReader("fail "+tag))
				if err != nil {
					t.Fatal(err)
				}
				req.Host = tag + ".example"
				req.Header.Set("User-Agent", tag)
				resp, err := http.DefaultClient.Do(req)
				if err != nil {
					t.Fatal(err)
				}
				_ = resp.Body.Close()
			}
		}
		err := ch.Publish("e2e", "other."+tag, false, false, amqp.Publishing{Body: []byte("fail " + tag), MessageId: tag, AppId: tag, Type: tag, UserId: "guest",
			ReplyTo: tag, CorrelationId: tag, Headers: amqp.Table{tag: tag}, ContentType: tag})
		if err != nil {
			t.Fatal(err)
		}
	}
	series := func() (all []string) {
		for name, f := range s.scrape() {
			for _, m := range f.GetMetric() {
				all = append(all, name+fmt.Sprint(pairsOf(m)))
			}
		}
		slices.Sort(all)
		return all
	}
	attack(0)
	wait.Until(t, "the queues are known", func() bool { return s.metric("queue_messages", "role=dead", "consumer=e2e-work") >= 1 })
	before := series()
	for n := range 50 {
		attack(n + 1)
	}
	wait.Until(t, "all is handled", func() bool { return s.metric("queue_messages", "role=dead", "consumer=e2e-work") >= 51 })
	after := series()
	for _, one := range after {
		if strings.Contains(one, "attack-") {
			t.Errorf("a client has named a series: %s", one)
		}
		_, known := slices.BinarySearch(before, one)
		if !known && !strings.HasPrefix(one, "zamqp_queue_") { // which come one by one
			t.Errorf("a new series: %s", one)
		}
	}
	s.take(ch, "e2e-work.dead")
}
