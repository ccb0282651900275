// Package chaos breaks brokers, networks and servers under load, and checks the ledgers:
// README.md says what is done. Two parts share the folder. The rig (rig_test.go) has
// processes of ours, an independent client and ledgers outside of them. The rest puts a bad
// network between RabbitMQ and a server in the test's own process, and counts: each order
// answered 202 is handled, and no tag of an old channel is ever acknowledged.
package chaos_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/rs/zerolog"

	_ "zamqp/handlers/health"
	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/config"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/wait"
)

// handled counts deliveries by the order's id. The handler runs on the server's
// thread, the tests on others.
var handled = struct {
	sync.Mutex
	count map[string]int
}{count: map[string]int{}}

func init() {
	publisher.Produce("chaos", publisher.Producer{Queue: "chaos"})
	publisher.Consume("chaos", publisher.Consumer{}, func(r *publisher.Request) error {
		id, _, _ := strings.Cut(string(r.Body()), " ")
		handled.Lock()
		defer handled.Unlock()
		handled.count[id]++
		return nil
	})
	publisher.Handle("POST /orders", func(r *publisher.Request) error {
		_ = r.Publish("chaos", string(r.Body()), publisher.ContentType("text/plain"))
		return r.Reply(http.StatusAccepted, "taken")
	})
}

// server is a running zamqp.
type server struct {
	t     *testing.T
	url   string // of HTTP
	queue string
	log   *logs.Buffer
	stop  context.CancelFunc
	end   chan error
}

// start runs a server against the broker at url, with a queue of its own, and
// waits until it is ready.
func start(t *testing.T, url string, options ...string) *server {
	t.Helper()
	s := &server{t: t, queue: fmt.Sprintf("chaos-%d", time.Now().UnixNano()), log: &logs.Buffer{}, end: make(chan error, 1)}
	options = append([]string{"http.listen=127.0.0.1:0", "connection.default.url=" + url, "server.data_dir=",
		"connection.default.backoff_min=20ms", "connection.default.backoff_max=500ms",
		"consumer.chaos.queue=" + s.queue, "producer.chaos.queue=" + s.queue}, options...)
	settings, err := config.Load(config.Sources{Options: options}, publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.stop = cancel
	go func() { s.end <- app.Serve(ctx, settings, zerolog.New(s.log)) }()
	t.Cleanup(s.close)
	s.url = s.log.Await(t, "serving http").Address
	s.waitReady(true)
	return s
}

func (s *server) close() {
	s.stop()
	select {
	case <-s.end:
	case <-time.After(60 * time.Second):
		s.t.Error("the server did not end")
	}
	if s.t.Failed() {
		s.t.Log(s.log.Ends(10_000))
	}
}

func (s *server) waitReady(want bool) {
	s.t.Helper()
	wait.Until(s.t, fmt.Sprintf("/readyz says ready=%v", want), func() bool {
		resp, err := http.Get(s.url + "/readyz")
		if err != nil {
			return false
		}
		_ = resp.Body.Close()
		return (resp.StatusCode == http.StatusOK) == want
	})
}

// post sends an order and returns the status and the answer's text.
func (s *server) post(body string) (int, string) {
	resp, err := http.Post(s.url+"/orders", "text/plain", strings.NewReader(body))
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(text)
}
