// Package amqpclient gives tests an AMQP client that is not ours: amqp091-go.
package amqpclient

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
)

// Channel opens a channel on a connection of its own, which ends with t.
func Channel(t testing.TB, url string) *amqp.Channel {
	t.Helper()
	ch, done := Open(t, url)
	t.Cleanup(done)
	return ch
}

// Open is Channel for a connection that the caller ends by done.
func Open(t testing.TB, url string) (ch *amqp.Channel, done func()) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	if ch, err = conn.Channel(); err != nil {
		_ = conn.Close()
		t.Fatal(err)
	}
	return ch, func() { _ = conn.Close() }
}
