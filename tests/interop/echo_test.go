package interop_test

import (
	"context"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/amqpclient"
)

// TestClientsThemselves runs the clients against a consumer of amqp091-go that does
// the same as the handler hello. If the demonstration fails and this does not, the
// server is wrong; if both fail, the clients are.
func TestClientsThemselves(t *testing.T) {
	everywhere(t, clientsThemselves)
}

func clientsThemselves(t *testing.T, n node) {
	if _, ok := n.(inside); ok {
		n.launch(t)
	}
	const queue, count = "interop-echo", 600
	echo(t, n.url(), queue)
	atOnce(t, map[string]func(t *testing.T){
		"pika":       func(t *testing.T) { callByPika(t, n.url(), queue, count) },
		"amqp091-go": func(t *testing.T) { callBy(t, &amqp091{}, n.url(), queue, count) },
		"streadway":  func(t *testing.T) { callBy(t, &streadway{}, n.url(), queue, count) },
	})
}

// echo consumes from an exclusive queue and replies what it gets.
func echo(t *testing.T, url, queue string) {
	t.Helper()
	ch := amqpclient.Channel(t, url)
	if _, err := ch.QueueDeclare(queue, false, true, false, false, nil); err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume(queue, "", false, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for d := range deliveries {
			_ = ch.PublishWithContext(context.Background(), "", d.ReplyTo, false, false, amqp.Publishing{
				Headers: d.Headers, ContentType: d.ContentType, CorrelationId: d.CorrelationId, Body: d.Body,
			})
			_ = d.Ack(false)
		}
	}()
}
