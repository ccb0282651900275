package broker_test

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/tests/kit/wiretest"
)

// fixture is a broker on a clock of its own, and its Host.
type fixture struct {
	t      testing.TB
	clock  *wiretest.Clock
	server *broker.Server
	events []broker.Event
	held   []func() // work that Offload holds back
	hold   bool
}

func newFixture(t testing.TB, o broker.Options) *fixture {
	t.Helper()
	f := &fixture{t: t, clock: wiretest.NewClock()}
	s, err := broker.New(o, f)
	if err != nil {
		t.Fatal(err)
	}
	f.server = s
	f.tick()
	return f
}

func (f *fixture) tick() {
	if next := f.server.Tick(f.clock.Now()); !next.IsZero() {
		f.WakeAt(next)
	}
}

func (f *fixture) Now() time.Time      { return f.clock.Now() }
func (f *fixture) WakeAt(t time.Time)  { f.clock.After(t.Sub(f.clock.Now()), f.tick) }
func (f *fixture) Post(fn func())      { f.clock.After(0, fn) }
func (f *fixture) Note(e broker.Event) { f.events = append(f.events, e) }
func (f *fixture) Offload(fn, done func()) {
	work := func() { fn(); done() }
	if f.hold {
		f.held = append(f.held, work)
		return
	}
	f.clock.After(0, work)
}

func (f *fixture) last(kind broker.EventKind) broker.Event {
	f.t.Helper()
	for i := len(f.events) - 1; i >= 0; i-- {
		if f.events[i].Kind == kind {
			return f.events[i]
		}
	}
	f.t.Fatalf("no event %q in %v", kind, f.events)
	return broker.Event{}
}

// peer is a client made of frames.
type peer struct {
	ear
	f    *fixture
	conn *broker.Conn
	wire *wiretest.Wire
	kept []byte // not taken by Feed
	over bool   // the broker has closed the socket
}

// ear keeps what a client receives, as one line for each frame.
type ear struct {
	t     testing.TB
	heard []string // frames since the last hear
	in    []byte   // the beginning of a frame
	exact bool     // show properties as they are on the wire
}

// dial opens a socket and nothing else.
func (f *fixture) dial(remote string) *peer {
	p := &peer{ear: ear{t: f.t}, f: f, wire: wiretest.NewWire()}
	var addr net.Addr
	if remote != "" {
		addr = tcpAddr(remote)
	}
	p.conn = f.server.Connect(p.wire, addr)
	p.conn.Tick(f.clock.Now())
	return p
}

type tcpAddr string

func (a tcpAddr) Network() string { return "tcp" }
func (a tcpAddr) String() string  { return string(a) }

// open is dial with a whole handshake and channels 1 to n opened.
func (f *fixture) open(n int) *peer {
	p := f.dial("")
	p.handshake("guest", "guest", "/")
	for i := 1; i <= n; i++ {
		p.method(uint16(i), &amqpproto.ChannelOpen{})
	}
	p.hear()
	return p
}

var everything = amqp.Table{"capabilities": amqp.Table{"consumer_cancel_notify": true, "connection.blocked": true, "authentication_failure_close": true}}

func (p *peer) handshake(user, password, vhost string) {
	p.say([]byte(amqpproto.ProtocolHeader))
	p.startOk("PLAIN", []byte("\x00"+user+"\x00"+password), everything)
	p.method(0, &amqpproto.ConnectionTuneOk{ChannelMax: 2047, FrameMax: 131072, Heartbeat: 60})
	p.method(0, &amqpproto.ConnectionOpen{VirtualHost: []byte(vhost)})
}

func (p *peer) startOk(mechanism string, response []byte, properties amqp.Table) {
	p.method(0, &amqpproto.ConnectionStartOk{ClientProperties: table(properties), Mechanism: []byte(mechanism), Response: response, Locale: []byte("en_US")})
}

func table(t amqp.Table) amqpproto.RawTable {
	b, err := amqpproto.AppendTable(nil, t)
	if err != nil {
		panic(err)
	}
	return b
}

// method sends one method.
func (p *peer) method(ch uint16, m amqpproto.Method) *peer {
	p.t.Helper()
	b, err := amqpproto.AppendMethod(nil, ch, m)
	if err != nil {
		p.t.Fatal(err)
	}
	return p.say(b)
}

// publish sends a message with its properties.
func (p *peer) publish(ch uint16, exchange, key, body string, props amqpproto.Properties) *peer {
	p.t.Helper()
	return p.say(publication(p.t, ch, exchange, key, body, props, false))
}

func publication(t testing.TB, ch uint16, exchange, key, body string, props amqpproto.Properties, mandatory bool) []byte {
	b := amqpproto.AppendBasicPublish(nil, ch, exchange, key, mandatory, false)
	props.SetFlags()
	b, err := amqpproto.AppendContentHeaderProperties(b, ch, amqpproto.ClassBasic, uint64(len(body)), &props)
	if err != nil {
		t.Fatal(err)
	}
	return amqpproto.AppendBody(b, ch, []byte(body), 131072)
}

// say feeds octets and lets the broker have its turn.
func (p *peer) say(b []byte) *peer {
	p.t.Helper()
	p.kept = append(p.kept, b...)
	p.turn()
	return p
}

// turn is a turn of the loop for this connection.
func (p *peer) turn() {
	p.t.Helper()
	if p.over {
		return
	}
	for i := 0; i < 100; i++ {
		var err error
		if len(p.kept) > 0 && p.wire.Closed == 0 {
			lent := append([]byte(nil), p.kept...)
			var n int
			n, err = p.conn.Feed(lent)
			for j := range lent {
				lent[j] = 0xDB
			}
			p.kept = p.kept[n:]
		}
		p.conn.Tick(p.f.clock.Now())
		p.flush()
		if err != nil || p.wire.Closed > 0 || p.wire.Aborted > 0 {
			p.lose(err)
			return
		}
		woken := p.wire.Woken
		p.f.clock.Advance(0)
		if p.wire.Woken == woken && i > 0 {
			return
		}
	}
	p.t.Fatal("peer: still talking after 100 turns")
}

func (p *peer) flush() {
	out := p.conn.Pending()
	p.take(out)
	p.conn.Sent(len(out))
}

func (p *peer) lose(err error) {
	if !p.over {
		p.over = true
		p.conn.Lost(err)
		p.heard = append(p.heard, "eof")
	}
}

// take renders whole frames and keeps the rest.
func (e *ear) take(octets []byte) {
	b := append(e.in, octets...)
	for len(b) > 0 {
		if b[0] == 'A' && len(b) >= 8 {
			e.heard = append(e.heard, fmt.Sprintf("%q", b[:8]))
			b = b[8:]
			continue
		}
		f, n, err := amqpproto.CutFrame(b, 0)
		if err != nil {
			e.t.Fatalf("the broker sends no frames: %v", err)
		}
		if n == 0 {
			break
		}
		said := line(f)
		if e.exact && f.Type == amqpproto.FrameHeader {
			said = fmt.Sprintf("%d header %q", f.Channel, f.Payload)
		}
		e.heard = append(e.heard, said)
		b = b[n:]
	}
	e.in = append(e.in[:0], b...)
}

// line shows a frame with all that it has.
func line(f amqpproto.Frame) string {
	switch f.Type {
	case amqpproto.FrameMethod:
		m, err := amqpproto.DecodeMethod(f.Payload)
		if err != nil {
			return err.Error()
		}
		args := strings.TrimPrefix(fmt.Sprintf("%+v", arguments(m)), "&")
		return strings.TrimSuffix(fmt.Sprintf("%d %s %s", f.Channel, m.ID(), args), " {}")
	case amqpproto.FrameHeader:
		var h amqpproto.ContentHeader
		var p amqpproto.Properties
		if err := h.Decode(f.Payload); err != nil {
			return err.Error()
		}
		if _, err := p.Decode(h.RawProperties); err != nil {
			return err.Error()
		}
		pub, err := p.Publishing()
		if err != nil {
			return err.Error()
		}
		return fmt.Sprintf("%d header %d %v", f.Channel, h.BodySize, shown(pub))
	case amqpproto.FrameBody:
		return fmt.Sprintf("%d body %.40q", f.Channel, f.Payload)
	}
	return f.String()
}

// shown are the properties that are set.
func shown(p amqp.Publishing) string {
	s := fmt.Sprintf("%v", p.Headers)
	for _, x := range []struct{ name, value string }{{"correlation_id", p.CorrelationId}, {"reply_to", p.ReplyTo}, {"expiration", p.Expiration}, {"user_id", p.UserId}} {
		if x.value != "" {
			s += " " + x.name + "=" + x.value
		}
	}
	return s
}

// arguments has octets as strings, so that they can be read.
func arguments(m amqpproto.Method) any {
	switch m := m.(type) {
	case *amqpproto.ConnectionClose:
		return []any{m.ReplyCode, string(m.ReplyText), amqpproto.NewMethodID(m.ClassID, m.MethodID).String()}
	case *amqpproto.ChannelClose:
		return []any{m.ReplyCode, string(m.ReplyText), amqpproto.NewMethodID(m.ClassID, m.MethodID).String()}
	case *amqpproto.QueueDeclareOk:
		return []any{string(m.Queue), m.MessageCount, m.ConsumerCount}
	case *amqpproto.BasicConsumeOk:
		return string(m.ConsumerTag)
	case *amqpproto.BasicCancel:
		return string(m.ConsumerTag)
	case *amqpproto.BasicCancelOk:
		return string(m.ConsumerTag)
	case *amqpproto.BasicDeliver:
		return []any{string(m.ConsumerTag), m.DeliveryTag, m.Redelivered, string(m.Exchange), string(m.RoutingKey)}
	case *amqpproto.BasicGetOk:
		return []any{m.DeliveryTag, m.Redelivered, string(m.Exchange), string(m.RoutingKey), m.MessageCount}
	case *amqpproto.BasicReturn:
		return []any{m.ReplyCode, string(m.ReplyText), string(m.Exchange), string(m.RoutingKey)}
	case *amqpproto.ConnectionStart:
		return []any{m.VersionMajor, m.VersionMinor, string(m.Mechanisms), string(m.Locales)}
	case *amqpproto.ConnectionBlocked:
		return string(m.Reason)
	}
	return m
}

// hear returns what was received since the last call.
func (p *peer) hear() string {
	p.turn()
	s := strings.Join(p.heard, "\n")
	p.heard = nil
	return s
}

// want fails unless exactly this was received.
func (p *peer) want(lines ...string) *peer {
	p.t.Helper()
	if got, want := p.hear(), strings.Join(lines, "\n"); got != want {
		p.t.Fatalf("heard:\n%s\nwant:\n%s", got, want)
	}
	return p
}
