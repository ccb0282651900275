package amqpproto_test

import (
	"bytes"
	"fmt"
	"io"
	"net"
	"reflect"
	"sync"
	"testing"
	"time"

	amqp091 "github.com/rabbitmq/amqp091-go"
	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// mirror is a server on our codec that answers every request with its first reply and
// delivers every publish back. So clients that we did not write check our octets, without a
// broker.
type mirror struct {
	t       *testing.T
	conn    net.Conn
	out     chan []byte // net.Pipe has no buffer: a writer of its own avoids a deadlock
	asm     map[uint16]*amqpproto.Assembler
	publish amqpproto.BasicPublish
	tag     []byte // of the last consumer
	count   uint64
	mu      sync.Mutex
	seen    []string // requests, as method and fields
}

// startMirror returns the client's end of the wire.
func startMirror(t *testing.T) (*mirror, net.Conn) {
	client, server := net.Pipe()
	s := &mirror{t: t, conn: server, out: make(chan []byte, 1000), asm: map[uint16]*amqpproto.Assembler{}}
	go func() {
		for b := range s.out {
			if _, err := server.Write(b); err != nil {
				return
			}
		}
	}()
	go s.read()
	t.Cleanup(func() { _ = client.Close(); _ = server.Close() })
	return s, client
}

func (s *mirror) read() {
	defer close(s.out)
	var kept []byte
	buf := make([]byte, 4096)
	greeted := false
	for {
		n, err := s.conn.Read(buf)
		if err != nil {
			return
		}
		kept = append(kept, buf[:n]...)
		if !greeted {
			_, n, err := amqpproto.CutProtocolHeader(kept)
			if err != nil {
				s.t.Error(err)
				return
			}
			if n == 0 {
				continue
			}
			greeted, kept = true, kept[n:]
			props, _ := amqpproto.AppendTable(nil, everyStreadwayField)
			s.send(0, &amqpproto.ConnectionStart{VersionMinor: 9, ServerProperties: props, Mechanisms: []byte("PLAIN"), Locales: []byte("en_US")})
		}
		for {
			f, n, err := amqpproto.CutFrame(kept, 131072)
			if err == nil && n > 0 {
				err = s.frame(f)
			}
			if err != nil {
				s.t.Errorf("%s: %v", f, err)
				return
			}
			if n == 0 {
				break
			}
			kept = kept[n:]
		}
	}
}

func (s *mirror) send(channel uint16, m amqpproto.Method) {
	b, err := amqpproto.AppendMethod(nil, channel, m)
	if err != nil {
		s.t.Error(err)
	}
	s.out <- b
}

func (s *mirror) frame(f amqpproto.Frame) error {
	a := s.asm[f.Channel]
	if a == nil {
		a = &amqpproto.Assembler{Channel: f.Channel}
		s.asm[f.Channel] = a
	}
	var err error
	switch f.Type {
	case amqpproto.FrameMethod:
		return s.method(f, a)
	case amqpproto.FrameHeader:
		err = a.Header(f.Payload)
	case amqpproto.FrameBody:
		_, err = a.Body(f.Payload)
	}
	if err == nil && a.Done() {
		s.echo(f.Channel, a.Content())
	}
	return err
}

func (s *mirror) method(f amqpproto.Frame, a *amqpproto.Assembler) error {
	id, _, err := f.Method()
	if err == nil {
		err = a.Begin(id)
	}
	if err != nil {
		return err
	}
	m, err := amqpproto.DecodeMethod(bytes.Clone(f.Payload))
	if err != nil {
		return err
	}
	if !id.FromClient() {
		return fmt.Errorf("%s is not for clients", id)
	}
	s.mu.Lock()
	s.seen = append(s.seen, show(m))
	s.mu.Unlock()
	if v := reflect.ValueOf(m).Elem().FieldByName("NoWait"); v.IsValid() && v.Bool() {
		return nil
	}
	switch m := m.(type) {
	case *amqpproto.ConnectionStartOk:
		s.send(0, &amqpproto.ConnectionTune{ChannelMax: 2047, FrameMax: 4096, Heartbeat: 60})
	case *amqpproto.QueueDeclare:
		s.send(f.Channel, &amqpproto.QueueDeclareOk{Queue: []byte("named"), MessageCount: 3, ConsumerCount: 4})
	case *amqpproto.BasicConsume:
		s.tag = m.ConsumerTag
		s.send(f.Channel, &amqpproto.BasicConsumeOk{ConsumerTag: m.ConsumerTag})
	case *amqpproto.BasicCancel:
		s.send(f.Channel, &amqpproto.BasicCancelOk{ConsumerTag: m.ConsumerTag})
	case *amqpproto.BasicGet:
		s.send(f.Channel, &amqpproto.BasicGetEmpty{})
	case *amqpproto.BasicPublish:
		s.publish = *m
	default:
		if replies := id.Replies(); len(replies) > 0 {
			s.send(f.Channel, newMethod(s.t, replies[0]))
		}
	}
	return nil
}

// echo delivers a publish, returns it if it was mandatory, and confirms it.
func (s *mirror) echo(channel uint16, c *amqpproto.Content) {
	s.count++
	var b []byte
	if s.publish.Mandatory {
		b, _ = amqpproto.AppendMethod(b, channel, &amqpproto.BasicReturn{ReplyCode: amqpproto.NoRoute, ReplyText: []byte("NO_ROUTE"),
			Exchange: s.publish.Exchange, RoutingKey: s.publish.RoutingKey})
	} else {
		b = amqpproto.AppendBasicDeliver(b, channel, string(s.tag), s.count, true, string(s.publish.Exchange), string(s.publish.RoutingKey))
	}
	b = amqpproto.AppendContentHeader(b, channel, c.Class, c.BodySize, c.RawProperties)
	b = amqpproto.AppendBody(b, channel, c.Body, 4096)
	s.out <- amqpproto.AppendBasicAck(b, channel, s.count, false)
}

// show is a method as text: octets as strings, tables decoded.
func show(m amqpproto.Method) string {
	s := m.ID().String()
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i).Interface().(type) {
		case []byte:
			s += fmt.Sprintf(" %s=%q", v.Type().Field(i).Name, f)
		case amqpproto.RawTable:
			table, err := f.Table()
			if err != nil {
				return s + " " + err.Error()
			}
			s += fmt.Sprintf(" %s=%v", v.Type().Field(i).Name, table)
		default:
			s += fmt.Sprintf(" %s=%v", v.Type().Field(i).Name, f)
		}
	}
	return s
}

// everyStreadwayField leaves out what streadway/amqp does not read.
var everyStreadwayField = func() amqp.Table {
	t := amqp.Table{}
	for key, v := range everyField {
		switch v.(type) {
		case uint8, uint16, uint32:
		default:
			t[key] = v
		}
	}
	return t
}()

// to091 turns the tables and decimals of one vocabulary into the other's.
func to091(v any) any {
	switch v := v.(type) {
	case amqp.Table:
		t := amqp091.Table{}
		for key, v := range v {
			t[key] = to091(v)
		}
		return t
	case []any:
		list := []any{}
		for _, v := range v {
			list = append(list, to091(v))
		}
		return list
	case amqp.Decimal:
		return amqp091.Decimal(v)
	}
	return v
}

// same compares what a client gave back, after smoothing what clients lose: the
// zone of a time, and whether an empty array is nil.
func same(have, want any) bool {
	text := func(v any) string { return fmt.Sprintf("%#v", smooth(v)) }
	return text(have) == text(want)
}

func smooth(v any) any {
	switch v := v.(type) {
	case time.Time:
		return v.Unix()
	case amqp091.Table:
		return smooth(map[string]any(v))
	case amqp.Table:
		return smooth(map[string]any(v))
	case map[string]any:
		t := map[string]any{}
		for key, v := range v {
			t[key] = smooth(v)
		}
		return t
	case []any:
		list := []any{}
		for _, v := range v {
			list = append(list, smooth(v))
		}
		return list
	}
	return v
}

// amqp091-go speaks every client method to our codec, and reads our replies.
func TestPeerAMQP091(t *testing.T) {
	server, wire := startMirror(t)
	conn, err := amqp091.Open(wire, amqp091.Config{SASL: []amqp091.Authentication{&amqp091.PlainAuth{Username: "u", Password: "p"}}, Vhost: "v", Heartbeat: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if want := to091(everyStreadwayField); !same(map[string]any(conn.Properties), map[string]any(want.(amqp091.Table))) {
		t.Errorf("server properties came as %v", conn.Properties)
	}
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	args := amqp091.Table{"n": int64(7), "s": "x"}
	steps := []func() error{
		func() error { return ch.ExchangeDeclare("e", "topic", true, false, true, false, args) },
		func() error { return ch.ExchangeDeclarePassive("e", "topic", false, true, false, true, nil) },
		func() error { return ch.ExchangeBind("d", "k", "s", false, args) },
		func() error { return ch.ExchangeUnbind("d", "k", "s", false, args) },
		func() error { return ch.ExchangeDelete("e", true, false) },
		func() error { q, err := ch.QueueDeclare("", true, false, true, false, args); return wantQueue(q, err) },
		func() error { return ch.QueueBind("q", "k", "e", false, args) },
		func() error { return ch.QueueUnbind("q", "k", "e", args) },
		func() error { _, err := ch.QueuePurge("q", false); return err },
		func() error { _, err := ch.QueueDelete("q", true, true, false); return err },
		func() error { return ch.Qos(5, 0, true) },
		func() error { return ch.Confirm(false) },
		func() error { _, ok, err := ch.Get("q", true); return wantFalse(ok, err) },
		func() error { return ch.Ack(1, true) },
		func() error { return ch.Nack(2, false, true) },
		func() error { return ch.Reject(3, true) },
		//lint:ignore SA1019 the method is deprecated, and still to be understood
		func() error { return ch.Recover(true) },
		func() error { return ch.Tx() },
		func() error { return ch.TxCommit() },
		func() error { return ch.TxRollback() },
		func() error { _, err := ch.Consume("q", "tag1", false, true, false, false, args); return err },
		func() error { return ch.Cancel("tag1", false) },
		func() error { return conn.UpdateSecret("new", "why") },
	}
	for i, step := range steps {
		if err := step(); err != nil {
			t.Fatalf("step %d: %v", i, err)
		}
	}
	echo091(t, ch)
	if err := conn.Close(); err != nil {
		t.Fatal(err)
	}
	server.check(t, clientMethods)
}

func wantQueue(q amqp091.Queue, err error) error {
	if err == nil && (q.Name != "named" || q.Messages != 3 || q.Consumers != 4) {
		return fmt.Errorf("queue.declare-ok came as %+v", q)
	}
	return err
}

func wantFalse(ok bool, err error) error {
	if err == nil && ok {
		return fmt.Errorf("basic.get-empty came as a message")
	}
	return err
}

// clientMethods is what the steps above are on the wire.
var clientMethods = []string{
	`connection.tune-ok ChannelMax=2047 FrameMax=4096 Heartbeat=10`,
	`connection.open VirtualHost="v"`,
	`exchange.declare Exchange="e" Type="topic" Passive=false Durable=true AutoDelete=false Internal=true NoWait=false Arguments=map[n:7 s:x]`,
	`exchange.declare Exchange="e" Type="topic" Passive=true Durable=false AutoDelete=true Internal=false NoWait=true Arguments=map[]`,
	`exchange.bind Destination="d" Source="s" RoutingKey="k" NoWait=false Arguments=map[n:7 s:x]`,
	`exchange.unbind Destination="d" Source="s" RoutingKey="k" NoWait=false Arguments=map[n:7 s:x]`,
	`exchange.delete Exchange="e" IfUnused=true NoWait=false`,
	`queue.declare Queue="" Passive=false Durable=true Exclusive=true AutoDelete=false NoWait=false Arguments=map[n:7 s:x]`,
	`queue.bind Queue="q" Exchange="e" RoutingKey="k" NoWait=false Arguments=map[n:7 s:x]`,
	`queue.unbind Queue="q" Exchange="e" RoutingKey="k" Arguments=map[n:7 s:x]`,
	`queue.purge Queue="q" NoWait=false`,
	`queue.delete Queue="q" IfUnused=true IfEmpty=true NoWait=false`,
	`basic.qos PrefetchSize=0 PrefetchCount=5 Global=true`,
	`confirm.select NoWait=false`,
	`basic.get Queue="q" NoAck=true`,
	`basic.ack DeliveryTag=1 Multiple=true`,
	`basic.nack DeliveryTag=2 Multiple=false Requeue=true`,
	`basic.reject DeliveryTag=3 Requeue=true`,
	`basic.recover Requeue=true`,
	`tx.select`, `tx.commit`, `tx.rollback`,
	`basic.consume Queue="q" ConsumerTag="tag1" NoLocal=false NoAck=false Exclusive=true NoWait=false Arguments=map[n:7 s:x]`,
	`basic.cancel ConsumerTag="tag1" NoWait=false`,
	`connection.update-secret NewSecret="new" Reason="why"`,
	`basic.publish Exchange="ex" RoutingKey="rk" Mandatory=false Immediate=false`,
	`basic.publish Exchange="ex" RoutingKey="rk" Mandatory=true Immediate=false`,
}

// check fails for each method that did not come, in that order.
func (s *mirror) check(t *testing.T, want []string) {
	t.Helper()
	s.mu.Lock()
	defer s.mu.Unlock()
	at := 0
	for _, seen := range s.seen {
		if at < len(want) && seen == want[at] {
			at++
		}
	}
	if at < len(want) {
		t.Errorf("%s\ndid not come; what came:\n%q", want[at], s.seen)
	}
}

// echo091 sends all properties and field types through the mirror.
func echo091(t *testing.T, ch *amqp091.Channel) {
	deliveries, err := ch.Consume("q", "tag2", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	returns := ch.NotifyReturn(make(chan amqp091.Return, 1))
	p := everyPublishing
	for _, size := range []int{0, 1, 4088, 4089, 100000} {
		pub := amqp091.Publishing{Headers: to091(everyField).(amqp091.Table), ContentType: p.ContentType, ContentEncoding: p.ContentEncoding, DeliveryMode: p.DeliveryMode,
			Priority: p.Priority, CorrelationId: p.CorrelationId, ReplyTo: p.ReplyTo, Expiration: p.Expiration, MessageId: p.MessageId,
			Timestamp: p.Timestamp, Type: p.Type, UserId: p.UserId, AppId: p.AppId, Body: bytes.Repeat([]byte("b"), size)}
		if err := ch.Publish("ex", "rk", false, false, pub); err != nil {
			t.Fatal(err)
		}
		d := <-deliveries
		if !bytes.Equal(d.Body, pub.Body) || d.ConsumerTag != "tag2" || !d.Redelivered || d.Exchange != "ex" || d.RoutingKey != "rk" ||
			!same(d.Headers, pub.Headers) || d.ContentType != p.ContentType || d.ContentEncoding != p.ContentEncoding ||
			d.DeliveryMode != 2 || d.Priority != 9 || d.CorrelationId != "cid" || d.ReplyTo != "rt" || d.Expiration != "60000" ||
			d.MessageId != "mid" || !d.Timestamp.Equal(p.Timestamp) || d.Type != "order" || d.UserId != "guest" || d.AppId != "app" {
			t.Fatalf("%d octets came back as %d: %+v", size, len(d.Body), d)
		}
	}
	if err := ch.Publish("ex", "rk", true, false, amqp091.Publishing{Body: []byte("back")}); err != nil {
		t.Fatal(err)
	}
	if r := <-returns; r.ReplyCode != 312 || r.ReplyText != "NO_ROUTE" || string(r.Body) != "back" {
		t.Fatalf("the return came as %+v", r)
	}
}

// streadway/amqp reads and writes all properties and its field types.
func TestPeerStreadway(t *testing.T) {
	_, wire := startMirror(t)
	conn, err := amqp.Open(wire, amqp.Config{SASL: []amqp.Authentication{&amqp.PlainAuth{Username: "u", Password: "p"}}, Vhost: "v", Heartbeat: 10 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := conn.Properties["S"]; !ok {
		t.Errorf("server properties came as %v", conn.Properties)
	}
	ch, err := conn.Channel()
	if err != nil {
		t.Fatal(err)
	}
	deliveries, err := ch.Consume("q", "tag", true, false, false, false, nil)
	if err != nil {
		t.Fatal(err)
	}
	want := everyPublishing
	want.Headers = amqp.Table{}
	for key, v := range everyStreadwayField {
		if _, isInt8 := v.(int8); !isInt8 { // it writes byte as b, and int8 not at all
			want.Headers[key] = v
		}
	}
	want.Body = bytes.Repeat([]byte("b"), 10000)
	if err := ch.Publish("ex", "rk", false, false, want); err != nil {
		t.Fatal(err)
	}
	d := <-deliveries
	if !bytes.Equal(d.Body, want.Body) || !same(d.Headers, want.Headers) || d.CorrelationId != "cid" || d.AppId != "app" || !d.Timestamp.Equal(want.Timestamp) {
		t.Fatalf("came back as %+v", d)
	}
	if err := conn.Close(); err != nil && err != io.EOF {
		t.Fatal(err)
	}
}
