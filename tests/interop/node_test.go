package interop_test

import (
	"net"
	"testing"
	"time"

	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
)

// node is a broker that a test runs with, and what it asks about it.
type node interface {
	// url is for the clients of the test, launch for the server: how it is started
	// with this broker.
	url() string
	launch(t *testing.T, options ...string) *server
	queue(t *testing.T, name string) (q rabbitmq.Queue, there bool)
}

// everywhere runs a test with RabbitMQ, with our broker in the server's process,
// and with our broker alone.
func everywhere(t *testing.T, test func(*testing.T, node)) {
	apart(t, test)
	t.Run("embedded", func(t *testing.T) { test(t, newInside(t)) })
}

// apart runs a test with the brokers that are a process of their own.
func apart(t *testing.T, test func(*testing.T, node)) {
	t.Run("rabbitmq", func(t *testing.T) {
		n := rabbitmq.Shared(t)
		emptyQueues(t, n)
		test(t, rabbitNode{n})
	})
	t.Run("alone", func(t *testing.T) {
		path, err := program()
		if err != nil {
			t.Fatal(err)
		}
		test(t, aloneNode{embedded.New(t, embedded.Options{Binary: path, DataDir: t.TempDir()})})
	})
}

// waitQueue asks until the queue looks as ok wants it.
func waitQueue(t *testing.T, n node, name string, ok func(rabbitmq.Queue) bool) {
	t.Helper()
	var q rabbitmq.Queue
	var there bool
	for until := time.Now().Add(patience); time.Now().Before(until); time.Sleep(200 * time.Millisecond) {
		if q, there = n.queue(t, name); there && ok(q) {
			return
		}
	}
	t.Fatalf("queue %q (exists: %v) after %v: %+v", name, there, patience, q)
}

type rabbitNode struct{ *rabbitmq.Node }

func (n rabbitNode) url() string { return n.URL }

func (n rabbitNode) launch(t *testing.T, options ...string) *server {
	t.Helper()
	return start(t, n.URL, options...)
}

func (n rabbitNode) queue(t *testing.T, name string) (rabbitmq.Queue, bool) {
	t.Helper()
	q, there := n.Queues(t)[name]
	return q, there
}

func (n rabbitNode) kill(t *testing.T)    { t.Helper(); n.Kill(t) }
func (n rabbitNode) restart(t *testing.T) { t.Helper(); n.Restart(t) }

// aloneNode is `zamqp broker`.
type aloneNode struct{ *embedded.Node }

func (n aloneNode) url() string { return n.URL }

func (n aloneNode) launch(t *testing.T, options ...string) *server {
	t.Helper()
	return start(t, n.URL, options...)
}

func (n aloneNode) queue(t *testing.T, name string) (rabbitmq.Queue, bool) {
	t.Helper()
	return inspect(t, n.URL, name)
}

func (n aloneNode) kill(*testing.T) { n.Kill() }

func (n aloneNode) restart(t *testing.T) {
	t.Helper()
	if err := n.Restart(); err != nil {
		t.Fatal(err)
	}
}

// inside is the broker of the server that it launches, which comes and goes with
// it and keeps what is durable.
type inside struct {
	addr string
	dir  string
}

func newInside(t *testing.T) inside {
	t.Helper()
	return inside{process.FreeAddress(t), t.TempDir()}
}

func (n inside) url() string { return "amqp://guest:guest@" + n.addr + "/" }

func (n inside) launch(t *testing.T, options ...string) *server {
	t.Helper()
	return start(t, "embedded", append([]string{"broker.listen=" + n.addr, "broker.data_dir=" + n.dir}, options...)...)
}

func (n inside) queue(t *testing.T, name string) (rabbitmq.Queue, bool) {
	t.Helper()
	if nc, err := net.Dial("tcp", n.addr); err != nil {
		return rabbitmq.Queue{}, false // it has ended with its server
	} else {
		_ = nc.Close()
	}
	return inspect(t, n.url(), name)
}

// inspect asks a broker by a passive declare, which does not tell how many
// messages are unacknowledged.
func inspect(t *testing.T, url, name string) (rabbitmq.Queue, bool) {
	t.Helper()
	ch, done := amqpclient.Open(t, url)
	defer done()
	q, err := ch.QueueDeclarePassive(name, false, false, false, false, nil)
	return rabbitmq.Queue{Messages: q.Messages, Consumers: q.Consumers}, err == nil
}
