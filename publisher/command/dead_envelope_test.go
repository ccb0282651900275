package command_test

import (
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"
	streadway "github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/publisher"
)

// envelope is a dead letter whose properties are in its body.
func (s *observer) envelope(inside []byte, body string, outside amqp.Table) amqp.Publishing {
	outside[publisher.TraceEnvelope] = int32(1)
	return amqp.Publishing{ContentType: publisher.EnvelopeType, Headers: outside, Body: append(publisher.AppendEnvelope(nil, inside), body...)}
}

func TestDeadLettersInEnvelopes(t *testing.T) { onBothBrokers(t, testDeadLettersInEnvelopes) }

func testDeadLettersInEnvelopes(t *testing.T, at broker) {
	s := newObserver(t, at)
	work, dead := s.queue("work", nil), s.queue("dead", nil)
	inside, err := amqpproto.AppendPublishing(nil, &streadway.Publishing{MessageId: "m1", Headers: streadway.Table{
		"big": strings.Repeat("h", 10_000), publisher.TraceQueue: work, publisher.TraceReason: publisher.ReasonAttempts, publisher.TraceError: "a timeout",
		publisher.TraceExchange: "", publisher.TraceRoutingKey: work,
	}})
	if err != nil {
		t.Fatal(err)
	}
	s.publish(dead, s.envelope(inside, "the body", amqp.Table{publisher.TraceQueue: work}))
	broken := append([]byte{0x20, 0, 0, 0, 0, 3}, "\x01aZ"...) // a field of type Z
	s.publish(dead, s.envelope(broken, "unreadable", amqp.Table{publisher.TraceQueue: work, publisher.TraceReason: publisher.ReasonMalformed}))
	s.until("both are there", func() bool { return s.length(dead) == 2 })
	if out := s.works("dead", "list", dead); !strings.Contains(out, "1  attempts in "+work+": a timeout\n") || !strings.Contains(out, "1  malformed in "+work+"\n") {
		t.Errorf("%s", out)
	}
	if out := s.works("dead", "show", dead); !strings.Contains(out, "message_id=m1") || !strings.Contains(out, "| the body\n") ||
		!strings.Contains(out, "malformed properties") || !strings.Contains(out, "| unreadable\n") {
		t.Errorf("%s", out)
	}
	code, out, stderr := s.zamqp("", "dead", "retry", dead, "--all", "-o", "connection.default.frame_max=8KiB")
	if code != 1 || !strings.Contains(out, "1 message moved") || !strings.Contains(stderr, "#2 stays: no consumer could read it") {
		t.Errorf("exit %d\n%s%s", code, out, stderr)
	}
	d := s.get(work)
	again, body, err := publisher.Unwrap(propertiesOf(t, d), d.Body)
	if err != nil || string(body) != "the body" || !strings.Contains(string(again), strings.Repeat("h", 10_000)) || strings.Contains(string(again), publisher.TraceReason) {
		t.Errorf("%v: %q", err, body)
	}
	// If a frame has room for it, it is the plain message again.
	s.publish(dead, s.envelope(inside, "the body", amqp.Table{}))
	s.until("it is there", func() bool { return s.length(dead) == 2 })
	s.works("dead", "retry", dead, "--message-id", "m1")
	if d := s.get(work); d.MessageId != "m1" || len(d.Headers["big"].(string)) != 10_000 || string(d.Body) != "the body" {
		t.Errorf("%+v", d)
	}
}

// propertiesOf encodes the properties that the other client has read from an envelope.
func propertiesOf(t *testing.T, d amqp.Delivery) []byte {
	raw, err := amqpproto.AppendPublishing(nil, &streadway.Publishing{ContentType: d.ContentType, Headers: streadway.Table(d.Headers)})
	if err != nil {
		t.Fatal(err)
	}
	return raw
}
