package client_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// fakeBroker is the other side of a Conn. It answers what a broker would answer, unless the test
// has set a function in on.
type fakeBroker struct {
	t      testing.TB
	script *wiretest.Script
	log    []string                                                        // the methods that came, with their channel
	header bool                                                            // the protocol header came
	on     map[amqpproto.MethodID]func(ch uint16, m amqpproto.Method) bool // true = handled
	tune   amqpproto.ConnectionTune
	// the capabilities that it announces; by default all of RabbitMQ's
	capabilities amqp.Table
	beats        int
	queues       int // named so far
	published,
	publishes uint64 // methods, whole contents
	consumers map[string]uint16               // channel by consumer tag
	byQueue   map[string]string               // tag by queue
	tags      map[uint16]uint64               // last delivery tag by channel
	asm       map[uint16]*amqpproto.Assembler // of the open channels
	closing   map[uint16]bool                 // this side has closed the channel, and close-ok has not come yet
	unacked   map[uint16]map[uint64]bool      // delivery tags by channel
	open      []uint64                        // publishes without a confirm
	bodies    []string
	raws      [][]byte // their properties
	taken     []took   // those that it did not refuse
	refuses   func(m *amqpproto.BasicPublish, p *amqpproto.Properties, body string) (code uint16, text string)
	nacks     func(ch uint16, m *amqpproto.BasicPublish, body string) bool
	publish   map[uint16]*amqpproto.BasicPublish // the last one by channel
	owes      map[uint16]bool                    // channels with publishes that were left without confirm
	silent    bool                               // do not confirm
	noAck     bool                               // the last consumer asked for it
	pubChan   uint16
	acks      []string

	sequence   map[uint16]uint64 // publishes by channel
	requestTag map[uint16]string // consumer tag of the channels of requests
	replyQueue map[uint16]string // that those consume from
	requests   []asked           // requests without a reply
	gets       func(queue string) (body string, ok bool)
	commits    int
	secrets    []string
}

// took is a publish that came, and was not refused.
type took struct {
	ch       uint16
	id, body string
}

// asked is a request that came on a channel of requests.
type asked struct {
	ch                  uint16
	number              uint64
	correlation, target string // target is reply_to
	body                string
}

func newFakeBroker(t testing.TB) *fakeBroker {
	b := &fakeBroker{capabilities: amqp.Table{"publisher_confirms": true, "basic.nack": true, "consumer_cancel_notify": true,
		"direct_reply_to": true, "exchange_exchange_bindings": true},

		t: t, script: wiretest.NewScript(),
		on:        map[amqpproto.MethodID]func(uint16, amqpproto.Method) bool{},
		tune:      amqpproto.ConnectionTune{ChannelMax: 2047, FrameMax: 131072, Heartbeat: 60},
		consumers: map[string]uint16{}, byQueue: map[string]string{}, tags: map[uint16]uint64{},
		publish: map[uint16]*amqpproto.BasicPublish{}, owes: map[uint16]bool{},
		sequence: map[uint16]uint64{}, requestTag: map[uint16]string{}, replyQueue: map[uint16]string{},
		asm: map[uint16]*amqpproto.Assembler{}, closing: map[uint16]bool{}, unacked: map[uint16]map[uint64]bool{},
	}
	b.script.On = b.feed
	return b
}

func (b *fakeBroker) feed(in []byte) (n int, err error) {
	if !b.header {
		_, n, err := amqpproto.CutProtocolHeader(in)
		if n > 0 {
			b.header = true
			b.start()
		}
		return n, err
	}
	for {
		f, m, err := amqpproto.CutFrame(in[n:], 0)
		if m == 0 || err != nil {
			return n, err
		}
		n += m
		b.frame(f)
	}
}

func (b *fakeBroker) start() {
	about := amqp.Table{"product": "fake", "version": "1.0"}
	if b.capabilities != nil {
		about["capabilities"] = b.capabilities
	}
	props, err := amqpproto.AppendTable(nil, about)
	if err != nil {
		b.t.Fatal(err)
	}
	m := &amqpproto.ConnectionStart{VersionMinor: 9, ServerProperties: props,
		Mechanisms: []byte("PLAIN AMQPLAIN EXTERNAL"), Locales: []byte("en_US")}
	if fn := b.on[m.ID()]; fn != nil && fn(0, m) {
		return
	}
	b.say(0, m)
}

// say sends a method.
func (b *fakeBroker) say(ch uint16, m amqpproto.Method) {
	b.t.Helper()
	p, err := amqpproto.AppendMethod(nil, ch, m)
	if err != nil {
		b.t.Fatal(err)
	}
	b.script.Say(p...)
}

func (b *fakeBroker) frame(f amqpproto.Frame) {
	content := f.Type == amqpproto.FrameHeader || f.Type == amqpproto.FrameBody
	if content && b.on[amqpproto.IDBasicPublish] != nil && !b.asm[f.Channel].Busy() {
		return // of a publish that the test handles itself
	}
	if b.closing[f.Channel] && (content || amqpproto.MethodID(binary.BigEndian.Uint32(f.Payload)).Class() != amqpproto.ClassChannel) {
		return // sent before the client saw channel.close
	}
	if content && b.asm[f.Channel] == nil {
		b.t.Errorf("broker: content on channel %d, which is not open", f.Channel)
		return
	}
	switch f.Type {
	case amqpproto.FrameHeartbeat:
		b.beats++
		return
	case amqpproto.FrameHeader:
		if err := b.asm[f.Channel].Header(f.Payload); err != nil {
			b.t.Errorf("content: %v", err)
		}
		if b.asm[f.Channel].Done() {
			b.content(f.Channel)
		}
		return
	case amqpproto.FrameBody:
		done, err := b.asm[f.Channel].Body(f.Payload)
		if err != nil {
			b.t.Errorf("content: %v", err)
		}
		if done {
			b.content(f.Channel)
		}
		return
	}
	m, err := amqpproto.DecodeMethod(f.Payload)
	if err != nil {
		b.t.Errorf("broker: %v", err)
		return
	}
	b.log = append(b.log, fmt.Sprintf("%d %s", f.Channel, m.ID()))
	if !m.ID().FromClient() || f.Channel != 0 && (b.asm[f.Channel] == nil) != (m.ID() == amqpproto.IDChannelOpen) {
		b.t.Errorf("broker: unexpected %s on channel %d: open %v, closing %v", m.ID(), f.Channel, b.asm[f.Channel] != nil, b.closing[f.Channel])
		return
	}
	if fn := b.on[m.ID()]; fn != nil && fn(f.Channel, m) {
		return
	}
	b.answer(f.Channel, m)
}

func (b *fakeBroker) content(ch uint16) {
	b.sequence[ch]++
	_, isRequest := b.requestTag[ch]
	if ch != b.pubChan && !isRequest {
		b.pubChan, b.publishes, b.open = ch, 0, nil
	}
	if !isRequest {
		b.publishes++
	}
	var props amqpproto.Properties
	body := string(b.asm[ch].Content().Body)
	if _, err := props.Decode(b.asm[ch].Content().RawProperties); err != nil {
		b.t.Errorf("publish: %v", err)
	}
	if b.refuses != nil {
		if code, text := b.refuses(b.publish[ch], &props, body); code != 0 {
			b.closing[ch] = true
			b.say(ch, &amqpproto.ChannelClose{ReplyCode: code, ReplyText: []byte(text), ClassID: 60, MethodID: 40})
			return
		}
	}
	if isRequest {
		b.request(ch)
		return
	}
	b.taken = append(b.taken, took{ch, string(props.MessageID), body})
	b.bodies = append(b.bodies, string(b.asm[ch].Content().Body))
	b.raws = append(b.raws, bytes.Clone(b.asm[ch].Content().RawProperties))
	switch {
	case b.nacks != nil && b.nacks(ch, b.publish[ch], body):
		b.say(ch, &amqpproto.BasicNack{DeliveryTag: b.sequence[ch]})
	case b.silent:
		b.open = append(b.open, b.publishes)
		b.owes[ch] = true
	default:
		b.say(ch, &amqpproto.BasicAck{DeliveryTag: b.sequence[ch]})
	}
}

// answer is what a broker would say.
func (b *fakeBroker) answer(ch uint16, m amqpproto.Method) {
	switch m := m.(type) {
	case *amqpproto.ConnectionStartOk:
		b.say(0, &b.tune)
	case *amqpproto.ConnectionOpen:
		b.say(0, &amqpproto.ConnectionOpenOk{})
	case *amqpproto.ConnectionClose:
		b.say(0, &amqpproto.ConnectionCloseOk{})
		b.script.Close()
	case *amqpproto.ChannelOpen:
		b.say(ch, &amqpproto.ChannelOpenOk{})
		b.tags[ch] = 0
		b.asm[ch] = &amqpproto.Assembler{}
		b.unacked[ch] = map[uint64]bool{}
	case *amqpproto.ChannelClose:
		b.say(ch, &amqpproto.ChannelCloseOk{})
		if !b.closing[ch] {
			b.forget(ch)
		}
	case *amqpproto.ChannelCloseOk:
		if !b.closing[ch] {
			b.t.Errorf("broker: close-ok on channel %d, which was not closed", ch)
		}
		b.forget(ch)
	case *amqpproto.ConfirmSelect:
		b.sequence[ch] = 0
		if b.pubChan == 0 {
			b.pubChan, b.publishes, b.open = ch, 0, nil
		}
		b.say(ch, &amqpproto.ConfirmSelectOk{})
	case *amqpproto.TxSelect:
		b.pubChan, b.publishes, b.open, b.silent = ch, 0, nil, true
		b.say(ch, &amqpproto.TxSelectOk{})
	case *amqpproto.TxCommit:
		b.commits++
		b.say(ch, &amqpproto.TxCommitOk{})
	case *amqpproto.ConnectionUpdateSecret:
		b.secrets = append(b.secrets, string(m.NewSecret))
		b.say(0, &amqpproto.ConnectionUpdateSecretOk{})
	case *amqpproto.QueuePurge:
		b.say(ch, &amqpproto.QueuePurgeOk{MessageCount: 7})
	case *amqpproto.QueueDelete:
		b.say(ch, &amqpproto.QueueDeleteOk{MessageCount: 8})
	case *amqpproto.BasicGet:
		b.get(ch, m)
	case *amqpproto.ExchangeDeclare:
		b.say(ch, &amqpproto.ExchangeDeclareOk{})
	case *amqpproto.ExchangeBind:
		b.say(ch, &amqpproto.ExchangeBindOk{})
	case *amqpproto.QueueDeclare:
		name := m.Queue
		if len(name) == 0 {
			b.queues++
			name = fmt.Appendf(nil, "amq.gen-%d", b.queues)
		}
		b.say(ch, &amqpproto.QueueDeclareOk{Queue: name})
	case *amqpproto.QueueBind:
		b.say(ch, &amqpproto.QueueBindOk{})
	case *amqpproto.BasicQos:
		b.say(ch, &amqpproto.BasicQosOk{})
	case *amqpproto.BasicConsume:
		if m.NoAck && len(m.ConsumerTag) == 0 {
			b.requestTag[ch] = fmt.Sprint("replies.", ch)
			b.replyQueue[ch] = string(m.Queue)
			if b.pubChan == ch {
				b.pubChan = 0
			}
			b.say(ch, &amqpproto.BasicConsumeOk{ConsumerTag: []byte(b.requestTag[ch])})
			return
		}
		tag := string(m.ConsumerTag)
		b.consumers[tag] = ch
		b.noAck = m.NoAck
		b.byQueue[string(m.Queue)] = tag
		b.say(ch, &amqpproto.BasicConsumeOk{ConsumerTag: m.ConsumerTag})
	case *amqpproto.BasicCancel:
		delete(b.consumers, string(m.ConsumerTag))
		b.say(ch, &amqpproto.BasicCancelOk{ConsumerTag: m.ConsumerTag})
	case *amqpproto.BasicPublish:
		b.published++
		b.publish[ch] = &amqpproto.BasicPublish{Exchange: bytes.Clone(m.Exchange), RoutingKey: bytes.Clone(m.RoutingKey)}
		if err := b.asm[ch].Begin(amqpproto.IDBasicPublish); err != nil {
			b.t.Errorf("content: %v", err)
		}
	case *amqpproto.BasicAck:
		b.settled(ch, m.DeliveryTag, m.Multiple)
		b.acks = append(b.acks, fmt.Sprintf("ack %d %v", m.DeliveryTag, m.Multiple))
	case *amqpproto.BasicNack:
		b.settled(ch, m.DeliveryTag, m.Multiple)
		b.acks = append(b.acks, fmt.Sprintf("nack %d %v", m.DeliveryTag, m.Requeue))
	case *amqpproto.BasicReject:
		b.settled(ch, m.DeliveryTag, false)
		b.acks = append(b.acks, fmt.Sprintf("reject %d %v", m.DeliveryTag, m.Requeue))
	}
}

// confirm confirms all publishes that were left without a confirm.
func (b *fakeBroker) confirm() {
	b.silent = false
	for ch := range b.owes {
		b.say(ch, &amqpproto.BasicAck{Multiple: true})
	}
	clear(b.owes)
}

// request takes a request, and echoes it unless the broker is silent.
func (b *fakeBroker) request(ch uint16) {
	ct := b.asm[ch].Content()
	var props amqpproto.Properties
	if _, err := props.Decode(ct.RawProperties); err != nil {
		b.t.Errorf("request: %v", err)
	}
	q := asked{ch, b.sequence[ch], string(props.CorrelationID), string(props.ReplyTo), string(ct.Body)}
	if b.silent {
		b.requests = append(b.requests, q)
		return
	}
	b.say(ch, &amqpproto.BasicAck{DeliveryTag: q.number})
	b.reply(q, "re: "+q.body)
}

// reply answers a request.
func (b *fakeBroker) reply(q asked, body string) {
	props := amqpproto.Properties{Flags: amqpproto.FlagCorrelationID, CorrelationID: []byte(q.correlation)}
	raw, err := props.Append(nil)
	if err != nil {
		b.t.Fatal(err)
	}
	b.tags[q.ch]++
	p := amqpproto.AppendBasicDeliver(nil, q.ch, b.requestTag[q.ch], b.tags[q.ch], false, "", q.target)
	p = amqpproto.AppendContentHeader(p, q.ch, amqpproto.ClassBasic, uint64(len(body)), raw)
	b.script.Say(amqpproto.AppendBody(p, q.ch, []byte(body), 4096)...)
}

// get answers a basic.get.
func (b *fakeBroker) get(ch uint16, m *amqpproto.BasicGet) {
	var body string
	ok := false
	if b.gets != nil {
		body, ok = b.gets(string(m.Queue))
	}
	if !ok {
		b.say(ch, &amqpproto.BasicGetEmpty{})
		return
	}
	b.tags[ch]++
	if !m.NoAck {
		b.unacked[ch][b.tags[ch]] = true
	}
	b.say(ch, &amqpproto.BasicGetOk{DeliveryTag: b.tags[ch], RoutingKey: m.Queue})
	p := amqpproto.AppendContentHeader(nil, ch, amqpproto.ClassBasic, uint64(len(body)), []byte{0, 0})
	b.script.Say(amqpproto.AppendBody(p, ch, []byte(body), 4096)...)
}

// settled is as strict as RabbitMQ: a tag that is not unacked is an error.
func (b *fakeBroker) settled(ch uint16, tag uint64, multiple bool) {
	if !b.unacked[ch][tag] {
		b.t.Errorf("broker: unknown delivery tag %d on channel %d", tag, ch)
	}
	delete(b.unacked[ch], tag)
	if multiple {
		for t := range b.unacked[ch] {
			if t < tag {
				delete(b.unacked[ch], t)
			}
		}
	}
}

// forget ends a channel, once both sides know.
func (b *fakeBroker) forget(ch uint16) {
	delete(b.asm, ch)
	delete(b.closing, ch)
	delete(b.unacked, ch)
	delete(b.requestTag, ch)
	delete(b.owes, ch)
	for tag, c := range b.consumers {
		if c == ch {
			delete(b.consumers, tag)
		}
	}
	if ch == b.pubChan {
		b.pubChan, b.open = 0, nil
	}
}

// closeChannel is a channel error.
func (b *fakeBroker) closeChannel(ch uint16, code uint16, text string) {
	b.closing[ch] = true
	for tag, c := range b.consumers {
		if c == ch {
			delete(b.consumers, tag)
		}
	}
	b.say(ch, &amqpproto.ChannelClose{ReplyCode: code, ReplyText: []byte(text)})
}

// deliver sends the next message to a consumer.
func (b *fakeBroker) deliver(tag, body string) {
	ch := b.consumers[tag]
	b.tags[ch]++
	if !b.noAck {
		b.unacked[ch][b.tags[ch]] = true
	}
	b.script.Say(delivery(ch, tag, b.tags[ch], body)...)
}

func delivery(ch uint16, tag string, number uint64, body string) []byte {
	p := amqpproto.AppendBasicDeliver(nil, ch, tag, number, false, "", "q")
	p = amqpproto.AppendContentHeader(p, ch, amqpproto.ClassBasic, uint64(len(body)), []byte{0, 0})
	return amqpproto.AppendBody(p, ch, []byte(body), 131072)
}

// fixture joins a client and fake brokers, one for each connect.
type fixture struct {
	t       testing.TB
	seed    int64
	clock   *wiretest.Clock
	client  *client.Client
	broker  *fakeBroker // of the current connection
	link    *wiretest.Link
	conn    *client.Conn // of the connection of the day
	events  []client.Event
	redials []time.Duration
	prepare func(b *fakeBroker)
	manual  bool // the test dials
}

func newFixture(t testing.TB, seed int64, cfg client.Config) *fixture {
	f := &fixture{t: t, seed: seed, clock: wiretest.NewClock()}
	f.client = client.New(cfg, f)
	var tick func()
	tick = func() {
		if next := f.client.Tick(f.clock.Now()); !next.IsZero() {
			f.clock.After(max(next.Sub(f.clock.Now()), 1), tick)
		}
	}
	tick()
	return f
}

// Redial and Note make the fixture a Host.
func (f *fixture) Redial(after time.Duration) {
	f.redials = append(f.redials, after)
	if !f.manual {
		f.clock.After(after, f.dial)
	}
}

func (f *fixture) Note(e client.Event) { f.events = append(f.events, e) }

// dial connects to a new broker.
func (f *fixture) dial() {
	f.broker = newFakeBroker(f.t)
	if f.prepare != nil {
		f.prepare(f.broker)
	}
	w := wiretest.NewWire()
	f.conn = f.client.Connect(w)
	f.link = wiretest.Join(f.t, f.clock, f.seed, w.Bind(f.conn), f.broker.script.Peer())
}

// run serves everything until it is quiet, without time passing.
func (f *fixture) run() { f.link.Run() }

// connect dials, and runs.
func (f *fixture) connect() *fixture {
	f.dial()
	f.run()
	return f
}

// count counts the events of a kind.
func (f *fixture) count(kind client.EventKind) (n int) {
	for _, e := range f.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// last is the last event of a kind.
func (f *fixture) last(kind client.EventKind) client.Event {
	f.t.Helper()
	for i := len(f.events) - 1; i >= 0; i-- {
		if f.events[i].Kind == kind {
			return f.events[i]
		}
	}
	f.t.Fatalf("no event %q in %v", kind, f.events)
	return client.Event{}
}

// confirms collects outcomes.
type confirms struct{ got []error }

func (c *confirms) Confirmed(err error) { c.got = append(c.got, err) }

// sink collects bodies, and acks at once if told so.
type sink struct {
	ack    bool
	bodies []string
	tags   []uint64
	epochs []uint32
	then   func(*client.Delivery)
}

func (s *sink) Deliver(d *client.Delivery) {
	s.bodies = append(s.bodies, string(d.Body))
	s.tags = append(s.tags, d.Tag)
	s.epochs = append(s.epochs, d.Epoch)
	if s.ack {
		d.Consumer.Ack(d.Epoch, d.Tag)
	}
	if s.then != nil {
		s.then(d)
	}
}

func connectionError(t testing.TB, err error, code uint16) {
	t.Helper()
	var ce *amqpproto.ConnectionError
	if !errors.As(err, &ce) || ce.Code != code {
		t.Fatalf("error %v, want a ConnectionError %d", err, code)
	}
}

func queue(name string) client.Topology {
	return client.Topology{Queues: []client.Queue{{Name: name, Durable: true}}}
}
