package durability_test

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"zamqp/tests/kit/amqpclient"
)

const (
	exchange = "durability"
	queue    = "durability.work"
	receipts = "durability.receipts" // what the consumer publishes behind its acks
	prefetch = 100
)

// Kinds of messages, the first letter of their names.
const (
	persistent = "p"
	transient  = "t"
	committed  = "c"
	receipt    = "r"
)

// name is unique, and sorts in the order of publishing within a kind.
func name(kind string, cycle, n int) string { return fmt.Sprintf("%s-%04d-%07d", kind, cycle, n) }

const nameLength = len("p-0000-0000000")

// ledger is what the clients know about every message, over all lives of the broker.
type ledger struct {
	t  *testing.T
	mu sync.Mutex

	confirmed map[string]bool
	delivered map[string]bool // to a client that has read it
	acked     map[string]bool // an ack was written: it may have come to the broker, or not
	surely    map[string]bool // and something behind the ack was confirmed

	deliveries, redeliveries, early int
}

func newLedger(t *testing.T) *ledger {
	return &ledger{t: t, confirmed: map[string]bool{}, delivered: map[string]bool{}, acked: map[string]bool{}, surely: map[string]bool{}}
}

func (l *ledger) confirm(ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.confirmed[id] = true
	}
}

// settle notes acks: written ones, or those that are known to have come.
func (l *ledger) settle(surely bool, ids ...string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, id := range ids {
		l.acked[id] = true
		if surely {
			l.surely[id] = true
		}
	}
}

// arrival checks a delivery against everything that is known about its message. seen are the
// messages of the same connection, and last is the previous one of each kind.
func (l *ledger) arrival(d *amqp.Delivery, cycle int, seen map[string]bool, last map[string]string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	id := string(d.Body[:min(len(d.Body), nameLength)])
	kind := id[:1]
	fail := func(format string, args ...any) {
		l.t.Errorf("%s in cycle %d: "+format, append([]any{id, cycle}, args...)...)
	}
	switch {
	case l.surely[id]:
		fail("had been acked")
	case seen[id]:
		fail("came twice on one connection")
	case id < last[kind]:
		fail("came after %s", last[kind])
	case kind == transient && !strings.HasPrefix(id, name(transient, cycle, 0)[:7]):
		fail("was transient and came back")
	case l.delivered[id] && !d.Redelivered:
		fail("had been delivered, and has no flag redelivered")
	}
	if d.Redelivered && !l.delivered[id] {
		l.early++
	}
	if d.Redelivered {
		l.redeliveries++
	}
	l.deliveries++
	seen[id], l.delivered[id], last[kind] = true, true, id
}

// drain takes the remaining messages, and reports missing ones.
func (l *ledger) drain(url string, lives int) {
	ch, done := amqpclient.Open(l.t, url)
	defer done()
	seen, last := map[string]bool{}, map[string]string{}
	for {
		d, ok, err := ch.Get(queue, true)
		if err != nil {
			l.t.Fatal(err)
		}
		if !ok {
			break
		}
		l.arrival(&d, 9999, seen, last)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	missing := 0
	for id := range l.confirmed {
		if !seen[id] && !l.acked[id] && id[:1] != transient {
			if missing++; missing < 10 {
				l.t.Errorf("%s was confirmed and never acked, and is lost", id)
			}
		}
	}
	if missing > 0 {
		l.t.Errorf("%d messages are lost", missing)
	}
	// What was written to a client that was not read before the end may be flagged
	// as well, but that is no more than was under way.
	if most := (prefetch + 1) * lives; l.early > most {
		l.t.Errorf("%d messages are flagged redelivered that had not come to a client, at most %d could have been under way", l.early, most)
	}
}

func (l *ledger) summary() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return fmt.Sprintf("%d confirmed, %d deliveries, %d of them redelivered (%d of these had not come to a client before), %d acked, %d of them surely",
		len(l.confirmed), l.deliveries, l.redeliveries, l.early, len(l.acked), len(l.surely))
}

// work is the clients of one life of the broker.
type work struct {
	t     *testing.T
	l     *ledger
	cycle int
	done  sync.WaitGroup
}

// begin connects and starts publishing and consuming, until the broker is gone.
func begin(t *testing.T, l *ledger, url string, cycle int) *work {
	t.Helper()
	w := &work{t: t, l: l, cycle: cycle}
	conns := make([]*amqp.Connection, 3)
	channels := make([]*amqp.Channel, len(conns))
	for i := range conns {
		var err error
		if conns[i], err = amqp.Dial(url); err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
		if channels[i], err = conns[i].Channel(); err != nil {
			t.Fatalf("cycle %d: %v", cycle, err)
		}
	}
	if err := w.topology(channels[0]); err != nil {
		t.Fatalf("cycle %d: %v", cycle, err)
	}
	for i, run := range []func(*amqp.Channel){w.publish, w.transact, w.consume} {
		w.done.Go(func() {
			run(channels[i])
			_ = conns[i].Close() // the broker has been killed
		})
	}
	return w
}

// topology is declared in the first cycle and only asked for later: it must
// have survived.
func (w *work) topology(ch *amqp.Channel) error {
	if w.cycle > 0 {
		for _, q := range []string{queue, receipts} {
			if _, err := ch.QueueDeclarePassive(q, true, false, false, false, nil); err != nil {
				return err
			}
		}
		return ch.ExchangeDeclarePassive(exchange, "topic", true, false, false, false, nil)
	}
	if err := ch.ExchangeDeclare(exchange, "topic", true, false, false, false, nil); err != nil {
		return err
	}
	for _, q := range []string{queue, receipts} {
		// Receipts are wanted for their confirms only.
		args := amqp.Table{}
		if q == receipts {
			args["x-max-length"] = 10
		}
		if _, err := ch.QueueDeclare(q, true, false, false, false, args); err != nil {
			return err
		}
		if err := ch.QueueBind(q, q+".#", exchange, false, nil); err != nil {
			return err
		}
	}
	return nil
}

// wait returns when all clients have noticed the end.
func (w *work) wait() {
	ended := make(chan struct{})
	go func() { w.done.Wait(); close(ended) }()
	select {
	case <-ended:
	case <-time.After(time.Minute):
		w.t.Fatal("the clients do not end though the broker is gone")
	}
}
