package broker

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strconv"
	"strings"
	"testing"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/tests/kit/racing"
)

// hotBench has exchanges of all kinds with a thousand bindings that do not fit,
// and one queue behind each that does.
func hotBench(t testing.TB) (b *bench, pubs map[string]publishing) {
	b = newBench(t)
	for i := range 1000 {
		name := fmt.Sprint("other", i)
		b.queue(name, nil)
		b.bind(name, "amq.direct", name, nil)
		b.bind(name, "amq.topic", "order.*."+name+".#", nil)
		if i < 50 {
			b.bind(name, "amq.headers", "", amqp.Table{"n": name})
		}
	}
	b.queue("q", amqp.Table{"x-message-ttl": 60_000, "x-max-length": 1_000_000})
	b.queue("urgent", amqp.Table{"x-max-priority": 9})
	for _, q := range []string{"q", "urgent"} {
		b.bind(q, "amq.direct", "hit", nil)
		b.bind(q, "amq.fanout", "", nil)
		b.bind(q, "amq.topic", "order.*.hit.#", nil)
		b.bind(q, "amq.headers", "", amqp.Table{"n": "hit", "m": int32(1)})
	}
	pubs = map[string]publishing{}
	for _, row := range [][2]string{{"", "q"}, {"amq.direct", "hit"}, {"amq.fanout", "hit"}, {"amq.topic", "order.created.hit.now"}, {"amq.headers", ""}} {
		props, err := amqpproto.AppendPublishing(nil, &amqp.Publishing{ContentType: "application/json", DeliveryMode: 1, Priority: 4,
			Expiration: "50000", Headers: amqp.Table{"n": "hit", "m": int64(1), "CC": []any{"q"}}})
		if err != nil {
			t.Fatal(err)
		}
		pubs[row[0]] = publishing{exchange: []byte(row[0]), key: []byte(row[1]), props: props, body: make([]byte, 256)}
	}
	return b, pubs
}

// once is a publish as a channel does it.
func (b *bench) once() {
	if b.pub.parse() != nil || b.pub.check() != nil {
		b.t.Fatal("a good message is refused")
	}
	b.push()
}

// TestNoAllocations: to route, to push, to deliver and to settle costs no
// garbage, whichever way a message takes.
func TestNoAllocations(t *testing.T) {
	b, pubs := hotBench(t)
	var takers []*taker
	var consumers []*consumer
	for _, name := range []string{"q", "urgent"} {
		for range 3 {
			k := &taker{bench: b, quiet: true, prefetch: 10}
			c := &consumer{tag: "c", to: k}
			if err := b.v.queues[name].consume(c); err != nil {
				t.Fatal(err)
			}
			takers, consumers = append(takers, k), append(consumers, c)
		}
	}
	settle := func() {
		for i, k := range takers {
			for _, e := range k.held {
				consumers[i].queue.settle(e)
			}
			k.held = k.held[:0]
			consumers[i].queue.wake(consumers[i])
		}
	}
	for exchange, pub := range pubs {
		b.pub = pub
		b.pub.more = make([]byte, 0, 64)
		run := func() {
			for range 100 { // more than the prefetch: some have to queue
				b.once()
			}
			for range 10 {
				settle()
			}
		}
		run()
		if n := testing.AllocsPerRun(20, run); n > 0 {
			t.Errorf("through %q: %.2f allocations in 100 messages", exchange, n)
		}
		if b.s.messages != 0 {
			t.Fatalf("%d messages stay", b.s.messages)
		}
	}
	b.end()
}

// TestNoAllocationsGet is the same for a queue without consumers, whose messages
// come back once.
func TestNoAllocationsGet(t *testing.T) {
	b, pubs := hotBench(t)
	b.pub = pubs[""]
	q := b.v.queues["q"]
	held := make([]entry, 0, 1000)
	run := func() {
		for range 1000 {
			b.once()
		}
		for round := range 2 {
			for range 1000 {
				e, _, ok := q.get()
				if !ok {
					t.Fatal("nothing there")
				}
				held = append(held, e)
			}
			if round == 0 {
				q.requeue(held)
			} else {
				for _, e := range held {
					q.settle(e)
				}
			}
			held = held[:0]
		}
	}
	run()
	// One requeue of a thousand lets its memory go: see popReturned.
	if n := testing.AllocsPerRun(5, run); n > 20 {
		t.Errorf("%.0f allocations in 1000 messages", n)
	}
	b.end()
}

func residentKB(t *testing.T) int {
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Skip("no /proc here")
	}
	_, rest, _ := strings.Cut(string(status), "VmRSS:")
	kb, err := strconv.Atoi(strings.Fields(rest)[0])
	if err != nil {
		t.Fatal(err)
	}
	return kb
}

// TestMillionMessages holds a million messages of 256 octets within 600 MB, and
// the garbage collector's work at what it was.
func TestMillionMessages(t *testing.T) {
	if testing.Short() || racing.Enabled {
		t.Skip("takes half a gigabyte, and more with what the race detector adds")
	}
	debug.FreeOSMemory()
	before := residentKB(t)
	b, pubs := hotBench(t)
	b.pub = pubs[""]
	b.pub.props, _ = amqpproto.AppendPublishing(nil, &amqp.Publishing{ContentType: "application/json", DeliveryMode: 2})
	for range 1_000_000 {
		b.once()
	}
	runtime.GC()
	if kb := residentKB(t) - before; kb > 600_000 {
		t.Errorf("%d MB for a million messages", kb/1000)
	} else {
		t.Logf("%d MB, %d of them messages and their places as counted", kb/1000, b.s.memoryUsed()/1e6)
	}
	if n := b.v.queues["q"].purge(); n != 1_000_000 {
		t.Errorf("%d messages", n)
	}
	b.end()
}

func BenchmarkPushAndSettle(b *testing.B) {
	for _, exchange := range []string{"", "amq.direct", "amq.topic", "amq.fanout", "amq.headers"} {
		b.Run(exchange, func(b *testing.B) {
			t, pubs := hotBench(b)
			t.pub = pubs[exchange]
			t.pub.props, _ = amqpproto.AppendPublishing(nil, &amqp.Publishing{DeliveryMode: 1, Headers: amqp.Table{"n": "hit", "m": int64(1)}})
			for _, name := range []string{"q", "urgent"} {
				if err := t.v.queues[name].consume(&consumer{to: &taker{bench: t, quiet: true}, noAck: true}); err != nil {
					b.Fatal(err)
				}
			}
			b.ReportAllocs()
			for b.Loop() {
				t.once()
			}
		})
	}
}
