package broker

import (
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/tests/kit/crashfs"
)

// persistentTurn returns a turn of 100 persistent messages that are published, delivered
// and acked.
func persistentTurn(h *shop) func() {
	q := h.queue("q", nil)
	props := amqpproto.Properties{DeliveryMode: 2}
	props.SetFlags()
	p := &publishing{key: []byte("q"), body: make([]byte, 256)}
	p.props, _ = props.Append(nil)
	_ = p.parse()
	queues := []*queue{q}
	return func() {
		for range 100 {
			m := h.newMessage(p)
			h.storeMessage(m, queues)
			q.push(m)
			h.release(m)
		}
		for range 100 {
			q.settle(h.take(q))
		}
		h.noteDeliveries()
		h.host.turn()
	}
}

// TestStoreDoesNotAllocate: a persistent publish, its delivery and its ack cost
// no allocation on the broker's thread.
func TestStoreDoesNotAllocate(t *testing.T) {
	h := openShop(t, Options{DataDir: t.TempDir()})
	turn := persistentTurn(h)
	for range 5 {
		turn()
	}
	// The test's own host makes some allocations for each turn.
	if n := testing.AllocsPerRun(20, turn); n > 20 {
		t.Errorf("%v allocations for 100 messages", n)
	}
}

// TestAFailedDiskIsNeverBelievedAgain: after a final failure nothing more counts as synced, even
// if the disk works again.
func TestAFailedDiskIsNeverBelievedAgain(t *testing.T) {
	for _, cause := range []error{syscall.ENOENT, syscall.ESTALE} {
		fs := crashfs.New()
		h := openShop(t, Options{DataDir: "d", Files: fs})
		q := h.queue("q", nil)
		h.publish("", "q", "good")
		h.host.turn()
		if h.synced() != h.stored() || h.storeErr() != nil {
			t.Fatal("the disk was well")
		}
		good := h.synced()
		fs.FailAt, fs.Fail = fs.Steps+1, cause
		h.publish("", "q", "lost")
		h.host.turn()
		fs.FailAt = 0
		h.publish("", "q", "lost, too")
		q.settle(h.take(q))
		h.host.turn()
		if h.synced() != good || h.stored() <= good || h.storeErr() == nil {
			t.Errorf("%v: synced %d, stored %d, %v", cause, h.synced(), h.stored(), h.storeErr())
		}
		failed := 0
		for _, n := range h.host.notes {
			if strings.HasPrefix(n, "store failed") && strings.Contains(n, cause.Error()) {
				failed++
			}
		}
		if failed != 1 {
			t.Errorf("%v: told %d times: %q", cause, failed, h.host.notes)
		}
		if err := h.CloseStore(); err == nil {
			t.Errorf("%v: CloseStore has returned no error", cause)
		}
		h = openShop(t, Options{DataDir: "d", Files: fs.Kill()})
		if got := h.texts(h.v.queues["q"]); !strings.HasPrefix(got, "good") {
			t.Errorf("%v: after it there is %q", cause, got)
		}
	}
}

// TestAMillionMessagesComeBack shows how long recovery takes and how much memory it needs; run it
// with ZAMQP_TEST_LARGE=1.
func TestAMillionMessagesComeBack(t *testing.T) {
	messages := 20_000
	if os.Getenv("ZAMQP_TEST_LARGE") != "" {
		messages = 1_000_000
	}
	o := Options{DataDir: t.TempDir()}
	h := openShop(t, o)
	q := h.queue("q", nil)
	body := strings.Repeat("x", 250)
	for i := range messages {
		h.publish("", "q", fmt.Sprintf("%06d%s", i, body))
		if i%1000 == 0 {
			h.host.turn()
		}
	}
	for range messages / 10 {
		q.settle(h.take(q))
	}
	h.kill()
	start := time.Now()
	h = openShop(t, o)
	size, _ := h.diskSize()
	t.Logf("%d of %d messages, %d MiB on disk: %v", h.store.Messages(), messages, size>>20, time.Since(start))
	q = h.v.queues["q"]
	for i := messages / 10; i < messages; i++ {
		e := h.take(q)
		if got := string(h.body(e.msg)[:6]); got != fmt.Sprintf("%06d", i) || e.redelivered {
			t.Fatalf("message %d is %s, redelivered %v", i, got, e.redelivered)
		}
		q.settle(e)
	}
	if h.store.Messages() != 0 {
		t.Errorf("%d messages are left", h.store.Messages())
	}
}

// BenchmarkPersistentPublishAck is a turn of 100 persistent messages that are
// published, delivered and acked.
func BenchmarkPersistentPublishAck(b *testing.B) {
	h := openShop(b, Options{DataDir: b.TempDir()})
	turn := persistentTurn(h)
	b.ReportAllocs()
	for b.Loop() {
		turn()
	}
}
