package interop_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/rabbitmq"
)

// python is Debian's: another one may come first in PATH, and pika is not there.
const python = "/usr/bin/python3"

// TestEverythingAtOnce is the main job on real input. Three client libraries that
// we did not write each send messages of every kind to a queue that the handler
// hello consumes, and get each one back once. At the same time an HTTP client
// posts as many orders, which the server publishes, confirms, and consumes again.
func TestEverythingAtOnce(t *testing.T) { everywhere(t, everythingAtOnce) }

func everythingAtOnce(t *testing.T, n node) {
	s := n.launch(t)
	log := newAudit(t, n.url())
	count := *messages
	atOnce(t, map[string]func(t *testing.T){
		"pika":       func(t *testing.T) { callByPika(t, n.url(), "zamqp-demo.hello", count) },
		"amqp091-go": func(t *testing.T) { callBy(t, &amqp091{}, n.url(), "zamqp-demo.hello", count) },
		"streadway":  func(t *testing.T) { callBy(t, &streadway{}, n.url(), "zamqp-demo.hello", count) },
		"http": func(t *testing.T) {
			began := time.Now()
			shop := newShop(s.url, 32)
			ids, err := shop.orderMany(count, 32)
			if err != nil {
				t.Fatal(err)
			}
			report(t, count, began)
			log.wait(t, ids)
			if n := log.count(); n != count {
				t.Errorf("%d orders were published, %d posted", n, count)
			}
			shop.waitSeen(t, ids, 1)
			// Once more, now that all have come: nothing was delivered late again.
			shop.waitSeen(t, ids, 1)
		},
	})
	for _, queue := range []string{"zamqp-demo.hello", "zamqp-demo.billing"} {
		waitQueue(t, n, queue, func(q rabbitmq.Queue) bool {
			return q.Messages == 0 && q.Unacknowledged == 0 && q.Consumers > 0
		})
	}
	for _, name := range []string{"zamqp-demo.hello.dead", "zamqp-demo.billing.dead"} {
		if q, _ := n.queue(t, name); q.Messages > 0 {
			t.Errorf("%d messages went to %s", q.Messages, name)
		}
	}
	s.stop()
}

// atOnce runs all of them at the same time. t.Parallel would not: it runs as many
// as there are processors.
func atOnce(t *testing.T, tests map[string]func(t *testing.T)) {
	t.Helper()
	var running sync.WaitGroup
	for name, test := range tests {
		running.Go(func() { t.Run(name, test) })
	}
	running.Wait()
}

// callBy runs a Go library's caller.
func callBy(t *testing.T, lib library, url, queue string, count int) {
	t.Helper()
	began := time.Now()
	if err := call(lib, url, queue, count); err != nil {
		t.Fatal(err)
	}
	report(t, count, began)
}

func report(t *testing.T, count int, began time.Time) {
	t.Helper()
	took := time.Since(began)
	t.Logf("%d in %.1f s, %.0f a second", count, took.Seconds(), float64(count)/took.Seconds())
}

// callByPika runs the Python client, and skips when there is no pika.
func callByPika(t *testing.T, url, queue string, count int) {
	t.Helper()
	if err := exec.Command(python, "-c", "import pika").Run(); err != nil {
		t.Skipf("%s cannot import pika (apt-get install python3-pika)", python)
	}
	began := time.Now()
	script := filepath.Join("clients", "rpc.py")
	cmd := exec.Command(python, script, url, queue, fmt.Sprint(count))
	cmd.Env = append(os.Environ(), "PYTHONDONTWRITEBYTECODE=1")
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		t.Fatalf("%s: %v\n%s", script, err, errs.String())
	}
	if want := fmt.Sprintf("ok %d\n", count); out.String() != want {
		t.Fatalf("%s printed %q, want %q", script, out.String(), want)
	}
	report(t, count, began)
}

// emptyQueues removes what an earlier test may have left in the shared broker.
func emptyQueues(t *testing.T, node *rabbitmq.Node) {
	t.Helper()
	ch := amqpclient.Channel(t, node.URL)
	for name := range node.Queues(t) {
		own, _, _ := strings.Cut(name, ".") // zamqp-demo.hello.dead, slow.retry…
		if !slices.Contains([]string{"zamqp-demo", "slow", "decoded", "celery"}, own) {
			continue
		}
		if _, err := ch.QueueDelete(name, false, false, false); err != nil {
			t.Fatal(err)
		}
	}
}
