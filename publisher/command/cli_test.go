package command_test

import (
	"bytes"
	"context"
	"net"
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"

	"zamqp/publisher"
	"zamqp/publisher/command"
	"zamqp/tests/kit/selfsigned"
)

// run runs a command in an empty folder and returns what it leaves.
func run(t *testing.T, environ []string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c := &command.CLI{Registry: registry(), Environ: environ, Stdout: &out, Stderr: &errs}
	code = c.Run(context.Background(), args)
	return code, out.String(), errs.String()
}

func TestUsage(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, test := range []struct {
		args   string
		code   int
		stderr string // part of it
	}{
		{"", 0, ""},
		{"--help", 0, ""},
		{"help check", 0, ""},
		{"serv", 2, `unknown command "serv" for "zamqp"`},
		{"check extra", 2, `unknown command "extra" for "zamqp check"`},
		{"check --nope", 2, "unknown flag: --nope"},
		{"check --config", 2, "flag needs an argument"},
		{"check -o log.level", 2, "no = in it: write key.path=value"},
		{"check -o log.level=loud", 1, "-o: log.level"},
		{"check --config nope.toml", 1, "nope.toml: cannot read the configuration"},
		{"serve --config nope.toml", 1, "nope.toml: cannot read the configuration"},
		{"routes extra", 2, "unknown command"},
		{"version extra", 2, "unknown command"},
		{"completion bash", 0, ""},
	} {
		code, stdout, stderr := run(t, nil, strings.Fields(test.args)...)
		if code != test.code || !strings.Contains(stderr, test.stderr) || code == 0 && (stderr != "" || stdout == "") {
			t.Errorf("zamqp %s: exit %d, want %d; stdout %q, stderr %q, want %q", test.args, code, test.code, stdout, stderr, test.stderr)
		}
		if code == 2 && !strings.Contains(stderr, "--help") {
			t.Errorf("zamqp %s: no hint at --help: %q", test.args, stderr)
		}
	}
}

func TestCheckPrintsPlan(t *testing.T) {
	t.Chdir(t.TempDir())
	file := `
[site]
id = "s1"
[http]
listen = [":1", "unix:/run/z"]
[connection.default]
url = "amqp://u:${PW}@rabbit/v"
[connection.spare]
[consumer.hello]
enabled = false
[consumer.mail-out]
retry.attempts = 1
durable = false
`
	if err := os.WriteFile("config.toml", []byte(file), 0o600); err != nil {
		t.Fatal(err)
	}
	code, stdout, stderr := run(t, []string{"PW=hunter2"}, "check", "-o", "producer.orders.queue=audit")
	want := `listeners
  http  :1
  http  unix:/run/z
connections
  default  amqp://u:***@rabbit/v
  spare    the embedded broker, virtual host /; nothing outlives the process (not opened: nothing uses it)
consumers
  billing   on default: queue billing from exchange orders (topic) by order.*; prefetch 100; 5 attempts, 1s to 1m apart; dead letters: billing.dead
  mail-out  on default: queue mail-s1 (not durable) from exchange mail (direct) by mail-s1; prefetch 100; 1 attempt; dead letters: exchange s1
  hello     disabled
producers
  orders  on default: exchange orders (topic) to queue audit; json; mandatory
routes
  any  /any/{path...}  declared/declared.go:14
  GET  /hello          declared/declared.go:13
`
	if code != 0 || stderr != "" || stdout != want {
		t.Errorf("exit %d, stderr %q, stdout\n%s\nwant\n%s", code, stderr, stdout, want)
	}
}

func TestCheckPrintsTheBroker(t *testing.T) {
	t.Chdir(t.TempDir())
	own := selfsigned.New(t)
	for _, row := range []struct {
		options []string
		want    string
	}{
		{[]string{"-o", "http.tls.listen=:8443", "-o", "http.tls.cert_file=" + own.Cert, "-o", "http.tls.key_file=" + own.Key, "-o", "http.tls.redirect=true"},
			"listeners\n  http         127.0.0.1:8080 (redirects to https)\n  https        :8443 (TLS 1.2 and later)\n  certificate  " + own.Cert + ", for localhost, 127.0.0.1, is valid until "},
		{nil, "listeners\n  http  127.0.0.1:8080\n  amqp  127.0.0.1:5672\nconnections\n  default  the embedded broker, virtual host /; nothing outlives the process\nconsumers\n"},
		{[]string{"-o", "broker.data_dir=/d", "-o", "broker.listen=[::1]:1", "-o", "broker.tls_cert=" + own.Cert, "-o", "broker.tls_key=" + own.Key, "-o", "http.listen="},
			"listeners\n  amqp  [::1]:1 (TLS)\nconnections\n  default  the embedded broker, virtual host /; kept in /d\nconsumers\n"},
		{[]string{"-o", "broker.listen=", "-o", "http.listen="}, "listeners\n  none\nconnections\n"},
		{[]string{"-o", "connection.default.url=amqp://h"}, "listeners\n  http  127.0.0.1:8080\nconnections\n  default  amqp://h\n"},
	} {
		code, stdout, stderr := run(t, nil, append([]string{"check", "-o", "site.id=s"}, row.options...)...)
		if code != 0 || !strings.HasPrefix(stdout, row.want) {
			t.Errorf("%q: exit %d, %s\n%s", row.options, code, stderr, stdout)
		}
	}
}

func TestCheckPrintsHowAConsumerIs(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, row := range []struct{ option, want string }{
		{"declare_only=true", "queue hello; declared, not consumed; dead letters: hello.dead\n"},
		{`arguments={ x-dead-letter-exchange = "", x-dead-letter-routing-key = "work" }`, "; dead letters: work\n"},
		{`arguments={ x-dead-letter-exchange = "" }`, "; dead letters: the default exchange\n"},
		{`arguments={ x-dead-letter-exchange = "late" }`, "; dead letters: exchange late\n"},
	} {
		code, stdout, stderr := run(t, nil, "check", "-o", "site.id=s", "-o", "consumer.hello."+row.option)
		if code != 0 || !strings.Contains(stdout, row.want) {
			t.Errorf("%s: exit %d, %s\n%s", row.option, code, stderr, stdout)
		}
	}
}

// TestOneMistakeIsOneProblem: consequences of a bad value are not reported in addition.
func TestOneMistakeIsOneProblem(t *testing.T) {
	t.Chdir(t.TempDir())
	_, _, stderr := run(t, nil, "check", "-o", "site.id=s", "-o", "consumer.hello.burst=2", "-o", "consumer.hello.rate=20")
	if strings.Count(stderr, "\n") != 1 || !strings.Contains(stderr, `write "10/s"`) {
		t.Errorf("%s", stderr)
	}
}

func TestRatesThatAreNone(t *testing.T) {
	t.Chdir(t.TempDir())
	for _, rate := range []string{"NaN/s", "0/s", "-1/s", "1e-300/h", "Inf/s"} {
		if code, _, stderr := run(t, nil, "check", "-o", "site.id=s", "-o", "consumer.hello.rate="+rate); code == 0 || !strings.Contains(stderr, `write "10/s"`) {
			t.Errorf("%s: exit %d, %s", rate, code, stderr)
		}
	}
}

func TestEmbeddedBrokerIsNotThere(t *testing.T) {
	t.Chdir(t.TempDir())
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	options := []string{"-o", "site.id=s", "-o", "broker.listen=" + ln.Addr().String()}
	ln.Close()
	code, _, stderr := run(t, nil, append(options, "publish", "-q", "q", "x")...)
	if code != 1 || !strings.Contains(stderr, "start zamqp serve or zamqp broker") {
		t.Errorf("publish: exit %d, %s", code, stderr)
	}
	code, stdout, stderr := run(t, nil, append(options, "check", "--broker")...)
	if code != 0 || !strings.Contains(stdout, "not running: serve runs it") {
		t.Errorf("check: exit %d, %s%s", code, stdout, stderr)
	}
	options = append(options, "-o", "broker.users.ann=$2a$10$JwnGb6.OdUTGTY6adH0dSOsd7KQgMgOebcdcPe/mGhBTQ5NFWW3aG")
	code, stdout, stderr = run(t, nil, append(options, "check", "--broker")...)
	if code != 0 || !strings.Contains(stdout, "cannot be asked from here") || !strings.Contains(stdout, "-o connection.default.url=amqp://user:password@") {
		t.Errorf("check with users: exit %d, %s%s", code, stdout, stderr)
	}
}

func TestCheckPrintsEveryProblem(t *testing.T) {
	t.Chdir(t.TempDir())
	code, stdout, stderr := run(t, []string{"ZAMQP_LOG__LEVEL=loud"}, "check", "-o", "log.formt=json")
	want := "environment variable ZAMQP_LOG__LEVEL: log.level = \"loud\": no such word; there are trace, debug, info, warn, error\n" +
		"-o: log.formt: unknown key; did you mean log.format?\n" +
		"zamqp: 2 problems in the configuration\n"
	if code != 1 || stdout != "" || stderr != want {
		t.Errorf("exit %d, stdout %q, stderr\n%s\nwant\n%s", code, stdout, stderr, want)
	}
	// A problem that only the plan can find is a problem, too.
	code, _, stderr = run(t, nil, "check")
	if code != 1 || !strings.Contains(stderr, "site.id is not set") {
		t.Errorf("exit %d, stderr %s", code, stderr)
	}
}

func TestRoutes(t *testing.T) {
	code, stdout, stderr := run(t, []string{"ZAMQP_LOG__LEVEL=loud"}, "routes") // reads no settings
	want := "any  /any/{path...}  declared/declared.go:14\nGET  /hello          declared/declared.go:13\n"
	if code != 0 || stderr != "" || stdout != want {
		t.Errorf("exit %d, stderr %q, stdout\n%s", code, stderr, stdout)
	}
}

// TestRoutesOfMessages: routes and check say which consumers' messages a route gets.
func TestRoutesOfMessages(t *testing.T) {
	g := publisher.NewRegistry()
	g.Handle("POST /orders/{id}", func(*publisher.Request) error { return nil })
	g.Consume("billing", publisher.Consumer{Route: "POST /orders/42"}, nil)
	g.Consume("import", publisher.Consumer{Route: "POST /orders/{routing_key}"}, nil)
	for args, want := range map[string]string{
		"routes": "and messages of billing, import\n",
		"check":  "; by route POST /orders/42; ",
		"check -o consumer.import.route=POST_/orders/7": "by route POST /orders/7; ",
	} {
		var out, errs bytes.Buffer
		c := &command.CLI{Registry: g, Stdout: &out, Stderr: &errs}
		var words []string
		for word := range strings.FieldsSeq(args) {
			words = append(words, strings.ReplaceAll(word, "_", " "))
		}
		if code := c.Run(context.Background(), words); code != 0 || !strings.Contains(out.String(), want) || !strings.Contains(out.String(), "and messages of billing, import") {
			t.Errorf("%s: exit %d\n%s%s", args, code, out.String(), errs.String())
		}
	}
}

func requireUser(next publisher.Handler) publisher.Handler { return next }

// TestRoutesOfMiddleware: routes and check say which middleware is around what, and check finds
// targets that mean nothing.
func TestRoutesOfMiddleware(t *testing.T) {
	nothing := func(*publisher.Request) error { return nil }
	g := publisher.NewRegistry()
	g.Handle("POST /api/orders", nothing)
	g.Handle("GET /{page...}", nothing)
	g.Consume("billing", publisher.Consumer{}, nothing)
	g.Consume("other", publisher.Consumer{}, nothing)
	g.Every("nightly", publisher.Clock{Cron: "@daily"}, nothing)
	g.UseHTTP(func(next http.Handler) http.Handler { return next }, "POST /")
	g.Use(requireUser, "/api/", "consumer billing")
	g.Use(publisher.MaxInFlight(2), "clock *", "/api/")
	run := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		c := &command.CLI{Registry: g, Stdout: &out, Stderr: &errs}
		code := c.Run(context.Background(), args)
		return code, regexp.MustCompile(`cli_test.go:\d+`).ReplaceAllString(out.String(), "cli_test.go"), errs.String()
	}
	want := `GET       /{page...}   command/cli_test.go    through part of command_test.requireUser (command/cli_test.go), part of MaxInFlight (command/cli_test.go)
POST      /api/orders  command/cli_test.go    through command_test.TestRoutesOfMiddleware (command/cli_test.go), command_test.requireUser (command/cli_test.go), MaxInFlight (command/cli_test.go)
CLOCK     /nightly     command/cli_test.go    through MaxInFlight (command/cli_test.go)
consumer  billing      command/cli_test.go    through command_test.requireUser (command/cli_test.go)
`
	if code, out, errs := run("routes"); code != 0 || out != want {
		t.Errorf("exit %d %s\n%s\nwant\n%s", code, errs, out, want)
	}
	g.Use(requireUser, "consumer bling")
	if code, _, errs := run("check"); code == 0 || !strings.Contains(errs, `there is no consumer "bling"`) {
		t.Errorf("check: exit %d, %s", code, errs)
	}
}

func TestVersion(t *testing.T) {
	code, stdout, _ := run(t, nil, "version")
	if code != 0 || !strings.HasPrefix(stdout, "zamqp ") || !strings.Contains(stdout, "go1.") {
		t.Errorf("exit %d, stdout %q", code, stdout)
	}
}

func TestCompletionOfKeys(t *testing.T) {
	_, stdout, _ := run(t, nil, "__complete", "check", "-o", "")
	for _, want := range []string{"log.level=\n", "connection.default.url=\n", "consumer.mail-out.retry.max=\n", "producer.orders.codec=\n"} {
		if !strings.Contains(stdout, want) {
			t.Errorf("no %q in %s", want, stdout)
		}
	}
}

func TestBrokerHash(t *testing.T) {
	for _, test := range []struct {
		in, password, stderr string
	}{
		{"secret\n", "secret", ""},
		{"two words\r\n", "two words", ""},
		{"no newline", "no newline", ""},
		{"first\nsecond\n", "first", ""},
		{"", "", "the password is empty"},
		{"\n", "", "the password is empty"},
		{strings.Repeat("x", 73), "", "the password has 73 octets: bcrypt uses only 72"},
	} {
		var out, errs bytes.Buffer
		c := &command.CLI{Registry: registry(), Stdin: strings.NewReader(test.in), Stdout: &out, Stderr: &errs}
		code := c.Run(context.Background(), []string{"broker", "hash"})
		if test.stderr != "" {
			if code != 1 || out.Len() > 0 || !strings.Contains(errs.String(), test.stderr) {
				t.Errorf("%.10q: exit %d, stdout %q, stderr %q", test.in, code, out.String(), errs.String())
			}
			continue
		}
		hash, found := strings.CutSuffix(out.String(), "\n")
		err := bcrypt.CompareHashAndPassword([]byte(hash), []byte(test.password))
		if code != 0 || errs.Len() > 0 || !found || err != nil {
			t.Errorf("%q: exit %d, stdout %q, stderr %q, %v", test.in, code, out.String(), errs.String(), err)
		}
	}
}
