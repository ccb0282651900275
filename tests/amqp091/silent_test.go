package amqp091_test

import (
	"context"
	"errors"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/embedded"
	"zamqp/tests/rabbitmq"
)

// Three of their tests do nothing unless server-properties say that the product
// is RabbitMQ, which ours is not: TestRabbitMQQueueTTLGet,
// TestRabbitMQQueueNackMultipleRequeue and TestIntegrationRecoverNotImplemented.
// What they ask is asked here, of both brokers.

func onBoth(t *testing.T, f func(t *testing.T, ch *amqp.Channel)) {
	if testing.Short() {
		t.Skip("starts brokers")
	}
	for name, start := range map[string]func(testing.TB) string{"RabbitMQ": rabbitmq.Start, "embedded": embedded.Start} {
		t.Run(name, func(t *testing.T) {
			conn, err := amqp.Dial(start(t))
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = conn.Close() }()
			ch, err := conn.Channel()
			if err != nil {
				t.Fatal(err)
			}
			f(t, ch)
		})
	}
}

// declare declares a queue and puts these bodies into it.
func declare(t *testing.T, ch *amqp.Channel, queue string, args amqp.Table, bodies ...string) {
	t.Helper()
	if _, err := ch.QueueDeclare(queue, false, true, true, false, args); err != nil {
		t.Fatal(err)
	}
	for _, body := range bodies {
		if err := ch.PublishWithContext(context.Background(), "", queue, false, false, amqp.Publishing{Body: []byte(body)}); err != nil {
			t.Fatal(err)
		}
	}
}

func TestQueueTTLGet(t *testing.T) {
	onBoth(t, func(t *testing.T, ch *amqp.Channel) {
		declare(t, ch, "amqp091.ttl", amqp.Table{"x-message-ttl": int32(100)}, "ttl")
		time.Sleep(300 * time.Millisecond)
		if d, ok, err := ch.Get("amqp091.ttl", false); ok || err != nil {
			t.Errorf("a message with 100 ms to live is there after 300 ms: %q, %v", d.Body, err)
		}
	})
}

func TestQueueNackMultipleRequeue(t *testing.T) {
	onBoth(t, func(t *testing.T, ch *amqp.Channel) {
		declare(t, ch, "amqp091.nack", nil, "1", "2")
		get := func(want string, redelivered bool) (d amqp.Delivery) {
			t.Helper()
			d, ok, err := ch.Get("amqp091.nack", false)
			if !ok || err != nil || string(d.Body) != want || d.Redelivered != redelivered {
				t.Fatalf("got %q (there: %v, redelivered: %v), %v; want %q", d.Body, ok, d.Redelivered, err, want)
			}
			return d
		}
		get("1", false)
		if err := get("2", false).Nack(true, true); err != nil {
			t.Fatal(err)
		}
		get("1", true)
		get("2", true)
	})
}

func TestRecoverWithoutRequeueIsNotImplemented(t *testing.T) {
	onBoth(t, func(t *testing.T, ch *amqp.Channel) {
		//lint:ignore SA1019 that it is refused is what is asked
		err := ch.Recover(false)
		var refused *amqp.Error
		if !errors.As(err, &refused) || refused.Code != amqp.NotImplemented {
			t.Errorf("%v, want 540 NOT_IMPLEMENTED", err)
		}
	})
}
