package rabbitmq_test

import (
	"context"
	"os"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/rabbitmq"
)

func declare(t *testing.T, url, queue string, messages int) {
	t.Helper()
	ch, done := amqpclient.Open(t, url)
	defer done()
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	if _, err := ch.QueueDeclare(queue, true, false, false, false, nil); err != nil {
		t.Fatal(err)
	}
	for range messages {
		dc, err := ch.PublishWithDeferredConfirmWithContext(context.Background(), "", queue, false, false,
			amqp.Publishing{DeliveryMode: amqp.Persistent})
		if err != nil || !dc.Wait() {
			t.Fatal("not confirmed", err)
		}
	}
}

func TestTwoNodesAndAPowerCut(t *testing.T) {
	if testing.Short() {
		t.Skip("starts two brokers")
	}
	shared, own := rabbitmq.Shared(t), rabbitmq.New(t)
	if shared.URL == own.URL {
		t.Fatal("two nodes on one port")
	}
	declare(t, own.URL, "survives", 3)
	own.WaitQueue(t, "survives", func(q rabbitmq.Queue) bool { return q == rabbitmq.Queue{Messages: 3} })
	own.Sync(t)
	own.Kill(t)
	if _, err := amqp.Dial(own.URL); err == nil {
		t.Fatal("a killed node answers")
	}
	own.Restart(t)
	own.WaitQueue(t, "survives", func(q rabbitmq.Queue) bool { return q.Messages == 3 })
	if _, there := shared.Queues(t)["survives"]; there {
		t.Error("the shared node has the other node's queue")
	}
}

// Each version that Debian has starts, keeps what it has over a power cut, and
// leaves nothing mounted.
func TestVersions(t *testing.T) {
	if testing.Short() {
		t.Skip("starts a broker of each version")
	}
	for _, version := range []string{"3.10", "4.0", "4.3"} {
		t.Run(version, func(t *testing.T) {
			n := rabbitmq.NewVersion(t, version, "")
			if got := n.Version(t); !strings.HasPrefix(got, version+".") || !n.AtLeast(t, version) || n.AtLeast(t, "4.10") {
				t.Errorf("version %s", got)
			}
			declare(t, n.URL, "survives", 3)
			n.Sync(t)
			n.Kill(t)
			n.Restart(t)
			n.WaitQueue(t, "survives", func(q rabbitmq.Queue) bool { return q.Messages == 3 })
			if got := n.Version(t); !strings.HasPrefix(got, version+".") {
				t.Errorf("version %s after the restart", got)
			}
		})
	}
	mounts, _ := os.ReadFile("/proc/self/mounts")
	if strings.Contains(string(mounts), "zamqp-rabbitmq-") {
		t.Errorf("something is left mounted:\n%s", mounts)
	}
}
