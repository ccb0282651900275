package e2e_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/rabbitmq"
)

// limited is a RabbitMQ that allows little: a message of 10 KB, held for 2 s. It
// looks at what is held each half second, not each minute.
func limited(t *testing.T) broker {
	if testing.Short() {
		t.Skip("starts a broker")
	}
	node := rabbitmq.NewWith(t, "max_message_size = 10000\n")
	node.Ctl(t, "eval", "application:set_env(rabbit, consumer_timeout, 2000), application:set_env(rabbit, channel_tick_interval, 500).")
	return func(*testing.T) string { return node.URL }
}

// TestHeldForTooLong: a message that is held for longer than the broker allows
// comes again. It is not suspected of having ended a process, and the log says
// what to change.
func TestHeldForTooLong(t *testing.T) {
	s := start(t, limited(t))
	ch := s.channel()
	key := unique(t)
	s.publish(ch, "e2e-held", amqp.Publishing{Body: []byte("first " + key)})
	eventually(t, "it comes again", func() bool { return len(recorded("e2e-held", key)) == 2 })
	for _, text := range recorded("e2e-held", key) {
		if !strings.Contains(text, "#1 ") {
			t.Errorf("counted as an attempt or a crash: %s", text)
		}
	}
	s.publish(ch, "e2e-held", amqp.Publishing{Body: []byte("after " + key)})
	eventually(t, "it goes on", func() bool { return len(recorded("e2e-held", "after "+key)) == 1 })
	if log := s.log.String(); !strings.Contains(log, "consumer_timeout: lower the consumer's prefetch") {
		t.Error("the log names no remedy")
	}
	if n := len(recorded("e2e-held", "first "+key)); n != 2 {
		t.Errorf("it was run %d times", n)
	}
}

// TestLargerThanTheBrokerTakes: a message of more than max_message_size fails
// alone. Its caller hears 503, the log which limit it was.
func TestLargerThanTheBrokerTakes(t *testing.T) {
	s := start(t, limited(t))
	if status, text := s.do("POST", "/publish/e2e-done?key=e2e-done", "text/plain", strings.Repeat("x", 20000)); status != 503 {
		t.Errorf("%d %s", status, text)
	}
	if !s.log.has("max_message_size") {
		t.Error("the log names no remedy")
	}
	if status, text := s.do("POST", "/publish/e2e-done?key=e2e-done", "text/plain", "small"); status != 202 {
		t.Errorf("%d %s", status, text)
	}
}

func init() {
	publisher.Consume("e2e-held", publisher.Consumer{}, hold)
}

// hold takes longer than the broker allows, the first time.
func hold(r *publisher.Request) error {
	body := string(r.Body())
	recordAs("e2e-held", fmt.Sprintf("%s #%d %s", r.Path(), r.Attempt(), body))
	if strings.HasPrefix(body, "first") && see(body) == 1 {
		return r.Sleep(4 * time.Second)
	}
	return nil
}
