package e2e_test

import (
	"context"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/config"
	"zamqp/tests/kit/wait"
)

// TestDedupe: a second message with the same id is acked and not handled, also after a
// restart.
func TestDedupe(t *testing.T) { everywhere(t, dedupes) }

func dedupes(t *testing.T, at broker) {
	key := unique(t)
	options := []string{"server.data_dir=" + t.TempDir(), "broker.data_dir=" + t.TempDir(), "consumer.e2e-retry.dedupe.key=message_id"}
	for range 2 {
		s := start(t, at, options...)
		ch := s.channel()
		for _, id := range []string{key, key, key + "'"} {
			if err := ch.Publish("e2e-x", "retry.this", false, false, amqp.Publishing{MessageId: id, Body: []byte(id)}); err != nil {
				t.Fatal(err)
			}
		}
		wait.Until(t, "messages are recognized", func() bool { return s.metric("consumer_duplicates_total", "consumer=e2e-retry") >= 1 })
		wait.Until(t, "all messages are handled", func() bool {
			return s.metric("consumer_in_hand_messages", "consumer=e2e-retry") == 0 && len(recorded("e2e-retry", key)) >= 2
		})
		if err := s.drain(); err != nil {
			t.Error(err)
		}
	}
	if got := recorded("e2e-retry", key); len(got) != 2 {
		t.Errorf("%q", got)
	}
}

// TestDedupeNeedsADirectory: two servers with one directory would not know of each other.
func TestDedupeNeedsADirectory(t *testing.T) {
	options := []string{"server.data_dir=" + t.TempDir(), "consumer.e2e-retry.dedupe.key=message_id"}
	first := start(t, embedded, options...)
	settings, err := config.Load(config.Sources{Options: append([]string{"http.listen=127.0.0.1:0", "connection.default.url=" + first.amqp}, options...)}, publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if err := app.Serve(ctx, settings, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), "consumer.e2e-retry.dedupe: ") || !strings.Contains(err.Error(), "each needs a directory of its own") {
		t.Error(err)
	}
}
