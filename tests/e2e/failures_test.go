package e2e_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/wait"
)

// takeDead gets the dead letter that speaks of key; others are dropped.
func (s *server) takeDead(ch *amqp.Channel, queue, key string) amqp.Delivery {
	s.t.Helper()
	for {
		if d := s.take(ch, queue); strings.Contains(string(d.Body), key) {
			return d
		}
	}
}

func TestRetriesWaitInQueuesOfTheBroker(t *testing.T) {
	everywhere(t, testRetriesWaitInQueuesOfTheBroker)
}

func testRetriesWaitInQueuesOfTheBroker(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	key := unique(t)
	if err := ch.Publish("e2e-x", "retry.this", false, false, amqp.Publishing{MessageId: key, CorrelationId: "c", Type: "t", Expiration: "60000",
		Headers: amqp.Table{"kept": "yes", "CC": []any{"e2e-graves"}}, Body: []byte("fail " + key)}); err != nil {
		t.Fatal(err)
	}
	d := s.takeDead(ch, "e2e-retry.dead", key)
	for name, want := range map[string]any{
		"kept": "yes", publisher.TraceAttempt: int64(3), publisher.TraceReason: publisher.ReasonAttempts, publisher.TraceHandler: "e2e-retry",
		publisher.TraceExchange: "e2e-x", publisher.TraceRoutingKey: "retry.this", publisher.TraceQueue: "e2e-retry",
		publisher.TraceExpiration: "60000", "CC": nil,
	} {
		if got := d.Headers[name]; got != want {
			t.Errorf("%s: %#v, want %#v", name, got, want)
		}
	}
	if text, _ := d.Headers[publisher.TraceError].(string); len(text) != publisher.TraceErrorMax || !strings.HasPrefix(text, "on purpose") {
		t.Errorf("error: %q", text)
	}
	if at, _ := d.Headers[publisher.TraceTime].(time.Time); time.Since(at).Abs() > time.Hour {
		t.Errorf("time: %v", at)
	}
	if d.MessageId != key || d.CorrelationId != "c" || d.Type != "t" || d.Expiration != "" || d.DeliveryMode != 2 {
		t.Errorf("%+v", d)
	}
	want := []string{"/default/e2e-x/retry.this #1 fail " + key, "/default/e2e-x/retry.this #2 fail " + key, "/default/e2e-x/retry.this #3 fail " + key}
	if got := recorded("e2e-retry", key); fmt.Sprint(got) != fmt.Sprint(want) {
		t.Errorf("%q", got)
	}
}

// TestFailuresByKindOfConsumer: how often a message is tried, and where it ends.
func TestFailuresByKindOfConsumer(t *testing.T) { everywhere(t, testFailuresByKindOfConsumer) }

func testFailuresByKindOfConsumer(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	if _, err := ch.QueueDeclare("e2e-graves", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		consumer, body string
		attempts       int
		dead           string // "" = nowhere
		reason         any
	}{
		{"e2e-retry", "once", 2, "", nil},
		{"e2e-retry", "never", 1, "e2e-retry.dead", publisher.ReasonPermanent},
		{"e2e-quorum", "fail", 3, "e2e-quorum.dead", publisher.ReasonAttempts},
		{"e2e-quorum", "once", 2, "", nil},
		{"e2e-place", "fail", 3, "e2e-place.dead", publisher.ReasonAttempts},
		{"e2e-place", "once", 2, "", nil},
		{"e2e-exclusive", "fail", 3, "e2e-graves", publisher.ReasonAttempts},
		{"e2e-own-dlx", "fail", 3, "e2e-graves", nil},
		{"e2e-off", "fail", 3, "", nil},
		{"e2e-auto-ack", "fail", 1, "e2e-auto-ack.dead", publisher.ReasonAttempts},
		{"e2e-no-ack", "fail", 1, "", nil},
		{"e2e-lane", "fail", 3, "e2e-lane.dead", publisher.ReasonAttempts},
		{"e2e-stream", "fail", 3, "e2e-stream.dead", publisher.ReasonAttempts},
		{"e2e-stream", "once", 2, "", nil},
	} {
		t.Run(row.consumer+" "+row.body, func(t *testing.T) {
			if row.consumer == "e2e-stream" && !s.streams {
				t.Skip("this broker has no streams")
			}
			// The text must not have the test's name, which contains the word that makes a
			// handler fail.
			key := fmt.Sprint(time.Now().UnixNano())
			s.publish(ch, row.consumer, amqp.Publishing{Headers: amqp.Table{"key": key}, Body: []byte(row.body + " " + key)})
			wait.Until(t, "the attempts", func() bool { return len(recorded(row.consumer, key)) == row.attempts })
			if row.dead != "" {
				if d := s.takeDead(ch, row.dead, key); d.Headers[publisher.TraceReason] != row.reason {
					t.Errorf("%+v", d.Headers)
				}
			}
			if row.body != "once" {
				s.givenUp(row.consumer, row.dead, row.attempts)
			}
			s.publish(ch, row.consumer, amqp.Publishing{Headers: amqp.Table{"key": key}, Body: []byte("after " + key)})
			wait.Until(t, "it goes on", func() bool { return len(recorded(row.consumer, "after "+key)) == 1 })
			if n := len(recorded(row.consumer, key)); n != row.attempts+1 {
				t.Errorf("%d attempts", n-1)
			}
		})
	}
}

// givenUp waits for the log line that says so, where the message is and how to see it, and
// for the metric.
func (s *server) givenUp(consumer, dead string, attempts int) {
	s.t.Helper()
	times := fmt.Sprintf("%d attempts", attempts)
	if attempts == 1 {
		times = "1 attempt"
	}
	want := "given up after " + times + ": "
	switch consumer {
	case "e2e-no-ack":
		want += "its consumer acks before it handles"
	case "e2e-own-dlx":
		want += "it is refused, for the dead-letter exchange"
	case "e2e-off":
		want += "it is refused, and gone"
	default:
		want = fmt.Sprintf("given up after %s, now in %s: zamqp dead show %s", times, dead, dead)
	}
	wait.Until(s.t, "the log says that it is given up", func() bool {
		for line := range strings.Lines(s.log.String()) {
			if strings.Contains(line, want) && strings.Contains(line, `"consumer":"`+consumer+`"`) {
				return true
			}
		}
		return false
	})
	_, page := s.get("/metrics")
	counted := 0
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "zamqp_consumer_dead_letters_total") && strings.Contains(line, `consumer="`+consumer+`"`) && !strings.HasSuffix(line, " 0\n") {
			counted++
		}
	}
	retries := strings.Contains(page, fmt.Sprintf("zamqp_consumer_retries_total{connection=\"default\",consumer=%q} 0\n", consumer))
	if counted == 0 || !strings.Contains(page, "zamqp_consumer_retries_total") || retries && attempts > 1 {
		s.t.Errorf("%d metrics tell of dead letters of %s; of retries none: %v", counted, consumer, retries)
	}
}

// TestChild is the process that poison ends; it is run by the test below.
func TestChild(t *testing.T) {
	url := os.Getenv(childEnv)
	if url == "" {
		t.Skip("run by TestPoisonEndsAsADeadLetter")
	}
	startUnready(t, url)
	select {}
}

// TestPoisonEndsAsADeadLetter: a message that ends each process that handles it is given up,
// and the messages that were in hand beside it are not.
func TestPoisonEndsAsADeadLetter(t *testing.T) {
	t.Run("rabbitmq", func(t *testing.T) { testPoison(t, atRabbitMQ) })
	t.Run("alone", func(t *testing.T) { testPoison(t, alone) })
}

func testPoison(t *testing.T, at broker) {
	url := at(t)
	s := start(t, func(*testing.T) string { return url }) // makes the queues
	ch := s.channel()
	if err := s.drain(); err != nil {
		t.Fatal(err)
	}
	key := unique(t)
	const others = 40
	for i := range others {
		body := fmt.Sprint("harmless ", i, " ", key)
		if i == others/2 {
			body = "poison " + key
		}
		s.publish(ch, "e2e-poison", amqp.Publishing{MessageId: fmt.Sprint(key, i), Body: []byte(body)})
	}
	deaths := 0
	for dead := false; !dead; deaths++ {
		if deaths > 6 {
			t.Fatal("it goes on killing")
		}
		dead = runChild(t, url, func() bool {
			d, ok, err := ch.Get("e2e-poison.dead", true)
			if err != nil {
				t.Fatal(err)
			}
			if ok = ok && strings.Contains(string(d.Body), key); !ok { // of other tests' work
				return false
			}
			if !strings.HasPrefix(string(d.Body), "poison") || d.Headers[publisher.TraceReason] != publisher.ReasonCrashed ||
				d.Headers[publisher.TraceCrashes] != int64(publisher.RetryCrashes) {
				t.Errorf("%s: %+v", d.Body, d.Headers)
			}
			return ok
		})
	}
	if deaths != publisher.RetryCrashes+1 { // the last run gives it up
		t.Errorf("%d processes", deaths)
	}
	survivors := map[string]bool{}
	runChild(t, url, func() bool {
		if d, ok, _ := ch.Get("e2e-survivors", true); ok && strings.Contains(string(d.Body), key) {
			survivors[string(d.Body)] = true
		}
		return len(survivors) == others-1
	})
	if len(survivors) != others-1 {
		t.Errorf("%d harmless messages came through, of %d", len(survivors), others-1)
	}
}

// runChild runs a process until done, or until it dies; it reports which.
func runChild(t *testing.T, url string, done func() bool) bool {
	t.Helper()
	child := exec.Command(os.Args[0], "-test.run=^TestChild$")
	child.Env = append(os.Environ(), childEnv+"="+url)
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	end := make(chan error, 1)
	go func() { end <- child.Wait() }()
	defer func() {
		_ = child.Process.Kill()
		<-end
	}()
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(2 * time.Millisecond) {
		if done() {
			return true
		}
		select {
		case err := <-end:
			end <- err
			return false
		default:
		}
	}
	return false
}
