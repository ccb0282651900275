package e2e_test

import (
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"strings"
	"sync"
	"testing"

	"zamqp/tests/kit/wait"

	amqp "github.com/rabbitmq/amqp091-go"
)

// TestDeclarations: the declarations match the options: the broker accepts the same
// declaration from another client and refuses every other one.
func TestDeclarations(t *testing.T) { everywhere(t, testDeclarations) }

func testDeclarations(t *testing.T, at broker) {
	s := start(t, at)
	dead := func(more amqp.Table, queue string) amqp.Table {
		args := amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": queue}
		for key, value := range more {
			args[key] = value
		}
		return args
	}
	back := func(ms int64, queue string, more amqp.Table) amqp.Table {
		return dead(amqp.Table{"x-message-ttl": ms}, queue)
	}
	quorumBack := func(ms int64) amqp.Table {
		args := back(ms, "e2e-quorum", nil)
		args["x-queue-type"], args["x-dead-letter-strategy"], args["x-overflow"] = "quorum", "at-least-once", "reject-publish"
		return args
	}
	for name, args := range map[string]amqp.Table{
		"e2e-retry":             dead(nil, "e2e-retry.dead"),
		"e2e-retry.dead":        nil,
		"e2e-retry.retry.20ms":  back(20, "e2e-retry", nil),
		"e2e-retry.retry.40ms":  back(40, "e2e-retry", nil),
		"e2e-retry.quarantine":  dead(nil, "e2e-retry.dead"),
		"e2e-quorum":            dead(amqp.Table{"x-queue-type": "quorum"}, "e2e-quorum.dead"),
		"e2e-quorum.dead":       {"x-queue-type": "quorum"},
		"e2e-quorum.retry.20ms": quorumBack(20),
		"e2e-off":               nil,
		"e2e-single":            dead(amqp.Table{"x-single-active-consumer": true}, "e2e-single.dead"),
		"e2e-stream":            {"x-queue-type": "stream"},
		"e2e-only":              dead(amqp.Table{"x-max-length": int32(100)}, "e2e-only.dead"),
		"e2e-props":             {"x-max-priority": int32(5)},
	} {
		if name == "e2e-stream" && !s.streams {
			continue
		}
		ch := s.channel()
		if _, err := ch.QueueDeclare(name, true, false, false, false, args); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	ch := s.channel()
	if err := ch.ExchangeDeclare("e2e-h", "headers", false, true, false, false, amqp.Table{"alternate-exchange": "amq.fanout"}); err != nil {
		t.Error(err)
	}
	if _, err := s.channel().Consume("e2e-alone", "", true, false, false, false, nil); err == nil {
		t.Error("a consumer beside an exclusive one")
	}
	if q, err := s.channel().QueueDeclarePassive("e2e-only", true, false, false, false, nil); err != nil || q.Consumers != 0 {
		t.Errorf("%+v, %v", q, err)
	}
}

func TestBindingArgumentsAndMarkers(t *testing.T) { everywhere(t, testBindingArgumentsAndMarkers) }

func testBindingArgumentsAndMarkers(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	key := unique(t)
	for _, kind := range []string{"pdf", "png"} {
		if err := ch.Publish("e2e-h", "", false, false, amqp.Publishing{Headers: amqp.Table{"kind": kind}, Body: []byte(kind + key)}); err != nil {
			t.Fatal(err)
		}
	}
	s.publish(ch, "e2e-marked", amqp.Publishing{Body: []byte(key)})
	wait.Until(t, "the pdf", func() bool { return len(recorded("e2e-headers", "pdf"+key)) == 1 })
	wait.Until(t, "both subscribers", func() bool { return len(recorded("e2e-marked", key)) == 2 })
	if got := recorded("e2e-headers", "png"+key); got != nil {
		t.Errorf("%q", got)
	}
}

// TestLanes: messages of one key are handled in their order, also where one fails
// and is tried again; those of other keys pass by.
func TestLanes(t *testing.T) { everywhere(t, testLanes) }

func testLanes(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	unique := unique(t)
	for i := range 30 {
		word := "slow"
		if i == 3 {
			word = "once"
		}
		s.publish(ch, "e2e-lane", amqp.Publishing{Headers: amqp.Table{"key": fmt.Sprint(i % 3)}, Body: fmt.Appendf(nil, "%s %s %d-%02d", word, unique, i%3, i)})
	}
	wait.Until(t, "all", func() bool { return len(recorded("e2e-lane", unique)) == 31 })
	for key := range 3 {
		last := ""
		for _, text := range recorded("e2e-lane", fmt.Sprintf("%s %d-", unique, key)) {
			_, number, _ := strings.Cut(text, unique)
			if number < last {
				t.Errorf("%s after %s", number, last)
			}
			last = number
		}
	}
}

func TestRateLetsAllThrough(t *testing.T) { everywhere(t, testRateLetsAllThrough) }

func testRateLetsAllThrough(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	key := unique(t)
	for range 20 {
		s.publish(ch, "e2e-rate", amqp.Publishing{Body: []byte(key)})
	}
	wait.Until(t, "all of them", func() bool { return len(recorded("e2e-rate", key)) == 20 })
}

func TestPauseAndResume(t *testing.T) { everywhere(t, testPauseAndResume) }

func testPauseAndResume(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	key := unique(t)
	if status, body := s.do("POST", "/pause/e2e-pause", "", ""); status != 204 {
		t.Fatalf("%d %s", status, body)
	}
	wait.Until(t, "the consumer is gone", func() bool {
		q, err := ch.QueueDeclarePassive("e2e-pause", true, false, false, false, nil)
		return err == nil && q.Consumers == 0
	})
	if status, body := s.get("/readyz"); status != 200 {
		t.Errorf("a paused consumer is no failure: %d %s", status, body)
	}
	s.publish(ch, "e2e-pause", amqp.Publishing{Body: []byte(key)})
	wait.Until(t, "it waits", func() bool { _, n := s.get("/len/e2e-pause"); return n == "1" })
	if status, body := s.do("POST", "/resume/e2e-pause", "", ""); status != 204 {
		t.Fatalf("%d %s", status, body)
	}
	wait.Until(t, "it is handled", func() bool { return len(recorded("e2e-pause", key)) == 1 })
	if status, _ := s.do("POST", "/pause/e2e-nobody", "", ""); status != 500 {
		t.Errorf("%d", status)
	}
}

func TestCallsOverAMQP(t *testing.T) { everywhere(t, testCallsOverAMQP) }

func testCallsOverAMQP(t *testing.T, at broker) {
	s := start(t, at)
	var all sync.WaitGroup
	for i := range 20 {
		all.Go(func() {
			want := fmt.Sprintf("QUESTION %d", i)
			if status, body := s.get(fmt.Sprintf("/ask/e2e-ask?q=question+%d", i)); status != 200 || body != want {
				t.Errorf("%d %q, want %q", status, body, want)
			}
		})
	}
	all.Wait()
	if status, body := s.get("/ask/e2e-ask?q=bad"); status != 422 || !strings.Contains(body, "bad question") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := s.get("/ask/e2e-nobody?q=x"); status != 503 || !s.failedWith("NO_ROUTE") {
		t.Errorf("%d %s", status, body)
	}
	if status, body := s.get("/ask/e2e-props?q=x&hurry"); status != 503 || !s.failedWith("no reply in time") {
		t.Errorf("nobody answers: %d %s", status, body)
	}
}

func TestGetIsAPartOfTheTransaction(t *testing.T) { everywhere(t, testGetIsAPartOfTheTransaction) }

func testGetIsAPartOfTheTransaction(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	key := unique(t)
	if _, err := ch.QueuePurge("e2e-only", false); err != nil {
		t.Fatal(err)
	}
	s.publish(ch, "e2e-only", amqp.Publishing{Body: []byte(key)})
	wait.Until(t, "it is there", func() bool { _, n := s.get("/len/e2e-only"); return n == "1" })
	if status, _ := s.do("POST", "/get/e2e-only?fail=1", "", ""); status != 500 {
		t.Errorf("%d", status)
	}
	var status int
	var body string
	wait.Until(t, "it is back", func() bool { status, body = s.do("POST", "/get/e2e-only", "", ""); return status != 404 })
	if status != 200 || body != key {
		t.Errorf("%d %q", status, body)
	}
	if status, body := s.do("POST", "/get/e2e-only", "", ""); status != 404 {
		t.Errorf("%d %q", status, body)
	}
	if status, body := s.get("/len/e2e-no-such-queue"); status != 503 || !s.failedWith("NOT_FOUND") {
		t.Errorf("%d %s", status, body)
	}
}

func TestProducerDefaults(t *testing.T) { everywhere(t, testProducerDefaults) }

func testProducerDefaults(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	if _, err := ch.QueuePurge("e2e-props", false); err != nil {
		t.Fatal(err)
	}
	text := strings.Repeat("text ", 100)
	if status, body := s.do("POST", "/publish/e2e-props?key=e2e-props", "", text); status != 202 {
		t.Fatalf("%d %s", status, body)
	}
	d := s.take(ch, "e2e-props")
	if d.ContentType != "text/plain" || d.ContentEncoding != "gzip" || d.Expiration != "60000" || d.Priority != 3 || d.ReplyTo != "replies" ||
		d.AppId != "e2e" || d.UserId != "guest" || d.Timestamp.IsZero() || d.DeliveryMode != 2 {
		t.Errorf("%+v", d)
	}
	z, err := gzip.NewReader(bytes.NewReader(d.Body))
	if err != nil {
		t.Fatal(err)
	}
	if got, err := io.ReadAll(z); err != nil || string(got) != text {
		t.Errorf("%q, %v", got, err)
	}
}

// TestPublishesOfAMessageHaveItsID: so that a receiver can drop a second copy.
func TestPublishesOfAMessageHaveItsID(t *testing.T) { everywhere(t, testPublishesOfAMessageHaveItsID) }

func testPublishesOfAMessageHaveItsID(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	key := unique(t)
	if _, err := ch.QueuePurge("e2e-done", false); err != nil {
		t.Fatal(err)
	}
	s.publish(ch, "e2e-work", amqp.Publishing{MessageId: key, ContentType: "application/json", Body: []byte(`"` + key + `"`)})
	if d := s.take(ch, "e2e-done"); d.MessageId != key+":e2e-work:0" {
		t.Errorf("%q", d.MessageId)
	}
}
