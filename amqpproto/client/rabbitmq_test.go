package client_test

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/rabbitmq"
)

// pump moves octets between a real socket and a Conn: what a loop does, with one
// goroutine that reads. Everything else happens on the test's goroutine.
type pump struct {
	t       *testing.T
	addr    string
	client  *client.Client
	conn    *client.Conn
	nc      net.Conn
	in      chan []byte // closed at the end of the stream
	rest    []byte
	next    time.Time
	redial  time.Time
	woken   bool
	closing bool
	cause   error
	events  []client.Event
}

func newPump(t *testing.T, change func(*client.Config)) *pump {
	raw := os.Getenv("ZAMQP_TEST_AMQP_URL")
	if raw == "" {
		t.Skip("ZAMQP_TEST_AMQP_URL names no broker")
	}
	return newPumpAt(t, raw, change)
}

func newPumpAt(t *testing.T, raw string, change func(*client.Config)) *pump {
	u, err := url.Parse(raw)
	if err != nil {
		t.Fatal(err)
	}
	password, _ := u.User.Password()
	cfg := client.Config{Name: t.Name(), Username: u.User.Username(), Password: password, Heartbeat: 10 * time.Second,
		BackoffMin: 50 * time.Millisecond, BackoffMax: 100 * time.Millisecond, ConfirmTimeout: 20 * time.Second}
	if change != nil {
		change(&cfg)
	}
	p := &pump{t: t, addr: u.Host}
	p.client = client.New(cfg, p)
	t.Cleanup(func() {
		if p.nc != nil {
			_ = p.nc.Close()
		}
	})
	return p
}

func (p *pump) Redial(after time.Duration) { p.redial = time.Now().Add(after) }
func (p *pump) Note(e client.Event)        { p.events = append(p.events, e); p.t.Logf("%+v", e) }
func (p *pump) Wake()                      { p.woken = true }
func (p *pump) Close()                     { p.closing = true }
func (p *pump) Abort(cause error)          { p.closing, p.cause = true, cause; p.rest = nil }

func (p *pump) dial() {
	p.redial = time.Time{}
	nc, err := net.Dial("tcp", p.addr)
	if err != nil {
		p.client.DialFailed(err)
		return
	}
	in := make(chan []byte)
	go func() {
		defer close(in)
		for {
			b := make([]byte, 65536)
			n, err := nc.Read(b)
			if n > 0 {
				in <- b[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	p.nc, p.in, p.rest, p.closing, p.cause = nc, in, nil, false, nil
	p.conn = p.client.Connect(p)
	p.next = p.conn.Tick(time.Now())
	p.flush()
}

func (p *pump) flush() {
	for b := p.conn.Pending(); len(b) > 0; b = p.conn.Pending() {
		n, err := p.nc.Write(b)
		p.conn.Sent(n)
		if err != nil {
			p.closing, p.cause = true, err
			return
		}
	}
}

// turn waits for something to do, and does it.
func (p *pump) turn(until time.Time) {
	if p.conn == nil {
		p.next = p.client.Tick(time.Now())
	}
	wait := time.Until(until)
	for _, t := range []time.Time{p.next, p.redial} {
		if !t.IsZero() {
			wait = min(wait, time.Until(t))
		}
	}
	if p.woken {
		wait = 0
	}
	var err error
	timer := time.NewTimer(max(wait, 0))
	defer timer.Stop()
	select {
	case b, ok := <-p.in:
		if !ok {
			p.in = nil
			p.closing = true
			break
		}
		p.rest = append(p.rest, b...)
		var n int
		n, err = p.conn.Feed(p.rest)
		p.rest = append(p.rest[:0:0], p.rest[n:]...)
	case <-timer.C:
	}
	p.woken = false
	if p.conn != nil {
		p.next = p.conn.Tick(time.Now())
		p.flush()
		if err != nil && p.cause == nil {
			p.closing, p.cause = true, err
		}
		if p.closing {
			p.lose()
		}
	}
	if !p.redial.IsZero() && time.Now().After(p.redial) {
		p.dial()
	}
}

func (p *pump) lose() {
	_ = p.nc.Close()
	if p.in != nil {
		go func(in chan []byte) {
			for range in {
			}
		}(p.in)
	}
	conn := p.conn
	p.conn, p.in = nil, nil
	conn.Lost(p.cause)
}

// until runs turns until done says so.
func (p *pump) until(what string, done func() bool) {
	p.t.Helper()
	p.within(time.Minute, what, done)
}

func (p *pump) within(limit time.Duration, what string, done func() bool) {
	p.t.Helper()
	end := time.Now().Add(limit)
	for !done() {
		if time.Now().After(end) {
			p.t.Fatalf("%s did not happen; stats %+v", what, p.client.Stats())
		}
		p.turn(end)
	}
}

func (p *pump) finish() {
	p.t.Helper()
	var result error
	closed := false
	p.client.Close(func(err error) { result, closed = err, true })
	p.until("close", func() bool { return closed })
	if result != nil {
		p.t.Fatalf("close: %v", result)
	}
}

func TestRabbitMQRoundTrip(t *testing.T) {
	p := newPump(t, nil)
	s := &sink{ack: true}
	const total = 3000
	k := p.client.Consume(client.ConsumerSpec{Name: "echo", Prefetch: 100, Topology: client.Topology{
		Exchanges: []client.Exchange{{Name: "zamqp.client.test", Type: "topic", AutoDelete: true}},
		Queues:    []client.Queue{{Exclusive: true}},
		Bindings:  []client.Binding{{Exchange: "zamqp.client.test", RoutingKey: "a.*"}},
	}}, s)
	var done confirms
	props := amqpproto.Properties{ContentType: []byte("text/plain"), MessageID: []byte("id"), DeliveryMode: 1}
	props.SetFlags()
	raw, err := props.Append(nil)
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for i := range total {
		size := i % 700
		if i%100 == 99 {
			size = i * 150 // up to 450 kB: several frames
		}
		sum += size
		body := []byte(strings.Repeat(string(rune('a'+i%26)), size))
		o := client.Outgoing{Exchange: "zamqp.client.test", RoutingKey: "a.b", Mandatory: true, RawProperties: raw, Body: body}
		if err := p.client.Publish(nil, &o, &done); err != nil {
			t.Fatal(err)
		}
	}
	p.dial()
	p.until("all deliveries", func() bool { return len(s.bodies) == total && len(done.got) == total })
	if err := errors.Join(done.got...); err != nil {
		t.Fatal(err)
	}
	got := 0
	for _, b := range s.bodies {
		got += len(b)
	}
	if got != sum || k.Outstanding() != 0 {
		t.Fatalf("%d octets of %d, %d outstanding", got, sum, k.Outstanding())
	}
	cancelled := false
	k.Cancel(func() { cancelled = true })
	p.until("cancel", func() bool { return cancelled })
	p.finish()
	t.Logf("%+v", p.client.Stats())
}

func TestRabbitMQErrors(t *testing.T) {
	p := newPump(t, nil)
	s := &sink{ack: true}
	good := p.client.Consume(client.ConsumerSpec{Name: "good", Topology: client.Topology{Queues: []client.Queue{{Name: "zamqp.client.errors", Exclusive: true}}}}, s)
	bad := p.client.Consume(client.ConsumerSpec{Name: "bad", Topology: client.Topology{Queues: []client.Queue{{Name: "zamqp.client.none", Passive: true}}}}, s)
	p.dial()
	p.until("start", func() bool { return good.State() == client.Up && bad.Err() != nil })
	var ce *amqpproto.ChannelError
	if !errors.As(bad.Err(), &ce) || ce.Code != amqpproto.NotFound {
		t.Fatal(bad.Err())
	}
	done := confirms{}
	publish := func(exchange, key string) {
		t.Helper()
		if err := p.client.Publish(nil, &client.Outgoing{Exchange: exchange, RoutingKey: key, Mandatory: true, Body: []byte("x")}, &done); err != nil {
			t.Fatal(err)
		}
	}
	publish("", "zamqp.client.errors")
	publish("", "zamqp.client.nowhere")
	p.until("confirms", func() bool { return len(done.got) == 2 })
	var re *client.ReturnError
	for _, err := range done.got {
		if err != nil && (!errors.As(err, &re) || re.Code != amqpproto.NoRoute || re.RoutingKey != "zamqp.client.nowhere") {
			t.Fatal(err)
		}
	}
	if re == nil {
		t.Fatal("nothing was returned")
	}
	done = confirms{}
	publish("zamqp.client.missing", "k")
	publish("", "zamqp.client.errors")
	p.until("channel error", func() bool { return len(done.got) == 2 })
	for _, err := range done.got {
		if err != nil && (!errors.As(err, &ce) || ce.Method != amqpproto.IDBasicPublish || ce.Code != amqpproto.NotFound) || err == nil && done.got[0] == done.got[1] {
			t.Fatal(done.got)
		}
	}
	publish("", "zamqp.client.errors")
	p.until("the channel to come back", func() bool { return len(done.got) == 3 })
	if done.got[2] != nil || good.State() != client.Up {
		t.Fatal(done.got, good)
	}
	p.finish()
}

// TestRabbitMQHealing has one consumer that waits for somebody else's exchange,
// and one with an exchange that RabbitMQ ends the whole connection for.
func TestRabbitMQHealing(t *testing.T) {
	p := newPump(t, nil)
	s := &sink{ack: true}
	k := p.client.Consume(client.ConsumerSpec{Name: "early", Topology: client.Topology{
		Queues: []client.Queue{{Exclusive: true}}, Bindings: []client.Binding{{Exchange: "zamqp.client.late", RoutingKey: "#"}}}}, s)
	p.dial()
	p.until("first try", func() bool { return k.Err() != nil })
	queue := k.Queue()
	x := client.Topology{Exchanges: []client.Exchange{{Name: "zamqp.client.late", Type: "topic", AutoDelete: true}}}
	late := p.client.Produce(client.ProducerSpec{Name: "late", Topology: x})
	p.until("the consumer to come up", func() bool { return k.State() == client.Up && late.State() == client.Up })
	if queue == "" || k.Queue() != queue {
		t.Fatalf("queue %q after %q", k.Queue(), queue)
	}
	bad := p.client.Consume(client.ConsumerSpec{Name: "bad", Topology: client.Topology{
		Exchanges: []client.Exchange{{Name: "zamqp.client.bad", Type: "mystery"}}, Queues: []client.Queue{{Exclusive: true}}}}, s)
	// RabbitMQ 3 closes the connection for it, RabbitMQ 4 the channel.
	p.until("the refusal", func() bool { return bad.Err() != nil })
	var te *client.TopologyError
	if !errors.As(bad.Err(), &te) || te.Name != "bad" || k.Err() != nil {
		t.Fatal(bad.Err(), k.Err())
	}
	bad.Cancel(nil)
	done := confirms{}
	if err := p.client.Publish(late, &client.Outgoing{Exchange: "zamqp.client.late", RoutingKey: "a", Mandatory: true}, &done); err != nil {
		t.Fatal(err)
	}
	p.until("the rest to come back", func() bool { return len(s.bodies) == 1 && len(done.got) == 1 })
	if done.got[0] != nil {
		t.Fatal(done.got)
	}
	p.finish()
}

// RabbitMQ takes the least frames that the specification has, or its newer versions
// hang up for them: then the error says what to do.
func TestRabbitMQFrameMax(t *testing.T) {
	p := newPump(t, func(c *client.Config) { c.FrameMax = 4096 })
	opens := !rabbitmq.Shared(t).AtLeast(t, "4.1")
	p.dial()
	p.until("the end of the handshake", func() bool { return p.client.Ready() || p.client.Err() != nil })
	if err := p.client.Err(); opens != (err == nil) || err != nil && !strings.Contains(err.Error(), "raise frame_max to 8KiB") {
		t.Fatal(opens, err)
	}
	if opens {
		p.finish()
	}
}

func TestRabbitMQServerCancel(t *testing.T) {
	p := newPump(t, nil)
	s := &sink{ack: true}
	k := p.client.Consume(client.ConsumerSpec{Name: "moved", Prefetch: 3, Topology: client.Topology{
		Queues: []client.Queue{{Name: "zamqp.client.cancel", AutoDelete: true, Durable: true}}}}, s)
	p.dial()
	p.until("start", func() bool { return k.State() == client.Up })
	// Another connection deletes the queue, by a consumer that comes and goes? A
	// plain client of the codec is shorter.
	if err := deleteQueue(p, "zamqp.client.cancel"); err != nil {
		t.Fatal(err)
	}
	p.until("the cancel", func() bool { return k.State() == client.AwaitRetry })
	p.until("the consumer to come back", func() bool { return k.State() == client.Up })
	done := confirms{}
	if err := p.client.Publish(nil, &client.Outgoing{RoutingKey: "zamqp.client.cancel", Mandatory: true}, &done); err != nil {
		t.Fatal(err)
	}
	p.until("delivery", func() bool { return len(s.bodies) == 1 && len(done.got) == 1 })
	p.finish()
}

// deleteQueue deletes a queue over a connection of its own.
func deleteQueue(p *pump, name string) error {
	nc, err := net.Dial("tcp", p.addr)
	if err != nil {
		return err
	}
	defer nc.Close()
	_ = nc.SetDeadline(time.Now().Add(time.Minute))
	if _, err := nc.Write([]byte(amqpproto.ProtocolHeader)); err != nil {
		return err
	}
	var buf []byte
	for {
		f, n, err := amqpproto.CutFrame(buf, 0)
		if err != nil {
			return err
		}
		if n == 0 {
			b := make([]byte, 4096)
			m, err := nc.Read(b)
			if err != nil {
				return err
			}
			buf = append(buf, b[:m]...)
			continue
		}
		m, err := amqpproto.DecodeMethod(f.Payload)
		if err != nil {
			return err
		}
		var say []amqpproto.Method
		ch := uint16(0)
		switch m := m.(type) {
		case *amqpproto.ConnectionStart:
			say = []amqpproto.Method{&amqpproto.ConnectionStartOk{Mechanism: []byte("PLAIN"), Response: []byte("\x00guest\x00guest"), Locale: []byte("en_US")}}
		case *amqpproto.ConnectionTune:
			say = []amqpproto.Method{&amqpproto.ConnectionTuneOk{FrameMax: m.FrameMax, ChannelMax: m.ChannelMax}, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")}}
		case *amqpproto.ConnectionOpenOk:
			ch, say = 1, []amqpproto.Method{&amqpproto.ChannelOpen{}}
		case *amqpproto.ChannelOpenOk:
			ch, say = 1, []amqpproto.Method{&amqpproto.QueueDelete{Queue: []byte(name)}}
		case *amqpproto.QueueDeleteOk:
			return nil
		default:
			return fmt.Errorf("got %s", m.ID())
		}
		buf = buf[n:]
		for _, m := range say {
			b, err := amqpproto.AppendMethod(nil, ch, m)
			if err != nil {
				return err
			}
			if _, err := nc.Write(b); err != nil {
				return err
			}
		}
	}
}

// TestRabbitMQAlarm has the broker block publishers, and later close everything
// by force. It does so to a node of its own: the tests of other packages run at the same
// time, and are not to be blocked or disconnected.
func TestRabbitMQAlarm(t *testing.T) {
	node := rabbitmq.New(t)
	p := newPumpAt(t, node.URL, nil)
	s := &sink{ack: true}
	k := p.client.Consume(client.ConsumerSpec{Name: "c", Topology: client.Topology{Queues: []client.Queue{{Exclusive: true}}}}, s)
	p.dial()
	p.until("start", func() bool { return k.State() == client.Up })
	publish := func(c client.Confirm) {
		t.Helper()
		if err := p.client.Publish(nil, &client.Outgoing{RoutingKey: k.Queue(), Mandatory: true}, c); err != nil {
			t.Fatal(err)
		}
	}
	// rabbitmqctl can take longer than the heartbeats allow.
	ctl := func(args ...string) {
		t.Helper()
		p.meanwhile(args[0], nil, func() error { node.Ctl(t, args...); return nil })
	}
	ctl("set_vm_memory_high_watermark", "0.00001")
	// RabbitMQ tells only those who publish, and takes what it reads before.
	for end := time.Now().Add(time.Minute); time.Now().Before(end); p.turn(time.Now().Add(100 * time.Millisecond)) {
		if blocked, _ := p.client.Blocked(); blocked {
			break
		}
		publish(nil)
	}
	blocked, why := p.client.Blocked()
	if !blocked || why == "" {
		t.Fatal("not blocked")
	}
	before := p.client.Stats().Confirmed
	done := confirms{}
	publish(&done)
	p.turn(time.Now().Add(300 * time.Millisecond))
	if len(done.got) != 0 || p.client.Stats().OctetsOut == 0 {
		t.Fatal("published against the block")
	}
	ctl("set_vm_memory_high_watermark", "0.4")
	p.until("the confirm", func() bool { return len(done.got) == 1 })
	if done.got[0] != nil || p.client.Stats().Confirmed <= before {
		t.Fatal(done.got)
	}
	if n := p.client.Stats().Reconnects; n > 0 {
		t.Fatalf("the connection was lost before, %d times", n)
	}
	queue := k.Queue()
	ctl("close_all_connections", "maintenance")
	p.until("the consumer to come back", func() bool { return p.client.Stats().Reconnects > 0 && k.State() == client.Up })
	if k.Queue() == queue {
		t.Fatal("the exclusive queue has outlived its connection")
	}
	publish(&done)
	p.until("the confirm", func() bool { return len(done.got) == 2 })
	if done.got[1] != nil {
		t.Fatal(done.got)
	}
	p.finish()
}

func TestRabbitMQRefusals(t *testing.T) {
	for _, row := range []struct {
		name   string
		change func(*client.Config)
		code   uint16
	}{
		{"password", func(c *client.Config) { c.Password = "wrong" }, amqpproto.AccessRefused},
		{"AMQPLAIN password", func(c *client.Config) { c.Password, c.Mechanism = "wrong", "AMQPLAIN" }, amqpproto.AccessRefused},
		{"vhost", func(c *client.Config) { c.Vhost = "nowhere" }, amqpproto.NotAllowed},
		{"mechanism", func(c *client.Config) { c.Mechanism = "EXTERNAL" }, 0},
	} {
		t.Run(row.name, func(t *testing.T) {
			p := newPump(t, row.change)
			p.dial()
			p.until("refusal", func() bool { return p.conn == nil })
			var e *client.ConnectError
			var ce *amqpproto.ConnectionError
			if !errors.As(p.client.Err(), &e) {
				t.Fatal(p.client.Err())
			}
			if row.code != 0 && (!errors.As(e, &ce) || ce.Code != row.code || e.Remedy == "") {
				t.Fatal(e)
			}
		})
	}
}

func TestRabbitMQAMQPlain(t *testing.T) {
	p := newPump(t, func(c *client.Config) { c.Mechanism = "AMQPLAIN" })
	p.dial()
	p.until("open", func() bool { return p.client.Ready() })
	p.finish()
}
