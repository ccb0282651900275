package e2e_test

import (
	"context"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/config"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/rabbitmq"
)

// broker gives the url of a broker to run a server with.
type broker func(*testing.T) string

// everywhere runs a test with each kind of broker: a server must not notice.
func everywhere(t *testing.T, test func(*testing.T, broker)) {
	t.Run("rabbitmq", func(t *testing.T) { test(t, atRabbitMQ) })
	t.Run("embedded", func(t *testing.T) { test(t, embedded) })
	t.Run("alone", func(t *testing.T) { test(t, alone) })
}

func atRabbitMQ(t *testing.T) string { return rabbitmq.Start(t) }

// noStreams are the brokers that have no streams, by URL: ours.
var noStreams sync.Map

// embedded is the broker in the server's own process, without a socket between.
func embedded(*testing.T) string { return "embedded" }

// alone is the broker as `zamqp broker` runs it. It ends with the test.
func alone(t *testing.T) string {
	t.Helper()
	settings, err := config.Load(config.Sources{Options: []string{"broker.listen=127.0.0.1:0"}}, publisher.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	log, end := &logs.Buffer{}, make(chan error, 1)
	go func() { end <- app.ServeBroker(ctx, settings, zerolog.New(log)) }()
	t.Cleanup(func() {
		cancel()
		select {
		case err := <-end:
			if err != nil {
				t.Error(err)
			}
		case <-time.After(patience):
			t.Error("the broker did not end")
		}
		if t.Failed() {
			t.Log(log.String())
		}
	})
	url := log.Await(t, "broker ready").URL
	noStreams.Store(url, true)
	return url
}

// TestAddressInUse: the server does not start, and says what to do.
func TestAddressInUse(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer ln.Close()
	taken := ln.Addr().String()
	settings, err := config.Load(config.Sources{Options: []string{"broker.listen=", "http.listen=" + taken}}, publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = app.Serve(ctx, settings, zerolog.Nop())
	for _, part := range []string{`http.listen = "` + taken + `": in use`, "-o http.listen=127.0.0.1:"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

// TestAddressOfTheBrokerInUse: the server does not start, and says both ways out.
func TestAddressOfTheBrokerInUse(t *testing.T) {
	url := alone(t)
	taken := strings.TrimSuffix(strings.TrimPrefix(url, "amqp://guest:guest@"), "/")
	settings, err := config.Load(config.Sources{Options: []string{"http.listen=127.0.0.1:0", "broker.listen=" + taken}},
		publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	err = app.Serve(ctx, settings, zerolog.Nop())
	for _, part := range []string{`broker.listen = "` + taken + `": in use`, "-o broker.listen=127.0.0.1:", "-o connection.default.url=" + url} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("%q is not in: %v", part, err)
		}
	}
}

// TestAddressOfOneself: the server says that it is in its own way, and what else is
// where a socket should be.
func TestAddressOfOneself(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	free := ln.Addr().String()
	_, port, _ := net.SplitHostPort(free)
	ln.Close()
	for _, row := range []struct {
		options []string
		want    string
	}{
		{[]string{"connection.default.url=embedded", "broker.listen=" + free, "http.listen=" + free}, `http.listen = "` + free + `": this process has that port already, by broker.listen = "` + free + `": give them different ports`},
		{[]string{"connection.default.url=embedded", "broker.listen=127.0.0.1:" + port + ",localhost:" + port, "http.listen=127.0.0.1:0"}, `this process has that port already, by broker.listen`},
		{[]string{"broker.listen=", "http.listen=127.0.0.1:" + port + ",localhost:" + port}, `this process has that port already, by http.listen`},
		{[]string{"broker.listen=", "http.listen=unix:" + file}, `there is a file of that name, which is no socket`},
		{[]string{"broker.listen=", "http.listen=unix:" + dir}, `there is a directory of that name`},
	} {
		settings, err := config.Load(config.Sources{Options: append([]string{"server.data_dir="}, row.options...)}, publisher.Default)
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		if err := app.Serve(ctx, settings, zerolog.Nop()); err == nil || !strings.Contains(err.Error(), row.want) {
			t.Errorf("%q: %v, want %q", row.options, err, row.want)
		}
		cancel()
	}
	if _, err := os.Stat(file); err != nil {
		t.Error(err)
	}
}
