package command_test

import (
	"context"
	"encoding/json"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher/command"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// tap is a running tap, whose output can be read meanwhile.
type tap struct {
	out, err logs.Buffer
	code     int
	done     chan struct{}
	stop     func()
}

func (k *tap) text() (stdout, stderr string) { return k.out.String(), k.err.String() }

// tap starts the command and waits until it listens.
func (s *observer) tap(url string, args ...string) *tap {
	s.t.Helper()
	ctx, stop := context.WithCancel(context.Background())
	k := &tap{done: make(chan struct{}), stop: stop}
	c := &command.CLI{Registry: registry(), Stdout: &k.out, Stderr: &k.err}
	go func() {
		defer close(k.done)
		k.code = c.Run(ctx, append([]string{"tap", "--url", url, "--timeout", "20s"}, args...))
	}()
	s.t.Cleanup(func() { stop(); <-k.done })
	s.until("it taps", func() bool { _, text := k.text(); return strings.Contains(text, "tapping") })
	return k
}

func (s *observer) until(what string, holds func() bool) {
	s.t.Helper()
	wait.Until(s.t, what, holds)
}

func TestTapExchange(t *testing.T) { onBothBrokers(t, testTapExchange) }

func testTapExchange(t *testing.T, at broker) {
	s := newObserver(t, at)
	e := s.exchange("tapped", "topic")
	all := s.tap(s.url, "-e", e, "-n", "3")
	some := s.tap(s.url, "-e", e, "-k", "a.*", "-k", "c.#", "--no-body")
	s.works("publish", "-e", e, "-k", "a.b", "-H", "list:=[1,\"x\"]", "--message-id", "m 1", "two\nlines\x1b[2J")
	s.works("publish", "-e", e, "-k", "b.b", "--json", `{"a":1}`, "--unroutable-ok")
	s.works("publish", "-e", e, "-k", "c", "")
	<-all.done
	out, _ := all.text()
	for _, want := range []string{
		`exchange "` + e + `" by "a.b"  13 B` + "\n  content_type=text/plain  delivery_mode=2  message_id=\"m 1\"\n  list: [1,\"x\"]\n  | two\n  | lines\uFFFD[2J\n",
		`by "b.b"  7 B` + "\n  content_type=application/json  delivery_mode=2\n  | {\"a\":1}\n",
		`by "c"  0 B`,
	} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
	if all.code != 0 || strings.Contains(out, "\x1b") {
		t.Errorf("exit %d, %q", all.code, out)
	}
	s.until("the third is there", func() bool { out, _ := some.text(); return strings.Contains(out, `by "c"`) })
	some.stop()
	<-some.done
	if out, _ := some.text(); some.code != 0 || strings.Count(out, "exchange ") != 2 || strings.Contains(out, "|") {
		t.Errorf("exit %d\n%s", some.code, out)
	}
}

func TestTapJSON(t *testing.T) { onBothBrokers(t, testTapJSON) }

func testTapJSON(t *testing.T, at broker) {
	s := newObserver(t, at)
	e := s.exchange("json", "headers")
	k := s.tap(s.url, "-e", e, "--json", "-n", "1",
		"--match", "x-match=any", "--match", "shop=1")
	if err := s.ch.PublishWithContext(context.Background(), e, "other", false, false, amqp.Publishing{Headers: amqp.Table{"shop": "2"}}); err != nil {
		t.Fatal(err)
	}
	when := time.Unix(1e9, 0)
	if err := s.ch.PublishWithContext(context.Background(), e, "key", false, false, amqp.Publishing{
		Headers: amqp.Table{"shop": "1", "b": []byte{0xff}, "t": when, "d": amqp.Decimal{Scale: 2, Value: -5}}, Priority: 4, Timestamp: when, Body: []byte{0xfe},
	}); err != nil {
		t.Fatal(err)
	}
	<-k.done
	out, _ := k.text()
	var line map[string]any
	if err := json.Unmarshal([]byte(out), &line); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	delete(line, "time")
	text, _ := json.Marshal(line)
	want := `{"body_base64":"/g==","exchange":"` + e + `","headers":{"b":"/w==","d":"-0.05","shop":"1","t":"2001-09-09T01:46:40Z"},` +
		`"properties":{"priority":"4","timestamp":"2001-09-09T01:46:40Z"},"redelivered":false,"routing_key":"key"}`
	if string(text) != want {
		t.Errorf("\n got %s\nwant %s", text, want)
	}
}

func TestTapTrace(t *testing.T) {
	s := newObserver(t, atRabbitMQ)
	node := rabbitmq.Shared(t)
	node.Ctl(t, "trace_on")
	defer node.Ctl(t, "trace_off")
	s.traces()
}

// The embedded broker has nothing to be switched on.
func TestTapTraceEmbedded(t *testing.T) {
	newObserver(t, atEmbedded).traces()
}

func (s *observer) traces() {
	t := s.t
	t.Helper()
	q := s.queue("traced", nil)
	k := s.tap(s.url, "--trace", "--key", "publish.#", "--key", "deliver."+q)
	s.works("publish", "-q", q, "--message-id", "traced-1", "--timestamp", "2009-02-13T23:31:30Z", "-H", "a=b", "hello")
	s.get(q)
	s.until("both are there", func() bool { out, _ := k.text(); return strings.Contains(out, "delivered from queue \""+q) })
	k.stop()
	<-k.done
	out, _ := k.text()
	for _, want := range []string{`queue "` + q + `"  published at `, `message_id=traced-1`, `timestamp=2009-02-13T23:31:30Z`, `a: "b"`, "| hello"} {
		if !strings.Contains(out, want) {
			t.Errorf("no %q in\n%s", want, out)
		}
	}
}

func TestTapFails(t *testing.T) { onBothBrokers(t, testTapFails) }

func testTapFails(t *testing.T, at broker) {
	s := newObserver(t, at)
	for _, test := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"-e", "cmd-nowhere"}, 1, "404 NOT_FOUND - no exchange 'cmd-nowhere'"},
		{[]string{"-e", ""}, 2, "the default exchange cannot be tapped"},
		{[]string{"-q", "q", "-k", "a"}, 2, "a --queue is shown whole"},
		{[]string{"-q", "q", "--match", "a=b"}, 2, "a --queue is shown whole"},
		{[]string{"--trace", "--match", "a=b"}, 2, "narrow --trace by --key"},
		{nil, 2, "[exchange queue trace]"},
		{[]string{"-e", "x", "--trace"}, 2, "[exchange queue trace]"},
	} {
		if code, _, stderr := s.zamqp("", append([]string{"tap"}, test.args...)...); code != test.code || !strings.Contains(stderr, test.stderr) {
			t.Errorf("tap %q: exit %d, stderr %q", test.args, code, stderr)
		}
	}
	e := s.exchange("for", "fanout")
	if out := s.works("tap", "-e", e, "--for", "50ms"); out != "" {
		t.Errorf("%q", out)
	}
}
