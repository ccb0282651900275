package amqpproto_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"strings"
	"testing"

	"zamqp/amqpproto"
)

// decode decodes one whole method frame.
func decode(t testing.TB, frame []byte) amqpproto.Method {
	t.Helper()
	f, n, err := amqpproto.CutFrame(frame, 0)
	if err != nil || n != len(frame) {
		t.Fatalf("n = %d of %d, %v", n, len(frame), err)
	}
	m, err := amqpproto.DecodeMethod(f.Payload)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

// allMethods returns every method there is, by trying all ids.
func allMethods(t testing.TB) (ids []amqpproto.MethodID) {
	for class := uint16(0); class < 200; class++ {
		for method := uint16(0); method < 300; method++ {
			if id := amqpproto.NewMethodID(class, method); id.Known() {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) != 64 {
		t.Fatalf("%d methods, want 64", len(ids))
	}
	return ids
}

// newMethod returns an empty struct of the method: what its zero arguments give.
func newMethod(t testing.TB, id amqpproto.MethodID) amqpproto.Method {
	t.Helper()
	for zeros := 0; zeros < 64; zeros++ {
		payload := append([]byte{byte(id >> 24), byte(id >> 16), byte(id >> 8), byte(id)}, make([]byte, zeros)...)
		if m, err := amqpproto.DecodeMethod(payload); err == nil {
			return m
		}
	}
	t.Fatalf("%s: no number of zeros are its arguments", id)
	return nil
}

// fill gives every field of a method a random value.
func fill(m amqpproto.Method, rnd *rand.Rand) {
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		switch f := v.Field(i); f.Kind() {
		case reflect.Bool:
			f.SetBool(rnd.IntN(2) == 1)
		case reflect.Slice:
			f.SetBytes([]byte(strings.Repeat("x", rnd.IntN(256))))
		default:
			f.SetUint(rnd.Uint64() >> (64 - f.Type().Bits()))
		}
	}
}

// Every method survives the wire, and no shorter or longer arguments pass.
func TestMethodsRoundTrip(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for _, id := range allMethods(t) {
		for range 20 {
			m := newMethod(t, id)
			fill(m, rnd)
			out, err := amqpproto.AppendMethod(nil, 9, m)
			if err != nil {
				t.Fatal(err)
			}
			back := decode(t, out)
			if fmt.Sprintf("%T %v", back, back) != fmt.Sprintf("%T %v", m, m) || back.ID() != id {
				t.Fatalf("%s: %+v came back as %+v", id, m, back)
			}
			args := out[11 : len(out)-1]
			for cut := range args {
				wantCode(t, m.DecodeArgs(args[:cut]), 501)
			}
			wantCode(t, m.DecodeArgs(append(bytes.Clone(args), 0)), 501)
		}
	}
}

// Strings over 255 octets are refused with the argument named, and dst stays.
func TestMethodsRefuseLongStrings(t *testing.T) {
	for _, id := range allMethods(t) {
		m := newMethod(t, id)
		v := reflect.ValueOf(m).Elem()
		for i := range v.NumField() {
			field := v.Type().Field(i)
			if field.Type.Kind() != reflect.Slice {
				continue
			}
			v.Field(i).SetBytes(make([]byte, 256))
			out, err := amqpproto.AppendMethod([]byte("dst"), 1, m)
			v.Field(i).SetBytes(nil)
			if long := map[string]bool{"RawTable": true}[field.Type.Name()] ||
				field.Name == "Mechanisms" || field.Name == "Locales" || field.Name == "Response" || field.Name == "Challenge" || field.Name == "NewSecret"; long {
				if err != nil {
					t.Errorf("%s.%s: %v", id, field.Name, err)
				}
				continue
			}
			var ee *amqpproto.EncodeError
			if !errors.As(err, &ee) || !strings.Contains(ee.Error(), id.String()) || string(out) != "dst" {
				t.Errorf("%s.%s: %v, dst %q", id, field.Name, err, out)
			}
		}
	}
}

// The arguments' places, by hand from the specification's XML and RabbitMQ's.
func TestMethodGolden(t *testing.T) {
	table := []byte("\x01kS\x00\x00\x00\x01v")
	for _, row := range []struct {
		m    amqpproto.Method
		want string // arguments, spaces for reading
	}{
		{&amqpproto.ConnectionStart{VersionMajor: 0, VersionMinor: 9, ServerProperties: table, Mechanisms: []byte("PLAIN"), Locales: []byte("en_US")},
			"00 09 00000008 016b530000000176 00000005 504c41494e 00000005 656e5f5553"},
		{&amqpproto.ConnectionStartOk{ClientProperties: table, Mechanism: []byte("PLAIN"), Response: []byte("\x00g\x00g"), Locale: []byte("en_US")},
			"00000008 016b530000000176 05 504c41494e 00000004 00670067 05 656e5f5553"},
		{&amqpproto.ConnectionTune{ChannelMax: 2047, FrameMax: 131072, Heartbeat: 60}, "07ff 00020000 003c"},
		{&amqpproto.ConnectionOpen{VirtualHost: []byte("/")}, "01 2f 00 00"},
		{&amqpproto.ConnectionOpenOk{}, "00"},
		{&amqpproto.ConnectionClose{ReplyCode: 200, ReplyText: []byte("bye"), ClassID: 60, MethodID: 40}, "00c8 03 627965 003c 0028"},
		{&amqpproto.ConnectionBlocked{Reason: []byte("low")}, "03 6c6f77"},
		{&amqpproto.ConnectionUpdateSecret{NewSecret: []byte("s"), Reason: []byte("r")}, "00000001 73 01 72"},
		{&amqpproto.ChannelOpen{}, "00"},
		{&amqpproto.ChannelOpenOk{}, "00000000"},
		{&amqpproto.ChannelFlow{Active: true}, "01"},
		{&amqpproto.ExchangeDeclare{Exchange: []byte("e"), Type: []byte("topic"), Durable: true, Internal: true}, "0000 01 65 05 746f706963 0a 00000000"},
		{&amqpproto.ExchangeDeclare{Exchange: []byte("e"), Type: []byte("topic"), Passive: true, AutoDelete: true, NoWait: true}, "0000 01 65 05 746f706963 15 00000000"},
		{&amqpproto.ExchangeDelete{Exchange: []byte("e"), IfUnused: true}, "0000 01 65 01"},
		{&amqpproto.ExchangeBind{Destination: []byte("d"), Source: []byte("s"), RoutingKey: []byte("k"), NoWait: true, Arguments: table},
			"0000 01 64 01 73 01 6b 01 00000008 016b530000000176"},
		{&amqpproto.QueueDeclare{Queue: []byte("q"), Durable: true, AutoDelete: true, Arguments: table}, "0000 01 71 0a 00000008 016b530000000176"},
		{&amqpproto.QueueDeclare{Passive: true, Exclusive: true, NoWait: true}, "0000 00 15 00000000"},
		{&amqpproto.QueueDeclareOk{Queue: []byte("q"), MessageCount: 1, ConsumerCount: 2}, "01 71 00000001 00000002"},
		{&amqpproto.QueueUnbind{Queue: []byte("q"), Exchange: []byte("e"), RoutingKey: []byte("k")}, "0000 01 71 01 65 01 6b 00000000"},
		{&amqpproto.QueueDelete{Queue: []byte("q"), IfEmpty: true}, "0000 01 71 02"},
		{&amqpproto.BasicQos{PrefetchCount: 1000, Global: true}, "00000000 03e8 01"},
		{&amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("t"), NoAck: true, NoWait: true}, "0000 01 71 01 74 0a 00000000"},
		{&amqpproto.BasicConsume{NoLocal: true, Exclusive: true}, "0000 00 00 05 00000000"},
		{&amqpproto.BasicCancel{ConsumerTag: []byte("t"), NoWait: true}, "01 74 01"},
		{&amqpproto.BasicPublish{Exchange: []byte("e"), RoutingKey: []byte("k"), Mandatory: true}, "0000 01 65 01 6b 01"},
		{&amqpproto.BasicPublish{Immediate: true}, "0000 00 00 02"},
		{&amqpproto.BasicReturn{ReplyCode: 312, ReplyText: []byte("NO_ROUTE"), Exchange: []byte("e"), RoutingKey: []byte("k")},
			"0138 08 4e4f5f524f555445 01 65 01 6b"},
		{&amqpproto.BasicDeliver{ConsumerTag: []byte("t"), DeliveryTag: 258, Redelivered: true, Exchange: []byte("e"), RoutingKey: []byte("k")},
			"01 74 0000000000000102 01 01 65 01 6b"},
		{&amqpproto.BasicGetOk{DeliveryTag: 1, RoutingKey: []byte("k"), MessageCount: 7}, "0000000000000001 00 00 01 6b 00000007"},
		{&amqpproto.BasicGetEmpty{}, "00"},
		{&amqpproto.BasicAck{DeliveryTag: 1<<64 - 1, Multiple: true}, "ffffffffffffffff 01"},
		{&amqpproto.BasicReject{DeliveryTag: 1, Requeue: true}, "0000000000000001 01"},
		{&amqpproto.BasicNack{DeliveryTag: 1, Requeue: true}, "0000000000000001 02"},
		{&amqpproto.BasicRecover{Requeue: true}, "01"},
		{&amqpproto.ConfirmSelect{NoWait: true}, "01"},
		{&amqpproto.TxCommitOk{}, ""},
	} {
		have, err := row.m.AppendArgs(nil)
		if want := strings.ReplaceAll(row.want, " ", ""); err != nil || hex.EncodeToString(have) != want {
			t.Errorf("%s: %x, %v; want %s", row.m.ID(), have, err, want)
		}
	}
}

// Unused bits of a bit octet are ignored, as RabbitMQ does.
func TestUnusedBitsAreIgnored(t *testing.T) {
	var m amqpproto.BasicAck
	if err := m.DecodeArgs([]byte("\x00\x00\x00\x00\x00\x00\x00\x05\xfe")); err != nil || m.DeliveryTag != 5 || m.Multiple {
		t.Fatalf("%+v, %v", m, err)
	}
}

func TestDecodeMethodRefuses(t *testing.T) {
	for _, row := range []struct {
		name, payload string
		code          uint16
	}{
		{"empty", "", 501},
		{"no method", "\x00\x3c\x00", 501},
		{"class access, absent in 0-9-1", "\x00\x1e\x00\x0a", 540},
		{"unknown method of basic", "\x00\x3c\x00\xc8", 503},
		{"string longer than the frame", "\x00\x3c\x00\x15\xffx", 501},
		{"table of 4 GiB", "\x00\x0a\x00\x0b\xff\xff\xff\xff", 501},
		{"table of -1 within a longer frame", "\x00\x0a\x00\x0b\x80\x00\x00\x00" + strings.Repeat("x", 100), 501},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, err := amqpproto.DecodeMethod([]byte(row.payload))
			wantCode(t, err, row.code)
		})
	}
}

// The facts of the method table hold together.
func TestMethodFacts(t *testing.T) {
	var content []string
	for _, id := range allMethods(t) {
		if !id.FromClient() && !id.FromServer() {
			t.Errorf("%s: nobody sends it", id)
		}
		for _, r := range id.Replies() {
			if !r.Known() || r.Class() != id.Class() || !r.Answers(id) ||
				id.FromClient() && !r.FromServer() || id.FromServer() && !r.FromClient() {
				t.Errorf("%s is answered by %s: not possible", id, r)
			}
		}
		// Only replies end in -ok, and each belongs to exactly one request.
		if strings.HasSuffix(id.String(), "-ok") {
			requests := 0
			for _, other := range allMethods(t) {
				if id.Answers(other) {
					requests++
				}
			}
			if requests != 1 {
				t.Errorf("%s answers %d methods", id, requests)
			}
		}
		if id.HasContent() {
			content = append(content, id.String())
		}
	}
	if have := strings.Join(content, " "); have != "basic.publish basic.return basic.deliver basic.get-ok" {
		t.Errorf("content: %s", have)
	}
	unknown := amqpproto.NewMethodID(60, 250)
	if unknown.FromClient() || unknown.FromServer() || unknown.Replies() != nil || unknown.HasContent() {
		t.Error("an unknown method has facts")
	}
	if amqpproto.IDBasicGet.Replies() == nil || amqpproto.IDBasicPublish.Replies() != nil {
		t.Error("basic.get is synchronous, basic.publish is not")
	}
}

// The hot encoders write what the structs write.
func TestHotEncoders(t *testing.T) {
	long := strings.Repeat("k", 255)
	for _, row := range []struct {
		have []byte
		m    amqpproto.Method
	}{
		{amqpproto.AppendBasicAck(nil, 258, 1<<63+5, true), &amqpproto.BasicAck{DeliveryTag: 1<<63 + 5, Multiple: true}},
		{amqpproto.AppendBasicAck(nil, 258, 7, false), &amqpproto.BasicAck{DeliveryTag: 7}},
		{amqpproto.AppendBasicNack(nil, 258, 7, true, false), &amqpproto.BasicNack{DeliveryTag: 7, Multiple: true}},
		{amqpproto.AppendBasicNack(nil, 258, 7, false, true), &amqpproto.BasicNack{DeliveryTag: 7, Requeue: true}},
		{amqpproto.AppendBasicReject(nil, 258, 7, true), &amqpproto.BasicReject{DeliveryTag: 7, Requeue: true}},
		{amqpproto.AppendBasicPublish(nil, 258, "e", long, true, false), &amqpproto.BasicPublish{Exchange: []byte("e"), RoutingKey: []byte(long), Mandatory: true}},
		{amqpproto.AppendBasicPublish(nil, 258, "", "", false, true), &amqpproto.BasicPublish{Immediate: true}},
		{amqpproto.AppendBasicDeliver(nil, 258, "t", 9, true, "e", long),
			&amqpproto.BasicDeliver{ConsumerTag: []byte("t"), DeliveryTag: 9, Redelivered: true, Exchange: []byte("e"), RoutingKey: []byte(long)}},
	} {
		want, err := amqpproto.AppendMethod(nil, 258, row.m)
		if err != nil || !bytes.Equal(row.have, want) {
			t.Errorf("%s: %x, want %x, %v", row.m.ID(), row.have, want, err)
		}
	}
	defer func() {
		if recover() == nil {
			t.Error("a name of 256 octets was written: its rest would be read as frames")
		}
	}()
	amqpproto.AppendBasicPublish(nil, 1, "", long+"k", false, false)
}
