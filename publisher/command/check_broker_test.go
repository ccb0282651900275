package command_test

import (
	"bytes"
	"context"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/publisher/command"
)

func TestCheckBroker(t *testing.T) { onBothBrokers(t, testCheckBroker) }

func testCheckBroker(t *testing.T, at broker) {
	s := newObserver(t, at)
	queue, other, foreign, exchange := s.name("queue"), s.name("other"), s.name("foreign"), s.name("exchange")
	r := publisher.NewRegistry()
	r.Consume("good", publisher.Consumer{Queue: queue, Exchange: exchange, ExchangeType: "topic", Retry: publisher.Retry{Attempts: 2}}, nothing)
	r.Consume("wrong", publisher.Consumer{Queue: other, Retry: publisher.Retry{Attempts: 1}, Arguments: publisher.Table{"x-max-length": int64(10)}}, nothing)
	r.Consume("foreign", publisher.Consumer{Queue: foreign, NoDeclare: true}, nothing)
	r.Produce("orders", publisher.Producer{Exchange: exchange, ExchangeType: "topic"})
	check := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		c := &command.CLI{Registry: r, Stdout: &out, Stderr: &errs}
		code := c.Run(context.Background(), append([]string{"check", "-o", "connection.default.url=" + s.url, "--timeout", "60s"}, args...))
		_, broker, _ := strings.Cut(out.String(), "broker of default\n")
		return code, strings.Join(strings.Fields(broker), " "), errs.String()
	}
	for _, q := range []string{queue + ".dead", queue + ".retry.1s", queue + ".quarantine", other + ".dead", other + ".quarantine"} {
		t.Cleanup(func() { _, _ = s.ch.QueueDelete(q, false, false, false) })
	}

	code, out, stderr := check("--broker")
	for _, want := range []string{
		`producer.orders exchange "` + exchange + `" missing: serve declares it`,
		`consumer.good queue "` + queue + `" missing: serve declares it`,
		`consumer.foreign queue "` + foreign + `" PROBLEM: missing, and auto_declare is off`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in %s", want, out)
		}
	}
	if code != 1 || !strings.Contains(stderr, "1 problem with the brokers") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	if _, err := s.ch.QueueDeclarePassive(queue, true, false, false, false, nil); err == nil {
		t.Error("it has made a queue")
	}

	// One differs, and one exists now.
	observer := s.again()
	if _, err := observer.ch.QueueDeclare(foreign, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if _, err := observer.ch.QueueDeclare(other, true, false, false, false, amqp.Table{"x-max-length": 20}); err != nil {
		t.Fatal(err)
	}
	code, out, stderr = check("--broker")
	if want := `consumer.wrong queue "` + other + `" PROBLEM: queue.declare "` + other + `": `; code != 1 || !strings.Contains(out, want) || !strings.Contains(out, "inequivalent arg 'x-") {
		t.Errorf("exit %d, no %q in %s\n%s", code, want, out, stderr)
	}
	if _, err := observer.ch.QueueDelete(other, false, false, false); err != nil {
		t.Fatal(err)
	}
	if code, out, stderr = check("--declare"); code != 0 || !strings.Contains(out, "consumer.good 1 exchange") {
		t.Errorf("exit %d, %s\n%s", code, out, stderr)
	}
	code, out, stderr = check("--broker")
	if code != 0 || strings.Contains(out, "missing") || !strings.Contains(out, `consumer.good queue "`+queue+`" ok`) || !strings.Contains(out, `exchange "`+exchange+`" ok`) {
		t.Errorf("exit %d, %s\n%s", code, out, stderr)
	}
	if code, out, _ = check("--broker", "-o", "connection.default.url=amqp://guest:nope@127.0.0.1:1/", "--timeout", "2s"); code != 1 || !strings.Contains(out, "connection.default cannot be used PROBLEM:") {
		t.Errorf("exit %d, %s", code, out)
	}
}
