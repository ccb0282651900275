package e2e_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
)

func init() {
	publisher.Produce("e2e-good", publisher.Producer{Queue: "e2e-good", Codec: "text"})
	publisher.Produce("e2e-gone", publisher.Producer{Exchange: "e2e-gone", ExchangeType: "fanout", Codec: "text"})
	publisher.Produce("e2e-inner", publisher.Producer{Exchange: "e2e-inner", NoDeclare: true, Codec: "text"})
	publisher.Handle("POST /impersonate", func(r *publisher.Request) error {
		_ = r.Publish("e2e-good", string(r.Body()), publisher.UserID("mallory"))
		return r.Reply(202, nil)
	})
	publisher.Consume("e2e-mixed", publisher.Consumer{Retry: publisher.Retry{Attempts: 1}}, func(r *publisher.Request) error {
		body := string(r.Body())
		see("mixed " + body)
		if strings.HasPrefix(body, "bad") {
			return r.Publish("e2e-gone", body)
		}
		return r.Publish("e2e-good", body)
	})
}

// withoutExchange deletes an exchange that the server has declared.
func withoutExchange(t *testing.T, ch *amqp.Channel, name string) {
	t.Helper()
	if err := ch.ExchangeDelete(name, false, false); err != nil {
		t.Fatal(err)
	}
}

// good takes the messages of e2e-good that contain key, until all are there, and counts the
// copies of each, which have the same id. Transactions make no copies.
func good(s *server, ch *amqp.Channel, key string, want int) (copies int) {
	s.t.Helper()
	seen := map[string]string{}
	for len(seen) < want {
		d := s.take(ch, "e2e-good")
		body := string(d.Body)
		if !strings.Contains(body, key) {
			continue
		}
		if id, again := seen[body]; again {
			if copies++; id == "" || id != d.MessageId {
				s.t.Errorf("%q came with the ids %s and %s", body, id, d.MessageId)
			}
		}
		seen[body] = d.MessageId
	}
	return copies
}

// TestOneBadPublishAmongGoodOnes: a publish whose exchange does not exist, or that no queue
// takes, or that has another user's id, fails alone, and with its own error.
func TestOneBadPublishAmongGoodOnes(t *testing.T) { everywhere(t, oneBadPublishAmongGoodOnes) }

func oneBadPublishAmongGoodOnes(t *testing.T, at broker) {
	for _, row := range []struct{ name, path, want string }{
		{"declared and deleted", "/publish/e2e-gone", "no exchange 'e2e-gone'"},
		{"not declared", "/publish/e2e-missing", "no exchange 'e2e-missing'"},
		{"not allowed", "/publish/e2e-inner", "'e2e-inner'"},
		{"another user", "/impersonate", "'mallory'"},
	} {
		for _, mode := range []string{"confirms=true", "tx_select=true", "spool=file"} {
			t.Run(row.name+", "+mode, func(t *testing.T) {
				s := start(t, at, "connection.default."+mode, "connection.default.spool_dir="+t.TempDir())
				// With a spool it takes calls before that.
				s.log.Await(t, "ready")
				ch := s.channel()
				if _, err := ch.QueuePurge("e2e-good", false); err != nil {
					t.Fatal(err)
				}
				withoutExchange(t, ch, "e2e-gone")
				if err := ch.ExchangeDeclare("e2e-inner", "fanout", false, false, true, false, nil); err != nil {
					t.Fatal(err)
				}
				key := unique(t)
				copies := 0
				for round := range 3 {
					copies += badRound(s, ch, fmt.Sprint(key, " ", round), row.path)
				}
				if !s.failedWith(row.want) {
					t.Error("nobody was told why")
				}
				if mode == "tx_select=true" && copies > 0 {
					t.Errorf("%d copies of transactions", copies)
				}
				t.Logf("%d copies", copies)
			})
		}
	}
}

// badRound makes 40 good calls and a bad one at once.
func badRound(s *server, ch *amqp.Channel, key, path string) (copies int) {
	s.t.Helper()
	var calls sync.WaitGroup
	for i := range 41 {
		calls.Go(func() {
			target, want := "/publish/e2e-good?key=e2e-good", 202
			if i == 20 {
				target, want = path, 503
			}
			if status, body := s.do("POST", target, "", fmt.Sprint(key, " ", i)); status != want {
				s.t.Errorf("%s: %d %s", target, status, body)
			}
		})
	}
	calls.Wait()
	return good(s, ch, key, 40)
}

// TestBadPublishesOfHandlers: ten of sixty handlers publish to an exchange that is gone. None
// of the others runs twice.
func TestBadPublishesOfHandlers(t *testing.T) { everywhere(t, badPublishesOfHandlers) }

func badPublishesOfHandlers(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	for _, queue := range []string{"e2e-good", "e2e-mixed", "e2e-mixed.dead"} {
		if _, err := ch.QueuePurge(queue, false); err != nil {
			t.Fatal(err)
		}
	}
	withoutExchange(t, ch, "e2e-gone")
	key := unique(t)
	kind := func(i int) string {
		if i%6 == 3 {
			return "bad"
		}
		return "good"
	}
	for i := range 60 {
		s.publish(ch, "e2e-mixed", amqp.Publishing{Body: fmt.Appendf(nil, "%s %s %d", kind(i), key, i)})
	}
	t.Logf("%d copies", good(s, ch, key, 50))
	for range 10 {
		d := s.takeDead(ch, "e2e-mixed.dead", key)
		if text, _ := d.Headers[publisher.TraceError].(string); !strings.Contains(text, "no exchange 'e2e-gone'") {
			t.Errorf("%s: %s", d.Body, text)
		}
	}
	for i := range 60 {
		if n := saw(fmt.Sprintf("mixed %s %s %d", kind(i), key, i)); n != 1 {
			t.Errorf("the handler of %d ran %d times", i, n)
		}
	}
}
