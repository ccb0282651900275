package broker_test

import (
	"bytes"
	"os"
	"strconv"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/tests/kit/crashfs"
	"zamqp/tests/kit/wiretest"
)

// crowd is a broker whose turns a test makes one by one, so that it can count
// what happens in each.
type crowd struct {
	t      testing.TB
	server *broker.Server
	now    time.Time
	wake   time.Time // zero = Tick is not asked for
	posted []func()
	peers  []*crowdPeer
	hold   bool     // the disk does nothing
	held   []func() // what it should do
	gauges func() []int
	most   int // the largest change of a gauge in one turn
	turns  int

	options broker.Options
}

func newCrowd(t testing.TB, o broker.Options) *crowd {
	t.Helper()
	c := &crowd{t: t, now: time.Unix(1_700_000_000, 0)}
	o.OutputMax = 1 << 30
	o.MemoryMax = 1 << 40
	o.BindingsMax, o.ConsumersMax, o.QueuesMax = 10_000_000, 10_000_000, 10_000_000
	c.options = o
	var err error
	if c.server, err = broker.New(o, c); err != nil {
		t.Fatal(err)
	}
	return c
}

func (c *crowd) Now() time.Time    { return c.now }
func (c *crowd) Note(broker.Event) {}
func (c *crowd) Post(fn func())    { c.posted = append(c.posted, fn) }
func (c *crowd) WakeAt(t time.Time) {
	if c.wake.IsZero() || t.Before(c.wake) {
		c.wake = t
	}
}
func (c *crowd) Offload(fn, done func()) {
	work := func() { fn(); done() }
	if c.hold {
		c.held = append(c.held, work)
		return
	}
	c.Post(work)
}

// turn is one turn of the loop; false says that there is nothing to do now.
func (c *crowd) turn() (busy bool) {
	var before []int
	if c.gauges != nil {
		before = c.gauges()
	}
	c.now = c.now.Add(time.Microsecond)
	for _, p := range c.peers {
		busy = p.feed() || busy
	}
	if !c.wake.IsZero() && !c.wake.After(c.now) {
		busy = true
		c.wake = time.Time{}
		if next := c.server.Tick(c.now); !next.IsZero() {
			c.WakeAt(next)
		}
	}
	posted := c.posted
	c.posted = nil
	for _, fn := range posted {
		busy = true
		fn()
	}
	for _, p := range c.peers {
		busy = p.flush() || busy
	}
	c.turns++
	if before != nil {
		for i, n := range c.gauges() {
			c.most = max(c.most, n-before[i], before[i]-n)
		}
	}
	return busy
}

// settle makes turns until nothing is left to do now.
func (c *crowd) settle() {
	c.t.Helper()
	for range 10_000_000 {
		if !c.turn() {
			return
		}
	}
	c.t.Fatal("turns without end")
}

// watch counts from here on.
func (c *crowd) watch(gauges func() []int) {
	c.gauges, c.most, c.turns = gauges, 0, 0
}

// ready is how many messages wait in a queue.
func (c *crowd) ready(queue string) int {
	for _, q := range c.server.QueueStats(1 << 20) {
		if q.Name == queue {
			return q.Messages
		}
	}
	return 0
}

// crowdPeer is a client of a crowd.
type crowdPeer struct {
	c    *crowd
	conn *broker.Conn
	wire *wiretest.Wire
	in   []byte
	out  []byte // the last of what came
	gone bool

	bodies  map[int]string // that came since expect
	unacked map[uint64]int // by delivery tag, the numbers that are the bodies
	tag     uint64         // of the delivery at hand

	recovers bool // until recover-ok comes

	sink  func(out []byte) // takes what comes
	wrote int              // octets in this turn
	came  int              // octets of a large body that have come
}

func (c *crowd) open() *crowdPeer {
	p := &crowdPeer{c: c, wire: wiretest.NewWire()}
	p.conn = c.server.Connect(p.wire, nil)
	c.peers = append(c.peers, p)
	p.in = []byte(amqpproto.ProtocolHeader)
	c.settle()
	p.say(0, &amqpproto.ConnectionStartOk{Mechanism: []byte("PLAIN"), Response: []byte("\x00guest\x00guest"), Locale: []byte("en_US")})
	c.settle()
	p.say(0, &amqpproto.ConnectionTuneOk{ChannelMax: 2047, FrameMax: 131072})
	p.say(0, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")})
	p.say(1, &amqpproto.ChannelOpen{})
	c.settle()
	return p
}

// say has a method fed in the next turns.
func (p *crowdPeer) say(channel uint16, m amqpproto.Method) {
	p.c.t.Helper()
	var err error
	if p.in, err = amqpproto.AppendMethod(p.in, channel, m); err != nil {
		p.c.t.Fatal(err)
	}
}

// do is say, and all that follows from it.
func (p *crowdPeer) do(m amqpproto.Method) {
	p.c.t.Helper()
	p.say(1, m)
	p.c.settle()
}

// feed gives the broker what a loop would give it in one turn.
func (p *crowdPeer) feed() (busy bool) {
	if p.gone || len(p.in) == 0 {
		return false
	}
	n, err := p.conn.Feed(p.in[:min(len(p.in), 64<<10)])
	if err != nil {
		p.c.t.Fatal(err)
	}
	p.in = p.in[n:]
	return n > 0
}

func (p *crowdPeer) flush() (busy bool) {
	if p.gone {
		return false
	}
	out := p.conn.Pending()
	p.wrote += len(out)
	if p.sink != nil {
		p.sink(out)
		p.conn.Sent(len(out))
		return len(out) > 0
	}
	p.out = append(p.out, out...)
	if p.unacked != nil {
		p.track()
	} else if p.bodies != nil {
		p.listen()
	} else if len(p.out) > 1<<20 {
		p.out = append(p.out[:0], p.out[len(p.out)-1<<16:]...)
	}
	p.conn.Sent(len(out))
	return false
}

// heard says whether the last thing that came is m.
func (p *crowdPeer) heard(m amqpproto.Method) {
	p.c.t.Helper()
	want, err := amqpproto.AppendMethod(nil, 1, m)
	if err != nil {
		p.c.t.Fatal(err)
	}
	if !bytes.HasSuffix(p.out, want) {
		p.c.t.Errorf("the last that came is %q, want %q", p.out[max(0, len(p.out)-len(want)):], want)
	}
}

// publish has n messages published.
func (p *crowdPeer) publish(n int, key string, properties amqpproto.Properties) {
	p.c.t.Helper()
	const several = 100
	var b []byte
	for i := range several {
		b = append(b, publication(p.c.t, 1, "", key, strconv.Itoa(i), properties, false)...)
	}
	for range n / several {
		p.in = append(p.in, b...)
	}
	p.c.settle()
}

func (p *crowdPeer) declare(queue string, args amqp.Table, durable bool) {
	p.c.t.Helper()
	p.do(&amqpproto.QueueDeclare{Queue: []byte(queue), Durable: durable, Arguments: table(args)})
}

// massItems is the number of items of an operation.
func massItems(t testing.TB) int {
	switch {
	case os.Getenv("ZAMQP_TEST_LONG") != "":
		return 1_000_000
	case testing.Short() || broker.RaceDetector:
		return 20_000
	}
	return 100_000
}

// mass is an operation on very many items.
type mass struct {
	name string
	most int
	run  func(c *crowd, n int) (check func())
}

// masses are the operations whose work a client can make large. Each makes n
// items, then begins; most is the largest change of a gauge in one turn.
var masses = []mass{
	{"expiry to a dead-letter exchange", 400, func(c *crowd, n int) func() {
		p := c.open()
		p.declare("dead", nil, false)
		p.declare("q", amqp.Table{"x-message-ttl": 60_000, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}, false)
		p.publish(n, "q", amqpproto.Properties{})
		c.watch(func() []int { return []int{c.ready("q"), c.ready("dead")} })
		c.now = c.now.Add(time.Minute)
		p.say(1, &amqpproto.BasicGet{Queue: []byte("q")}) // gets nothing that has expired
		return func() {
			p.heard(&amqpproto.BasicGetEmpty{})
			if c.ready("q") != 0 || c.ready("dead") != n {
				c.t.Errorf("%d are left, %d are dead letters", c.ready("q"), c.ready("dead"))
			}
		}
	}},
	{"expiry", 2 * 8192, func(c *crowd, n int) func() {
		p := c.open()
		p.declare("q", amqp.Table{"x-message-ttl": 60_000}, false)
		p.publish(n, "q", amqpproto.Properties{})
		c.watch(func() []int { return []int{c.ready("q")} })
		c.now = c.now.Add(time.Minute)
		p.say(1, &amqpproto.BasicGet{Queue: []byte("q")})
		return func() { p.heard(&amqpproto.BasicGetEmpty{}) }
	}},
	{"one message that drives all others out", 400, func(c *crowd, n int) func() {
		p := c.open()
		p.declare("dead", nil, false)
		p.declare("q", amqp.Table{"x-max-length-bytes": 10 * n, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}, false)
		p.publish(n, "q", amqpproto.Properties{})
		c.watch(func() []int { return []int{c.ready("q"), c.ready("dead")} })
		p.in = publication(c.t, 1, "", "q", string(make([]byte, 10*n)), amqpproto.Properties{}, false)
		for len(p.in) > 0 {
			if took, err := p.conn.Feed(p.in); took == 0 || err != nil {
				c.t.Fatal(took, err)
			} else {
				p.in = p.in[took:]
			}
		}
		p.say(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true})
		return func() {
			p.heard(&amqpproto.QueueDeclareOk{Queue: []byte("q"), MessageCount: 1})
			if c.ready("dead") != n {
				c.t.Errorf("%d of %d are dead letters", c.ready("dead"), n)
			}
		}
	}},
	{"close of a connection with unacked messages", 2500, func(c *crowd, n int) func() {
		p, other := c.unacked(n)
		p.say(0, &amqpproto.ConnectionClose{ReplyCode: 200})
		return func() {
			other.expect("q", n)
			if !bytes.HasSuffix(p.out, []byte("\x01\x00\x00\x00\x00\x00\x04\x00\x0a\x00\x33\xce")) {
				c.t.Errorf("no connection.close-ok: %q", p.out[len(p.out)-20:])
			}
		}
	}},
	{"loss of a connection with unacked messages", 2500, func(c *crowd, n int) func() {
		p, other := c.unacked(n)
		p.gone = true
		p.conn.Lost(nil)
		return func() { other.expect("q", n) }
	}},
	{"close of a channel with unacked messages", 2500, func(c *crowd, n int) func() {
		p, other := c.unacked(n)
		p.say(1, &amqpproto.ChannelClose{ReplyCode: 200})
		p.say(1, &amqpproto.ChannelOpen{}) // waits until the number is free
		return func() {
			p.heard(&amqpproto.ChannelOpenOk{})
			other.expect("q", n)
		}
	}},
	{"basic.recover", 2500, func(c *crowd, n int) func() {
		p, other := c.unacked(n)
		p.say(1, &amqpproto.BasicCancel{ConsumerTag: []byte("all")})
		p.say(1, &amqpproto.BasicRecover{Requeue: true})
		return func() { other.expect("q", n) }
	}},
	{"nack of many that go back", 2500, func(c *crowd, n int) func() {
		p, other := c.unacked(n)
		p.say(1, &amqpproto.BasicCancel{ConsumerTag: []byte("all")})
		p.say(1, &amqpproto.BasicNack{DeliveryTag: uint64(n - 10), Multiple: true, Requeue: true})
		p.say(1, &amqpproto.QueueDeclare{Queue: []byte("q"), Passive: true}) // after it
		return func() {
			p.heard(&amqpproto.QueueDeclareOk{Queue: []byte("q"), MessageCount: uint32(n - 10)})
			p.say(0, &amqpproto.ConnectionClose{ReplyCode: 200})
			c.settle()
			other.expect("q", n)
		}
	}},
	{"nack of many to a dead-letter exchange", 400, func(c *crowd, n int) func() {
		p, other := c.unacked(n)
		p.say(1, &amqpproto.BasicNack{Multiple: true})
		return func() { other.expect("dead", n) }
	}},
	{"ack of many", 2 * 8192, func(c *crowd, n int) func() {
		p, _ := c.unacked(n)
		p.say(1, &amqpproto.BasicAck{DeliveryTag: uint64(n), Multiple: true})
		p.feed()
		p.gone = true
		p.conn.Lost(nil) // what it acked before stays acked
		return func() {
			if st := c.server.Stats(); st.Messages+st.Unacked != 0 {
				c.t.Errorf("%d messages came back", st.Messages+st.Unacked)
			}
		}
	}},
	{"requeue into a queue that has become too short", 2500, func(c *crowd, n int) func() {
		p, other := c.unacked(n)
		p.say(1, &amqpproto.BasicCancel{ConsumerTag: []byte("all")})
		other.publish(n, "q", amqpproto.Properties{}) // max-length is n
		p.say(1, &amqpproto.BasicNack{Multiple: true, Requeue: true})
		return func() {
			other.expect("dead", n)
			if c.ready("q") != n {
				c.t.Errorf("%d ready, want %d", c.ready("q"), n)
			}
		}
	}},
	{"purge", 2 * 8192, func(c *crowd, n int) func() {
		p, other := c.full(n, false)
		p.say(1, &amqpproto.QueuePurge{Queue: []byte("q")})
		c.turn()
		other.publish(100, "q", amqpproto.Properties{})
		return func() {
			p.heard(&amqpproto.QueuePurgeOk{MessageCount: uint32(n)})
			other.expect("q", 100)
		}
	}},
	{"deletion of a queue with messages", 2 * 8192, func(c *crowd, n int) func() {
		p, other := c.full(n, false)
		p.say(1, &amqpproto.QueueDelete{Queue: []byte("q")})
		c.turn()
		other.declare("q", nil, false)
		other.publish(100, "q", amqpproto.Properties{})
		return func() {
			p.heard(&amqpproto.QueueDeleteOk{MessageCount: uint32(n)})
			other.expect("q", 100)
		}
	}},
	{"deletion of a durable queue with messages", 2 * 8192, func(c *crowd, n int) func() {
		p, _ := c.full(n, true)
		p.say(1, &amqpproto.QueueDelete{Queue: []byte("q")})
		return func() { p.heard(&amqpproto.QueueDeleteOk{MessageCount: uint32(n)}) }
	}},
	{"purge of a durable queue", 2 * 8192, func(c *crowd, n int) func() {
		p, _ := c.full(n, true)
		p.say(1, &amqpproto.QueuePurge{Queue: []byte("q")})
		return func() { p.heard(&amqpproto.QueuePurgeOk{MessageCount: uint32(n)}) }
	}},
	{"deletion of a queue with bindings to a direct exchange", 1100, func(c *crowd, n int) func() {
		return c.unbind(n, "direct", func(i int) (string, amqp.Table) { return "key", amqp.Table{"i": int32(i)} })
	}},
	{"deletion of a queue with bindings to a topic exchange", 1100, func(c *crowd, n int) func() {
		return c.unbind(n, "topic", func(i int) (string, amqp.Table) { return "a." + strconv.Itoa(i) + ".#", nil })
	}},
	{"deletion of a queue with bindings to a headers exchange", 1100, func(c *crowd, n int) func() {
		return c.unbind(n, "headers", func(i int) (string, amqp.Table) { return "", amqp.Table{"i": int32(i)} })
	}},
	{"deletion of an exchange with bindings", 1100, func(c *crowd, n int) func() {
		c.unbind(n, "fanout", func(i int) (string, amqp.Table) { return strconv.Itoa(i), nil })
		p := c.peers[0]
		p.in = nil
		p.say(1, &amqpproto.ExchangeDelete{Exchange: []byte("x")})
		p.say(1, &amqpproto.ExchangeDeclare{Exchange: []byte("x"), Type: []byte("topic")})
		return func() {
			p.heard(&amqpproto.ExchangeDeclareOk{})
			if left := c.server.Stats().Bindings; left != 0 {
				c.t.Errorf("%d bindings are left", left)
			}
		}
	}},
	{"deletion of a queue with consumers", 1100, func(c *crowd, n int) func() {
		p, other := c.consumers(n)
		other.say(1, &amqpproto.QueueDelete{Queue: []byte("q")})
		_ = p
		return func() {
			other.heard(&amqpproto.QueueDeleteOk{})
			if left := c.server.Stats().Consumers; left != 0 {
				c.t.Errorf("%d consumers are left", left)
			}
		}
	}},
	{"close of a connection with consumers", 1100, func(c *crowd, n int) func() {
		p, _ := c.consumers(n)
		p.say(0, &amqpproto.ConnectionClose{ReplyCode: 200})
		return func() {
			if left := c.server.Stats().Consumers; left != 0 {
				c.t.Errorf("%d consumers are left", left)
			}
		}
	}},
	{"close of a connection with exclusive queues", 1100, func(c *crowd, n int) func() {
		p := c.open()
		n = min(n, 50_000)
		for range n {
			p.say(1, &amqpproto.QueueDeclare{Exclusive: true, NoWait: true})
		}
		c.settle()
		c.watch(func() []int { return []int{c.server.Stats().Queues} })
		p.say(0, &amqpproto.ConnectionClose{ReplyCode: 200})
		return func() {
			if left := c.server.Stats().Queues; left != 0 {
				c.t.Errorf("%d queues are left", left)
			}
		}
	}},
	{"delivery of all there is", 2*2048 + 100, func(c *crowd, n int) func() {
		p, _ := c.full(n, false)
		c.watch(func() []int { return []int{c.ready("q")} })
		p.say(1, &amqpproto.BasicConsume{Queue: []byte("q"), NoAck: true})
		return func() {
			if left := c.ready("q"); left != 0 {
				c.t.Errorf("%d messages are left", left)
			}
		}
	}},
}

// full makes a queue q with n messages, and two connections. How many messages
// are forgotten in a turn is counted by the memory that they take.
func (c *crowd) full(n int, durable bool) (p, other *crowdPeer) {
	c.t.Helper()
	p, other = c.open(), c.open()
	p.declare("q", nil, durable)
	other.publish(n, "q", amqpproto.Properties{DeliveryMode: 2})
	each := int(c.server.Stats().Memory) / n
	c.watch(func() []int { return []int{int(c.server.Stats().Memory) / each} })
	return p, other
}

// unbind deletes a queue with n bindings. In that time it is declared again, and messages to
// the exchange go only to the new one.
func (c *crowd) unbind(n int, kind string, binding func(i int) (key string, args amqp.Table)) (check func()) {
	c.t.Helper()
	p, other := c.open(), c.open()
	p.do(&amqpproto.ExchangeDeclare{Exchange: []byte("x"), Type: []byte(kind)})
	p.declare("q", nil, false)
	for i := range n {
		key, args := binding(i)
		p.say(1, &amqpproto.QueueBind{Queue: []byte("q"), Exchange: []byte("x"), RoutingKey: []byte(key), Arguments: table(args), NoWait: true})
	}
	c.settle()
	if got := c.server.Stats().Bindings; got != n {
		c.t.Fatalf("%d bindings, want %d", got, n)
	}
	c.watch(func() []int { return []int{c.server.Stats().Bindings} })
	p.say(1, &amqpproto.QueueDelete{Queue: []byte("q")})
	if len(c.peers) > 0 && kind == "fanout" {
		return nil
	}
	c.turn()
	key, args := binding(n / 2)
	other.in = append(other.in, publication(c.t, 1, "x", key, "nowhere", amqpproto.Properties{}, true)...)
	other.say(1, &amqpproto.QueueDeclare{Queue: []byte("q")})
	other.say(1, &amqpproto.QueueBind{Queue: []byte("q"), Exchange: []byte("x"), RoutingKey: []byte(key), Arguments: table(args)})
	return func() {
		p.heard(&amqpproto.QueueDeleteOk{})
		other.heard(&amqpproto.QueueBindOk{})
		if st := c.server.Stats(); st.Bindings != 1 || st.Returned != 1 {
			c.t.Errorf("%d bindings, %d returned, want 1 and 1", st.Bindings, st.Returned)
		}
	}
}

// consumers makes a connection that consumes n times from q, and another one.
func (c *crowd) consumers(n int) (p, other *crowdPeer) {
	c.t.Helper()
	p, other = c.open(), c.open()
	p.declare("q", nil, false)
	for range n {
		p.say(1, &amqpproto.BasicConsume{Queue: []byte("q"), NoWait: true})
	}
	c.settle()
	c.watch(func() []int { return []int{c.server.Stats().Consumers} })
	return p, other
}

// unacked makes a connection that has n messages of the queue q unacked, and
// another one.
func (c *crowd) unacked(n int) (p, other *crowdPeer) {
	c.t.Helper()
	p, other = c.open(), c.open()
	other.declare("dead", nil, false)
	other.declare("q", amqp.Table{"x-max-length": n, "x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}, false)
	p.do(&amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("all")})
	other.publish(n, "q", amqpproto.Properties{})
	if st := c.server.Stats(); st.Unacked != n {
		c.t.Fatalf("%d unacked, want %d", st.Unacked, n)
	}
	c.watch(func() []int { return []int{c.server.Stats().Unacked, c.ready("dead")} })
	return p, other
}

// expect gets all n messages of a queue in the order of their publishing.
func (p *crowdPeer) expect(queue string, n int) {
	p.c.t.Helper()
	if ready := p.c.ready(queue); ready != n {
		p.c.t.Fatalf("%d are in %s, want %d", ready, queue, n)
	}
	p.bodies = map[int]string{}
	p.do(&amqpproto.BasicConsume{Queue: []byte(queue), NoAck: true})
	for i := range n {
		if want := strconv.Itoa(i % 100); p.bodies[i] != want {
			p.c.t.Fatalf("message %d is %q, want %q", i, p.bodies[i], want)
		}
	}
}

// listen takes the bodies out of what came.
func (p *crowdPeer) listen() {
	for {
		f, n, err := amqpproto.CutFrame(p.out, 0)
		if n == 0 || err != nil {
			return
		}
		if f.Type == amqpproto.FrameBody {
			p.bodies[len(p.bodies)] = string(f.Payload)
		}
		p.out = p.out[n:]
	}
}

// TestMasses limits how much of a large operation is done in one turn of the loop. The limit
// does not depend on the number of items.
func TestMasses(t *testing.T) {
	for _, m := range append(masses, moreMasses...) {
		t.Run(m.name, func(t *testing.T) {
			n := massItems(t)
			c := newCrowd(t, broker.Options{DataDir: "data", Files: crashfs.New()})
			check := m.run(c, n)
			c.settle()
			if c.most > m.most {
				t.Errorf("%d of %d items in one turn, want at most %d", c.most, n, m.most)
			}
			c.gauges = nil
			check()
			t.Logf("%d items in %d turns, at most %d in one", n, c.turns, c.most)
		})
	}
}

// The answer to a purge that takes many turns comes when all of it is on disk.
func TestPurgeOfManyWaitsForTheDisk(t *testing.T) {
	o := broker.Options{DataDir: t.TempDir()}
	c := newCrowd(t, o)
	const n = 20_000
	p, _ := c.full(n, true)
	c.hold = true
	p.say(1, &amqpproto.QueuePurge{Queue: []byte("q")})
	p.out = nil
	c.settle()
	if len(p.out) > 0 {
		t.Fatalf("heard %q before the disk has it", p.out)
	}
	c.hold = false
	for _, work := range c.held {
		work()
	}
	c.settle()
	p.heard(&amqpproto.QueuePurgeOk{MessageCount: n})
	if err := c.server.CloseStore(); err != nil {
		t.Fatal(err)
	}
	if left := newCrowd(t, o).server.Stats().Messages; left != 0 {
		t.Errorf("%d messages are back after a restart", left)
	}
}
