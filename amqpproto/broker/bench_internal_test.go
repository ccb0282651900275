package broker

import (
	"fmt"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker/backlog"
)

// clock is a Host whose time is a field.
type clock struct {
	now  time.Time
	wake time.Time // the earliest that was asked for; zero = never
}

func (c *clock) Now() time.Time { return c.now }

func (c *clock) WakeAt(t time.Time) {
	if c.wake.IsZero() || t.Before(c.wake) {
		c.wake = t
	}
}

func (c *clock) Post(fn func())          { fn() }
func (c *clock) Offload(fn, done func()) { fn(); done() }
func (c *clock) Note(Event)              {}

// bench is a broker without clients: tests call its exchanges and queues.
type bench struct {
	t     testing.TB
	clock *clock
	s     *Server
	v     *vhost
	pub   publishing
	route []*queue
	log   []string
}

func newBench(t testing.TB) *bench {
	b := &bench{t: t, clock: &clock{now: time.Unix(1_700_000_000, 0)}}
	var err error
	if b.s, err = New(Options{}, b.clock); err != nil {
		t.Fatal(err)
	}
	b.v = b.s.vhosts["/"]
	return b
}

func rawTable(t testing.TB, table amqp.Table) amqpproto.RawTable {
	raw, err := amqpproto.AppendTable(nil, table)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// queue declares a durable queue.
func (b *bench) queue(name string, args amqp.Table) *queue {
	b.t.Helper()
	q, err := b.v.declareQueue(queueSpec{name: name, durable: true, args: rawTable(b.t, args)}, nil)
	if err != nil {
		b.t.Fatal(err)
	}
	return q
}

func (b *bench) exchange(name, kind string, args amqp.Table) *exchange {
	b.t.Helper()
	x, err := b.v.declareExchange(exchangeSpec{name: name, kind: kind, args: rawTable(b.t, args)})
	if err != nil {
		b.t.Fatal(err)
	}
	return x
}

func (b *bench) bind(queue, exchange, key string, args amqp.Table) {
	b.t.Helper()
	if err := b.v.bindQueue([]byte(queue), []byte(exchange), []byte(key), rawTable(b.t, args), nil); err != nil {
		b.t.Fatal(err)
	}
}

// publish routes and pushes; ok is false if a queue refused.
func (b *bench) publish(exchange, key string, pub amqp.Publishing) (ok bool) {
	b.t.Helper()
	props, err := amqpproto.AppendPublishing(nil, &pub)
	if err != nil {
		b.t.Fatal(err)
	}
	b.pub.exchange, b.pub.key, b.pub.props, b.pub.body = []byte(exchange), []byte(key), props, pub.Body
	if err := b.pub.parse(); err != nil {
		b.t.Fatal(err)
	}
	if err := b.pub.check(); err != nil {
		b.t.Fatal(err)
	}
	return b.push()
}

// push sends b.pub on.
func (b *bench) push() (ok bool) {
	x := b.v.exchange(b.pub.exchange)
	b.route = b.v.route(x, &b.pub, b.route[:0])
	m := b.s.newMessage(&b.pub)
	b.s.storeMessage(m, b.route)
	ok = true
	for _, q := range b.route {
		ok = q.push(m) && ok
	}
	b.s.release(m)
	return ok
}

// show is an entry as the model shows it.
func (b *bench) show(e entry) string {
	p := b.s.view(e.msg)
	t, _ := b.t.(*testing.T)
	return fmt.Sprintf("%s redelivered=%v/%d %v", p.body, e.redelivered, e.deliveries, deathsOf(t, p.props))
}

// ready shows what a queue holds, in the order in which it would go.
func (b *bench) ready(q *queue) (list []string) {
	for _, e := range b.sorted(q) {
		list = append(list, b.show(e))
	}
	return list
}

func (b *bench) sorted(q *queue) (list []entry) {
	// By taking and putting back, which is what the order is about; the numbers
	// are untouched.
	var cells []backlog.Cell
	var lanes []int
	for q.backlog.Len() > 0 {
		lanes = append(lanes, q.backlog.Top())
		cells = append(cells, q.backlog.Pop(&b.s.blocks))
		list = append(list, b.s.entryOf(cells[len(cells)-1]))
	}
	for i, c := range cells {
		q.backlog.Append(lanes[i], c, &b.s.blocks)
	}
	return list
}

// tick is a turn of the loop at the time that was asked for.
func (b *bench) tick() {
	b.clock.wake = time.Time{}
	if next := b.s.tickEngine(b.clock.now.UnixNano()); next != 0 {
		b.clock.WakeAt(time.Unix(0, next))
	}
}

// pass lets time pass.
func (b *bench) pass(d time.Duration) {
	end := b.clock.now.Add(d)
	for !b.clock.wake.IsZero() && !b.clock.wake.After(end) {
		if b.clock.wake.After(b.clock.now) {
			b.clock.now = b.clock.wake
		}
		b.tick()
	}
	b.clock.now = end
}

// end deletes all queues and looks for what is left over. What tests hold has
// to be given back before.
func (b *bench) end() {
	b.t.Helper()
	unacked := b.s.unacked
	for _, q := range b.v.queues {
		q.delete()
	}
	b.s.drain()
	for len(b.s.slice.chores) > 0 {
		b.s.refill(b.s.now())
		b.s.runChores()
	}
	if b.s.messages != 0 || unacked == 0 && (b.s.memory != 0 || b.s.arena.Live() != 0) {
		b.t.Errorf("after all queues have gone: %d messages, %d octets, %d in the arena", b.s.messages, b.s.memory, b.s.arena.Live())
	}
	if len(b.s.timers) != 0 {
		b.t.Errorf("%d timers of queues that have gone", len(b.s.timers))
	}
}

// taker is a channel with one consumer, or several with one prefetch.
type taker struct {
	bench    *bench
	prefetch int // 0 = no limit
	held     []entry
	quiet    bool
	stopped  bool
	ended    []string
}

func (k *taker) ready(c *consumer) bool {
	return !k.stopped && (c.noAck || k.prefetch == 0 || len(k.held) < k.prefetch)
}

func (k *taker) deliver(c *consumer, e entry) {
	if !k.quiet {
		k.bench.log = append(k.bench.log, c.tag+" gets "+k.bench.show(e))
	}
	if c.noAck {
		c.queue.settle(e)
		return
	}
	k.held = append(k.held, e)
}

func (k *taker) cancelled(c *consumer) { k.ended = append(k.ended, c.tag) }
