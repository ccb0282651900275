package amqpproto_test

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"zamqp/amqpproto"
)

// frame is a whole frame with its parts given, good or bad.
func frame(typ byte, channel uint16, payload string, end byte) []byte {
	f := amqpproto.AppendFrame(nil, typ, channel, []byte(payload))
	f[len(f)-1] = end
	return f
}

// wantCode fails unless err is a ConnectionError with that reply code; code 0
// wants no error.
func wantCode(t *testing.T, err error, code uint16) {
	t.Helper()
	if code == 0 {
		if err != nil {
			t.Fatalf("unexpected error: %v", err)
		}
		return
	}
	var ce *amqpproto.ConnectionError
	if !errors.As(err, &ce) || ce.Code != code {
		t.Fatalf("error %v, want a ConnectionError %d", err, code)
	}
}

func TestCutFrame(t *testing.T) {
	body := frame(amqpproto.FrameBody, 5, "hello", amqpproto.FrameEnd)
	for _, row := range []struct {
		name, spec string
		in         []byte
		max        uint32
		n          int
		code       uint16
	}{
		{"nothing", "§4.2.3", nil, 4096, 0, 0},
		{"type only", "§4.2.3", body[:1], 4096, 0, 0},
		{"head cut", "§4.2.3", body[:6], 4096, 0, 0},
		{"payload cut", "§4.2.3", body[:9], 4096, 0, 0},
		{"end missing", "§4.2.3", body[:12], 4096, 0, 0},
		{"whole", "§4.2.3", body, 4096, 13, 0},
		{"exactly frame_max", "§4.2.3", body, 13, 13, 0},
		{"no frame_max", "§4.2.3", body, 0, 13, 0},
		{"more behind", "§4.2.3", append(bytes.Clone(body), 1, 2), 4096, 13, 0},
		{"empty payload", "§4.2.3", frame(amqpproto.FrameBody, 1, "", 0xCE), 4096, 8, 0},
		{"heartbeat", "§4.2.7", amqpproto.AppendHeartbeat(nil), 4096, 8, 0},
		{"over frame_max", "§4.2.3", body, 12, 0, 501},
		{"over frame_max, payload not there", "§4.2.3", body[:7], 12, 0, 501},
		{"size 4 GiB", "§4.2.3", []byte{3, 0, 1, 0xff, 0xff, 0xff, 0xff}, 131072, 0, 501},
		{"size 4 GiB and no frame_max", "§4.2.3", []byte{3, 0, 1, 0xff, 0xff, 0xff, 0xff}, 0, 0, 0},
		{"wrong end", "§4.2.3", frame(amqpproto.FrameBody, 5, "hello", 0xCD), 4096, 0, 501},
		{"type 0", "§4.2.3", []byte{0}, 4096, 0, 501},
		{"type 4, out of band in 0-9", "§4.2.3", frame(4, 1, "x", 0xCE), 4096, 0, 501},
		{"protocol header", "§4.2.2", []byte(amqpproto.ProtocolHeader), 4096, 0, 501},
		{"heartbeat on a channel", "§4.2.7", frame(amqpproto.FrameHeartbeat, 1, "", 0xCE), 4096, 0, 501},
		{"heartbeat with payload", "§4.2.7", frame(amqpproto.FrameHeartbeat, 0, "x", 0xCE), 4096, 0, 501},
	} {
		t.Run(row.name, func(t *testing.T) {
			f, n, err := amqpproto.CutFrame(row.in, row.max)
			wantCode(t, err, row.code)
			if n != row.n {
				t.Fatalf("n = %d, want %d (%s)", n, row.n, row.spec)
			}
			if n > 0 {
				if again := amqpproto.AppendFrame(nil, f.Type, f.Channel, f.Payload); !bytes.Equal(again, row.in[:n]) {
					t.Fatalf("encoded again: %x, want %x", again, row.in[:n])
				}
				if cap(f.Payload) != len(f.Payload) {
					t.Fatal("the payload has spare capacity: an append would write into the buffer")
				}
			}
		})
	}
}

func TestFrameMethodChecksTheChannel(t *testing.T) {
	for _, row := range []struct {
		name    string
		channel uint16
		payload string
		code    uint16
	}{
		{"connection method on 0", 0, "\x00\x0a\x00\x33", 0},
		{"connection method on 1", 1, "\x00\x0a\x00\x33", 503},
		{"basic method on 1", 1, "\x00\x3c\x00\x0b", 0},
		{"basic method on 0", 0, "\x00\x3c\x00\x0b", 503},
		{"no method id", 1, "\x00\x3c\x00", 501},
	} {
		t.Run(row.name, func(t *testing.T) {
			_, _, err := amqpproto.Frame{Type: amqpproto.FrameMethod, Channel: row.channel, Payload: []byte(row.payload)}.Method()
			wantCode(t, err, row.code)
		})
	}
}

func TestFrameString(t *testing.T) {
	var all []byte
	all = amqpproto.AppendBasicAck(all, 7, 1, false)
	all = amqpproto.AppendContentHeader(all, 7, amqpproto.ClassBasic, 5, []byte{0, 0})
	all = amqpproto.AppendBody(all, 7, []byte("hello"), 0)
	all = amqpproto.AppendHeartbeat(all)
	all = amqpproto.AppendFrame(all, amqpproto.FrameMethod, 7, []byte{1})
	all = amqpproto.AppendFrame(all, amqpproto.FrameHeader, 7, []byte{1})
	want := `method ch=7 basic.ack args=9
header ch=7 class=60 size=5 properties=2
body ch=7 size=5
heartbeat
method ch=7 01
header ch=7 01`
	var have []string
	for len(all) > 0 {
		f, n, err := amqpproto.CutFrame(all, 4096)
		if err != nil || n == 0 {
			t.Fatal(n, err)
		}
		have = append(have, f.String())
		all = all[n:]
	}
	if s := strings.Join(have, "\n"); s != want {
		t.Fatalf("have\n%s\nwant\n%s", s, want)
	}
}

func TestCutProtocolHeader(t *testing.T) {
	for _, row := range []struct {
		in   string
		n    int
		code uint16
	}{
		{"", 0, 0}, {"A", 0, 0}, {"AMQP\x00\x00\x09", 0, 0}, {amqpproto.ProtocolHeader, 8, 0},
		{"AMQP\x01\x01\x00\x09more", 8, 0}, {"GET / HTTP/1.1", 0, 501}, {"AMQ\x01", 0, 501},
	} {
		v, n, err := amqpproto.CutProtocolHeader([]byte(row.in))
		wantCode(t, err, row.code)
		if n != row.n || n > 0 && string(v[:]) != row.in[4:8] {
			t.Errorf("%q: n = %d, version %v", row.in, n, v)
		}
	}
}

func TestAppendBody(t *testing.T) {
	for _, row := range []struct {
		size     int
		frameMax uint32
		frames   int
	}{
		{0, 4096, 0}, {1, 4096, 1}, {4088, 4096, 1}, {4089, 4096, 2}, {100, 9, 100}, {100, 0, 1},
		{4089, 8, 2}, {4089, 1, 2}, // no room for a payload: FrameMin is meant
	} {
		body := bytes.Repeat([]byte("b"), row.size)
		out := amqpproto.AppendBody([]byte("x"), 3, body, row.frameMax)[1:]
		var have []byte
		frames := 0
		for len(out) > 0 {
			f, n, err := amqpproto.CutFrame(out, max(row.frameMax, amqpproto.FrameMin))
			if err != nil || n == 0 || f.Type != amqpproto.FrameBody || f.Channel != 3 {
				t.Fatal(f, n, err)
			}
			have, out = append(have, f.Payload...), out[n:]
			frames++
		}
		if !bytes.Equal(have, body) || frames != row.frames {
			t.Errorf("%+v: %d frames, %d octets", row, frames, len(have))
		}
	}
}
