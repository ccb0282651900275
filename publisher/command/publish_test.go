package command_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher/command"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
)

// observer is a broker with an observer's channel to it and an empty folder.
type observer struct {
	t   *testing.T
	url string
	ch  *amqp.Channel
}

// broker is where a test's commands go: the URL of one that runs.
type broker func(t *testing.T) (url string)

func atRabbitMQ(t *testing.T) string { t.Helper(); return rabbitmq.Start(t) }

func atEmbedded(t *testing.T) string {
	t.Helper()
	return embedded.New(t, embedded.Options{}).URL
}

// onBothBrokers runs a test with both brokers that users have.
func onBothBrokers(t *testing.T, test func(*testing.T, broker)) {
	t.Helper()
	t.Run("embedded", func(t *testing.T) { test(t, atEmbedded) })
	t.Run("RabbitMQ", func(t *testing.T) { test(t, atRabbitMQ) })
}

func newObserver(t *testing.T, at broker) *observer {
	t.Helper()
	s := &observer{t: t, url: at(t)}
	t.Chdir(t.TempDir())
	return s.again()
}

// again is another connection of an observer, for when the first one's channel
// was closed over an error.
func (s *observer) again() *observer {
	s.t.Helper()
	conn, err := amqp.Dial(s.url)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { _ = conn.Close() })
	ch, err := conn.Channel()
	if err != nil {
		s.t.Fatal(err)
	}
	return &observer{t: s.t, url: s.url, ch: ch}
}

// name is one that nobody else uses, deleted with the test, as an exchange and
// as a queue.
func (s *observer) name(text string) string {
	name := "cmd-" + text + "-" + rand.Text()[:8]
	s.t.Cleanup(func() {
		_, _ = s.ch.QueueDelete(name, false, false, false)
		_ = s.ch.ExchangeDelete(name, false, false)
	})
	return name
}

func (s *observer) queue(text string, args amqp.Table) string {
	s.t.Helper()
	name := s.name(text)
	if _, err := s.ch.QueueDeclare(name, true, false, false, false, args); err != nil {
		s.t.Fatal(err)
	}
	return name
}

func (s *observer) exchange(text, kind string) string {
	s.t.Helper()
	name := s.name(text)
	if err := s.ch.ExchangeDeclare(name, kind, true, false, false, false, nil); err != nil {
		s.t.Fatal(err)
	}
	return name
}

// get takes one message out of a queue.
func (s *observer) get(queue string) amqp.Delivery {
	s.t.Helper()
	d, ok, err := s.ch.Get(queue, true)
	if err != nil || !ok {
		s.t.Fatalf("get from %s: %v, %v", queue, ok, err)
	}
	return d
}

func (s *observer) length(queue string) int {
	s.t.Helper()
	q, err := s.ch.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	return q.Messages
}

// zamqp runs a command with the broker's URL and this standard input.
func (s *observer) zamqp(stdin string, args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	return s.within(context.Background(), stdin, args...)
}

func (s *observer) within(ctx context.Context, stdin string, args ...string) (code int, stdout, stderr string) {
	s.t.Helper()
	var out, errs bytes.Buffer
	c := &command.CLI{Registry: registry(), Stdin: strings.NewReader(stdin), Stdout: &out, Stderr: &errs}
	args = append(args[:len(args):len(args)], "--url", s.url, "--timeout", "20s")
	if args[0] == "call" || args[0] == "publish" || args[0] == "tap" { // so that their own win
		args = append([]string{args[0], "--url", s.url, "--timeout", "20s"}, args[1:len(args)-4]...)
	}
	code = c.Run(ctx, args)
	return code, out.String(), errs.String()
}

// works is zamqp for commands that must succeed.
func (s *observer) works(args ...string) (stdout string) {
	s.t.Helper()
	code, stdout, stderr := s.zamqp("", args...)
	if code != 0 {
		s.t.Fatalf("zamqp %q: exit %d: %s", args, code, stderr)
	}
	return stdout
}

func TestPublishEveryProperty(t *testing.T) { onBothBrokers(t, testPublishEveryProperty) }

func testPublishEveryProperty(t *testing.T, at broker) {
	s := newObserver(t, at)
	q := s.queue("props", nil)
	out := s.works("publish", "-q", q, "--content-type", "text/x-test", "--content-encoding", "none", "--transient",
		"--priority", "7", "--correlation-id", "cor", "--reply-to", "back", "--expiration", "90s", "--message-id", "m1",
		"--timestamp", "2026-01-31T12:00:00Z", "--type", "kind", "--user-id", "guest", "--app-id", "tests",
		"-H", "text=a=b", "-H", "n:=3", "-H", "f:=1.5", "-H", "yes:=true", "-H", "none:=null", "-H", `deep:={"list":[1,"x"]}`, "the body")
	if want := "1 message published to queue \"" + q + "\", confirmed by the broker\n"; out != want {
		t.Errorf("stdout %q, want %q", out, want)
	}
	d := s.get(q)
	got := amqp.Publishing{
		Headers: d.Headers, ContentType: d.ContentType, ContentEncoding: d.ContentEncoding, DeliveryMode: d.DeliveryMode,
		Priority: d.Priority, CorrelationId: d.CorrelationId, ReplyTo: d.ReplyTo, Expiration: d.Expiration,
		MessageId: d.MessageId, Timestamp: d.Timestamp.UTC(), Type: d.Type, UserId: d.UserId, AppId: d.AppId, Body: d.Body,
	}
	want := amqp.Publishing{
		Headers: amqp.Table{"text": "a=b", "n": int64(3), "f": 1.5, "yes": true, "none": nil,
			"deep": amqp.Table{"list": []any{int64(1), "x"}}},
		ContentType: "text/x-test", ContentEncoding: "none", DeliveryMode: 1, Priority: 7, CorrelationId: "cor",
		ReplyTo: "back", Expiration: "90000", MessageId: "m1", Timestamp: time.Date(2026, 1, 31, 12, 0, 0, 0, time.UTC),
		Type: "kind", UserId: "guest", AppId: "tests", Body: []byte("the body"),
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("\n got %+v\nwant %+v", got, want)
	}
}

func TestPublishBodies(t *testing.T) { onBothBrokers(t, testPublishBodies) }

func testPublishBodies(t *testing.T, at broker) {
	s := newObserver(t, at)
	q := s.queue("bodies", nil)
	file := filepath.Join(t.TempDir(), "body")
	if err := os.WriteFile(file, []byte("\xff from a file"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, stdin       string
		args              []string
		body, contentType string
	}{
		{"argument", "unread", []string{"arg"}, "arg", "text/plain"},
		{"empty argument", "unread", []string{""}, "", "text/plain"},
		{"standard input", "piped\n", nil, "piped\n", "text/plain"},
		{"file -", "piped", []string{"--file", "-"}, "piped", "text/plain"},
		{"file", "", []string{"--file", file}, "\xff from a file", "application/octet-stream"},
		{"json", "", []string{"--json", "{}"}, "{}", "application/json"},
		{"no content type", "", []string{"--content-type", "", "x"}, "x", ""},
		{"large", strings.Repeat("x", 300000), nil, strings.Repeat("x", 300000), "text/plain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			code, _, stderr := s.zamqp(test.stdin, append([]string{"publish", "-q", q}, test.args...)...)
			if code != 0 {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			if d := s.get(q); string(d.Body) != test.body || d.ContentType != test.contentType || d.DeliveryMode != 2 {
				t.Errorf("%.40q (%d octets) %q, delivery mode %d", d.Body, len(d.Body), d.ContentType, d.DeliveryMode)
			}
		})
	}
	if code, out, _ := s.zamqp("a\n\nc\n", "publish", "-q", q, "--lines"); code != 0 || !strings.HasPrefix(out, "3 messages") {
		t.Errorf("lines: exit %d, %q", code, out)
	}
	for _, want := range []string{"a", "", "c"} {
		if d := s.get(q); string(d.Body) != want {
			t.Errorf("line %q, want %q", d.Body, want)
		}
	}
	const many = 5000
	if code, out, stderr := s.zamqp(strings.Repeat("x\n", many), "publish", "-q", q, "--lines"); code != 0 {
		t.Errorf("lines: exit %d, %q %q", code, out, stderr)
	}
	if n := s.length(q); n != many {
		t.Errorf("%d lines came, want %d", n, many)
	}
}

func TestPublishDeclares(t *testing.T) { onBothBrokers(t, testPublishDeclares) }

func testPublishDeclares(t *testing.T, at broker) {
	s := newObserver(t, at)
	e, q, key := s.name("e"), s.name("q"), s.name("key")
	s.works("publish", "-e", e, "-k", "a.b", "--declare", "--exchange-type", "topic", "--bind", q, "--queue-argument", "x-max-length:=10", "one")
	s.works("publish", "-e", e, "-k", "a.b", "two") // it exists now
	if a, b := s.get(q), s.get(q); string(a.Body) != "one" || string(b.Body) != "two" {
		t.Errorf("%q, %q", a.Body, b.Body)
	}
	s.works("publish", "-e", e+"2", "-k", key, "--declare", "upstream's way")
	if d := s.get(key); string(d.Body) != "upstream's way" {
		t.Errorf("%q", d.Body)
	}
	_ = s.ch.ExchangeDelete(e+"2", false, false)
	s.works("publish", "-q", s.name("direct"), "--declare", "x")
}

func TestPublishFails(t *testing.T) { onBothBrokers(t, testPublishFails) }

func testPublishFails(t *testing.T, at broker) {
	s := newObserver(t, at)
	full := s.queue("full", amqp.Table{"x-max-length": 1, "x-overflow": "reject-publish"})
	topic := s.exchange("topic", "topic")
	s.works("publish", "-q", full, "the first")
	for _, test := range []struct {
		args   []string
		code   int
		stderr string // part of it
	}{
		{[]string{"-q", "cmd-nobody", "x"}, 1, "312 NO_ROUTE: there is no queue \"cmd-nobody\": declare it, or check its name and the vhost; --declare does that, and with --unroutable-ok it is no error"},
		{[]string{"-e", topic, "-k", "a", "x"}, 1, "312 NO_ROUTE: no queue is bound to exchange \"" + topic + "\" for routing key \"a\": bind one; --declare does that"},
		{[]string{"-e", topic, "-k", "a", "--unroutable-ok", "x"}, 0, ""},
		{[]string{"-e", "cmd-nowhere", "-k", "a", "x"}, 1, "404 NOT_FOUND - no exchange 'cmd-nowhere'"},
		{[]string{"-q", full, "the second"}, 1, "basic.nack"},
		{[]string{"-q", full, "--user-id", "somebody", "x"}, 1, "user_id property set to 'somebody' but authenticated user was 'guest'"},
		{[]string{"-e", topic, "-k", "a", "--declare", "x"}, 1, "inequivalent arg 'type'"},
		{[]string{"-e", topic, "-k", "a", "--declare", "--exchange-type", "x-nonsense", "x"}, 1, "x-nonsense"},
		{[]string{"x"}, 2, "nowhere to publish to"},
		{[]string{"-q", full, "-k", "a", "x"}, 2, "[key queue]"},
		{[]string{"-q", full, "--bind", "a", "x"}, 2, "--declare, which is missing"},
		{[]string{"-q", full, "--file", "f", "x"}, 2, "which one?"},
		{[]string{"-q", full, "--file", "not-there"}, 1, "not-there: no such file"},
		{[]string{"-q", full, "--json", "{"}, 1, "not JSON"},
		{[]string{"-q", full, "-H", "x", "x"}, 2, "write name=text"},
		{[]string{"-q", full, "--expiration", "500us", "x"}, 2, "AMQP counts in milliseconds"},
		{[]string{"-q", full, "--expiration", "1500us", "x"}, 2, "AMQP counts in milliseconds: write 1ms"},
		{[]string{"-q", full, "--timestamp", "2026-01-31T12:00:00.5Z", "x"}, 2, "AMQP counts whole seconds since 1970"},
		{[]string{"-q", full, "--timestamp", "1960-01-31T12:00:00Z", "x"}, 2, "AMQP counts whole seconds since 1970"},
		{[]string{"-q", full, "-H", "n:=12345678901234567890", "x"}, 2, "fits into no field of AMQP without loss: write it as text"},
		{[]string{"-q", full, "-H", `t:={"a": [0.12345678901234567890123]}`, "x"}, 2, "the number 0.12345678901234567890123 fits into no field"},
		{[]string{"-q", full, "-H", "n:=1e-400", "x"}, 2, "the number 1e-400 fits into no field"},
		{[]string{"-q", full, "-H", `t:={"a": 1, "a": 2}`, "x"}, 2, `the name "a" is there twice`},
		{[]string{"-q", full, "-H", `t:="\ud800"`, "x"}, 2, "half of a surrogate pair"},
		{[]string{"-q", full, "-H", "a=1", "-H", "a:=2", "x"}, 2, "a is there twice"},
		{[]string{"-q", full, "-H", "x:=y", "x"}, 2, "write x=y for text"},
		{[]string{"-q", full, "-H", "x:=1}", "x"}, 2, "write x=1} for text"},
		{[]string{"-q", full, "--timestamp", "tomorrow", "x"}, 2, "RFC 3339"},
		{[]string{"-q", strings.Repeat("q", 256), "x"}, 2, "at most 255 octets"},
		{[]string{"--connection", "nope", "--url", "", "-q", full, "x"}, 2, "there is no [connection.nope]"},
		{[]string{"--url", "http://x", "-q", full, "x"}, 1, "not a broker's URL"},
		{[]string{"--url", "amqp://guest:sec$ret@127.0.0.1:1/", "-q", full, "x"}, 1, "connection refused"},
		{[]string{"--url", strings.Replace(s.url, "guest:guest", "guest:sec$$ret", 1), "-q", full, "x"}, 1, "403 ACCESS_REFUSED"},
		{[]string{"--url", strings.TrimSuffix(s.url, "/") + "/cmd-nowhere", "-q", full, "x"}, 1, "vhost cmd-nowhere not found"},
	} {
		code, stdout, stderr := s.zamqp("", append([]string{"publish"}, test.args...)...)
		if code != test.code || !strings.Contains(stderr, test.stderr) {
			t.Errorf("publish %q: exit %d, want %d; stdout %q, stderr %q, want %q", test.args, code, test.code, stdout, stderr, test.stderr)
		}
		if strings.Contains(stderr, "sec$") {
			t.Errorf("publish %q shows a password: %s", test.args, stderr)
		}
	}
}

func TestCall(t *testing.T) { onBothBrokers(t, testCall) }

func testCall(t *testing.T, at broker) {
	s := newObserver(t, at)
	q := s.queue("rpc", nil)
	requests, err := s.ch.Consume(q, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for d := range requests {
			if string(d.Body) == "silence" {
				continue
			}
			// A reply to another call comes first.
			_ = s.ch.PublishWithContext(context.Background(), "", d.ReplyTo, false, false, amqp.Publishing{CorrelationId: "other", Body: []byte("no")})
			headers := amqp.Table{"expiration": d.Expiration}
			if string(d.Body) == "fail" {
				headers["x-status"] = int32(500)
			}
			_ = s.ch.PublishWithContext(context.Background(), "", d.ReplyTo, false, false, amqp.Publishing{
				CorrelationId: d.CorrelationId, Body: append([]byte("re: "), d.Body...), Headers: headers,
			})
		}
	}()
	if out := s.works("call", "-q", q, "hi"); out != "re: hi\n" {
		t.Errorf("%q", out)
	}
	var reply struct {
		Body    string
		Headers map[string]string
	}
	if err := json.Unmarshal([]byte(s.works("call", "-q", q, "--reply-json", "hi")), &reply); err != nil || reply.Body != "re: hi" || reply.Headers["expiration"] != "20000" {
		t.Errorf("%+v, %v", reply, err)
	}
	// A reply that says that the request has failed is printed, and is a failure.
	for _, args := range [][]string{{"call", "-q", q, "fail"}, {"call", "-q", q, "--reply-json", "fail"}} {
		if code, out, stderr := s.zamqp("", args...); code != 1 || !strings.Contains(out, "re: fail") || !strings.Contains(stderr, "status 500 (x-status)") {
			t.Errorf("%q: exit %d, %q, %q", args, code, out, stderr)
		}
	}
	for _, test := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-q", "cmd-nobody", "x"}, 1, "312 NO_ROUTE: there is no queue \"cmd-nobody\": declare it, or check its name and the vhost\n"},
		{[]string{"-e", "amq.topic", "-k", "cmd-nobody", "x"}, 1, "no queue is bound to exchange \"amq.topic\" for routing key \"cmd-nobody\": bind one\n"},
		{[]string{"x"}, 2, "nowhere to publish to: name a queue"},
		{[]string{"-q", q, "--reply-to", "x", "x"}, 2, "the command's own queue"},
	} {
		if code, _, stderr := s.zamqp("", append([]string{"call"}, test.args...)...); code != test.code || !strings.Contains(stderr, test.stderr) {
			t.Errorf("call %q: exit %d, stderr %q", test.args, code, stderr)
		}
	}
	// The time must do for connecting, too, and is short only where the machine is quick.
	code, stderr := 0, ""
	for _, limit := range []string{"300ms", "3s", "30s"} {
		if code, _, stderr = s.zamqp("", "call", "-q", q, "silence", "--timeout", limit); code == 1 && strings.Contains(stderr, "no reply within "+limit) {
			return
		}
	}
	t.Errorf("call without a reply: exit %d, stderr %q", code, stderr)
}
