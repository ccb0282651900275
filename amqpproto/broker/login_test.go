package broker_test

import (
	"strings"
	"testing"
	"time"

	"github.com/streadway/amqp"
	"golang.org/x/crypto/bcrypt"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
	"zamqp/tests/kit/wiretest"
)

const refusal = "0 connection.close [403 ACCESS_REFUSED - Login was refused using authentication mechanism PLAIN. For details see the broker logfile. method(0,0)]"

const tune = "0 connection.tune {ChannelMax:2047 FrameMax:131072 Heartbeat:60}"

func users(t testing.TB) map[string]broker.User {
	hash, err := bcrypt.GenerateFromPassword([]byte("secret"), bcrypt.MinCost)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]broker.User{"guest": {}, "alice": {Hash: string(hash)}}
}

// knock is a handshake up to start-ok.
func knock(f *fixture, remote, mechanism, response string, properties amqp.Table) *peer {
	p := f.dial(remote)
	p.say([]byte(amqpproto.ProtocolHeader)).hear()
	p.startOk(mechanism, []byte(response), properties)
	return p
}

func TestLogin(t *testing.T) {
	amqplain := string(table(amqp.Table{"LOGIN": "alice", "PASSWORD": "secret"}))
	for _, row := range []struct{ name, remote, mechanism, response, heard, why string }{
		{"guest", "127.0.0.1:1", "PLAIN", "\x00guest\x00guest", tune, ""},
		{"guest by IPv6", "[::1]:1", "PLAIN", "\x00guest\x00guest", tune, ""},
		{"guest mapped", "[::ffff:127.0.0.1]:1", "PLAIN", "\x00guest\x00guest", tune, ""},
		{"guest from elsewhere", "192.0.2.1:1", "PLAIN", "\x00guest\x00guest", refusal, "localhost"},
		{"guest, wrong password", "127.0.0.1:1", "PLAIN", "\x00guest\x00guess", refusal, "wrong password"},
		{"alice", "192.0.2.1:1", "PLAIN", "\x00alice\x00secret", tune, ""},
		{"alice with an authorization identity", "192.0.2.1:1", "PLAIN", "alice\x00alice\x00secret", tune, ""},
		{"alice by AMQPLAIN", "192.0.2.1:1", "AMQPLAIN", amqplain, tune, ""},
		{"alice, wrong password", "192.0.2.1:1", "PLAIN", "\x00alice\x00secre", refusal, "not the hash"},
		{"alice, no password", "192.0.2.1:1", "PLAIN", "\x00alice\x00", refusal, "not the hash"},
		{"nobody", "192.0.2.1:1", "PLAIN", "\x00nobody\x00secret", refusal, "unknown"},
		{"no NULs", "192.0.2.1:1", "PLAIN", "alice", refusal, "two NULs"},
		{"a NUL in the password", "192.0.2.1:1", "PLAIN", "\x00alice\x00secret\x00", refusal, "two NULs"},
		{"AMQPLAIN without a table", "192.0.2.1:1", "AMQPLAIN", "nonsense", strings.Replace(refusal, "PLAIN", "AMQPLAIN", 1), "LOGIN"},
		{"EXTERNAL", "192.0.2.1:1", "EXTERNAL", "", strings.Replace(refusal, "PLAIN", "EXTERNAL", 1), "unknown authentication mechanism"},
	} {
		t.Run(row.name, func(t *testing.T) {
			f := newFixture(t, broker.Options{Users: users(t)})
			p := knock(f, row.remote, row.mechanism, row.response, everything)
			p.want(row.heard)
			if row.why == "" {
				return
			}
			if e := f.last(broker.LoginRefused); !strings.Contains(e.Err.Error(), row.why) || e.Remote != row.remote {
				t.Errorf("event %+v, want %q", e, row.why)
			}
			if p.wire.Closed > 0 {
				t.Error("the socket of a refused login is closed at once, which makes guessing quick")
			}
			p.say([]byte("more"))
			p.f.clock.Advance(2 * time.Second)
			p.want("eof")
		})
	}
}

// A client that does not know authentication_failure_close only sees the end.
func TestRefusedLoginInSilence(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := knock(f, "127.0.0.1:1", "PLAIN", "\x00guest\x00no", nil)
	p.want()
	f.clock.Advance(2 * time.Second)
	p.want("eof")
}

// Hashing is slow and is done on another goroutine. A correct password is remembered.
func TestLoginsAreHashedElsewhereAndOnce(t *testing.T) {
	f := newFixture(t, broker.Options{Users: users(t)})
	f.hold = true
	p := knock(f, "192.0.2.1:1", "PLAIN", "\x00alice\x00secret", everything)
	p.method(0, &amqpproto.ConnectionTuneOk{ChannelMax: 10, FrameMax: 4096}).want() // not read before the answer
	if len(f.held) != 1 {
		t.Fatalf("%d things to do elsewhere, want 1", len(f.held))
	}
	gone := knock(f, "192.0.2.1:1", "PLAIN", "\x00alice\x00secret", everything)
	gone.lose(nil)
	f.held[1]() // the client has gone meanwhile
	f.held[0]()
	p.want(tune)
	p.method(0, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")}).want("0 connection.open-ok")
	knock(f, "192.0.2.1:1", "PLAIN", "\x00alice\x00secret", everything).want(tune)
	knock(f, "192.0.2.1:1", "PLAIN", "\x00alice\x00wrong", everything).want()
	if len(f.held) != 3 {
		t.Errorf("%d things to do elsewhere, want 3: a good login is hashed once, a bad one each time", len(f.held))
	}
}

// A connection of this process needs no valid password, and may do no more than the same user
// with RabbitMQ.
func TestConnectOwn(t *testing.T) {
	f := newFixture(t, broker.Options{Users: map[string]broker.User{"guest": {Hash: "$2a$10$JwnGb6.OdUTGTY6adH0dSOsd7KQgMgOebcdcPe/mGhBTQ5NFWW3aG", Vhosts: map[string]broker.Permissions{}}}})
	f.hold = true
	p := &peer{ear: ear{t: t}, f: f, wire: wiretest.NewWire()}
	p.conn = f.server.ConnectOwn(p.wire, "guest")
	p.handshake("guest", "whatever", "/")
	p.method(1, &amqpproto.ChannelOpen{}).hear()
	if len(f.held) != 0 {
		t.Errorf("%d passwords to hash, want none", len(f.held))
	}
	p.publish(1, "", "nowhere", "x", amqpproto.Properties{UserID: []byte("guest")}).want()
	p.publish(1, "", "nowhere", "x", amqpproto.Properties{UserID: []byte("somebody")}).want(
		"1 channel.close [406 PRECONDITION_FAILED - user_id property set to 'somebody' but authenticated user was 'guest' basic.publish]")
	if st := f.server.Stats(); st.Published != 1 {
		t.Errorf("%+v", st)
	}
}

func TestOpen(t *testing.T) {
	f := newFixture(t, broker.Options{Vhosts: []string{"/", "other"}, Users: map[string]broker.User{
		"guest": {Vhosts: map[string]broker.Permissions{"/": {}}}}})
	for vhost, want := range map[string]string{
		"/":     "0 connection.open-ok",
		"other": "0 connection.close [530 NOT_ALLOWED - access to vhost 'other' refused for user 'guest' connection.open]",
		"none":  "0 connection.close [530 NOT_ALLOWED - vhost none not found connection.open]",
	} {
		p := f.dial("")
		p.handshake("guest", "guest", vhost)
		if got := p.hear(); !strings.HasSuffix(got, want) {
			t.Errorf("vhost %s: heard\n%s\nwant %s", vhost, got, want)
		}
	}
}

func TestTuneOk(t *testing.T) {
	for _, row := range []struct {
		m    amqpproto.ConnectionTuneOk
		want string
	}{
		{amqpproto.ConnectionTuneOk{ChannelMax: 1, FrameMax: 4096}, ""},
		{amqpproto.ConnectionTuneOk{ChannelMax: 2048, FrameMax: 4096}, "negotiated channel_max = 2048 is higher than the maximum allowed value (2047)"},
		{amqpproto.ConnectionTuneOk{FrameMax: 4096}, "negotiated channel_max = 0 (no limit) is higher than the maximum allowed value (2047)"},
		{amqpproto.ConnectionTuneOk{ChannelMax: 1, FrameMax: 4095}, "negotiated frame_max = 4095 is lower than the minimum allowed value (4096)"},
		{amqpproto.ConnectionTuneOk{ChannelMax: 1, FrameMax: 131073}, "negotiated frame_max = 131073 is higher than the maximum allowed value (131072)"},
		{amqpproto.ConnectionTuneOk{ChannelMax: 1}, "negotiated frame_max = 0 is higher than the maximum allowed value (131072)"},
	} {
		f := newFixture(t, broker.Options{})
		p := knock(f, "", "PLAIN", "\x00guest\x00guest", everything)
		p.want(tune)
		p.method(0, &row.m)
		if row.want == "" {
			p.want()
			continue
		}
		p.want("0 connection.close [530 NOT_ALLOWED - " + row.want + " connection.tune]")
	}
}

func TestOtherProtocolHeaders(t *testing.T) {
	for _, first := range []string{"AMQP\x01\x01\x00\x09", "AMQP\x00\x01\x00\x00", "AMQP\x03\x01\x00\x00", "GET / HT"} {
		f := newFixture(t, broker.Options{})
		f.dial("").say([]byte(first)).want(`"AMQP\x00\x00\t\x01"`, "eof")
	}
}

func TestHandshakeTakesTooLong(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.dial("")
	p.say([]byte("AMQ"))
	f.clock.Advance(11 * time.Second)
	p.want("eof")
	if p.wire.Aborted != 1 || !strings.Contains(p.wire.Cause().Error(), "awaitHeader") {
		t.Errorf("aborted %d times, for %v", p.wire.Aborted, p.wire.Cause())
	}
}

func TestBadOptions(t *testing.T) {
	f := &fixture{}
	for name, o := range map[string]broker.Options{
		`vhost "a" is listed twice`:  {Vhosts: []string{"a", "a"}},
		`user "u": vhost "/": write`: {Users: map[string]broker.User{"u": {Vhosts: map[string]broker.Permissions{"/": {Write: "("}}}}},
	} {
		if _, err := broker.New(o, f); err == nil || !strings.Contains(err.Error(), name) {
			t.Errorf("error %v, want %s", err, name)
		}
	}
}
