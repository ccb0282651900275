package spool_test

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/publisher"
	"zamqp/tests/kit/amqpclient"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
)

func init() {
	publisher.Produce("quick", publisher.Producer{Queue: "spool-quick", Codec: "text"})
	publisher.Handle("POST /quick", func(r *publisher.Request) error {
		if err := r.Publish("quick", append([]byte(nil), r.Body()...)); err != nil {
			return err
		}
		return r.Reply(202, nil)
	})
	runs := 0
	publisher.Consume("doomed", publisher.Consumer{Queue: "spool-doomed"}, func(r *publisher.Request) error {
		runs++
		if err := r.Sleep(2 * time.Second); err != nil {
			return err
		}
		return publisher.Permanent(errors.New("a permanent failure"))
	})
	publisher.Handle("GET /runs", func(r *publisher.Request) error { return r.Text(200, strconv.Itoa(runs)) })
}

// slowBroker is one that can be frozen.
type slowBroker interface {
	Pause(t testing.TB)
	Resume(t testing.TB)
	Kill(t testing.TB)
	Restart(t testing.TB)
}

type embeddedNode struct{ *embedded.Node }

func (n embeddedNode) Kill(testing.TB) { n.Node.Kill() }

func (n embeddedNode) Restart(t testing.TB) {
	t.Helper()
	if err := n.Node.Restart(); err != nil {
		t.Fatal(err)
	}
}

// everywhere runs a test beside RabbitMQ, and beside the embedded broker as a
// process of its own.
func everywhere(t *testing.T, run func(t *testing.T, node slowBroker, url string)) {
	t.Run("rabbitmq", func(t *testing.T) {
		node := rabbitmq.New(t)
		run(t, node, node.URL)
	})
	t.Run("embedded", func(t *testing.T) {
		node := embedded.New(t, embedded.Options{DataDir: t.TempDir()})
		run(t, embeddedNode{node}, node.URL)
	})
}

// frozen is several times the confirm_timeout of these tests.
func frozen() time.Duration {
	if os.Getenv("ZAMQP_TEST_LONG") != "" {
		return 40 * time.Second
	}
	return 15 * time.Second
}

// TestFrozenBrokerGetsNothingTwice: a broker that is frozen for longer than confirm_timeout
// has the messages that were sent to it. The disk answers the calls, and nothing is sent
// again as long as the connection exists.
func TestFrozenBrokerGetsNothingTwice(t *testing.T) {
	everywhere(t, func(t *testing.T, node slowBroker, url string) {
		z := newZamqp(t, url, "connection.default.confirm_timeout=3s")
		z.start()
		z.until("it is connected", z.connected)
		w := z.write(4)
		z.more100(w)
		node.Pause(t)
		thawed := time.After(frozen())
		z.more100(w) // by the disk
		<-thawed
		node.Resume(t)
		z.more100(w)
		w.stop()
		w.group.Wait()
		z.until("the spool is empty", func() bool { return z.spooled() == "empty" })
		if twice, _ := z.check(w, url); twice > 0 {
			t.Errorf("%d copies too many, and the connection has not ended", twice)
		}
		if text, _ := os.ReadFile(z.log.Name()); strings.Contains(string(text), "\"lost\"") {
			t.Logf("the connection was lost:\n%s", text)
		}
		if len(w.failures) > 0 {
			t.Errorf("calls failed, by status: %v", w.failures)
		}
	})
}

// TestFrozenBrokerThatDies: the connection ends with the freeze. What was on it is
// sent once more, under the same message_id, and nothing is lost.
func TestFrozenBrokerThatDies(t *testing.T) {
	everywhere(t, func(t *testing.T, node slowBroker, url string) {
		z := newZamqp(t, url, "connection.default.confirm_timeout=3s")
		z.start()
		z.until("it is connected", z.connected)
		w := z.write(4)
		z.more100(w)
		node.Pause(t)
		z.more100(w)
		node.Resume(t)
		z.more100(w)
		node.Kill(t)
		z.more100(w)
		node.Restart(t)
		z.more100(w)
		w.stop()
		w.group.Wait()
		z.until("the spool is empty", func() bool { return z.spooled() == "empty" })
		if _, most := z.check(w, url); most > 1 {
			t.Errorf("a message has come %d times", most+1)
		}
	})
}

// TestSlowQueueHoldsUpNobody: RabbitMQ confirms nothing to one queue, whose process is
// frozen, and everything to another. The other continues, and neither gets anything twice.
func TestSlowQueueHoldsUpNobody(t *testing.T) {
	node := rabbitmq.New(t)
	z := newZamqp(t, node.URL, "connection.default.confirm_timeout=1s")
	z.start()
	z.until("it is connected", z.connected)
	of := func(verb string) {
		node.Ctl(t, "eval", `{ok, Q} = rabbit_amqqueue:lookup(rabbit_misc:r(<<"/">>, queue, <<"spool-work">>)), sys:`+verb+`(amqqueue:get_pid(Q)).`)
	}
	of("suspend")
	const slow, quick = 8, 200
	for i := range quick {
		if i%(quick/slow) == 0 {
			if status, err := z.post("/work", fmt.Sprint(i)); status != 202 || err != nil {
				t.Fatalf("slow: %d, %v", status, err)
			}
		}
		if status, err := z.post("/quick", fmt.Sprint(i)); status != 202 || err != nil {
			t.Fatalf("quick: %d, %v", status, err)
		}
	}
	// Not by rabbitmqctl, which asks the queue that stands still, too.
	ch := amqpclient.Channel(t, node.URL)
	z.until("the quick ones have come", func() bool {
		q, err := ch.QueueDeclarePassive("spool-quick", true, false, false, false, nil)
		return err == nil && q.Messages == quick
	})
	of("resume")
	z.until("the spool is empty", func() bool { return z.spooled() == "empty" })
	for queue, want := range map[string]int{"spool-work": slow, "spool-quick": quick} {
		if n := len(queued(t, node.URL, queue)); n != want {
			t.Errorf("%s: %d came, want %d", queue, n, want)
		}
	}
}

// TestFrozenBrokerAndCopies: the broker stands still while it has the copies of
// messages that were given up, for longer than confirm_timeout and the pause after
// a failed move. There is one dead letter of each, and one run of the handler.
func TestFrozenBrokerAndCopies(t *testing.T) {
	everywhere(t, func(t *testing.T, node slowBroker, url string) {
		z := newZamqp(t, url, "connection.default.confirm_timeout=1s")
		z.start()
		z.until("it consumes", func() bool { return z.part("consumer").State == "up" })
		ch := amqpclient.Channel(t, url)
		const count = 5
		for i := range count {
			if err := ch.Publish("", "spool-doomed", false, false, amqp.Publishing{MessageId: strconv.Itoa(i), DeliveryMode: 2}); err != nil {
				t.Fatal(err)
			}
		}
		runs := func() string { text, _ := z.get("/runs"); return text }
		z.until("all handlers run", func() bool { return runs() == strconv.Itoa(count) })
		node.Pause(t)
		<-time.After(frozen() + time.Second)
		node.Resume(t)
		ch = amqpclient.Channel(t, url) // that client has given the frozen broker up
		z.until("all are dead", func() bool {
			q, err := ch.QueueDeclarePassive("spool-doomed.dead", true, false, false, false, nil)
			return err == nil && q.Messages >= count
		})
		got := runs()
		z.stop()
		if dead := len(queued(t, url, "spool-doomed.dead")); dead != count || got != strconv.Itoa(count) {
			t.Errorf("%d dead letters and %s runs of the handler for %d messages", dead, got, count)
		}
		if left := len(queued(t, url, "spool-doomed")); left != 0 {
			t.Errorf("%d are still in their queue", left)
		}
	})
}
