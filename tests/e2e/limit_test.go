package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// TestLimitsOfRabbitMQ runs with a node with low limits: a message of 10 KB, held for 2 s. It
// checks held messages each half second, not each minute.
func TestLimitsOfRabbitMQ(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a broker")
	}
	node := rabbitmq.NewWith(t, "max_message_size = 10000\n")
	node.Ctl(t, "eval", "application:set_env(rabbit, consumer_timeout, 2000), application:set_env(rabbit, channel_tick_interval, 500).")
	s := start(t, func(*testing.T) string { return node.URL })
	t.Run("too large", func(t *testing.T) { testTooLarge(t, s) })
	t.Run("held", func(t *testing.T) {
		for _, consumer := range []string{"e2e-held", "e2e-held-quorum"} {
			t.Run(consumer, func(t *testing.T) {
				if consumer == "e2e-held" && node.AtLeast(t, "4.3") {
					t.Skip("since 4.3 only quorum queues have the limit")
				}
				t.Parallel()
				testHeldForTooLong(t, s, node, consumer)
			})
		}
	})
	if log := s.log.String(); !strings.Contains(log, "consumer_timeout") {
		t.Error("the log names no remedy")
	}
}

// testTooLarge: a message of more than max_message_size fails alone. Its caller gets 503, the
// log has the limit, and other publishes are not affected.
func testTooLarge(t *testing.T, s *server) {
	const target = "/publish/e2e-done?key=e2e-done"
	var wg sync.WaitGroup
	for i := range 40 {
		body, want := "small", 202
		if i%10 == 5 {
			body, want = strings.Repeat("x", 20000), 503
		}
		wg.Go(func() {
			if status, text := s.do("POST", target, "text/plain", body); status != want {
				t.Errorf("%d octets: %d %s, want %d", len(body), status, text, want)
			}
		})
	}
	wg.Wait()
	if !s.failedWith("max_message_size") {
		t.Error("the log names no remedy")
	}
}

// testHeldForTooLong: a message that is held for longer than the broker allows comes again.
// It is not quarantined, and its neighbour is handled.
func testHeldForTooLong(t *testing.T, s *server, node *rabbitmq.Node, consumer string) {
	ch, key := s.channel(), unique(t)
	s.publish(ch, consumer, amqp.Publishing{Body: []byte("first " + key)})
	wait.Until(t, "it comes again", func() bool { return len(recorded(consumer, key)) == 2 })
	s.publish(ch, consumer, amqp.Publishing{Body: []byte("after " + key)})
	wait.Until(t, "it goes on", func() bool { return len(recorded(consumer, "after "+key)) == 1 })
	wait.Until(t, "the first run is over", func() bool { return saw("over first "+key) == 1 })
	if got, want := fmt.Sprint(recorded(consumer, key)), fmt.Sprintf("[#1 first %s #1 first %s #1 after %s]", key, key, key); got != want {
		t.Errorf("%s, want %s", got, want)
	}
	wait.Until(t, "all are acked", func() bool { q := node.Queues(t)[consumer]; return q.Messages == 0 && q.Consumers > 0 })
}

func init() {
	publisher.Consume("e2e-held", publisher.Consumer{}, hold("e2e-held"))
	publisher.Consume("e2e-held-quorum", publisher.Consumer{QueueType: publisher.QueueQuorum}, hold("e2e-held-quorum"))
}

// hold takes longer than the broker allows, the first time.
func hold(name string) publisher.Handler {
	return func(r *publisher.Request) error {
		body := string(r.Body())
		recordAs(name, fmt.Sprintf("#%d %s", r.Attempt(), body))
		if strings.HasPrefix(body, "first") && see(body) == 1 {
			defer see("over " + body)
			return r.Sleep(5 * time.Second)
		}
		return nil
	}
}
