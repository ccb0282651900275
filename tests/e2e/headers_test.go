package e2e_test

import (
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// frameMax is RabbitMQ's default, and ours.
const frameMax = 128 << 10

// big is a headers table of about so many octets.
func big(octets int, key string) amqp.Table {
	return amqp.Table{"big": strings.Repeat("h", octets), "key": key}
}

// smallFrames is the least frame_max that the broker takes.
func smallFrames(t *testing.T, at broker) string {
	if url := at(t); url != "embedded" && rabbitmq.Shared(t).AtLeast(t, "4.1") {
		return "8KiB"
	}
	return "4KiB"
}

// steady fails the test if the server has had another connection in the meantime.
func (s *server) steady() {
	s.t.Helper()
	if n := s.metric("connection_connects_total", "connection=default"); n != 1 {
		s.t.Errorf("the server has connected %v times", n)
	}
}

// TestHeadersNearFrameMax: headers that the broker adds to a retry copy, or to a dead letter,
// make them larger than a frame. The message is still handled, with all its headers, and no
// other message is affected.
func TestHeadersNearFrameMax(t *testing.T) { everywhere(t, headersNearFrameMax) }

func headersNearFrameMax(t *testing.T, at broker) {
	s := start(t, at)
	ch := s.channel()
	q, err := ch.QueueDeclare("", false, false, true, false, amqp.Table{"x-message-ttl": int32(1), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "e2e-place"})
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range []struct {
		queue, consumer string
		attempts        int
	}{{"e2e-retry", "e2e-retry", 2}, {"e2e-quorum", "e2e-quorum", 2}, {q.Name, "e2e-place", 2}} {
		key := unique(t)
		s.publish(ch, row.queue, amqp.Publishing{Headers: big(frameMax-300, key), Body: []byte("once " + key), MessageId: key})
		wait.Until(t, "the attempts of "+row.consumer, func() bool { return len(recorded(row.consumer, key)) == row.attempts })
	}
	s.steady()
}

// TestHeadersOverFrameMax: a server with small frames gets, tries and gives up a message
// whose headers do not fit into any of them.
func TestHeadersOverFrameMax(t *testing.T) { everywhere(t, headersOverFrameMax) }

func headersOverFrameMax(t *testing.T, at broker) {
	s := start(t, at, "connection.default.frame_max="+smallFrames(t, at))
	ch := s.channel()
	for _, name := range []string{"e2e-retry", "e2e-quorum", "e2e-place"} {
		key := unique(t)
		s.publish(ch, name, amqp.Publishing{Headers: big(10_000, key), Body: []byte("fail " + key), MessageId: key, CorrelationId: "c"})
		wait.Until(t, "the attempts of "+name, func() bool { return len(recorded(name, key)) == 3 })
		for _, text := range recorded(name, key) {
			if !strings.HasSuffix(text, " fail "+key) {
				t.Errorf("%s saw %q", name, text)
			}
		}
		d := s.takeDead(ch, name+".dead", key)
		if d.ContentType != publisher.EnvelopeType || d.MessageId != key || d.Headers[publisher.TraceReason] != publisher.ReasonAttempts ||
			d.Headers[publisher.TraceAttempt] != int64(3) || d.Headers[publisher.TraceQueue] != name {
			t.Errorf("%s: %s %s %v", name, d.ContentType, d.MessageId, d.Headers)
		}
		if !strings.Contains(string(d.Body), strings.Repeat("h", 10_000)) || !strings.HasSuffix(string(d.Body), "fail "+key) {
			t.Errorf("%s: a body of %d octets", name, len(d.Body))
		}
	}
	s.steady()
}

// buries waits until there is a dead letter of the queue.
func (s *server) buries(ch *amqp.Channel, queue string) {
	s.t.Helper()
	wait.Until(s.t, "it is dead", func() bool {
		q, err := ch.QueueDeclarePassive(queue+".dead", true, false, false, false, nil)
		if err != nil {
			s.t.Fatal(err)
		}
		return q.Messages == 1
	})
}

// nested is an array of one array and so on.
func nested(levels int) []any {
	list := []any{"innermost"}
	for range levels {
		list = []any{list}
	}
	return list
}

// TestUnreadableHeaders: a message that no handler can get goes to the dead-letter queue, and
// the others of its queue are handled. Our own broker refuses such headers.
func TestUnreadableHeaders(t *testing.T) {
	s := start(t, atRabbitMQ)
	ch := s.channel()
	for _, name := range []string{"e2e-retry", "e2e-quorum", "e2e-auto-ack"} {
		key := unique(t)
		before := s.metric("consumer_unreadable_total", "consumer="+name)
		if _, err := ch.QueuePurge(name+".dead", false); err != nil { // of other tests' work
			t.Fatal(err)
		}
		s.publish(ch, name, amqp.Publishing{Body: []byte("ahead " + key)})
		s.publish(ch, name, amqp.Publishing{Headers: amqp.Table{"deep": nested(100), "key": key}, Body: []byte("deep " + key), MessageId: key})
		s.publish(ch, name, amqp.Publishing{Body: []byte("behind " + key)})
		if name == "e2e-retry" || name == "e2e-quorum" { // unchanged: this test's client cannot read it either
			s.buries(ch, name)
		} else if d := s.takeDead(ch, name+".dead", key); d.ContentType != publisher.EnvelopeType || d.MessageId != key ||
			!strings.Contains(string(d.Body), "innermost") || d.Headers[publisher.TraceReason] != publisher.ReasonMalformed {
			t.Errorf("%s: %+v", name, d)
		}
		if _, err := ch.QueuePurge(name+".dead", false); err != nil {
			t.Fatal(err)
		}
		wait.Until(t, "the others are handled", func() bool { return len(recorded(name, key)) == 2 })
		if n := s.metric("consumer_unreadable_total", "consumer="+name); n != before+1 {
			t.Errorf("%s: %v were unreadable", name, n-before)
		}
	}
	if !strings.Contains(s.log.String(), "no handler can get a message") {
		t.Error("nobody was told")
	}
	s.steady()
}

// TestHeadersOverTheBound: no handler gets a message with a header of 1 MiB or more.
func TestHeadersOverTheBound(t *testing.T) {
	s := start(t, embedded, "broker.frame_max=1MiB", "connection.default.frame_max=4KiB")
	conn, err := amqp.DialConfig(s.amqp, amqp.Config{FrameSize: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	q, err := ch.QueueDeclare("", false, false, true, false, amqp.Table{"x-message-ttl": int32(1), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "e2e-retry"})
	if err != nil {
		t.Fatal(err)
	}
	key := unique(t)
	s.publish(ch, q.Name, amqp.Publishing{Headers: big(1<<20-100, key), Body: []byte("over " + key)})
	s.publish(ch, "e2e-retry", amqp.Publishing{Headers: big(1<<20-1000, key), Body: []byte("under " + key)})
	s.buries(ch, "e2e-retry")
	wait.Until(t, "the other is handled", func() bool { return len(recorded("e2e-retry", key)) == 1 })
	s.steady()
}
