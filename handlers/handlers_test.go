package handlers_test

import (
	"strings"
	"testing"

	_ "zamqp/handlers"
	"zamqp/publisher"
)

// TestNamesOfTheDemonstration: the demonstration may use a RabbitMQ that others use, so every
// name that it declares has its own prefix.
func TestNamesOfTheDemonstration(t *testing.T) {
	const prefix = "zamqp-demo."
	consumers, producers := publisher.Default.Consumers(), publisher.Default.Producers()
	if len(consumers) == 0 || len(producers) == 0 {
		t.Fatal("nothing is registered")
	}
	own := func(owner, what, name string) {
		if name != "" && !strings.HasPrefix(name, prefix) {
			t.Errorf("%s: %s %q does not begin with %s", owner, what, name, prefix)
		}
	}
	for name, c := range consumers {
		name = "consumer " + name
		if c.Queue == "" {
			t.Errorf("%s: without Queue its queue has the consumer's name, which has no prefix", name)
		}
		own(name, "exchange", c.Exchange)
		own(name, "queue", c.Queue)
		if c.DeadLetter != "off" {
			own(name, "dead-letter queue", c.DeadLetter)
		}
		for _, key := range c.RoutingKeys {
			own(name, "routing key", key)
		}
	}
	for name, p := range producers {
		name = "producer " + name
		own(name, "exchange", p.Exchange)
		own(name, "queue", p.Queue)
		own(name, "routing key", p.RoutingKey)
		own(name, "queue for answers", p.ReplyTo)
	}
}
