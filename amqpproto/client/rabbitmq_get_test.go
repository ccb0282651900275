package client_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/rabbitmq"
)

// opened is a pump with an open connection.
func opened(t *testing.T, change func(*client.Config)) *pump {
	p := newPump(t, change)
	p.dial()
	p.until("open", p.client.Ready)
	return p
}

// declare declares and waits.
func (p *pump) declare(top client.Topology) (queues []string, err error) {
	p.t.Helper()
	done := false
	must(p.t, p.client.Declare(&top, func(q []string, e error) { queues, err, done = q, e, true }))
	if done {
		p.t.Fatal("done was called inside of Declare")
	}
	p.until("declare", func() bool { return done })
	return queues, err
}

// get gets and waits.
func (p *pump) get(queue string, noAck bool) (got *client.Delivery, body string, err error) {
	p.t.Helper()
	done := false
	must(p.t, p.client.Get(queue, noAck, func(d *client.Delivery, e error) {
		err, done = e, true
		if d != nil {
			copied := *d
			got, body = &copied, string(d.Body)
		}
	}))
	p.until("get", func() bool { return done })
	return got, body, err
}

// info asks for a queue and waits.
func (p *pump) info(queue string) (messages, consumers uint32, err error) {
	p.t.Helper()
	done := false
	must(p.t, p.client.QueueInfo(queue, func(m, c uint32, e error) { messages, consumers, err, done = m, c, e, true }))
	p.until("queue info", func() bool { return done })
	return messages, consumers, err
}

// send publishes and waits for the confirms.
func (p *pump) send(queue string, bodies ...string) {
	p.t.Helper()
	done := confirms{}
	for _, body := range bodies {
		must(p.t, p.client.Publish(nil, &client.Outgoing{RoutingKey: queue, Mandatory: true, Body: []byte(body)}, &done))
	}
	p.until("confirms", func() bool { return len(done.got) == len(bodies) })
	must(p.t, errors.Join(done.got...))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func wantChannelError(t testing.TB, err error, code uint16) {
	t.Helper()
	var ce *amqpproto.ChannelError
	if !errors.As(err, &ce) || ce.Code != code {
		t.Fatalf("error %v, want a ChannelError %d", err, code)
	}
}

func TestRabbitMQGet(t *testing.T) {
	p := opened(t, nil)
	queues, err := p.declare(client.Topology{Queues: []client.Queue{{Exclusive: true}}})
	must(t, err)
	q := queues[0]
	if d, _, err := p.get(q, false); d != nil || err != nil {
		t.Fatal(d, err)
	}
	big := strings.Repeat("big", 100000)
	p.send(q, "one", big, "three", "four")
	one, body, err := p.get(q, false)
	if err != nil || body != "one" || one.Redelivered {
		t.Fatal(one, body, err)
	}
	two, body, err := p.get(q, false)
	if err != nil || body != big {
		t.Fatal(two, len(body), err)
	}
	if n, c, err := p.info(q); n != 2 || c != 0 || err != nil {
		t.Fatal(n, c, err)
	}
	// A get from elsewhere, and a question about it, cost this queue's gets nothing.
	_, _, err = p.get("zamqp.client.none", false)
	wantChannelError(t, err, amqpproto.NotFound)
	_, _, err = p.info("zamqp.client.none")
	wantChannelError(t, err, amqpproto.NotFound)
	two.Acknowledger.Nack(two.Epoch, two.Tag, true)
	one.Acknowledger.Ack(one.Epoch, one.Tag)
	again, body, err := p.get(q, false)
	if err != nil || body != big || !again.Redelivered {
		t.Fatal(again, len(body), err)
	}
	again.Acknowledger.Reject(again.Epoch, again.Tag, false)
	for i, want := range []string{"three", "four"} {
		if _, body, err := p.get(q, true); err != nil || body != want {
			t.Fatal(i, body, err)
		}
	}
	if d, _, err := p.get(q, true); d != nil || err != nil {
		t.Fatal(d, err)
	}
	if s := p.client.Stats(); s.OldEpoch != 0 || s.DoubleSettled != 0 || s.Gets != 5 {
		t.Fatalf("%+v", s)
	}
	p.finish()
}

func TestRabbitMQQueueOperations(t *testing.T) {
	p := opened(t, nil)
	const q = "zamqp.client.operations"
	t.Cleanup(func() { _ = deleteQueue(p, q) })
	_, err := p.declare(client.Topology{Queues: []client.Queue{{Name: q, Durable: true, Args: amqp.Table{"x-max-length": int32(5)}}}})
	must(t, err)
	p.send(q, "a", "b", "c")
	var got []string
	note := func(what string) func(uint32, error) {
		return func(n uint32, err error) { got = append(got, fmt.Sprintf("%s %d %v", what, n, err)) }
	}
	must(t, p.client.PurgeQueue(q, note("purge")))
	must(t, p.client.QueueInfo(q, func(n, _ uint32, err error) { note("info")(n, err) }))
	must(t, p.client.DeleteQueue("zamqp.client.none", false, false, note("delete")))
	must(t, p.client.DeleteQueue(q, true, true, note("delete")))
	p.until("all answers", func() bool { return len(got) == 4 })
	if want := []string{"purge 3 <nil>", "info 0 <nil>", "delete 0 <nil>", "delete 0 <nil>"}; !slices.Equal(got, want) {
		t.Fatal(got)
	}
	p.finish()
}

// TestRabbitMQRemedies: what the broker says of a declaration is taken apart.
func TestRabbitMQRemedies(t *testing.T) {
	p := opened(t, nil)
	const name = "zamqp.client.remedies"
	exists := client.Topology{
		Exchanges: []client.Exchange{{Name: name, Type: "topic", Durable: true, Args: amqp.Table{"alternate-exchange": "amq.fanout"}}},
		Queues:    []client.Queue{{Name: name, Durable: true, Args: amqp.Table{"x-max-length": int32(5), "x-dead-letter-exchange": "it's"}}},
	}
	t.Cleanup(func() { _ = deleteQueue(p, name) })
	_, err := p.declare(exists)
	must(t, err)
	// RabbitMQ 4 knows of every queue which type it has.
	noType, noTypeRemedy := "none", "without x-queue-type"
	if rabbitmq.Shared(t).AtLeast(t, "4.0") {
		noType, noTypeRemedy = "classic", "declare it with classic"
	}
	for _, row := range []struct {
		name                        string
		top                         client.Topology
		code                        uint16
		argument, received, current string
		remedy                      string
	}{
		{"durability", client.Topology{Queues: []client.Queue{{Name: name}}}, 406, "durable", "false", "true", "declare it with true"},
		{"exclusive", client.Topology{Queues: []client.Queue{{Name: name, Exclusive: true}}}, 405, "", "", "", "declare it as it is"},
		{"argument", client.Topology{Queues: []client.Queue{{Name: name, Durable: true, Args: amqp.Table{"x-max-length": int32(6), "x-dead-letter-exchange": "it's"}}}},
			406, "x-max-length", "6", "5", `declare it with 5, or delete the queue '` + name},
		{"argument missing", client.Topology{Queues: []client.Queue{{Name: name, Durable: true, Args: amqp.Table{"x-max-length": int32(5)}}}},
			406, "x-dead-letter-exchange", "none", "it's", "declare it with it's"},
		{"argument too many", client.Topology{Queues: []client.Queue{{Name: name, Durable: true, Args: amqp.Table{"x-max-length": int32(5), "x-dead-letter-exchange": "it's", "x-expires": int32(9999)}}}},
			406, "x-expires", "9999", "none", "without x-expires"},
		{"queue type", client.Topology{Queues: []client.Queue{{Name: name, Durable: true, Args: amqp.Table{"x-max-length": int32(5), "x-dead-letter-exchange": "it's", "x-queue-type": "quorum"}}}}, 406, "x-queue-type", "quorum", noType, noTypeRemedy},
		{"exchange type", client.Topology{Exchanges: []client.Exchange{{Name: name, Type: "fanout", Durable: true}}}, 406, "type", "fanout", "topic", "the exchange '" + name},
		{"reserved", client.Topology{Bindings: []client.Binding{{Queue: name, Exchange: "zamqp.client.none"}}}, 404, "", "", "", "does not exist"},
		{"bad argument", client.Topology{Queues: []client.Queue{{Exclusive: true, Args: amqp.Table{"x-expires": int32(-1)}}}}, 406, "", "", "", "change the setting that the text names"},
		{"quorum without a name", client.Topology{Queues: []client.Queue{{Exclusive: true, Args: amqp.Table{"x-queue-type": "quorum"}}}}, 406, "", "", "", "needs a name"},
		{"quorum that is not durable", client.Topology{Queues: []client.Queue{{Name: name + ".q", Exclusive: true, Args: amqp.Table{"x-queue-type": "quorum"}}}}, 406, "", "", "", "change the setting that the text names"},
	} {
		_, err := p.declare(row.top)
		t.Log(row.name, err)
		wantChannelError(t, err, row.code)
		var te *client.TopologyError
		if !errors.As(err, &te) || te.Argument != row.argument || te.Received != row.received || te.Current != row.current || !strings.Contains(te.Remedy, row.remedy) {
			t.Errorf("%s: %+v", row.name, te)
		}
	}
	_, err = p.declare(client.Topology{})
	must(t, err)
	p.finish()
}

// TestRabbitMQExclusiveUse: who may not have a queue now says why, tries again,
// and gets it when it is free.
func TestRabbitMQExclusiveUse(t *testing.T) {
	p := opened(t, nil)
	const q = "zamqp.client.exclusive"
	t.Cleanup(func() { _ = deleteQueue(p, q) })
	s := &sink{ack: true}
	spec := client.ConsumerSpec{Name: "first", Prefetch: 1, Exclusive: true, Topology: queue(q)}
	first := p.client.Consume(spec, s)
	p.until("first", func() bool { return first.State() == client.Up })
	spec.Name = "second"
	second := p.client.Consume(spec, s)
	p.until("refusal", func() bool { return second.Err() != nil })
	var te *client.TopologyError
	if !errors.As(second.Err(), &te) || !strings.Contains(te.Step, "basic.consume") || !strings.Contains(te.Remedy, "for itself") {
		t.Fatal(second.Err())
	}
	first.Cancel(nil)
	p.until("second", func() bool { return second.State() == client.Up })
	p.send(q, "hello")
	p.until("delivery", func() bool { return len(s.bodies) == 1 })

	other := opened(t, nil)
	_, err := p.declare(client.Topology{Queues: []client.Queue{{Name: q + ".own", Exclusive: true}}})
	must(t, err)
	_, _, err = other.info(q + ".own")
	wantChannelError(t, err, amqpproto.ResourceLocked)
	_, _, err = other.get(q+".own", false)
	wantChannelError(t, err, amqpproto.ResourceLocked)
	other.finish()
	p.finish()
}

func TestRabbitMQPause(t *testing.T) {
	for _, row := range []struct {
		name  string
		queue client.Queue
		noAck bool
	}{
		{"durable", client.Queue{Name: "zamqp.client.pause", Durable: true}, false},
		{"exclusive", client.Queue{Exclusive: true}, false},
		{"no ack", client.Queue{Exclusive: true}, true},
		{"auto-delete", client.Queue{Exclusive: true, AutoDelete: true}, false},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPump(t, nil)
			s := &sink{}
			k := p.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 10, NoAck: row.noAck, Topology: client.Topology{Queues: []client.Queue{row.queue}}}, s)
			p.dial()
			p.until("up", func() bool { return k.State() == client.Up })
			if row.queue.Name != "" {
				t.Cleanup(func() { _ = deleteQueue(p, row.queue.Name) })
			}
			p.send(k.Queue(), "one", "two")
			p.until("deliveries", func() bool { return len(s.bodies) == 2 })
			k.Pause()
			p.until("pause", func() bool { return k.State() == client.Paused })
			name := k.Queue()
			if !row.queue.AutoDelete {
				p.send(k.Queue(), "three")
				if n, c, err := p.info(k.Queue()); n != 1 || c != 0 || err != nil {
					t.Fatal(n, c, err)
				}
			}
			if len(s.bodies) != 2 {
				t.Fatal(s.bodies)
			}
			k.Ack(s.epochs[0], s.tags[0])
			k.Resume()
			p.until("resume", func() bool { return k.State() == client.Up })
			if row.queue.AutoDelete {
				if k.Queue() == name {
					t.Fatal("the queue is still there")
				}
				p.send(k.Queue(), "three")
			}
			k.Ack(s.epochs[1], s.tags[1])
			p.until("the third", func() bool { return len(s.bodies) == 3 })
			k.Ack(s.epochs[2], s.tags[2])
			if s := p.client.Stats(); s.OldEpoch != 0 || s.DoubleSettled != 0 {
				t.Fatalf("%+v", s)
			}
			k.Pause()
			k.Resume() // before the broker has agreed
			k.Pause()
			k.Resume()
			p.until("resume", func() bool { return k.State() == client.Up })
			p.send(k.Queue(), "four")
			p.until("the fourth", func() bool { return len(s.bodies) == 4 })
			k.Ack(s.epochs[3], s.tags[3])
			p.finish()
		})
	}
}

// TestRabbitMQStream: a stream is read from its beginning, and after a reconnect
// and after a pause from where it was left.
func TestRabbitMQStream(t *testing.T) {
	p := newPump(t, nil)
	const q = "zamqp.client.stream"
	s := &sink{}
	k := p.client.Consume(client.ConsumerSpec{Name: "c", Prefetch: 100, Args: amqp.Table{"x-stream-offset": "first"},
		Topology: client.Topology{Queues: []client.Queue{{Name: q, Durable: true, Args: amqp.Table{"x-queue-type": "stream"}}}}}, s)
	p.dial()
	p.until("up", func() bool { return k.State() == client.Up || k.Err() != nil })
	if k.Err() != nil && !strings.HasPrefix(p.events[0].Text, "RabbitMQ") {
		t.Skip(p.events[0].Text, " has no streams: ", k.Err())
	}
	p.until("up", func() bool { return k.State() == client.Up })
	t.Cleanup(func() { _ = deleteQueue(p, q) })
	p.send(q, "0", "1", "2", "3", "4")
	p.until("deliveries", func() bool { return len(s.bodies) == 5 })
	for i := range 5 {
		if i != 3 {
			k.Ack(s.epochs[i], s.tags[i])
		}
	}
	p.send(q, "5")
	p.until("deliveries", func() bool { return len(s.bodies) == 6 })
	_ = p.nc.Close()
	p.until("the rest again", func() bool { return len(s.bodies) == 9 })
	if want := []string{"0", "1", "2", "3", "4", "5", "3", "4", "5"}; !slices.Equal(s.bodies, want) {
		t.Fatal(s.bodies)
	}
	for i := 6; i < 9; i++ {
		k.Ack(s.epochs[i], s.tags[i])
	}
	k.Pause()
	p.until("pause", func() bool { return k.State() == client.Paused })
	p.send(q, "6")
	k.Resume()
	p.until("the next", func() bool { return len(s.bodies) == 10 })
	if s.bodies[9] != "6" {
		t.Fatal(s.bodies)
	}

	// What is given back at any moment comes again after the pause, and the connection
	// lives: RabbitMQ ends it for a basic.nack or basic.reject of a stream's message.
	lost := func(e client.Event) bool { return e.Kind == client.EventLost }
	p.events = slices.DeleteFunc(p.events, lost) // the connection that was cut above
	k.Ack(s.epochs[9], s.tags[9])
	p.send(q, "7", "8", "9")
	p.until("three", func() bool { return len(s.bodies) == 13 })
	k.Reject(s.epochs[10], s.tags[10], false) // passed over
	k.Nack(s.epochs[11], s.tags[11], true)
	k.Pause()
	k.Nack(s.epochs[12], s.tags[12], true)
	p.until("pause", func() bool { return k.State() == client.Paused })
	k.Resume()
	p.until("both again", func() bool { return len(s.bodies) == 15 })
	if want := []string{"8", "9"}; !slices.Equal(s.bodies[13:], want) || slices.ContainsFunc(p.events, lost) {
		t.Fatal(s.bodies, p.events)
	}
	bare := p.client.Consume(client.ConsumerSpec{Name: "bare", Topology: client.Topology{Queues: []client.Queue{{Name: q, NoDeclare: true}}}}, s)
	p.until("refusal", func() bool { return bare.Err() != nil })
	if !strings.Contains(bare.Err().Error(), "a stream is consumed with a prefetch") {
		t.Fatal(bare.Err())
	}
	p.finish()
}

// TestRabbitMQQuorum has a single active consumer, whose place another one takes.
func TestRabbitMQQuorum(t *testing.T) {
	p := newPump(t, nil)
	const q = "zamqp.client.quorum"
	top := client.Topology{Queues: []client.Queue{{Name: q, Durable: true, Args: amqp.Table{"x-queue-type": "quorum", "x-single-active-consumer": true, "x-delivery-limit": int32(5)}}}}
	one, two := &sink{}, &sink{ack: true}
	a := p.client.Consume(client.ConsumerSpec{Name: "a", Prefetch: 10, Topology: top}, one)
	p.dial()
	p.until("the first is up", func() bool { return a.State() == client.Up })
	b := p.client.Consume(client.ConsumerSpec{Name: "b", Prefetch: 10, Topology: top}, two)
	p.until("the second is up", func() bool { return b.State() == client.Up })
	t.Cleanup(func() { _ = deleteQueue(p, q) })
	p.send(q, "1", "2", "3")
	p.until("deliveries", func() bool { return len(one.bodies) == 3 })
	if len(two.bodies) != 0 {
		t.Fatal(two.bodies)
	}
	a.Ack(one.epochs[0], one.tags[0])
	a.Nack(one.epochs[2], one.tags[2], true)
	a.Cancel(nil)
	a.Nack(one.epochs[1], one.tags[1], true) // the last in hand: now the turn passes
	p.until("the other", func() bool { return len(two.bodies) == 2 })
	p.finish()
}

// TestRabbitMQLargeHeaders: the broker adds x-death, and sends the header however
// large it has become.
func TestRabbitMQLargeHeaders(t *testing.T) {
	p := opened(t, nil)
	queues, err := p.declare(client.Topology{Queues: []client.Queue{{Exclusive: true}}})
	must(t, err)
	end := queues[0]
	queues, err = p.declare(client.Topology{Queues: []client.Queue{{Exclusive: true, Args: amqp.Table{
		"x-message-ttl": int32(1), "x-dead-letter-exchange": "", "x-dead-letter-routing-key": end}}}})
	must(t, err)
	properties := amqpproto.Properties{Flags: amqpproto.FlagHeaders}
	properties.Headers, err = amqpproto.AppendTable(nil, amqp.Table{"big": strings.Repeat("h", p.client.PropertiesMax()-100)})
	must(t, err)
	raw, err := properties.Append(nil)
	must(t, err)
	done := &confirms{}
	must(t, p.client.Publish(nil, &client.Outgoing{RoutingKey: queues[0], RawProperties: raw, Body: []byte("x")}, done))
	s := &sink{ack: true}
	octets := 0
	s.then = func(d *client.Delivery) { octets = len(d.RawProperties) }
	p.client.Consume(client.ConsumerSpec{Name: "end", Topology: client.Topology{Queues: []client.Queue{{Name: end, NoDeclare: true}}}}, s)
	p.until("the dead letter", func() bool { return len(s.bodies) == 1 && len(done.got) == 1 })
	if octets <= p.client.PropertiesMax() || p.client.Stats().Connects != 1 {
		t.Errorf("%d octets of %d, %+v", octets, p.client.PropertiesMax(), p.client.Stats())
	}
	p.finish()
}

// TestRabbitMQGetsComeBack: CloseGets and NackGets return what is not settled. An ack of
// the same turn comes before it.
func TestRabbitMQGetsComeBack(t *testing.T) {
	for name, comeBack := range map[string]func(*client.Client, string) error{"close": (*client.Client).CloseGets, "nack": (*client.Client).NackGets} {
		t.Run(name, func(t *testing.T) { testGetsComeBack(t, comeBack) })
	}
}

func testGetsComeBack(t *testing.T, comeBack func(*client.Client, string) error) {
	p := opened(t, nil)
	queues, err := p.declare(client.Topology{Queues: []client.Queue{{Exclusive: true}}})
	must(t, err)
	q := queues[0]
	must(t, comeBack(p.client, q)) // there is no channel
	bodies := []string{"one", "two", "three", "four"}
	p.send(q, bodies...)
	var taken []client.Delivery
	for range bodies {
		d, _, err := p.get(q, false)
		must(t, err)
		taken = append(taken, *d)
	}
	asked := false
	must(t, p.client.Get(q, false, func(*client.Delivery, error) { asked = true }))
	if err := comeBack(p.client, q); !errors.Is(err, client.ErrBusy) {
		t.Errorf("with a get that waits: %v", err)
	}
	p.until("get", func() bool { return asked })
	taken[0].Acknowledger.Ack(taken[0].Epoch, taken[0].Tag)
	taken[3].Acknowledger.Ack(taken[3].Epoch, taken[3].Tag)
	must(t, comeBack(p.client, q))
	must(t, comeBack(p.client, q)) // there is nothing more
	for _, want := range []string{"two", "three"} {
		var d *client.Delivery
		var body string
		for d == nil {
			d, body, err = p.get(q, true)
			must(t, err)
		}
		if body != want || !d.Redelivered {
			t.Errorf("%q, redelivered %v; want %q", body, d.Redelivered, want)
		}
	}
	if n, _, err := p.info(q); err != nil || n != 0 {
		t.Errorf("%d are left: %v", n, err)
	}
}
