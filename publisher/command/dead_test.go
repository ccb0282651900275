package command_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
)

func (s *observer) publish(queue string, p amqp.Publishing) {
	s.t.Helper()
	if err := s.ch.PublishWithContext(context.Background(), "", queue, true, false, p); err != nil {
		s.t.Fatal(err)
	}
}

// deadLetters makes two queues. Two messages failed in the first and were moved to the second
// by zamqp, one was refused there, so the broker moved it, and one has an unknown origin.
func (s *observer) deadLetters() (work, dead string) {
	s.t.Helper()
	dead = s.queue("dead", nil)
	work = s.queue("work", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": dead})
	for i, text := range []string{"no such customer", "a timeout"} {
		s.publish(dead, amqp.Publishing{
			Body: fmt.Appendf(nil, "body %d", i+1), MessageId: fmt.Sprint("m", i+1), DeliveryMode: 2,
			Headers: amqp.Table{
				"mine": int64(i), publisher.TraceQueue: work, publisher.TraceExchange: "orders", publisher.TraceRoutingKey: "order.created",
				publisher.TraceReason: publisher.ReasonAttempts, publisher.TraceError: text + "\nsecond line", publisher.TraceHandler: "billing",
				publisher.TraceAttempt: int64(5), publisher.TraceTime: time.Unix(1e9, 0), publisher.TraceExpiration: "90000",
			},
		})
	}
	s.publish(work, amqp.Publishing{Body: []byte("body 3"), MessageId: "m3"})
	s.until("it is there", func() bool { return s.length(work) == 1 })
	d, _, err := s.ch.Get(work, false)
	if err == nil {
		err = d.Reject(false)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	s.until("the broker has moved it", func() bool { return s.length(dead) == 3 })
	s.publish(dead, amqp.Publishing{Body: []byte("body 4")})
	s.until("all are there", func() bool { return s.length(dead) == 4 })
	return work, dead
}

func TestDeadListAndShow(t *testing.T) { onBothBrokers(t, testDeadListAndShow) }

func testDeadListAndShow(t *testing.T, at broker) {
	s := newObserver(t, at)
	work, dead := s.deadLetters()
	want := dead + "  4 messages\n" +
		"       1  no reason told\n" +
		"       1  attempts in " + work + ", handler billing: a timeout\n" +
		"       1  attempts in " + work + ", handler billing: no such customer\n" +
		"       1  rejected in " + work + "\n"
	if out := s.works("dead", "list", dead); out != want {
		t.Errorf("\n%s\nwant\n%s", out, want)
	}
	// Also by the name of the consumer, whose queues the configuration names.
	out := s.works("dead", "list", "-o", "consumer.billing.dead_letter="+dead, "-o", "site.id=x", "billing", "--limit", "2")
	if !strings.HasPrefix(out, dead+"  4 messages, of which the first 2:\n") || strings.Count(out, "\n") != 3 {
		t.Errorf("%s", out)
	}
	out = s.works("dead", "list", "-o", "consumer.billing.dead_letter="+dead, "-o", "site.id=x", "--json")
	if !strings.Contains(out, `{"count":1,"queue":"`+work+`","reason":"rejected"}`) || !strings.Contains(out, `"messages":4`) {
		t.Errorf("%s", out)
	}
	for _, test := range []struct {
		args   []string
		bodies string // those shown
		part   string
	}{
		{nil, "1 2 3 4", "dead: attempts, in queue \"" + work + "\", handler billing, 5 attempts, at 2001-09-09T01:46:40Z; published to exchange \"orders\" by \"order.created\"\n  error: a timeout\n  second line\n"},
		{[]string{"--position", "1,3-4"}, "1 3 4", "dead: rejected, in queue \"" + work + "\", 1 attempt, at "},
		{[]string{"--message-id", "m2"}, "2", "mine: 1\n"},
		{[]string{"--reason", "customer"}, "1", "no such customer"},
		{[]string{"--reason", "rejected"}, "3", "x-death: "},
		{[]string{"--limit", "1"}, "1", ""},
		{[]string{"--json", "--position", "1"}, "1", `"death":{"queue":"` + work + `","exchange":"orders","routing_key":"order.created","reason":"attempts"`},
		{[]string{"--no-body", "--position", "1"}, "", "message_id=m1"},
	} {
		out := s.works(append([]string{"dead", "show", dead}, test.args...)...)
		var shown []string
		for _, n := range []string{"1", "2", "3", "4"} {
			if strings.Contains(out, "body "+n) {
				shown = append(shown, n)
			}
		}
		if strings.Join(shown, " ") != test.bodies || !strings.Contains(out, test.part) {
			t.Errorf("show %q: %v, want %s and %q:\n%s", test.args, shown, test.bodies, test.part, out)
		}
	}
	for _, args := range [][]string{{"show", dead, "--message-id", "m1,nobody"}, {"show", dead, "--position", "2,9-12"},
		{"retry", dead, "--message-id", "nobody"}, {"drop", dead, "--position", "7"}} {
		if code, _, stderr := s.zamqp("", append([]string{"dead"}, args...)...); code != 1 || !strings.Contains(stderr, "no message matches ") {
			t.Errorf("%q: exit %d, %s", args, code, stderr)
		}
	}
	if n := s.length(dead); n != 4 {
		t.Errorf("%d messages are left of 4", n)
	}
}

// TestForeignTextIsQuoted: no command shows a terminal the unquoted text that a stranger has
// put into a message.
func TestForeignTextIsQuoted(t *testing.T) { onBothBrokers(t, testForeignTextIsQuoted) }

func testForeignTextIsQuoted(t *testing.T, at broker) {
	s := newObserver(t, at)
	q := s.queue("foreign", nil)
	const hostile = "\x1b[2J\u009b2J\u202e\r"
	s.publish(q, amqp.Publishing{MessageId: hostile, Type: hostile, Body: []byte(hostile + "body"), Headers: amqp.Table{
		hostile: hostile, "list": []any{hostile}, publisher.TraceQueue: hostile, publisher.TraceReason: hostile, publisher.TraceError: hostile,
		publisher.TraceHandler: hostile, publisher.TraceExchange: hostile, publisher.TraceRoutingKey: hostile,
	}})
	s.until("it is there", func() bool { return s.length(q) == 1 })
	for _, args := range [][]string{
		{"dead", "list", q}, {"dead", "list", q, "--json"}, {"dead", "show", q}, {"dead", "show", q, "--json"}, {"tap", "--queue", q}, {"tap", "--queue", q, "--json"},
		{"dead", "retry", q, "--all"}, {"dead", "drop", q, "--message-id", hostile + "x"}, {"publish", "-q", hostile, "x"}, {"nothing" + hostile},
	} {
		_, out, stderr := s.zamqp("", args...)
		for _, text := range []string{out, stderr} {
			if strings.ContainsAny(text, hostile[:1]+"\u009b\u202e\r") {
				t.Errorf("%q: %q", args, text)
			}
		}
		if out+stderr == "" {
			t.Errorf("%q says nothing", args)
		}
	}
}

func TestDeadRetry(t *testing.T) { onBothBrokers(t, testDeadRetry) }

func testDeadRetry(t *testing.T, at broker) {
	s := newObserver(t, at)
	work, dead := s.deadLetters()
	out := s.works("dead", "retry", dead, "--message-id", "m1,m3")
	if want := "2 messages moved from " + dead + " to " + work + "\n"; out != want {
		t.Errorf("%q, want %q", out, want)
	}
	d := s.get(work)
	want := amqp.Table{"mine": int64(0), publisher.TraceExchange: "orders", publisher.TraceRoutingKey: "order.created"}
	if fmt.Sprint(d.Headers) != fmt.Sprint(want) || string(d.Body) != "body 1" || d.Expiration != "90000" || d.DeliveryMode != 2 || d.MessageId != "m1" {
		t.Errorf("%+v", d)
	}
	if d := s.get(work); string(d.Body) != "body 3" || len(d.Headers) != 0 {
		t.Errorf("%+v", d)
	}
	// One of the remaining two says where it failed.
	code, out, stderr := s.zamqp("", "dead", "retry", dead, "--all")
	if code != 1 || !strings.Contains(out, "1 message moved") || !strings.Contains(stderr, "#2 stays: its headers do not say where it failed") || !strings.Contains(stderr, "1 message not moved") {
		t.Errorf("exit %d\n%s%s", code, out, stderr)
	}
	code, _, stderr = s.zamqp("", "dead", "retry", dead, "--all", "--to", "cmd-nowhere")
	if code != 1 || !strings.Contains(stderr, "312 NO_ROUTE") || s.length(dead) != 1 {
		t.Errorf("exit %d, %d left\n%s", code, s.length(dead), stderr)
	}
	other := s.queue("other", nil)
	s.works("dead", "retry", dead, "--position", "1", "--to", other)
	if d := s.get(other); string(d.Body) != "body 4" || s.length(dead) != 0 {
		t.Errorf("%q, %d left", d.Body, s.length(dead))
	}
}

func TestQueueMovesToAnother(t *testing.T) { onBothBrokers(t, testQueueMovesToAnother) }

// testQueueMovesToAnother is the recipe of docs/guide/rabbitmq.md: what waits in a
// queue goes to the one that takes its place, of another type.
func testQueueMovesToAnother(t *testing.T, at broker) {
	s := newObserver(t, at)
	old, next := s.queue("old", nil), s.queue("old.v2", amqp.Table{"x-queue-type": "quorum"})
	for _, body := range []string{"one", "two", "three"} {
		s.works("publish", "--queue", old, "--message-id", body, body)
	}
	if out := s.works("dead", "retry", old, "--all", "--to", next); out != "3 messages moved from "+old+" to "+next+"\n" {
		t.Errorf("%q", out)
	}
	for _, body := range []string{"one", "two", "three"} {
		if d := s.get(next); string(d.Body) != body || d.MessageId != body || d.DeliveryMode != 2 {
			t.Errorf("%q, want %q: %+v", d.Body, body, d)
		}
	}
	if n := s.length(old); n != 0 {
		t.Errorf("%d left", n)
	}
}

func TestDeadDrop(t *testing.T) {
	s := newObserver(t, atRabbitMQ)
	_, dead := s.deadLetters()
	if out := s.works("dead", "drop", dead, "--reason", "timeout"); out != "1 message dropped from "+dead+"\n" {
		t.Errorf("%q", out)
	}
	s.until("it is gone", func() bool { return s.length(dead) == 3 })
	s.works("dead", "drop", dead, "--position", "2-3")
	s.until("they are gone", func() bool { return s.length(dead) == 1 })
	if d := s.get(dead); string(d.Body) != "body 1" {
		t.Errorf("%q is left", d.Body)
	}
	const many = 3000
	s.zamqp(strings.Repeat("x\n", many), "publish", "-q", dead, "--lines")
	if out := s.works("dead", "drop", dead, "--all"); !strings.HasPrefix(out, fmt.Sprint(many)) {
		t.Errorf("%q", out)
	}
}

// TestDeadRetryOfMoreThanTheClientHolds: they are moved as fast as the broker
// takes them, however many there are.
func TestDeadRetryOfMoreThanTheClientHolds(t *testing.T) {
	s := newObserver(t, atRabbitMQ)
	work, dead := s.queue("work", nil), s.queue("dead", nil)
	const many = 300
	s.zamqp(strings.Repeat(strings.Repeat("x", 1000)+"\n", many), "publish", "-q", dead, "--lines")
	out := s.works("dead", "retry", dead, "--all", "--to", work, "-o", "connection.default.publish_max=128KiB")
	if out != fmt.Sprintf("%d messages moved from %s to %s\n", many, dead, work) {
		t.Errorf("%s", out)
	}
	if n := s.length(work); n != many {
		t.Errorf("%d are there of %d", n, many)
	}
}

func TestDeadUsage(t *testing.T) { onBothBrokers(t, testDeadUsage) }

func testDeadUsage(t *testing.T, at broker) {
	s := newObserver(t, at)
	for _, test := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"drop", "q"}, 2, "which messages?"},
		{[]string{"retry", "q"}, 2, "which messages?"},
		{[]string{"drop", "q", "--position", "0"}, 2, "numbers from 1"},
		{[]string{"drop", "q", "--position", "5-3"}, 2, "numbers from 1"},
		{[]string{"drop", "q", "--all", "--reason", "x"}, 2, "[all reason]"},
		{[]string{"show"}, 2, "accepts 1 arg"},
		{[]string{"show", "cmd-nowhere", "-o", "site.id=x"}, 1, "404 NOT_FOUND - no queue 'cmd-nowhere'"},
		{[]string{"show", "billing", "-o", "site.id=x", "-o", "consumer.billing.dead_letter=off"}, 1, "has no dead-letter queue of ours"},
		{[]string{"show", "q", "--limit", "0"}, 2, "--limit"},
	} {
		if code, _, stderr := s.zamqp("", append([]string{"dead"}, test.args...)...); code != test.code || !strings.Contains(stderr, test.stderr) {
			t.Errorf("dead %q: exit %d, stderr %q", test.args, code, stderr)
		}
	}
}

func TestTapQueueTakesNothing(t *testing.T) { onBothBrokers(t, testTapQueueTakesNothing) }

func testTapQueueTakesNothing(t *testing.T, at broker) {
	s := newObserver(t, at)
	q := s.queue("peek", nil)
	const many = 300
	s.zamqp(strings.Repeat("x\n", many), "publish", "-q", q, "--lines")
	if out := s.works("tap", "-q", q); strings.Count(out, "| x") != many || !strings.HasPrefix(out, "#1  ") {
		t.Errorf("%d shown", strings.Count(out, "| x"))
	}
	if out := s.works("tap", "-q", q, "-n", "3", "--json"); strings.Count(out, "\n") != 3 || !strings.Contains(out, `"position":3`) {
		t.Errorf("%s", out)
	}
	if n := s.length(q); n != many {
		t.Errorf("%d are left of %d", n, many)
	}
	if code, _, stderr := s.zamqp("", "tap", "-q", "cmd-nowhere"); code != 1 || !strings.Contains(stderr, "404 NOT_FOUND") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
