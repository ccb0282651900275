package app_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/command"
	"zamqp/publisher/config"
	"zamqp/publisher/logging"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/selfsigned"
)

const secretHash = "$2a$10$JwnGb6.OdUTGTY6adH0dSOsd7KQgMgOebcdcPe/mGhBTQ5NFWW3aG"

// write makes a config file of the test and returns its name.
func write(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "config.toml")
	if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

func mustLoad(t *testing.T, text string, environ, options []string) *config.Settings {
	t.Helper()
	s, err := config.Load(config.Sources{File: write(t, text), Environ: environ, Options: options}, publisher.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// run runs a command of a program without handlers.
func run(t *testing.T, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	return runServer(t, t.Context(), publisher.NewRegistry(), args...)
}

// runServer runs a command with the handlers of a registry.
func runServer(t *testing.T, ctx context.Context, r *publisher.Registry, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	c := &command.CLI{
		Registry: r, Stdout: &out, Stderr: &errs,
		Serve: func(ctx context.Context, s *config.Settings, log zerolog.Logger, _ *logging.Writer) error {
			return app.Serve(ctx, s, log)
		},
		ServeBroker: func(ctx context.Context, s *config.Settings, log zerolog.Logger, _ *logging.Writer) error {
			return app.ServeBroker(ctx, s, log)
		},
	}
	code = c.Run(ctx, args)
	return code, out.String(), errs.String()
}

// serveBroker runs `zamqp broker` on a free port until the test ends and returns
// the URL that it says it is ready at, and what stops it.
func serveBroker(t *testing.T, file string, options ...string) (url string, stop func() error) {
	t.Helper()
	s := mustLoad(t, file, nil, append([]string{"broker.listen=127.0.0.1:0"}, options...))
	ctx, cancel := context.WithCancel(context.Background())
	log, end := &logs.Buffer{}, make(chan error, 1)
	go func() { end <- app.ServeBroker(ctx, s, zerolog.New(log)) }()
	stop = sync.OnceValue(func() error { cancel(); return <-end })
	t.Cleanup(func() {
		if err := stop(); err != nil {
			t.Error(err)
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return log.Await(t, "broker ready").URL, stop
}

func TestBrokerUsersAndPermissions(t *testing.T) {
	url, _ := serveBroker(t, `
[broker]
vhosts = ["/", "shop"]
[broker.users]
ann = "`+secretHash+`"
[broker.users.bob]
hash = "`+secretHash+`"
permissions.shop = { configure = "^own$", write = "^own$", read = "^own$" }
`)
	at := strings.TrimPrefix(url, "amqp://USER:PASSWORD@")
	for _, row := range []struct {
		login, vhost, queue string
		ok                  bool
	}{
		{"ann:secret", "", "any", true},
		{"ann:secret", "shop", "any", true},
		{"bob:secret", "shop", "own", true},
		{"bob:secret", "shop", "other", false},
		{"bob:secret", "", "own", false},
		{"ann:wrong", "", "any", false},
		{"guest:guest", "", "any", false},
		{"embedded:embedded", "", "any", false},
		{"nobody:secret", "", "any", false},
	} {
		if err := declareAt("amqp://"+row.login+"@"+at+row.vhost, row.queue, nil); (err == nil) != row.ok {
			t.Errorf("%+v: %v", row, err)
		}
	}
}

// TestBrokerPermissionsAreNamed: if a command may not do something, its error says
// which permission the user needs.
func TestBrokerPermissionsAreNamed(t *testing.T) {
	t.Chdir(t.TempDir())
	url, _ := serveBroker(t, `
[broker.users.bob]
hash = "`+secretHash+`"
permissions."/" = { configure = "^own$", write = "", read = "" }
`)
	url = strings.Replace(url, "USER:PASSWORD", "bob:secret", 1)
	for _, row := range []struct{ args, want string }{
		{"publish --queue own x", "refused for user 'bob' (basic.publish): give the user write permission on the exchange"},
		{"publish --queue other --declare x", "refused for user 'bob' (queue.declare): give the user configure permission on it"},
		{"publish -e amq.topic --exchange-type topic -k a --declare --bind own x", "give the user "},
	} {
		args := append(strings.Fields(row.args), "--url", url)
		if code, _, stderr := run(t, args...); code != 1 || !strings.Contains(stderr, row.want) {
			t.Errorf("%s: exit %d, %s", row.args, code, stderr)
		}
	}
}

// declareAt connects and declares a durable queue.
func declareAt(url, queue string, config *tls.Config) error {
	conn, err := amqp.DialTLS(url, config)
	if err != nil {
		return err
	}
	defer conn.Close()
	ch, err := conn.Channel()
	if err != nil {
		return err
	}
	_, err = ch.QueueDeclare(queue, true, false, false, false, nil)
	return err
}

func TestBrokerTLS(t *testing.T) {
	own := selfsigned.New(t)
	url, _ := serveBroker(t, "", "broker.tls_cert="+own.Cert, "broker.tls_key="+own.Key)
	if !strings.HasPrefix(url, "amqps://guest:guest@127.0.0.1:") {
		t.Fatal(url)
	}
	if err := declareAt(url, "q", &tls.Config{RootCAs: own.Pool}); err != nil {
		t.Error(err)
	}
	if err := declareAt(url, "q", nil); err == nil {
		t.Error("a client that does not know the certificate was let in by itself")
	}
	if err := declareAt(strings.Replace(url, "amqps", "amqp", 1), "q", nil); err == nil {
		t.Error("let in without TLS")
	}
	if err := declareAt(url, "q", &tls.Config{RootCAs: own.Pool}); err != nil {
		t.Errorf("after the others: %v", err)
	}
}

// TestBrokerDoesNotStart: each error names the key and the remedy.
func TestBrokerDoesNotStart(t *testing.T) {
	dir := t.TempDir()
	url, _ := serveBroker(t, "", "broker.data_dir="+dir)
	taken := strings.TrimSuffix(strings.TrimPrefix(url, "amqp://guest:guest@"), "/")
	notDir := write(t, "")
	for _, row := range []struct {
		options []string
		want    []string
	}{
		{[]string{"broker.listen=" + taken}, []string{`broker.listen = "` + taken + `": in use`, "-o broker.listen=127.0.0.1:"}},
		{[]string{"broker.data_dir=" + dir}, []string{"broker.data_dir", dir, "in use by another process", "-o broker.data_dir=" + dir + "-2"}},
		{[]string{"broker.data_dir=" + notDir}, []string{"broker.data_dir", notDir}},
		{[]string{"broker.tls_cert=" + notDir, "broker.tls_key=" + notDir}, []string{"broker.tls_cert"}},
		{[]string{"broker.listen="}, []string{"broker.listen", "write an address"}},
	} {
		s, err := config.Load(config.Sources{Options: append([]string{"broker.listen=127.0.0.1:0", "http.listen=127.0.0.1:0"}, row.options...)}, publisher.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		err = app.ServeBroker(ctx, s, zerolog.Nop())
		cancel()
		if err == nil {
			t.Errorf("%v: started", row.options)
			continue
		}
		for _, part := range row.want {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%v: %q is not in: %v", row.options, part, err)
			}
		}
	}
}

func TestBrokerConnectionsMax(t *testing.T) {
	url, _ := serveBroker(t, "", "broker.connections_max=1")
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	if err := declareAt(url, "q", nil); err == nil {
		t.Error("a second connection was let in")
	}
	_ = conn.Close()
	for until := time.Now().Add(time.Minute); ; time.Sleep(time.Millisecond) {
		if err := declareAt(url, "q", nil); err == nil {
			return
		} else if time.Now().After(until) {
			t.Fatal(err)
		}
	}
}

// keptSocket is a socket that its owner never closes.
type keptSocket struct{ net.Conn }

func (keptSocket) Close() error { return nil }

// TestBrokerConnectionsMaxAfterClose: closed connections make room, even if their clients do
// not close their sockets, and the broker does not wait for those when it stops.
func TestBrokerConnectionsMaxAfterClose(t *testing.T) {
	url, stop := serveBroker(t, "", "broker.connections_max=2")
	for range 5 {
		var socket net.Conn
		conn, err := amqp.DialConfig(url, amqp.Config{Dial: func(network, addr string) (net.Conn, error) {
			var err error
			socket, err = net.Dial(network, addr)
			return keptSocket{socket}, err
		}})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = socket.Close() })
		if err := conn.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if err := declareAt(url, "q", nil); err != nil {
		t.Error(err)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

// TestBrokerKeeps: what is durable comes back.
func TestBrokerKeeps(t *testing.T) {
	dir := t.TempDir()
	url, stop := serveBroker(t, "", "broker.data_dir="+dir)
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare("kept", true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	confirm, err := ch.PublishWithDeferredConfirm("", "kept", true, false, amqp.Publishing{DeliveryMode: amqp.Persistent, Body: []byte("x")})
	if err != nil || !confirm.Wait() {
		t.Fatal("not confirmed", err)
	}
	if err := stop(); err != nil {
		t.Fatal(err)
	}
	url, _ = serveBroker(t, "", "broker.data_dir="+dir)
	conn, err = amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if ch, err = conn.Channel(); err != nil {
		t.Fatal(err)
	}
	if d, ok, err := ch.Get("kept", true); err != nil || !ok || string(d.Body) != "x" || d.Redelivered {
		t.Errorf("%v %v %+v", ok, err, d)
	}
}

// TestCommandsReachTheEmbeddedBroker: from another process, by its port.
func TestCommandsReachTheEmbeddedBroker(t *testing.T) {
	t.Chdir(t.TempDir())
	url, _ := serveBroker(t, "")
	listen := "broker.listen=" + strings.TrimSuffix(strings.TrimPrefix(url, "amqp://guest:guest@"), "/")
	if err := declareAt(url, "told", nil); err != nil {
		t.Fatal(err)
	}
	if code, _, stderr := run(t, "publish", "-o", listen, "--queue", "told", "hello"); code != 0 {
		t.Fatal(stderr)
	}
	if code, stdout, stderr := run(t, "tap", "-o", listen, "--queue", "told", "--count", "1"); code != 0 || !strings.Contains(stdout, "hello") {
		t.Errorf("exit %d, %s\n%s", code, stdout, stderr)
	}
	code, _, stderr := run(t, "publish", "-o", "broker.listen=", "--queue", "told", "hello")
	if code != 1 || !strings.Contains(stderr, "no other process reaches that broker") {
		t.Errorf("exit %d, %s", code, stderr)
	}
	code, _, stderr = run(t, "publish", "-o", listen, "-o", "broker.users.ann="+secretHash, "--queue", "told", "hello")
	if code != 1 || !strings.Contains(stderr, "-o connection.default.url=amqp://user:password@") {
		t.Errorf("exit %d, %s", code, stderr)
	}
}
