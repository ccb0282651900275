package amqpproto_test

import (
	"bytes"
	"encoding/hex"
	"errors"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
)

// everyProperty has all fourteen.
var everyProperty = amqpproto.Properties{
	Flags: 0xfffc, ContentType: []byte("text/plain"), ContentEncoding: []byte("gzip"), Headers: []byte("\x01kS\x00\x00\x00\x01v"),
	DeliveryMode: 2, Priority: 9, CorrelationID: []byte("cid"), ReplyTo: []byte("amq.gen-1"), Expiration: []byte("60000"),
	MessageID: []byte("mid"), Timestamp: 1700000000, Type: []byte("order"), UserID: []byte("guest"), AppID: []byte("app"),
	ClusterID: []byte("cluster"),
}

// All fourteen, by hand from §4.2.6.1 and the domains of class basic.
const everyPropertyHex = "fffc" +
	"0a746578742f706c61696e" + "04677a6970" + "00000008016b530000000176" + "02" + "09" + "03636964" + "09616d712e67656e2d31" +
	"053630303030" + "036d6964" + "000000006553f100" + "056f72646572" + "056775657374" + "03617070" + "07636c7573746572"

func TestPropertiesGolden(t *testing.T) {
	have, err := everyProperty.Append([]byte("dst"))
	if err != nil || hex.EncodeToString(have[3:]) != everyPropertyHex {
		t.Fatalf("%x, %v\nwant %s", have[3:], err, everyPropertyHex)
	}
	p := amqpproto.Properties{AppID: []byte("left from before"), Flags: 1}
	rest, err := p.Decode(append(have[3:], "rest"...))
	if err != nil || string(rest) != "rest" || !reflect.DeepEqual(p, everyProperty) {
		t.Fatalf("%+v, rest %q, %v", p, rest, err)
	}
}

// Each of the 2^14 sets of properties survives, and every cut is noticed.
func TestPropertiesEverySet(t *testing.T) {
	for set := range 1 << 14 {
		want := everyProperty
		want.Flags = uint16(set << 2)
		raw, err := want.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		var p amqpproto.Properties
		rest, err := p.Decode(raw)
		if err != nil || len(rest) != 0 || p.Flags != want.Flags {
			t.Fatalf("%04x: rest %d, %v", want.Flags, len(rest), err)
		}
		if again, _ := p.Append(nil); !bytes.Equal(again, raw) {
			t.Fatalf("%04x: %x came back as %x", want.Flags, raw, again)
		}
		if set%97 == 0 {
			for cut := range raw {
				_, err := p.Decode(raw[:cut])
				wantCode(t, err, 502)
			}
		}
	}
}

func TestPropertiesRefuse(t *testing.T) {
	for _, row := range []struct{ name, in string }{
		{"no flags", ""}, {"half the flags", "\x80"},
		{"a second word of flags", "\x80\x01\x00\x00\x01x"}, {"the unused bit", "\x00\x02"},
		{"content type over the frame", "\x80\x00\xffx"},
		{"headers of 4 GiB", "\x20\x00\xff\xff\xff\xff"},
		{"headers of -1 behind much", "\x20\x00\x80\x00\x00\x00" + strings.Repeat("x", 99)},
	} {
		t.Run(row.name, func(t *testing.T) {
			var p amqpproto.Properties
			_, err := p.Decode([]byte(row.in))
			wantCode(t, err, 502)
		})
	}
}

func TestPropertiesAppendRefuses(t *testing.T) {
	v := reflect.ValueOf(everyProperty)
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		if v.Field(i).Type() != reflect.TypeFor[[]byte]() {
			continue
		}
		p := everyProperty
		reflect.ValueOf(&p).Elem().Field(i).SetBytes(make([]byte, 256))
		out, err := p.Append([]byte("dst"))
		var ee *amqpproto.EncodeError
		if !errors.As(err, &ee) || !strings.EqualFold(strings.ReplaceAll(strings.TrimPrefix(ee.What, "property "), "-", ""), name) || string(out) != "dst" {
			t.Errorf("%s: %v, dst %q", name, err, out)
		}
		p.Flags = 0 // what is not sent may be as long as it likes
		if _, err := p.Append(nil); err != nil {
			t.Errorf("%s, absent: %v", name, err)
		}
	}
	if _, err := (&amqpproto.Properties{Flags: 1}).Append(nil); err == nil {
		t.Error("an unknown flag was sent")
	}
}

func TestSetFlags(t *testing.T) {
	p := everyProperty
	p.Flags = 0
	p.SetFlags()
	if p.Flags != 0xfffc || !p.Has(amqpproto.FlagClusterID) {
		t.Errorf("all: %04x", p.Flags)
	}
	p = amqpproto.Properties{Flags: 0xffff}
	if p.SetFlags(); p.Flags != 0 {
		t.Errorf("none: %04x", p.Flags)
	}
}

// everyPublishing has all properties that the vocabulary knows.
var everyPublishing = amqp.Publishing{
	Headers: everyField, ContentType: "text/plain", ContentEncoding: "gzip", DeliveryMode: 2, Priority: 9, CorrelationId: "cid",
	ReplyTo: "rt", Expiration: "60000", MessageId: "mid", Timestamp: time.Unix(1700000000, 0).UTC(), Type: "order", UserId: "guest", AppId: "app",
}

func TestPublishing(t *testing.T) {
	for name, want := range map[string]amqp.Publishing{
		"all": everyPublishing, "none": {}, "1970": {Timestamp: time.Unix(0, 0).UTC()},
		"some": {ContentType: "a/b", Priority: 1}, "a header": {Headers: amqp.Table{"k": nil}},
	} {
		t.Run(name, func(t *testing.T) {
			var p amqpproto.Properties
			if err := p.SetPublishing(want); err != nil {
				t.Fatal(err)
			}
			raw, err := p.Append([]byte("dst"))
			if err != nil {
				t.Fatal(err)
			}
			direct, err := amqpproto.AppendPublishing([]byte("dst"), &want)
			if err != nil || !bytes.Equal(direct, raw) {
				t.Fatalf("AppendPublishing %x, %v\nwant %x", direct, err, raw)
			}
			if _, err := p.Decode(raw[3:]); err != nil {
				t.Fatal(err)
			}
			have, err := p.Publishing()
			if err != nil || !reflect.DeepEqual(have, want) {
				t.Fatalf("%v\nhave %+v\nwant %+v", err, have, want)
			}
			d := amqp.Delivery{ConsumerTag: "kept", AppId: "replaced"}
			if err := p.SetDelivery(&d); err != nil || d.ConsumerTag != "kept" || d.AppId != want.AppId || d.ReplyTo != want.ReplyTo ||
				!reflect.DeepEqual(d.Headers, want.Headers) || !d.Timestamp.Equal(want.Timestamp) {
				t.Fatalf("%+v, %v", d, err)
			}
		})
	}
}

func TestPublishingRefuses(t *testing.T) {
	long := strings.Repeat("x", 256)
	for _, row := range []struct {
		pub  amqp.Publishing
		text string
	}{
		{amqp.Publishing{CorrelationId: long}, "property correlation-id: 256 octets"},
		{amqp.Publishing{AppId: long}, "property app-id: 256 octets"},
		{amqp.Publishing{ContentType: "a/b", Headers: amqp.Table{"k": make(chan int)}}, `table field "k": Go type chan int`},
	} {
		out, err := amqpproto.AppendPublishing([]byte("dst"), &row.pub)
		if err == nil || !strings.Contains(err.Error(), row.text) || string(out) != "dst" {
			t.Errorf("%v, dst %q; want %q", err, out, row.text)
		}
	}
	var p amqpproto.Properties
	if err := p.SetPublishing(amqp.Publishing{Headers: amqp.Table{"k": make(chan int)}}); err == nil {
		t.Error("SetPublishing takes a channel as header")
	}
	p = amqpproto.Properties{Flags: amqpproto.FlagHeaders, Headers: []byte("\x01")}
	var d amqp.Delivery
	wantCode(t, p.SetDelivery(&d), 502)
}

// everyShortPublishing has a property of every kind in few octets.
var everyShortPublishing = amqp.Publishing{ContentType: "t", Headers: amqp.Table{"k": int8(1)}, Priority: 1, Timestamp: time.Unix(1, 0)}

// TestAppendMessageID puts an id into every set of properties, and expects the same
// octets as encoding all of them again.
func TestAppendMessageID(t *testing.T) {
	for flags := 0; flags < 1<<14; flags++ {
		p := everyProperty
		p.Flags = uint16(flags) << 2 &^ amqpproto.FlagMessageID
		raw, err := p.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		want := p
		want.Flags |= amqpproto.FlagMessageID
		expect, err := want.Append(nil)
		if err != nil {
			t.Fatal(err)
		}
		var decoded amqpproto.Properties
		if _, err := decoded.Decode(raw); err != nil {
			t.Fatal(err)
		}
		if got := decoded.AppendMessageID(nil, raw, want.MessageID); !bytes.Equal(got, expect) {
			t.Fatalf("flags %04x: %x, want %x", p.Flags, got, expect)
		}
		header := amqpproto.AppendContentHeaderID(nil, 3, amqpproto.ClassBasic, 5, raw, &decoded, want.MessageID)
		if !bytes.Equal(header, amqpproto.AppendContentHeader(nil, 3, amqpproto.ClassBasic, 5, expect)) {
			t.Fatalf("flags %04x: header %x", p.Flags, header)
		}
	}
	var none amqpproto.Properties
	header := amqpproto.AppendContentHeaderID(nil, 3, amqpproto.ClassBasic, 5, nil, &none, []byte("mid"))
	if !bytes.Equal(header, amqpproto.AppendContentHeader(nil, 3, amqpproto.ClassBasic, 5, none.AppendMessageID(nil, nil, []byte("mid")))) {
		t.Fatalf("%x", header)
	}
}
