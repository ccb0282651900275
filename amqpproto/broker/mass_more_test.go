package broker_test

import (
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/tests/kit/crashfs"
)

// moreMasses are masses, too: transactions, publishes to very many queues, the end
// of the server, credit for very many consumers.
var moreMasses = []mass{
	{"tx.commit of publishes", 1100, func(c *crowd, n int) func() {
		p, other := c.open(), c.open()
		p.declare("q", nil, true)
		p.do(&amqpproto.TxSelect{})
		p.publish(n, "q", amqpproto.Properties{DeliveryMode: 2})
		c.watch(func() []int { return []int{c.ready("q")} })
		p.say(1, &amqpproto.TxCommit{})
		return func() {
			p.heard(&amqpproto.TxCommitOk{})
			other.expect("q", n)
		}
	}},
	{"tx.commit whose connection is lost", 1100, func(c *crowd, n int) func() {
		p, other := c.open(), c.open()
		p.declare("q", nil, true)
		p.do(&amqpproto.TxSelect{})
		p.publish(n, "q", amqpproto.Properties{})
		c.watch(func() []int { return []int{c.ready("q")} })
		p.say(1, &amqpproto.TxCommit{})
		c.turn()
		p.gone = true
		p.conn.Lost(nil)
		return func() { other.expect("q", n) }
	}},
	{"tx.commit of acks", 2 * 8192, func(c *crowd, n int) func() {
		p, _ := c.unackedTx(n)
		p.say(1, &amqpproto.BasicAck{DeliveryTag: uint64(n), Multiple: true})
		p.say(1, &amqpproto.TxCommit{})
		return func() {
			p.heard(&amqpproto.TxCommitOk{})
			if st := c.server.Stats(); st.Messages+st.Unacked != 0 || st.Memory != 0 {
				c.t.Errorf("%d messages, %d octets are left", st.Messages+st.Unacked, st.Memory)
			}
		}
	}},
	{"tx.commit of single nacks that go back", 2500, func(c *crowd, n int) func() {
		p, other := c.unackedTx(n)
		for tag := range n {
			p.say(1, &amqpproto.BasicNack{DeliveryTag: uint64(tag + 1), Requeue: true})
		}
		p.say(1, &amqpproto.BasicCancel{ConsumerTag: []byte("all")})
		p.say(1, &amqpproto.TxCommit{})
		return func() {
			p.heard(&amqpproto.TxCommitOk{})
			other.expect("q", n)
		}
	}},
	{"tx.rollback of publishes", 2 * 8192, func(c *crowd, n int) func() {
		p, _ := c.published(n)
		p.say(1, &amqpproto.TxRollback{})
		return func() {
			p.heard(&amqpproto.TxRollbackOk{})
			if left := c.server.Stats().Memory; left != 0 {
				c.t.Errorf("%d octets are left", left)
			}
		}
	}},
	{"close of a channel with a transaction", 2 * 8192, func(c *crowd, n int) func() {
		p, _ := c.published(n)
		p.say(1, &amqpproto.ChannelClose{ReplyCode: 200})
		return func() {
			p.heard(&amqpproto.ChannelCloseOk{})
			if left := c.server.Stats().Memory; left != 0 {
				c.t.Errorf("%d octets are left", left)
			}
		}
	}},
	{"tx.rollback of acks", 2 * 2048, func(c *crowd, n int) func() {
		p, other := c.unackedTx(n)
		for tag := n; tag > n-1000; tag -= 2 { // not in order
			p.say(1, &amqpproto.BasicAck{DeliveryTag: uint64(tag)})
		}
		c.watch(func() []int { return []int{p.conn.Unacked()} })
		p.say(1, &amqpproto.BasicAck{DeliveryTag: uint64(n - 11), Multiple: true})
		c.settle()
		p.say(1, &amqpproto.TxRollback{})
		c.settle()
		p.heard(&amqpproto.TxRollbackOk{})
		if left := c.server.Stats().Unacked; left != n {
			c.t.Errorf("%d unacked, want %d", left, n)
		}
		p.say(1, &amqpproto.ChannelClose{ReplyCode: 200})
		return func() { other.expect("q", n) }
	}},
	{"publish to very many queues", 2100, func(c *crowd, n int) func() {
		return c.spread(n, "fanout", amqpproto.Properties{})
	}},
	{"persistent publish to very many durable queues", 2100, func(c *crowd, n int) func() {
		return c.spread(n, "direct", amqpproto.Properties{DeliveryMode: 2})
	}},
	{"publish to very many queues by headers", 2100, func(c *crowd, n int) func() {
		return c.spread(n, "headers", amqpproto.Properties{DeliveryMode: 2})
	}},
	{"tx.commit of a publish to very many queues", 2100, func(c *crowd, n int) func() {
		return c.spread(n, "topic", amqpproto.Properties{DeliveryMode: 2})
	}},
	{"end of the server with very many connections", 200, func(c *crowd, n int) func() {
		for range min(n/20, 2000) {
			c.open()
		}
		c.watch(func() []int { return []int{c.server.Stats().Connections} })
		c.Post(func() { c.server.Close("the end") })
		return func() {
			if st := c.server.Stats(); st.Connections != 0 {
				c.t.Errorf("%d connections are left", st.Connections)
			}
		}
	}},
	{"credit for very many consumers", 4100, func(c *crowd, n int) func() {
		p, other := c.open(), c.open()
		p.declare("q", nil, false)
		p.do(&amqpproto.BasicQos{PrefetchCount: 1, Global: true})
		for range n {
			p.say(1, &amqpproto.BasicConsume{Queue: []byte("q"), NoWait: true})
		}
		c.settle()
		other.publish(100, "q", amqpproto.Properties{})
		if got := p.conn.Retired(); got != n {
			c.t.Fatalf("%d of %d consumers wait", got, n)
		}
		c.watch(func() []int { return []int{p.conn.Retired()} })
		p.say(1, &amqpproto.BasicQos{})
		return func() {
			if left := p.conn.Retired(); left != 0 || c.server.Stats().Unacked != 100 {
				c.t.Errorf("%d consumers wait, %d messages are unacked", left, c.server.Stats().Unacked)
			}
		}
	}},
	{"want of credit of very many consumers", 2100, func(c *crowd, n int) func() {
		p, other := c.open(), c.open()
		p.declare("q", nil, false)
		p.do(&amqpproto.BasicQos{PrefetchCount: 1, Global: true})
		for range n {
			p.say(1, &amqpproto.BasicConsume{Queue: []byte("q"), NoWait: true})
		}
		c.settle()
		c.watch(func() []int { return []int{p.conn.Retired()} })
		other.publish(100, "q", amqpproto.Properties{})
		return func() {
			if got := p.conn.Retired(); got != n {
				c.t.Errorf("%d of %d consumers wait", got, n)
			}
		}
	}},
}

// unackedTx is unacked, of a channel in tx mode.
func (c *crowd) unackedTx(n int) (p, other *crowdPeer) {
	c.t.Helper()
	p, other = c.unacked(n)
	p.do(&amqpproto.TxSelect{})
	c.most = 0
	return p, other
}

// published makes a connection that has published n messages in a transaction.
func (c *crowd) published(n int) (p, other *crowdPeer) {
	c.t.Helper()
	p, other = c.open(), c.open()
	p.declare("q", nil, false)
	p.do(&amqpproto.TxSelect{})
	p.publish(n, "q", amqpproto.Properties{})
	each := int(c.server.Stats().Memory) / n
	c.watch(func() []int { return []int{int(c.server.Stats().Memory) / each} })
	return p, other
}

// spread publishes a message that goes to n queues, and one behind it.
func (c *crowd) spread(n int, kind string, properties amqpproto.Properties) (check func()) {
	c.t.Helper()
	n = min(n, 100_000)
	p, other := c.open(), c.open()
	if properties.DeliveryMode == 2 {
		n = min(n, 3000) // each declaration waits for the disk
	}
	durable, tx := properties.DeliveryMode == 2, kind == "topic"
	p.do(&amqpproto.ExchangeDeclare{Exchange: []byte("x"), Type: []byte(kind), Durable: durable})
	args := table(amqp.Table{"x-match": "all"})
	for i := range n {
		name := []byte(strconv.Itoa(i))
		p.say(1, &amqpproto.QueueDeclare{Queue: name, Durable: durable, NoWait: true})
		p.say(1, &amqpproto.QueueBind{Queue: name, Exchange: []byte("x"), RoutingKey: []byte("key"), Arguments: args, NoWait: true})
	}
	c.settle()
	want := amqpproto.Method(&amqpproto.BasicAck{DeliveryTag: 2})
	if tx {
		p.do(&amqpproto.TxSelect{})
		want = &amqpproto.TxCommitOk{}
	} else {
		p.do(&amqpproto.ConfirmSelect{})
	}
	c.watch(func() []int { return []int{c.server.Stats().Messages} })
	for _, body := range []string{"first", "second"} {
		p.in = append(p.in, publication(c.t, 1, "x", "key", body, properties, true)...)
	}
	if tx {
		p.say(1, &amqpproto.TxCommit{})
	}
	return func() {
		p.heard(want)
		if got := c.server.Stats().Messages; got != 2*n {
			c.t.Fatalf("%d messages, want %d", got, 2*n)
		}
		other.unordered("0", strconv.Itoa(n/2), strconv.Itoa(n-1))
		if durable {
			c.restart(2*n - 6)
		}
	}
}

// unordered gets the first and second message of queues.
func (p *crowdPeer) unordered(queues ...string) {
	p.c.t.Helper()
	for _, queue := range queues {
		p.bodies = map[int]string{}
		p.do(&amqpproto.BasicConsume{Queue: []byte(queue), NoAck: true})
		if len(p.bodies) != 2 || p.bodies[0] != "first" || p.bodies[1] != "second" {
			p.c.t.Errorf("queue %s gave %v", queue, p.bodies)
		}
	}
}

// restart ends the broker and begins another one that has n messages.
func (c *crowd) restart(n int) *broker.Server {
	c.t.Helper()
	for _, p := range c.peers {
		p.gone = true
		p.conn.Lost(nil)
	}
	c.settle()
	if err := c.server.CloseStore(); err != nil {
		c.t.Fatal(err)
	}
	again := newCrowd(c.t, c.options)
	if got := again.server.Stats().Messages; got != n {
		c.t.Errorf("%d messages after a restart, want %d", got, n)
	}
	return again.server
}

// A large topology is written again in slices. Changes during that survive a
// restart, and the disk space of the old records is freed.
func TestTopologyOfManyIsWrittenInSlices(t *testing.T) {
	const n = 8000
	files := crashfs.New()
	c := newCrowd(t, broker.Options{DataDir: "data", Files: files, SegmentSize: int64(n) * 24})
	p, other := c.open(), c.open()
	p.do(&amqpproto.ExchangeDeclare{Exchange: []byte("x"), Type: []byte("topic"), Durable: true})
	p.do(&amqpproto.ExchangeDeclare{Exchange: []byte("gone"), Type: []byte("topic"), Durable: true})
	p.declare("last", nil, true)
	p.declare("q", nil, true)
	bind := func(exchange string, i int) {
		p.say(1, &amqpproto.QueueBind{Queue: []byte("q"), Exchange: []byte(exchange), RoutingKey: []byte(strconv.Itoa(i)), NoWait: true})
	}
	for i := range n {
		bind("x", i)
	}
	bind("gone", 1)
	c.settle()
	p.do(&amqpproto.QueueDelete{Queue: []byte("last")})
	p.do(&amqpproto.BasicConsume{Queue: []byte("q"), NoAck: true})
	c.watch(func() []int { return []int{c.server.Records()} })
	first := segmentFiles(t, files)[0]
	for i := 0; i < 5 || segmentFiles(t, files)[0] == first; i++ {
		if i == 1000 {
			t.Fatal("the first segment stays")
		}
		other.in = append(other.in, publication(t, 1, "", "q", string(make([]byte, 60_000)), amqpproto.Properties{DeliveryMode: 2}, false)...)
		for range 3 {
			c.turn()
		}
		p.say(1, &amqpproto.QueueUnbind{Queue: []byte("q"), Exchange: []byte("x"), RoutingKey: []byte(strconv.Itoa(i))})
		bind("x", n+i)
		if i == 3 {
			p.say(1, &amqpproto.ExchangeDelete{Exchange: []byte("gone"), NoWait: true})
			p.say(1, &amqpproto.ExchangeDeclare{Exchange: []byte("gone"), Type: []byte("topic"), Durable: true, NoWait: true})
		}
	}
	c.settle()
	if c.most > 2*2048+100 {
		t.Errorf("%d records in one turn", c.most)
	}
	t.Logf("at most %d records in one turn", c.most)
	again := c.restart(0)
	if got := again.Stats().Bindings; got != n {
		t.Errorf("%d bindings after a restart, want %d", got, n)
	}
	if got := again.LastQueue(); got != 2 {
		t.Errorf("the highest id of a queue is %d, want 2", got)
	}
}

// segmentFiles are those of a store, the oldest first.
func segmentFiles(t *testing.T, files *crashfs.FS) (names []string) {
	t.Helper()
	all, err := files.Names("data/broker")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range all {
		if len(name) > 16 && strings.Trim(name[:16], "0123456789abcdef") == "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	return names
}

// A purge, or a deletion, that was not answered may be done in part after a kill:
// what is left is the end of the queue, in order.
func TestKillInAPurgeLeavesTheEndOfTheQueue(t *testing.T) {
	const n = 20_000
	for _, method := range []amqpproto.Method{&amqpproto.QueuePurge{Queue: []byte("q")}, &amqpproto.QueueDelete{Queue: []byte("q")}} {
		files := crashfs.New()
		c := newCrowd(t, broker.Options{DataDir: "data", Files: files})
		p, _ := c.full(n, true)
		p.out = nil
		p.say(1, method)
		for range 3 {
			c.turn()
		}
		if len(p.out) > 0 {
			t.Fatalf("%T: answered in three turns", method)
		}
		o := c.options
		o.Files = files.Kill()
		again := newCrowd(t, o)
		other := again.open()
		left := 0
		if again.server.Stats().Queues > 0 {
			left = again.ready("q")
			other.bodies = map[int]string{}
			other.do(&amqpproto.BasicConsume{Queue: []byte("q"), NoAck: true})
		}
		if left == n || len(other.bodies) != left {
			t.Errorf("%T: %d messages are left, %d came", method, left, len(other.bodies))
		}
		for i := range left {
			if want := strconv.Itoa((n - left + i) % 100); other.bodies[i] != want {
				t.Fatalf("%T: message %d is %q, want %q", method, i, other.bodies[i], want)
			}
		}
		t.Logf("%T: %d of %d are left", method, left, n)
	}
}
