package command

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/publisher"
	"zamqp/tests/kit/embedded"
	"zamqp/tests/kit/rabbitmq"
	"zamqp/tests/kit/racing"
)

// massItems is how many messages a dead-letter queue has. The broker is asked for one
// after the other, so 100,000 take minutes.
func massItems() int {
	switch {
	case os.Getenv("ZAMQP_TEST_LONG") != "":
		return 100_000
	case testing.Short() || racing.Enabled:
		return 1_500
	}
	return 3_000
}

// massBrokers are where walks are tried.
var massBrokers = map[string]func(testing.TB) string{"embedded": embedded.Start, "RabbitMQ": rabbitmq.Start}

// massSession is a session of a command.
func massSession(t *testing.T, url string, timeout time.Duration) *session {
	t.Helper()
	t.Chdir(t.TempDir())
	c := &CLI{Registry: publisher.NewRegistry(), Stdout: &bytes.Buffer{}, Stderr: &bytes.Buffer{}}
	s, err := c.open(t.Context(), &brokerFlags{connection: "default", url: url, timeout: timeout}, "dead")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.close)
	return s
}

// massQueue declares a queue that ends with the session.
func massQueue(t *testing.T, s *session, args amqp.Table) string {
	t.Helper()
	name := "cmd-mass-" + rand.Text()[:8]
	err := s.do(t.Context(), "declare", func(done func(error)) {
		top := &client.Topology{Queues: []client.Queue{{Name: name, Exclusive: true, Args: args}}}
		if err := s.Client.Declare(top, func(_ []string, err error) { done(err) }); err != nil {
			done(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	return name
}

// fill publishes n messages with ids of their own, and waits for the confirms.
func fill(t *testing.T, s *session, queue string, n int) {
	t.Helper()
	fillWith(t, s, queue, n, func(i int) amqp.Publishing { return amqp.Publishing{MessageId: fmt.Sprintf("message %d", i)} })
}

func fillWith(t *testing.T, s *session, queue string, n int, message func(i int) amqp.Publishing) {
	t.Helper()
	for sent := 0; sent < n; {
		some := min(n-sent, 500)
		err := s.do(t.Context(), "publish", func(done func(error)) {
			left := some
			for i := range some {
				m := message(sent + i)
				properties, err := amqpproto.AppendPublishing(nil, &m)
				if err == nil {
					err = s.Client.Publish(nil, &client.Outgoing{RoutingKey: queue, Mandatory: true, RawProperties: properties, Body: []byte("x")}, confirmed(func(err error) {
						if left--; err != nil || left == 0 {
							done(err)
						}
					}))
				}
				if err != nil {
					done(err)
					return
				}
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		sent += some
	}
}

// handled finds the most messages that are taken, settled or published between two
// looks. A look is made with each message that comes. After the last one the loop looks
// without a pause, at least once in each turn.
type handled struct {
	s          *session
	last, most uint64
	over       bool
}

func (h *handled) look() {
	st := h.s.Client.Stats()
	n := st.Gets + st.Rejected + st.Acked + st.Published
	h.most = max(h.most, n-h.last)
	h.last = n
}

func (h *handled) keepLooking() {
	if h.look(); !h.over {
		h.s.Loop.Post(h.keepLooking)
	}
}

// begin starts to count.
func (h *handled) begin(t *testing.T) {
	t.Helper()
	if err := h.s.do(t.Context(), "watch", func(done func(error)) { h.look(); h.most = 0; done(nil) }); err != nil {
		t.Fatal(err)
	}
}

// end returns the most.
func (h *handled) end(t *testing.T) (most int) {
	t.Helper()
	if err := h.s.do(t.Context(), "watch", func(done func(error)) {
		h.look()
		h.over, most = true, int(h.most)
		done(nil)
	}); err != nil {
		t.Fatal(err)
	}
	return most
}

func heap() int {
	runtime.GC()
	runtime.GC() // frees what pools hold
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestWalksWorkInSlices counts the messages of a turn, and the memory for each that a
// command holds, while it goes through a large queue.
func TestWalksWorkInSlices(t *testing.T) {
	for name, start := range massBrokers {
		t.Run(name, func(t *testing.T) { testWalksWorkInSlices(t, start(t)) })
	}
}

func testWalksWorkInSlices(t *testing.T, url string) {
	s := massSession(t, url, time.Minute)
	n, dead, work := massItems(), massQueue(t, s, nil), massQueue(t, s, nil)
	fill(t, s, dead, n)
	move := func(m *taken) {
		m.publish(&client.Outgoing{RoutingKey: work, Mandatory: true, Body: m.Body}, func(err error) {
			if err != nil {
				t.Error(err)
			}
		})
	}
	for _, test := range []struct {
		name string
		take int // of the messages
		each func(*taken)
		left int
	}{
		{"show one, which keeps it", 1, (*taken).keep, n},
		{"show --all, which keeps them", n, (*taken).keep, n},
		{"retry of every tenth", n, func(m *taken) {
			if m.Position%10 == 0 {
				move(m)
			} else {
				m.keep()
			}
		}, n - n/10},
		{"retry to a queue that does not exist", n - n/10, func(m *taken) {
			m.publish(&client.Outgoing{RoutingKey: "cmd-nowhere", Mandatory: true, Body: m.Body}, func(err error) {
				if err == nil {
					t.Error("it was moved")
				}
			})
		}, n - n/10},
		{"retry --all", n/2 - n/10, move, n / 2},
		{"drop --all", n / 2, (*taken).ack, 0},
	} {
		d := &deadCommand{pick: selection{all: true, limit: 1_000_000}}
		before, held, seen := heap(), 0, 0
		count := &handled{s: s}
		count.begin(t)
		err := d.picked(t.Context(), s, deadQueue{queue: dead}, test.take, func(m *taken, _ death) {
			count.look()
			test.each(m)
			if seen++; seen == test.take {
				held = heap() - before
				count.keepLooking()
			}
		})
		if err != nil {
			t.Fatal(err)
		}
		most := count.end(t)
		if limit := 128; most > limit {
			t.Errorf("%s: %d of %d messages in one turn, want at most %d", test.name, most, test.take, limit)
		}
		if limit := 64<<10 + 8*test.take; held > limit {
			t.Errorf("%s: %d octets held for %d messages, want at most %d", test.name, held, test.take, limit)
		}
		if left, _, err := s.info(t.Context(), dead); err != nil || left != test.left || seen != test.take {
			t.Errorf("%s: %v: %d seen of %d, %d are left, want %d", test.name, err, seen, test.take, left, test.left)
		}
		t.Logf("%s: at most %d of %d messages in one turn, %d octets held", test.name, most, test.take, held)
	}
}

// TestLooksIntoQuorumQueue: each look finds all messages, again and again. From RabbitMQ
// 4.3 on, where there is an x-acquired-count, a look does not count towards the delivery
// limit.
func TestLooksIntoQuorumQueue(t *testing.T) {
	for name, start := range massBrokers {
		t.Run(name, func(t *testing.T) { testLooksIntoQuorumQueue(t, start(t)) })
	}
}

func testLooksIntoQuorumQueue(t *testing.T, url string) {
	s := massSession(t, url, time.Minute)
	queue := "cmd-mass-" + rand.Text()[:8]
	const messages, limit = 5, 3
	err := s.do(t.Context(), "declare", func(done func(error)) {
		top := &client.Topology{Queues: []client.Queue{{Name: queue, Durable: true, Args: amqp.Table{
			"x-queue-type": "quorum", "x-delivery-limit": int32(limit), "x-expires": int32(600_000)}}}}
		if err := s.Client.Declare(top, func(_ []string, err error) { done(err) }); err != nil {
			done(err)
		}
	})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, s, queue, messages)
	looks := limit
	for look := 1; look <= looks; look++ {
		seen := 0
		err := s.walk(t.Context(), queue, messages, func(m *taken) {
			if want := fmt.Sprintf("message %d", seen); m.MessageId != want {
				t.Errorf("look %d: %q, want %q", look, m.MessageId, want)
			}
			seen++
			count := integer(m.Headers["x-delivery-count"])
			if m.Headers["x-acquired-count"] != nil {
				if looks = 3 * limit; count > 0 {
					t.Errorf("look %d: %s has counted %d looks", look, m.MessageId, count)
				}
			}
			m.keep()
		})
		if n, _, info := s.info(t.Context(), queue); err != nil || info != nil || seen != messages || n != messages {
			t.Fatalf("look %d: %v, %v: %d seen, %d are left of %d", look, err, info, seen, n, messages)
		}
	}
}

// TestMessagesThatDoNotComeBack: a command that puts messages back says so when the
// queue does not get them, here because it is full by then.
func TestMessagesThatDoNotComeBack(t *testing.T) {
	for name, start := range massBrokers {
		t.Run(name, func(t *testing.T) { testMessagesThatDoNotComeBack(t, start(t)) })
	}
}

func testMessagesThatDoNotComeBack(t *testing.T, url string) {
	s := massSession(t, url, 2*time.Second)
	queue := massQueue(t, s, amqp.Table{"x-max-length": int32(3)})
	fill(t, s, queue, 3)
	err := s.walk(t.Context(), queue, 3, func(m *taken) {
		w := m.walk
		w.busy++
		end := confirmed(func(err error) {
			if err != nil {
				t.Error(err)
			}
			m.keep()
			w.busy--
			w.on()
		})
		if err := s.Client.Publish(nil, &client.Outgoing{RoutingKey: queue, Body: []byte("another")}, end); err != nil {
			end(err)
		}
	})
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("queue %q: messages that were put back are not there: 3 of 3, and it has not grown for 2s (--timeout)", queue)) {
		t.Errorf("%v", err)
	}
}

// TestInterruptedWalk: when a walk has been interrupted, nothing of it is called any more,
// so that a command can say what it has done. All messages are in one of the queues.
func TestInterruptedWalk(t *testing.T) {
	for name, start := range massBrokers {
		t.Run(name, func(t *testing.T) { testInterruptedWalk(t, start(t)) })
	}
}

func testInterruptedWalk(t *testing.T, url string) {
	s := massSession(t, url, time.Minute)
	dead, work := massQueue(t, s, nil), massQueue(t, s, nil)
	const messages = 1000
	fill(t, s, dead, messages)
	ctx, interrupt := context.WithCancel(t.Context())
	defer interrupt()
	var returned atomic.Bool
	seen, moved := 0, 0 // the race detector sees it when they change too late
	err := s.walk(ctx, dead, messages, func(m *taken) {
		if seen++; seen == 100 {
			interrupt()
		}
		m.publish(&client.Outgoing{RoutingKey: work, Mandatory: true, Body: m.Body}, func(err error) {
			if moved++; err != nil || returned.Load() {
				t.Errorf("moved, after the return %v: %v", returned.Load(), err)
			}
		})
	})
	returned.Store(true)
	if !errors.Is(err, context.Canceled) || seen < 100 || moved > seen {
		t.Errorf("%v, %d seen, %d moved", err, seen, moved)
	}
	// All answers that were under way have come when the broker has answered this.
	atWork, _, err := s.info(t.Context(), work)
	if err != nil || atWork < moved || atWork > seen {
		t.Errorf("%v: %d of %d are in the other queue, and %d were moved", err, atWork, seen, moved)
	}
}
