package amqpdoor_test

import (
	"cmp"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"zamqp/amqpproto/broker"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/tests/kit/crashfs"
	"zamqp/tests/kit/doortest"
)

// handling is a consumer that remembers ids, and what its handler has done.
type handling struct {
	consumer publisher.Consumer
	takes    time.Duration
	prefetch int            // 20 if 0
	fails    map[string]int // how often the handler fails before it succeeds, by message id
	begun    map[string]int
	ended    map[string]int
}

func newHandling() *handling {
	return &handling{consumer: publisher.Consumer{Dedupe: publisher.Dedupe{Key: "message_id"}, Retry: publisher.Retry{Min: time.Second, Max: time.Second}},
		fails: map[string]int{}, begun: map[string]int{}, ended: map[string]int{}}
}

func (h *handling) start(w *doortest.World, disk *crashfs.FS) *doortest.Process {
	g := publisher.NewRegistry()
	g.Consume("work", h.consumer, func(r *publisher.Request) error {
		id := string(r.MessageID())
		h.begun[id]++
		if h.takes > 0 {
			if err := r.Sleep(h.takes); err != nil {
				return err
			}
		}
		if h.fails[id] > 0 {
			h.fails[id]--
			return errors.New("not yet")
		}
		h.ended[id]++
		return nil
	})
	return w.Start(doortest.Setup{Registry: g, IDs: disk, Prefetch: cmp.Or(h.prefetch, 20), Client: client.Config{Heartbeat: 5 * time.Second, BackoffMax: time.Second}})
}

func put(w *doortest.World, ids ...string) {
	w.T.Helper()
	for _, id := range ids {
		w.Put("work", publisher.Publishing{MessageId: id, DeliveryMode: 2, Body: []byte("body")})
	}
}

func metricOf(p *doortest.Process, name string) float64 {
	for _, m := range p.Server.Metrics() {
		if m.Name == name {
			return m.Value
		}
	}
	return -1
}

// TestDuplicates: a second message with an id is acked and not handled, at the same time,
// later, and in another process.
func TestDuplicates(t *testing.T) {
	w := doortest.New(t, 0, broker.Options{})
	h := newHandling()
	h.takes = time.Second
	disk := crashfs.New()
	p := h.start(w, disk)
	w.Advance(time.Second)
	put(w, "a", "a", "b")
	w.Advance(5 * time.Second)
	put(w, "b", "c", "a")
	w.Advance(5 * time.Second)
	if d, n := metricOf(p, "consumer_duplicates_total"), metricOf(p, "consumer_ids"); d != 3 || n != 3 {
		t.Errorf("%v duplicates, %v ids", d, n)
	}
	p.Kill()
	q := h.start(w, disk.Kill())
	w.Advance(time.Second)
	put(w, "a", "b", "d")
	w.Advance(5 * time.Second)
	if got := fmt.Sprint(h.begun); got != "map[a:1 b:1 c:1 d:1]" || metricOf(q, "consumer_duplicates_total") != 2 {
		t.Errorf("%s", got)
	}
	if n := w.Messages("work"); n != 0 {
		t.Errorf("%d messages are left", n)
	}
	w.Advance(25 * time.Hour)
	put(w, "a")
	w.Advance(5 * time.Second)
	if h.begun["a"] != 2 {
		t.Error("its time is over: it is handled again")
	}
}

// TestIDInAHeader: the id is a key of the headers table. A message without it is handled each
// time that it comes.
func TestIDInAHeader(t *testing.T) {
	w := doortest.New(t, 0, broker.Options{})
	h := newHandling()
	h.consumer.Dedupe.Key = "header:order"
	p := h.start(w, crashfs.New())
	w.Advance(time.Second)
	for _, headers := range []publisher.Table{{"order": "7"}, {"order": "7"}, {"order": int32(8)}, {"order": int32(8)}, nil, nil} {
		w.Put("work", publisher.Publishing{Headers: headers, MessageId: "m"})
	}
	w.Advance(time.Second)
	if h.ended["m"] != 4 || metricOf(p, "consumer_without_id_total") != 2 || !strings.Contains(p.Log.String(), "a message has no id for dedupe") {
		t.Errorf("%v: %s", h.ended, p.Log)
	}
}

// TestDuplicateOfAFailure: a message that fails is tried again. So is one with the same id, which
// has waited for it. A message that is given up does not count as handled.
func TestDuplicateOfAFailure(t *testing.T) {
	for _, lane := range []string{"", "queue"} {
		for _, fails := range []int{1, 100} {
			t.Run(fmt.Sprintf("lane=%s/fails=%d", lane, fails), func(t *testing.T) {
				w := doortest.New(t, 0, broker.Options{})
				h := newHandling()
				h.takes, h.consumer.Lane = 100*time.Millisecond, lane
				h.fails["a"] = fails
				h.start(w, crashfs.New())
				w.Advance(time.Second)
				put(w, "a", "a")
				w.Advance(time.Minute)
				if fails == 1 && (h.ended["a"] != 1 || h.begun["a"] != 2) {
					t.Errorf("begun %v, ended %v", h.begun, h.ended)
				}
				if fails == 100 && (h.begun["a"] != 2*publisher.RetryAttempts || w.Messages("work.dead") != 2) {
					t.Errorf("begun %v, %d dead", h.begun, w.Messages("work.dead"))
				}
				if w.Messages("work") != 0 {
					t.Error("messages are left")
				}
			})
		}
	}
}

// TestDedupeThroughCuts: wherever the wire is cut, each id is handled once.
func TestDedupeThroughCuts(t *testing.T) {
	for _, takes := range []time.Duration{0, 100 * time.Millisecond} {
		t.Run(takes.String(), func(t *testing.T) {
			doortest.EveryCut(t, 0, func(t *testing.T, world func(broker.Options) *doortest.World) int {
				w := world(broker.Options{})
				h := newHandling()
				h.takes = takes
				h.start(w, crashfs.New())
				w.Advance(time.Second)
				put(w, "a", "b", "a")
				w.Advance(time.Second)
				put(w, "c", "b")
				operations := w.Operations
				w.Advance(time.Minute)
				if got := fmt.Sprint(h.ended); got != "map[a:1 b:1 c:1]" || w.Messages("work") != 0 {
					t.Errorf("%s, %d messages are left", got, w.Messages("work"))
				}
				return operations
			})
		})
	}
}

// TestDedupeThroughKills: at whatever operation the process is killed, each id is handled: once,
// or at most twice if it was being handled at that moment.
func TestDedupeThroughKills(t *testing.T) {
	doortest.Every(t, "kill", func(t *testing.T, at int) int {
		w := doortest.New(t, 0, broker.Options{})
		h := newHandling()
		disk := crashfs.New()
		p := h.start(w, disk)
		w.Advance(time.Second)
		before := w.Operations
		if at > 0 {
			w.OnOperation = func(n int) {
				if n == before+at {
					p.Kill()
					disk = disk.Kill()
				}
			}
		}
		put(w, "a", "b", "a")
		w.Advance(time.Second)
		put(w, "c", "b")
		w.Advance(time.Second)
		moments := w.Operations - before
		if at > 0 {
			h.start(w, disk)
		}
		w.Advance(time.Minute)
		twice := 0
		for _, id := range []string{"a", "b", "c"} {
			if h.ended[id] < 1 || h.ended[id] > 2 {
				t.Errorf("%s: %d", id, h.ended[id])
			}
			twice += h.ended[id] - 1
		}
		if twice > 2 || at == 0 && twice > 0 || w.Messages("work") != 0 {
			t.Errorf("%v, %d messages are left", h.ended, w.Messages("work"))
		}
		return moments
	})
}

// TestDedupeDisk: while the disk takes nothing, messages are handled and not acked, and the
// consumer is not ready. A drain waits for the disk.
func TestDedupeDisk(t *testing.T) {
	w := doortest.New(t, 0, broker.Options{})
	h := newHandling()
	disk := crashfs.New()
	p := h.start(w, disk)
	w.Advance(time.Second)
	put(w, "a")
	w.Advance(time.Second)
	disk.FailAt, disk.Fail = disk.Steps+1, syscall.ENOSPC
	put(w, "b")
	w.Advance(time.Second)
	if s := p.Status("consumer", "work"); s.Ready || !strings.Contains(s.Detail, "no space left") || h.ended["b"] != 1 || w.Messages("work") != 1 {
		t.Errorf("%+v, %v", s, h.ended)
	}
	disk.FailAt = 0
	p.Shutdown(time.Minute)
	if w.Messages("work") != 0 {
		t.Error("it was not acked")
	}
}

// TestManyDuplicatesWait: more duplicates wait for two messages than are looked at in one turn.
// One of the two fails, so a duplicate of it is handled.
func TestManyDuplicatesWait(t *testing.T) {
	w := doortest.New(t, 0, broker.Options{})
	h := newHandling()
	h.takes, h.prefetch, h.fails["a"] = time.Second, 2000, 1
	p := h.start(w, crashfs.New())
	w.Advance(time.Second)
	const copies = 700
	for range copies {
		put(w, "a", "b")
	}
	w.Advance(20 * time.Second)
	if h.ended["a"] != 1 || h.ended["b"] != 1 || h.begun["a"] > 3 {
		t.Errorf("begun %v, ended %v", h.begun, h.ended)
	}
	if n := metricOf(p, "consumer_duplicates_total"); n < 2*copies-4 {
		t.Errorf("%v duplicates were acked of %d", n, 2*copies)
	}
	if n := w.Messages("work"); n != 0 {
		t.Errorf("%d messages are left", n)
	}
}
