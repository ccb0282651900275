package embedded_test

import (
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/embedded"
)

// TestRestart: a broker of these tests keeps its port, and its durable queues
// when it has a data directory.
func TestRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the whole server")
	}
	n := embedded.New(t, embedded.Options{DataDir: t.TempDir()})
	declare := func(passive bool) {
		conn, err := amqp.Dial(n.URL)
		if err != nil {
			t.Fatal(err)
		}
		defer func() { _ = conn.Close() }()
		ch, err := conn.Channel()
		if err != nil {
			t.Fatal(err)
		}
		f := ch.QueueDeclare
		if passive {
			f = ch.QueueDeclarePassive
		}
		if _, err := f("kept", true, false, false, false, nil); err != nil {
			t.Fatal(err)
		}
	}
	declare(false)
	n.Kill()
	if err := n.Restart(); err != nil {
		t.Fatal(err)
	}
	declare(true)
}
