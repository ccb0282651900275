package amqpdoor

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
)

// offline is a host whose client never gets a connection.
type offline struct{}

func (offline) Redial(time.Duration) {}
func (offline) Note(client.Event)    {}

// TestLargeBodyIsNotCopiedIntoAnEnvelope moves large messages whose copies are envelopes,
// because their headers leave no room for ours, or cannot be read. No turn handles the whole
// body.
func TestLargeBodyIsNotCopiedIntoAnEnvelope(t *testing.T) {
	const size = 32 << 20
	text := strings.Repeat("x", 130_900)
	long, err := amqpproto.AppendTable(nil, publisher.Table{"long": text})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		name string
		raw  []byte
		do   func(sub *subscription, c *publisher.Call) error
	}{
		{"retry", propertiesOf(t, long), func(sub *subscription, c *publisher.Call) error {
			p := copyOf(c.Message())
			p.failed(c, "")
			return sub.move(c, p, "q.retry.1s")
		}},
		{"dead letter", propertiesOf(t, long), func(sub *subscription, c *publisher.Call) error {
			sub.giveUp(c, publisher.ReasonPermanent)
			return nil
		}},
		{"malformed", propertiesOf(t, append([]byte("\x01kQ"), make([]byte, 10)...)), func(sub *subscription, c *publisher.Call) error {
			sub.envelop(c, "q.dead")
			return nil
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			s := newStory(t)
			machine := client.New(client.Config{PublishMax: 2 * size}, offline{})
			k := &consumer{name: "c", known: newAttempts(), link: &link{door: New(s.s, still{}, zerolog.Nop()), client: machine},
				declared: publisher.Consumer{Queue: "q"}}
			sub := &subscription{k: k}
			body := bytes.Repeat([]byte("0123456789abcdef"), size/16)
			c := s.s.NewCall()
			_ = c.SetMessage(&publisher.Message{Consumer: "c", Queue: "q", Properties: row.raw, Body: body, Owned: true})
			c.Outcome().Err = errors.New("it failed")
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			if err := row.do(sub, c); err != nil {
				t.Fatal(err)
			}
			runtime.ReadMemStats(&after)
			if n, octets := machine.Unconfirmed(); n != 1 || octets < size+100 {
				t.Fatalf("%d publishes of %d octets are on their way", n, octets)
			}
			if n := after.TotalAlloc - before.TotalAlloc; n > amqpproto.LargeBody {
				t.Errorf("%d octets were allocated in one turn for a body of %d", n, size)
			}
		})
	}
}
