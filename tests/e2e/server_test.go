// Package e2e runs the whole server in the test's process, with handlers of its own, against
// a real RabbitMQ and against our own broker, and checks what HTTP and AMQP clients see.
package e2e_test

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
	"github.com/rs/zerolog"

	"zamqp/publisher"
	"zamqp/publisher/app"
	"zamqp/publisher/config"
	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/logs"
	"zamqp/tests/kit/wait"
)

// server is a running zamqp.
type server struct {
	t       *testing.T
	url     string // of HTTP
	amqp    string // of the broker
	own     string // the same URL, if the broker is in its process
	options []string
	log     *logs.Buffer
	streams bool // the broker has them
	stop    context.CancelFunc
	end     chan error
}

// failedWith tells whether the failure of a call was logged with these words. It is
// logged before its answer is sent.
func (s *server) failedWith(words string) bool {
	for line := range strings.Lines(s.log.String()) {
		if strings.Contains(line, "the call failed") && strings.Contains(line, words) {
			return true
		}
	}
	return false
}

// start runs a server on a free port and waits until it is ready.
func start(t *testing.T, at broker, options ...string) *server {
	t.Helper()
	s := startUnready(t, at(t), options...)
	wait.Until(t, "the server is ready", func() bool {
		status, _ := s.get("/readyz")
		return status == 200
	})
	return s
}

func startUnready(t *testing.T, url string, options ...string) *server {
	t.Helper()
	options = append([]string{"http.listen=127.0.0.1:0", "connection.default.url=" + url, "broker.listen=127.0.0.1:0", "server.data_dir=",
		"connection.default.backoff_min=10ms", "connection.default.backoff_max=100ms"}, options...)
	if _, without := noStreams.Load(url); without || url == "embedded" || os.Getenv(childEnv) != "" {
		options = append(options, "consumer.e2e-stream.enabled=false")
	}
	streams := !slices.Contains(options, "consumer.e2e-stream.enabled=false")
	settings, err := config.Load(config.Sources{Options: options}, publisher.Default)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s := &server{t: t, streams: streams, amqp: url, options: options, log: &logs.Buffer{}, stop: cancel, end: make(chan error, 1)}
	go func() { s.end <- app.Serve(ctx, settings, zerolog.New(s.log)) }()
	t.Cleanup(func() {
		s.stop()
		select {
		case <-s.end:
		case <-time.After(patience):
			t.Error("the server did not end")
		}
		if t.Failed() {
			t.Log(s.log.String())
		}
	})
	s.url = s.log.Await(t, "serving http").Address
	if url == "embedded" {
		s.amqp = s.log.Await(t, "broker ready").URL
		s.own = s.amqp
	}
	return s
}

// drain stops the server and returns what it ended with.
func (s *server) drain() error {
	s.stop()
	err := <-s.end
	s.end <- err
	return err
}

func (s *server) get(path string) (int, string) { return s.do("GET", path, "", "") }

func (s *server) do(method, path, contentType, body string) (int, string) {
	s.t.Helper()
	req, err := http.NewRequest(method, s.url+path, strings.NewReader(body))
	if err != nil {
		s.t.Fatal(err)
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return resp.StatusCode, "cut: " + err.Error()
	}
	return resp.StatusCode, string(text)
}

// channel is a channel to the broker by a client that is not ours.
func (s *server) channel() *amqp.Channel {
	s.t.Helper()
	ch := amqpclient.Channel(s.t, s.amqp)
	return ch
}

func (s *server) publish(ch *amqp.Channel, queue string, p amqp.Publishing) {
	s.t.Helper()
	if err := ch.PublishWithContext(context.Background(), "", queue, false, false, p); err != nil {
		s.t.Fatal(err)
	}
}

// take gets one message of a queue.
func (s *server) take(ch *amqp.Channel, queue string) amqp.Delivery {
	s.t.Helper()
	var d amqp.Delivery
	wait.Until(s.t, "a message is in "+queue, func() bool {
		var ok bool
		var err error
		if d, ok, err = ch.Get(queue, true); err != nil {
			s.t.Fatal(err)
		}
		return ok
	})
	return d
}

const patience = wait.Patience

func unique(t *testing.T) string { return fmt.Sprintf("%s-%d", t.Name(), time.Now().UnixNano()) }
