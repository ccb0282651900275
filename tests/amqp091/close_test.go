package amqp091_test

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
)

// TestCloseIsClean: a client that closes its connection cleanly gets no
// error. A broker that closes the socket as soon as it has answered causes one: the
// client's reader finds the end of the stream while the close goes on.
func TestCloseIsClean(t *testing.T) {
	for name, url := range map[string]string{"RabbitMQ": rabbitmq.Start(t), "embedded": embedded.Start(t)} {
		t.Run(name, func(t *testing.T) {
			const times = 200
			failed := 0
			for range times {
				c, err := amqp.Dial(url)
				if err != nil {
					t.Fatal(err)
				}
				if _, err := c.Channel(); err != nil {
					t.Fatal(err)
				}
				closed := c.NotifyClose(make(chan *amqp.Error, 1))
				if err := c.Close(); err != nil {
					t.Error(err)
				}
				if err := <-closed; err != nil {
					failed++
					t.Log(err)
				}
			}
			if failed > 0 {
				t.Errorf("%d of %d closes were told as failures", failed, times)
			}
		})
	}
}
