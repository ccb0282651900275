package broker

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"
)

// deliveredTo publishes messages and returns which consumers got what since the last call.
func (b *bench) deliveredTo(queue string, bodies ...string) string {
	b.t.Helper()
	for _, body := range bodies {
		b.publish("", queue, amqp.Publishing{Body: []byte(body)})
	}
	var got []string
	for _, line := range b.log {
		f := strings.Fields(line)
		got = append(got, f[0]+f[2])
	}
	b.log = nil
	return strings.Join(got, " ")
}

func (b *bench) consume(queue, tag string, k *taker, priority int32) *consumer {
	b.t.Helper()
	c := &consumer{tag: tag, to: k, noAck: k.prefetch == 0, priority: priority}
	q := b.v.queues[queue]
	if err := q.consume(c); err != nil {
		b.t.Fatal(err)
	}
	q.wake(c)
	return c
}

func want(t *testing.T, got, want string) {
	t.Helper()
	if got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestRotation(t *testing.T) {
	b := newBench(t)
	b.queue("q", nil)
	free := func() *taker { return &taker{bench: b} }
	b.consume("q", "low", free(), 0)
	b.consume("q", "a", free(), 1)
	c := b.consume("q", "b", free(), 1)
	want(t, b.deliveredTo("q", "1", "2", "3", "4"), "a1 b2 a3 b4")
	b.consume("q", "c", free(), 1)
	want(t, b.deliveredTo("q", "1", "2", "3"), "a1 b2 c3")
	c.queue.cancel(c)
	want(t, b.deliveredTo("q", "1", "2"), "a1 c2")

	one := &taker{bench: b, prefetch: 1}
	urgent := b.consume("q", "urgent", one, 7)
	want(t, b.deliveredTo("q", "1", "2", "3"), "urgent1 a2 c3")
	urgent.queue.settle(one.held[0])
	one.held = nil
	urgent.queue.wake(urgent)
	want(t, b.deliveredTo("q", "1", "2"), "urgent1 a2")
	urgent.queue.requeue(one.held)
	one.held = nil
	b.end()
}

func TestSingleActiveConsumer(t *testing.T) {
	b := newBench(t)
	q := b.queue("q", amqp.Table{"x-single-active-consumer": true})
	k := &taker{bench: b}
	a := b.consume("q", "a", k, 0)
	c := b.consume("q", "c", k, 0)
	d := b.consume("q", "d", k, 5)
	want(t, b.deliveredTo("q", "1", "2"), "a1 a2")
	wantFault(t, q.consume(&consumer{to: k, exclusive: true}), 403, "queue 'q' in vhost '/' in exclusive use")
	q.cancel(c)
	want(t, b.deliveredTo("q", "1"), "a1")
	q.cancel(a)
	if !d.active {
		t.Error("the one with the highest priority follows")
	}
	want(t, b.deliveredTo("q", "1", "2"), "d1 d2")
	k.stopped = true
	want(t, b.deliveredTo("q", "1"), "")
	q.cancel(d)
	k.stopped = false
	b.consume("q", "e", k, 0)
	want(t, b.deliveredTo("q", "2"), "e1 e2")
	b.end()
}

func TestExclusiveConsumer(t *testing.T) {
	b := newBench(t)
	q := b.queue("q", nil)
	k := &taker{bench: b}
	c := &consumer{tag: "c", to: k, exclusive: true}
	if err := q.consume(c); err != nil {
		t.Fatal(err)
	}
	wantFault(t, q.consume(&consumer{to: k}), 403, "queue 'q' in vhost '/' in exclusive use")
	q.cancel(c)
	if err := q.consume(&consumer{to: k}); err != nil {
		t.Error(err)
	}
	wantFault(t, q.consume(&consumer{to: k, exclusive: true}), 403, "queue 'q' in vhost '/' in exclusive use")
	b.end()
}

func TestAutoDeleteQueue(t *testing.T) {
	b := newBench(t)
	q, err := b.v.declareQueue(queueSpec{name: "q", autoDelete: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.pass(time.Hour)
	k := &taker{bench: b, prefetch: 5}
	first, second := b.consume("q", "a", k, 0), b.consume("q", "b", k, 0)
	b.publish("", "q", amqp.Publishing{})
	q.cancel(first)
	if q.gone {
		t.Error("deleted while one consumes")
	}
	q.cancel(second)
	if !q.gone || b.v.queues["q"] != nil {
		t.Error("the last consumer has gone, the queue has not")
	}
	for _, e := range k.held {
		q.reject(e)
	}
	b.end()
}

func TestQueueExpires(t *testing.T) {
	b := newBench(t)
	q := b.queue("q", amqp.Table{"x-expires": 1000})
	b.publish("", "q", amqp.Publishing{})
	b.pass(900 * time.Millisecond)
	if _, err := b.v.checkQueue([]byte("q"), nil); err != nil { // a passive declaration counts as a use
		t.Fatal(err)
	}
	b.pass(900 * time.Millisecond)
	k := &taker{bench: b, prefetch: 1}
	c := b.consume("q", "c", k, 0)
	b.pass(time.Hour)
	if q.gone {
		t.Fatal("deleted under its consumer")
	}
	q.cancel(c)
	q.requeue(k.held)
	b.pass(999 * time.Millisecond)
	if q.gone {
		t.Error("deleted too early")
	}
	b.pass(time.Millisecond)
	if !q.gone {
		t.Error("still there")
	}
	b.end()
}

// TestExpiryAtTheHead: messages that have expired stay in the queue behind a message that has
// not.
func TestExpiryAtTheHead(t *testing.T) {
	b := newBench(t)
	q := b.queue("q", nil)
	for i, expiration := range []string{"", "30", ""} {
		b.publish("", "q", amqp.Publishing{Body: []byte(fmt.Sprint(i)), Expiration: expiration})
	}
	b.pass(100 * time.Millisecond)
	if q.messages() != 3 {
		t.Errorf("%d messages", q.messages())
	}
	_, pub, _ := b.taken("q")
	if string(pub.Body) != "0" || q.messages() != 1 {
		t.Errorf("got %s, %d left", pub.Body, q.messages())
	}
	b.end()
}

// TestPriorityDropHead: the head is the message with the highest priority, and it is the one that
// is dropped when there is no room. RabbitMQ does so.
func TestPriorityDropHead(t *testing.T) {
	b := newBench(t)
	b.queue("q", amqp.Table{"x-max-priority": 5, "x-max-length": 3})
	for i, priority := range []uint8{1, 5, 9, 0, 2} {
		b.publish("", "q", amqp.Publishing{Body: []byte(fmt.Sprint(i)), Priority: priority})
	}
	var got string
	for {
		_, pub, ok := b.taken("q")
		if !ok {
			break
		}
		got += string(pub.Body)
	}
	want(t, got, "403")
	b.end()
}
