package client_test

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
	"zamqp/tests/kit/wiretest"
)

// show writes one side's octets as lines, one for each frame.
func show(p []byte) (lines []string, n int) {
	for {
		if _, m, err := amqpproto.CutProtocolHeader(p[n:]); err == nil && m > 0 {
			lines = append(lines, fmt.Sprintf("header %q", p[n:n+m]))
			n += m
			continue
		}
		f, m, err := amqpproto.CutFrame(p[n:], 0)
		if err != nil {
			return append(lines, err.Error()), len(p)
		}
		if m == 0 {
			return lines, n
		}
		n += m
		lines = append(lines, showFrame(f))
	}
}

func showFrame(f amqpproto.Frame) string {
	if f.Type != amqpproto.FrameMethod {
		return f.String()
	}
	m, err := amqpproto.DecodeMethod(f.Payload)
	if err != nil {
		return err.Error()
	}
	s := fmt.Sprintf("%d %s", f.Channel, m.ID())
	v := reflect.ValueOf(m).Elem()
	for i := range v.NumField() {
		name := v.Type().Field(i).Name
		switch x := v.Field(i).Interface().(type) {
		case amqpproto.RawTable:
			t, err := x.Table()
			s += fmt.Sprintf(" %s=%v", name, t)
			if err != nil {
				s += err.Error()
			}
		case []byte:
			s += fmt.Sprintf(" %s=%q", name, x)
		default:
			s += fmt.Sprintf(" %s=%v", name, x)
		}
	}
	return s
}

// transcript taps the fixture's link from before the first octet.
func (f *fixture) transcript() *wiretest.Transcript {
	x := &wiretest.Transcript{Show: show}
	f.dial()
	f.link.Tap = func(from byte, p []byte) { x.Tap(map[byte]byte{'A': 'C', 'B': 'S'}[from], p) }
	return x
}

// hangUp is a broker that closes the connection at connection.open.
func hangUp(b *fakeBroker) {
	b.on[amqpproto.IDConnectionOpen] = func(uint16, amqpproto.Method) bool { b.script.Close(); return true }
}

func TestTranscripts(t *testing.T) {
	plain := client.Config{Name: "main", ConnectionName: "test", Properties: amqp.Table{"platform": "Go"}, Heartbeat: 30 * time.Second}
	with := func(change func(*client.Config)) client.Config {
		cfg := plain
		change(&cfg)
		return cfg
	}
	refuse := func(code uint16, text string) func(*fakeBroker) func(uint16, amqpproto.Method) bool {
		return func(b *fakeBroker) func(uint16, amqpproto.Method) bool {
			return func(uint16, amqpproto.Method) bool {
				b.say(0, &amqpproto.ConnectionClose{ReplyCode: code, ReplyText: []byte(text)})
				return true
			}
		}
	}
	saying := func(parts ...string) func(*fakeBroker) {
		return func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionStart] = func(uint16, amqpproto.Method) bool {
				for _, part := range parts {
					b.script.SayString(part)
				}
				return true
			}
		}
	}
	for _, row := range []struct {
		name    string
		cfg     client.Config
		prepare func(b *fakeBroker)
	}{
		{"plain", plain, nil},
		{"amqplain", with(func(c *client.Config) { c.Mechanism, c.Username, c.Password = "AMQPLAIN", "ada", "secret" }), nil},
		{"external", with(func(c *client.Config) { c.Mechanism, c.Vhost = "EXTERNAL", "shop" }), nil},
		{"no-limits", plain, func(b *fakeBroker) { b.tune = amqpproto.ConnectionTune{} }},
		{"lower-limits", plain, func(b *fakeBroker) {
			b.tune = amqpproto.ConnectionTune{ChannelMax: 7, FrameMax: 4096, Heartbeat: 5}
		}},
		{"no-heartbeat", with(func(c *client.Config) { c.Heartbeat = 0 }), nil},
		{"frame-max-too-small", plain, func(b *fakeBroker) { b.tune.FrameMax = 1024 }},
		{"not-offered", with(func(c *client.Config) { c.Mechanism = "GSSAPI" }), nil},
		{"login-refused", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionStartOk] = refuse(403, "ACCESS_REFUSED - Login was refused")(b)
		}},
		{"login-hung-up", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionStartOk] = func(uint16, amqpproto.Method) bool { b.script.Close(); return true }
		}},
		{"vhost-missing", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionOpen] = refuse(530, "NOT_ALLOWED - vhost shop not found")(b)
		}},
		{"other-version", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionStart] = func(uint16, amqpproto.Method) bool {
				b.script.SayString("AMQP\x00\x01\x00\x00")
				b.script.Close()
				return true
			}
		}},
		{"other-protocol", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionStart] = func(uint16, amqpproto.Method) bool {
				b.script.SayString("HTTP/1.1 400 Bad Request\r\n\r\n")
				return true
			}
		}},
		{"other-protocol-in-parts", plain, saying("H", "TTP/1.1 400")},
		{"mail-server", plain, saying("220 mail.example.com ESMTP\r\n")},
		{"tls-alert", plain, saying("\x15\x03\x03\x00\x02\x02\x46")},
		{"start-hung-up", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionStart] = func(uint16, amqpproto.Method) bool { b.script.Close(); return true }
		}},
		{"vhost-hung-up", plain, hangUp},
		{"frame-max-hung-up", with(func(c *client.Config) { c.FrameMax = 4096 }), hangUp},
		{"connection-limit", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionOpen] = refuse(530, "NOT_ALLOWED - access to vhost 'shop' refused for user 'guest': connection limit (0) is reached")(b)
		}},
		{"secure", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionStartOk] = func(uint16, amqpproto.Method) bool {
				b.say(0, &amqpproto.ConnectionSecure{Challenge: []byte("more")})
				return true
			}
		}},
		{"out-of-order", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionStartOk] = func(uint16, amqpproto.Method) bool {
				b.say(0, &amqpproto.ConnectionOpenOk{})
				return true
			}
		}},
		{"channel-too-early", plain, func(b *fakeBroker) {
			b.on[amqpproto.IDConnectionStartOk] = func(uint16, amqpproto.Method) bool {
				b.say(1, &amqpproto.ChannelOpenOk{})
				return true
			}
		}},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, 0, row.cfg)
			f.manual, f.prepare = true, row.prepare
			x := f.transcript()
			f.run()
			if f.client.Ready() {
				f.client.Close(nil)
				f.run()
			}
			if err := f.client.Err(); err != nil {
				x.Note("error: %v", err)
				if strings.Contains(err.Error(), "secret") {
					t.Errorf("the password is in %q", err)
				}
				var ce *client.ConnectError
				if !errors.As(err, &ce) || ce.Connection != "main" {
					t.Errorf("%T %v is no ConnectError", err, err)
				}
				if len(f.redials) != 1 || f.redials[0] > time.Second {
					t.Errorf("redials %v", f.redials)
				}
			}
			wiretest.Golden(t, "testdata/handshake/"+row.name+".txt", x.String())
		})
	}
}

func TestSilentBrokerTimesOut(t *testing.T) {
	f := newFixture(t, 0, client.Config{HandshakeTimeout: 3 * time.Second})
	f.manual = true
	f.prepare = func(b *fakeBroker) {
		b.on[amqpproto.IDConnectionOpen] = func(uint16, amqpproto.Method) bool { return true }
	}
	f.connect()
	f.clock.Advance(2999 * time.Millisecond)
	if f.client.State() != client.Connecting {
		t.Fatal(f.client.State())
	}
	f.clock.Advance(2 * time.Millisecond)
	if f.client.State() != client.Disconnected || !strings.Contains(f.client.Err().Error(), "in the opening of the vhost: no answer within 3s: the broker or the way to it") {
		t.Fatal(f.client.State(), f.client.Err())
	}
}

func TestHeartbeats(t *testing.T) {
	f := newFixture(t, 0, client.Config{Heartbeat: 10 * time.Second})
	f.manual = true
	f.connect()
	beat := func() { f.broker.script.Say(amqpproto.AppendHeartbeat(nil)...) }
	for range 10 {
		f.clock.Advance(5 * time.Second)
		beat()
		f.run()
	}
	if n := f.broker.beats; n < 9 || n > 11 {
		t.Fatalf("%d heartbeats in 50 s of silence, want one each 5 s", n)
	}
	sent := f.broker.beats
	for range 10 { // other frames count as heartbeats
		f.clock.Advance(4 * time.Second)
		if err := f.client.Publish(nil, &client.Outgoing{RoutingKey: "q"}, nil); err != nil {
			t.Fatal(err)
		}
		f.run()
	}
	if f.broker.beats != sent {
		t.Fatalf("%d heartbeats beside traffic", f.broker.beats-sent)
	}
	f.clock.Advance(19 * time.Second)
	if f.client.State() != client.Connected {
		t.Fatal("dead too early")
	}
	f.clock.Advance(2 * time.Second)
	if f.client.State() != client.Disconnected || !strings.Contains(f.client.Err().Error(), "two heartbeat intervals of 10s") {
		t.Fatal(f.client.State(), f.client.Err())
	}
}

func TestSecondConnectIsTurnedAway(t *testing.T) {
	f := newFixture(t, 0, client.Config{}).connect()
	w := wiretest.NewWire()
	if conn := f.client.Connect(w); len(conn.Pending()) != 0 || !errors.Is(w.Cause(), client.ErrConnected) {
		t.Fatal(w.Cause())
	} else {
		conn.Lost(w.Cause())
	}
	if !f.client.Ready() {
		t.Fatal("the first is gone")
	}
}
