package broker

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// The model is the broker in its simplest form: slices that are sorted and searched. A random
// program runs on it and on the engine, and everything that clients can see must be the same
// after each step.

type modelMessage struct {
	id         int
	priority   int
	expiration int64 // ms, -1
	deaths     []modelDeath
}

type modelDeath struct {
	queue, reason string
	count         int
}

type modelEntry struct {
	*modelMessage
	order       int
	lane        int
	expires     int64
	redelivered bool
	deliveries  int
}

type modelQueue struct {
	*model
	name      string
	rules     queueRules
	entries   []modelEntry
	nextOrder int
	rotation  []*modelConsumer // unblocked ones
	all       []*modelConsumer
	single    *modelConsumer
}

type modelConsumer struct {
	name     string
	queue    *modelQueue
	priority int32
	prefetch int
	noAck    bool
	held     []modelEntry
}

type model struct {
	now    int64
	queues map[string]*modelQueue
	log    []string
	dead   []func()
	dying  bool
	hops   int
}

func (c *modelConsumer) ready() bool {
	return c.noAck || c.prefetch == 0 || len(c.held) < c.prefetch
}

func (m *model) drain() {
	if m.dying {
		return
	}
	m.dying = true
	for len(m.dead) > 0 {
		f := m.dead[0]
		m.dead = m.dead[1:]
		f()
	}
	m.dying, m.hops = false, 0
}

func (q *modelQueue) bury(msg *modelMessage, reason string) {
	target := q.model.queues[q.rules.deadKey]
	if !q.rules.deadLetters {
		return
	}
	hops := q.hops
	q.dead = append(q.dead, func() {
		q.hops = hops + 1
		if hops > len(q.queues) {
			return // round and round, behind a reject
		}
		letter := &modelMessage{id: msg.id, priority: msg.priority, expiration: -1}
		death := modelDeath{q.name, reason, 1}
		past := slices.Clone(msg.deaths)
		if len(past) > 1 {
			slices.Reverse(past) // as RabbitMQ does
		}
		for _, d := range past {
			if d.queue == q.name && d.reason == reason {
				death.count += d.count
			} else {
				letter.deaths = append(letter.deaths, d)
			}
		}
		letter.deaths = append([]modelDeath{death}, letter.deaths...)
		if reason != "rejected" {
			for _, d := range letter.deaths {
				if d.reason == "rejected" {
					break
				}
				if d.queue == target.name {
					return // round and round
				}
			}
		}
		target.take(letter)
	})
}

func (q *modelQueue) push(msg *modelMessage) bool {
	ok := q.take(msg)
	q.drain()
	return ok
}

func (q *modelQueue) take(msg *modelMessage) bool {
	r := q.rules
	if r.overflow != dropHead {
		full := r.maxLength >= 0 && int64(len(q.entries))+1 > r.maxLength
		if r.typ == &quorumType {
			full = r.maxLength >= 0 && int64(len(q.entries)) > r.maxLength
		}
		if full {
			if r.overflow == rejectPublishDLX {
				q.bury(msg, "maxlen")
			}
			return false
		}
	}
	e := modelEntry{modelMessage: msg, order: q.nextOrder}
	q.nextOrder++
	ttl := r.ttl
	if msg.expiration >= 0 && (ttl < 0 || msg.expiration < ttl) {
		ttl = msg.expiration
	}
	if ttl >= 0 {
		e.expires = q.now + ttl*1e6
	}
	if r.maxPriority > 0 {
		e.lane = min(max(msg.priority, 0), int(r.maxPriority))
	}
	if len(q.entries) == 0 {
		if c := q.turn(); c != nil {
			q.hand(c, e)
			return true
		}
	}
	q.insert(e)
	q.dropOver()
	q.expire()
	return true
}

func (q *modelQueue) insert(e modelEntry) {
	q.entries = append(q.entries, e)
	sort.SliceStable(q.entries, func(i, k int) bool {
		a, b := q.entries[i], q.entries[k]
		if a.lane != b.lane {
			return a.lane > b.lane
		}
		return a.order < b.order
	})
}

func (q *modelQueue) pop() modelEntry {
	e := q.entries[0]
	q.entries = q.entries[1:]
	return e
}

func (q *modelQueue) dropOver() {
	for q.rules.overflow == dropHead && q.rules.maxLength >= 0 && int64(len(q.entries)) > q.rules.maxLength {
		q.bury(q.pop().modelMessage, "maxlen")
	}
}

func (q *modelQueue) expire() {
	for len(q.entries) > 0 && q.entries[0].expires != 0 && q.entries[0].expires <= q.now {
		q.bury(q.pop().modelMessage, "expired")
	}
}

func (q *modelQueue) turn() *modelConsumer {
	if q.rules.sac {
		if c := q.single; c != nil && slices.Contains(q.rotation, c) {
			if c.ready() {
				return c
			}
			q.leave(c)
		}
		return nil
	}
	for len(q.rotation) > 0 {
		best := q.rotation[0]
		for _, c := range q.rotation {
			if c.priority > best.priority {
				best = c
			}
		}
		q.leave(best)
		if best.ready() {
			q.rotation = append(q.rotation, best)
			return best
		}
	}
	return nil
}

func (q *modelQueue) leave(c *modelConsumer) {
	q.rotation = slices.DeleteFunc(slices.Clone(q.rotation), func(o *modelConsumer) bool { return o == c })
}

func (q *modelQueue) hand(c *modelConsumer, e modelEntry) {
	q.log = append(q.log, fmt.Sprintf("%s gets %s", c.name, e))
	if !c.noAck {
		c.held = append(c.held, e)
	}
	if q.rules.typ == &quorumType && !c.ready() {
		q.leave(c)
	}
}

func (e modelEntry) String() string {
	return fmt.Sprintf("%d redelivered=%v/%d %v", e.id, e.redelivered, e.deliveries, e.deaths)
}

func (q *modelQueue) run() {
	for {
		q.expire()
		if len(q.entries) == 0 {
			return
		}
		c := q.turn()
		if c == nil {
			return
		}
		q.hand(c, q.pop())
	}
}

func (q *modelQueue) requeue(es []modelEntry) {
	for _, e := range es {
		e.redelivered = true
		if q.rules.typ == &quorumType {
			e.deliveries++
			e.order = q.nextOrder
			q.nextOrder++
			if q.rules.deliveryLimit >= 0 {
				e.lane = 1
				if int64(e.deliveries) > q.rules.deliveryLimit {
					q.bury(e.modelMessage, "delivery_limit")
					continue
				}
			}
		}
		q.insert(e)
	}
	if q.rules.typ == &quorumType {
		q.run()
	}
	q.dropOver()
	q.expire()
	q.run()
	q.drain()
}

func (q *modelQueue) wake(c *modelConsumer) {
	if c.ready() && !slices.Contains(q.rotation, c) {
		q.rotation = append(q.rotation, c)
	}
	q.run()
	q.drain()
}

func (q *modelQueue) cancel(c *modelConsumer) {
	q.all = slices.DeleteFunc(slices.Clone(q.all), func(o *modelConsumer) bool { return o == c })
	q.leave(c)
	if q.single == c {
		q.single = nil
		for _, o := range q.rotation {
			if q.single == nil || o.priority > q.single.priority {
				q.single = o
			}
		}
		if q.single == nil && len(q.all) > 0 {
			q.single = q.all[0]
		}
		q.run()
	}
	q.drain()
}

// pair is the engine and the model side by side.
type pair struct {
	t      *testing.T
	rng    *rand.Rand
	bench  *bench
	model  model
	names  []string
	nextID int
	takers []*pairTaker
	got    []pairHeld
}

type pairTaker struct {
	c     *consumer
	taker *taker
	model *modelConsumer
}

// pairHeld is a message that was got by basic.get.
type pairHeld struct {
	queue string
	entry entry
	model modelEntry
}

func newPair(t *testing.T, seed uint64) *pair {
	p := &pair{t: t, rng: rand.New(rand.NewPCG(seed, 1)), bench: newBench(t), model: model{queues: map[string]*modelQueue{}}}
	p.model.now = p.bench.clock.now.UnixNano()
	n := 2 + p.rng.IntN(4)
	for i := range n {
		p.names = append(p.names, fmt.Sprintf("q%d", i))
	}
	for i, name := range p.names {
		args := amqp.Table{}
		quorum := p.rng.IntN(4) == 0
		if quorum {
			args["x-queue-type"] = "quorum"
			if p.rng.IntN(2) == 0 {
				args["x-delivery-limit"] = p.rng.IntN(3)
			}
		} else if p.rng.IntN(3) == 0 {
			args["x-max-priority"] = []int{0, 1, 3, 200}[p.rng.IntN(4)]
		}
		if p.rng.IntN(2) == 0 {
			args["x-message-ttl"] = []int{0, 7 + i, 53 + i}[p.rng.IntN(3)]
		}
		if p.rng.IntN(2) == 0 {
			args["x-max-length"] = p.rng.IntN(5)
			overflows := []string{"drop-head", "reject-publish", "reject-publish-dlx"}
			if quorum {
				overflows = overflows[:2]
			}
			args["x-overflow"] = overflows[p.rng.IntN(len(overflows))]
		}
		if p.rng.IntN(4) > 0 {
			args["x-dead-letter-exchange"] = ""
			args["x-dead-letter-routing-key"] = p.names[p.rng.IntN(n)]
		}
		if p.rng.IntN(4) == 0 {
			args["x-single-active-consumer"] = true
		}
		q := p.bench.queue(name, args)
		p.model.queues[name] = &modelQueue{model: &p.model, name: name, rules: q.queueRules}
	}
	return p
}

func (p *pair) step() (what string) {
	p.advance(int64(1+p.rng.IntN(900)) * 1000)
	name := p.names[p.rng.IntN(len(p.names))]
	q, mq := p.bench.v.queues[name], p.model.queues[name]
	switch p.rng.IntN(12) {
	case 0, 1, 2, 3:
		return p.publish(q, mq)
	case 4:
		e, left, ok := q.get()
		mq.expire()
		if ok != (len(mq.entries) > 0) {
			p.t.Fatalf("get from %s: %v, the model has %d", name, ok, len(mq.entries))
		}
		if ok {
			me := mq.pop()
			mq.expire()
			if left != len(mq.entries) {
				p.t.Errorf("get from %s: %d left, the model has %d", name, left, len(mq.entries))
			}
			p.got = append(p.got, pairHeld{name, e, me})
		}
		p.model.drain()
		return "get " + name
	case 5:
		return p.consume(q, mq)
	case 6:
		return p.cancel()
	case 7, 8, 9:
		return p.settle()
	case 10:
		ms := []int64{1, 10, 60}[p.rng.IntN(3)]
		p.advance(ms * 1e6)
		return fmt.Sprint("wait ", ms)
	default:
		if p.rng.IntN(6) > 0 {
			return p.settleGot()
		}
		n := q.purge()
		if n != len(mq.entries) {
			p.t.Errorf("purged %d, the model %d", n, len(mq.entries))
		}
		mq.entries = nil
		return "purge " + name
	}
}

func (p *pair) publish(q *queue, mq *modelQueue) string {
	m := &modelMessage{id: p.nextID, priority: -1, expiration: -1}
	p.nextID++
	pub := amqp.Publishing{Body: []byte(strconv.Itoa(m.id))}
	if p.rng.IntN(2) == 0 {
		m.priority = 1 + p.rng.IntN(5)
		pub.Priority = uint8(m.priority)
	}
	if p.rng.IntN(3) == 0 {
		m.expiration = int64([]int{0, 11, 40}[p.rng.IntN(3)])
		pub.Expiration = strconv.FormatInt(m.expiration, 10)
	}
	if ok, want := p.bench.publish("", q.name, pub), mq.push(m); ok != want {
		p.t.Errorf("publish %d to %s: taken %v, the model %v", m.id, q.name, ok, want)
	}
	return fmt.Sprintf("publish %d to %s, priority %d, expiration %d", m.id, q.name, m.priority, m.expiration)
}

func (p *pair) consume(q *queue, mq *modelQueue) string {
	if len(p.takers) > 8 {
		return ""
	}
	mc := &modelConsumer{name: fmt.Sprintf("c%d", p.nextID), queue: mq, prefetch: p.rng.IntN(4),
		noAck: p.rng.IntN(4) == 0, priority: int32(p.rng.IntN(3))}
	p.nextID++
	k := &taker{bench: p.bench, prefetch: mc.prefetch}
	c := &consumer{tag: mc.name, to: k, noAck: mc.noAck, priority: mc.priority}
	if err := q.consume(c); err != nil {
		p.t.Fatal(err)
	}
	mq.all = append(mq.all, mc)
	mq.rotation = append(mq.rotation, mc)
	if mq.rules.sac && mq.single == nil {
		mq.single = mc
	}
	p.takers = append(p.takers, &pairTaker{c, k, mc})
	q.wake(c)
	mq.wake(mc)
	return fmt.Sprintf("consume %s as %s, prefetch %d, priority %d", q.name, mc.name, mc.prefetch, mc.priority)
}

func (p *pair) cancel() string {
	if len(p.takers) == 0 {
		return ""
	}
	i := p.rng.IntN(len(p.takers))
	k := p.takers[i]
	p.takers = slices.Delete(p.takers, i, i+1)
	k.c.queue.cancel(k.c)
	k.model.queue.cancel(k.model)
	k.c.queue.requeue(k.taker.held)
	k.model.queue.requeue(k.model.held)
	return "cancel and requeue " + k.model.name
}

// settle acks, requeues or rejects a part of what a consumer holds.
func (p *pair) settle() string {
	var able []*pairTaker
	for _, k := range p.takers {
		if len(k.model.held) > 0 {
			able = append(able, k)
		}
	}
	if len(able) == 0 {
		return ""
	}
	k := able[p.rng.IntN(len(able))]
	from := p.rng.IntN(len(k.model.held))
	to := from + 1 + p.rng.IntN(len(k.model.held)-from)
	es, mes := slices.Clone(k.taker.held[from:to]), slices.Clone(k.model.held[from:to])
	k.taker.held = slices.Delete(k.taker.held, from, to)
	k.model.held = slices.Delete(k.model.held, from, to)
	how := p.rng.IntN(3)
	p.giveBack(k.c.queue, k.model.queue, es, mes, how)
	k.c.queue.wake(k.c)
	k.model.queue.wake(k.model)
	return fmt.Sprintf("%s settles %v: %d", k.model.name, mes, how)
}

func (p *pair) giveBack(q *queue, mq *modelQueue, es []entry, mes []modelEntry, how int) {
	switch how {
	case 0:
		for _, e := range es {
			q.settle(e)
		}
	case 1:
		q.requeue(es)
		mq.requeue(mes)
	case 2:
		for i, e := range es {
			q.reject(e)
			mq.bury(mes[i].modelMessage, "rejected")
			mq.drain()
		}
	}
}

func (p *pair) settleGot() string {
	if len(p.got) == 0 {
		return ""
	}
	i := p.rng.IntN(len(p.got))
	h := p.got[i]
	p.got = slices.Delete(p.got, i, i+1)
	how := p.rng.IntN(3)
	p.giveBack(p.bench.v.queues[h.queue], p.model.queues[h.queue], []entry{h.entry}, []modelEntry{h.model}, how)
	return fmt.Sprintf("settle got %s: %d", h.model, how)
}

// advance lets time pass in both, from deadline to deadline.
func (p *pair) advance(ns int64) {
	end := p.model.now + ns
	for {
		at := p.bench.clock.wake
		if at.IsZero() || at.UnixNano() > end {
			break
		}
		p.model.now = max(p.model.now, at.UnixNano())
		p.bench.clock.now = time.Unix(0, p.model.now)
		p.bench.tick()
		for _, name := range p.names {
			p.model.queues[name].expire()
		}
		p.model.drain()
	}
	p.model.now = end
	p.bench.clock.now = time.Unix(0, end)
}

// compare looks at everything.
func (p *pair) compare() {
	p.t.Helper()
	if got, want := strings.Join(p.bench.log, "\n"), strings.Join(p.model.log, "\n"); got != want {
		p.t.Errorf("deliveries:\n%s\nthe model has:\n%s", got, want)
	}
	p.bench.log, p.model.log = nil, nil
	for _, name := range p.names {
		q, mq := p.bench.v.queues[name], p.model.queues[name]
		var want []string
		for _, e := range mq.entries {
			want = append(want, e.String())
		}
		if got := p.bench.ready(q); !slices.Equal(got, want) {
			p.t.Errorf("%s holds\n%s\nthe model has\n%s", name, strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
	}
}

func TestModel(t *testing.T) {
	programs, steps := 400, 150
	if testing.Short() {
		programs = 60
	}
	for seed := range uint64(programs) {
		p := newPair(t, seed)
		var program []string
		for range steps {
			program = append(program, p.step())
			p.compare()
			if t.Failed() {
				for _, name := range p.names {
					program = append([]string{fmt.Sprintf("%s %+v", name, p.model.queues[name].rules)}, program...)
				}
				t.Fatalf("seed %d:\n%s", seed, strings.Join(program, "\n"))
			}
		}
		p.bench.end()
	}
}

// deathsOf reads x-death as the model knows it.
func deathsOf(t *testing.T, props []byte) (deaths []modelDeath) {
	var p amqpproto.Properties
	if _, err := p.Decode(props); err != nil {
		t.Fatal(err)
	}
	f, _ := p.Headers.Lookup("x-death")
	if err := f.Each(func(f amqpproto.Field) bool {
		d := readDeath(f)
		deaths = append(deaths, modelDeath{string(d.queue), string(d.reason), int(d.count)})
		return true
	}); err != nil {
		t.Fatal(err)
	}
	return deaths
}
