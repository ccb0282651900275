package interop_test

import (
	"net/http"
	"slices"
	"syscall"
	"testing"

	"zamqp/tests/kit/process"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/wait"
)

// TestTheOnlyConsumerLeaves: two servers consume a queue that gives its messages
// to one of them at a time. The one whose turn it is stops, by a signal or a
// pause, while messages wait and some are in hand: the queue stays usable, the
// other takes over, and each message is handled once.
func TestTheOnlyConsumerLeaves(t *testing.T) {
	apart(t, func(t *testing.T, n node) {
		for _, queue := range turns {
			t.Run(queue, func(t *testing.T) { onlyConsumerLeaves(t, n, queue) })
		}
	})
}

// turns are the queues that give messages to one consumer at a time.
var turns = []string{"turns", "turns-quorum", "alone"}

func onlyConsumerLeaves(t *testing.T, n node, queue string) {
	a := startBehind(t, n, queue)
	a.waitReady()
	work := collect(t, n.url())
	work.send(t, queue, 10)
	wait.Until(t, "the first server is at work", func() bool {
		var report struct{ Calls int }
		return a.json("/readyz", &report) == nil && report.Calls > 2 // itself included
	})
	b := startBehind(t, n, queue)
	a.signal(syscall.SIGTERM)
	work.send(t, queue, 4)
	a.wait()
	work.send(t, queue, 1)
	work.all(t)

	// The second one pauses, a third one has its turn; nothing is lost on the way
	// back either.
	c := startBehind(t, n, queue)
	work.send(t, queue, 5)
	wait.Until(t, "the second server is at work", func() bool {
		var report struct{ Calls int }
		return b.json("/readyz", &report) == nil && report.Calls > 2
	})
	b.post("/pause/" + queue)
	work.send(t, queue, 2)
	work.all(t)
	b.post("/resume/" + queue)
	work.send(t, queue, 2)
	work.all(t)
	b.stop()
	work.send(t, queue, 2)
	work.all(t)
	c.stop()
	for _, name := range []string{queue, queue + ".dead"} {
		waitQueue(t, n, name, func(q rabbitmq.Queue) bool { return q.Messages == 0 })
	}
}

// startBehind starts a server that consumes only one of the queues. While another
// is the exclusive consumer, this one is not ready.
func startBehind(t *testing.T, n node, queue string) *server {
	t.Helper()
	options := slices.Clone(impatient)
	for _, other := range turns {
		if other != queue {
			options = append(options, "consumer."+other+".enabled=false")
		}
	}
	path, err := outsider()
	if err != nil {
		t.Fatal(err)
	}
	s := launch(t, path, process.FreeAddress(t), n.url(), options...)
	if queue == "alone" {
		s.waitStatus("/livez", http.StatusOK)
	} else {
		s.waitReady()
	}
	return s
}

// all wants one answer for each message that was sent.
func (r *replies) all(t *testing.T) {
	t.Helper()
	wait.Until(t, "all messages are handled", func() bool {
		answered, _ := r.state()
		return answered == r.sent
	})
	if _, twice := r.state(); twice > 0 {
		t.Errorf("%d messages were handled twice", twice)
	}
}

// post sends an empty POST and wants no error.
func (s *server) post(path string) {
	s.t.Helper()
	resp, err := http.Post(s.url+path, "", nil)
	if err != nil {
		s.t.Fatal(err)
	}
	_ = resp.Body.Close() // it is empty
	if resp.StatusCode >= 400 {
		s.t.Fatalf("POST %s: %s", path, resp.Status)
	}
}
