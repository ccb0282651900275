package interop_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"syscall"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// replies collects the answers to the messages of one client.
type replies struct {
	ch    *amqp.Channel
	to    string // the queue of the replies
	sent  int
	mu    sync.Mutex
	count map[string]int
}

// sendSlow publishes n confirmed messages to the queue slow and collects their
// replies for as long as the test lasts.
func sendSlow(t *testing.T, url string, n int) *replies {
	t.Helper()
	r := collect(t, url)
	r.send(t, "slow", n)
	return r
}

// collect is a client that has sent nothing yet.
func collect(t *testing.T, url string) *replies {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	r := &replies{count: map[string]int{}}
	if r.ch, err = conn.Channel(); err != nil {
		t.Fatal(err)
	}
	q, err := r.ch.QueueDeclare("", false, true, true, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	deliveries, err := r.ch.Consume(q.Name, "", true, true, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	go func() {
		for d := range deliveries {
			r.mu.Lock()
			r.count[d.CorrelationId]++
			r.mu.Unlock()
		}
	}()
	if err := r.ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	r.to = q.Name
	return r
}

// send publishes n messages more. A confirm that does not come in 15 s, on any
// machine, is that of a queue that is not there.
func (r *replies) send(t *testing.T, queue string, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 15*time.Second)
	defer cancel()
	for i := range n {
		confirm, err := r.ch.PublishWithDeferredConfirmWithContext(ctx, "", queue, true, false, amqp.Publishing{
			DeliveryMode: amqp.Persistent, ContentType: "text/plain", ReplyTo: r.to,
			CorrelationId: fmt.Sprint(r.sent), Body: []byte(fmt.Sprint("message ", r.sent)),
		})
		if err != nil {
			t.Fatal(err)
		}
		r.sent++
		if i < n-1 {
			continue
		}
		if ok, err := confirm.WaitContext(ctx); !ok || err != nil {
			t.Fatalf("a publish to %s was not confirmed: %v", queue, err)
		}
	}
}

// state is how many messages were answered, and how many more than once.
func (r *replies) state() (answered, twice int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, n := range r.count {
		if n > 1 {
			twice++
		}
	}
	return len(r.count), twice
}

// TestSIGTERMDrains: a signal under load, on both wires. What is in hand is
// finished, what is not stays with the broker, and a second server answers
// exactly the rest.
func TestSIGTERMDrains(t *testing.T) { apart(t, sigtermDrains) }

func sigtermDrains(t *testing.T, n node) {
	s := startOutsider(t, n.url())
	log := newAudit(t, n.url())
	slow := make(chan string, 10)
	waitInHand(t, s, cap(slow), func() { slow <- get(s.url + "/slow/4s") })
	const total = 1000
	sent := sendSlow(t, n.url(), total)
	taken := orderUntilRefused(s.url, 8)
	wait.Until(t, "messages are answered and orders taken", func() bool {
		answered, _ := sent.state()
		return answered > 0 && log.count() > 0
	})
	s.stop()

	for range cap(slow) {
		if got := <-slow; got != "200 slept 4s" {
			t.Errorf("a request in hand at the signal was answered %q", got)
		}
	}
	ids := <-taken
	t.Logf("%d orders taken", len(ids))
	log.wait(t, ids)

	var left rabbitmq.Queue
	waitQueue(t, n, "slow", func(q rabbitmq.Queue) bool {
		answered, _ := sent.state()
		left = q
		return q.Unacknowledged == 0 && q.Consumers == 0 && answered+q.Messages == total
	})
	answered, twice := sent.state()
	t.Logf("%d answered before the end, %d left to the broker", answered, left.Messages)
	if answered == 0 || left.Messages == 0 || twice > 0 {
		t.Errorf("answered %d, left %d, answered twice %d: want some, some, none", answered, left.Messages, twice)
	}

	again := startOutsider(t, n.url())
	waitQueue(t, n, "slow", func(q rabbitmq.Queue) bool {
		answered, _ := sent.state()
		return q.Messages == 0 && answered == total
	})
	if _, twice := sent.state(); twice > 0 {
		t.Errorf("%d messages were answered by both servers", twice)
	}
	again.stop()
}

// get returns status and body of one request, or the error.
func get(url string) string {
	resp, err := http.Get(url)
	if err != nil {
		return err.Error()
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", resp.StatusCode, text)
}

// orderUntilRefused posts orders on some connections until the server is gone,
// and then gives the ids of those that were answered with 202.
func orderUntilRefused(url string, connections int) <-chan []string {
	shop := newShop(url, connections)
	var mu sync.Mutex
	var ids []string
	var working sync.WaitGroup
	for range connections {
		working.Go(func() {
			for {
				status, id, err := shop.post("")
				if err != nil || status == http.StatusServiceUnavailable {
					return
				}
				mu.Lock()
				ids = append(ids, id)
				mu.Unlock()
			}
		})
	}
	done := make(chan []string, 1)
	go func() {
		working.Wait()
		done <- ids
	}()
	return done
}

// TestSignals: SIGINT drains as SIGTERM does, the port closes at once, and a
// second signal does not wait.
func TestSignals(t *testing.T) {
	node := rabbitmq.Shared(t)
	s := startOutsider(t, node.URL)
	slow := make(chan string, 1)
	waitInHand(t, s, 1, func() { slow <- get(s.url + "/slow/3s") })
	s.signal(syscall.SIGINT)
	waitRefused(t, s)
	if got := <-slow; got != "200 slept 3s" {
		t.Errorf("the request in hand was answered %q", got)
	}
	s.wait()

	// The request outlasts our patience: only the signals can end anything.
	s = startOutsider(t, node.URL, "server.drain_timeout=1h", "server.call_timeout=1h")
	waitInHand(t, s, 1, func() { slow <- get(s.url + "/slow/1h") })
	s.signal(syscall.SIGTERM)
	waitRefused(t, s)
	select {
	case <-s.Ended():
		t.Error("the server ended before its request in hand")
	default:
	}
	s.signal(syscall.SIGTERM)
	select {
	case <-s.Ended():
	case <-time.After(patience):
		t.Error("a second signal did not end the server")
	}
}

// waitInHand starts n requests on an idle server and returns once it has them:
// /readyz counts the calls, itself included.
func waitInHand(t *testing.T, s *server, n int, request func()) {
	t.Helper()
	for range n {
		go request()
	}
	wait.Until(t, "the slow requests show in /readyz", func() bool {
		var report struct{ Calls int }
		return s.json("/readyz", &report) == nil && report.Calls > n
	})
}

// waitRefused wants the server's port to be closed.
func waitRefused(t *testing.T, s *server) {
	t.Helper()
	wait.Until(t, "the port is closed after the signal", func() bool {
		conn, err := net.Dial("tcp", s.addr)
		if err == nil {
			_ = conn.Close()
		}
		return err != nil
	})
}
