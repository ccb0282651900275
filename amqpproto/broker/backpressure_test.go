package broker_test

import (
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// A consumer that does not read gets no more than OutputMax, and continues when it reads
// again.
func TestSlowConsumer(t *testing.T) {
	f := newFixture(t, broker.Options{OutputMax: 64 << 10})
	con := newFeeder(t, f)
	con.method(&amqpproto.QueueDeclare{Queue: []byte("q")})
	con.method(&amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("c"), NoAck: true})
	pub := f.open(1)
	body := strings.Repeat("x", 10_000)
	for range 100 {
		pub.publish(1, "", "q", body, amqpproto.Properties{})
	}
	if n := len(con.conn.Pending()); n < 64<<10 || n > 64<<10+20_000 {
		t.Fatalf("%d octets wait unsent, want about 65536", n)
	}
	got := 0
	for range 20 {
		got += con.flush()
	}
	if want := 100 * len(body); got < want {
		t.Errorf("%d octets came, want at least %d", got, want)
	}
	if st := f.server.Stats(); st.Messages != 0 || st.Delivered != 100 {
		t.Errorf("%+v", st)
	}
}

// The broker still reads from a consumer that does not read: it may be one that writes first.
func TestUnreadDeliveriesDoNotHoldPublishes(t *testing.T) {
	f := newFixture(t, broker.Options{OutputMax: 64 << 10})
	con := newFeeder(t, f)
	con.method(&amqpproto.QueueDeclare{Queue: []byte("q")})
	con.method(&amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("c"), NoAck: true})
	publication := publication(t, 1, "", "q", strings.Repeat("x", 10_000), amqpproto.Properties{}, false)
	for i := range 100 {
		if n, err := con.conn.Feed(publication); n != len(publication) || err != nil {
			t.Fatalf("publish %d: %d of %d octets, %v", i, n, len(publication), err)
		}
	}
	if n := len(con.conn.Pending()); n < 64<<10 || n > 64<<10+20_000 {
		t.Errorf("%d octets wait unsent, want about 65536", n)
	}
	for range 30 {
		con.flush()
	}
	if st := f.server.Stats(); st.Messages != 0 || st.Delivered != 100 || st.Published != 100 {
		t.Errorf("%+v", st)
	}
}

// Answers are bounded too: a client that asks without reading is not read.
func TestGreedyGets(t *testing.T) {
	f := newFixture(t, broker.Options{OutputMax: 64 << 10})
	pub := f.open(1)
	pub.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")})
	for range 50 {
		pub.publish(1, "", "q", strings.Repeat("x", 30_000), amqpproto.Properties{})
	}
	p := f.open(1)
	var gets []byte
	for range 50 {
		gets, _ = amqpproto.AppendMethod(gets, 1, &amqpproto.BasicGet{Queue: []byte("q"), NoAck: true})
	}
	n, err := p.conn.Feed(gets)
	if err != nil || n == len(gets) || len(p.conn.Pending()) > 64<<10+31_000 {
		t.Fatalf("Feed took %d of %d (%v), and %d octets wait", n, len(gets), err, len(p.conn.Pending()))
	}
	p.kept = gets[n:]
	woken := p.wire.Woken
	p.flush()
	if p.wire.Woken == woken {
		t.Error("the wire was not woken when the output had drained")
	}
	for range 50 {
		p.turn()
	}
	if got := strings.Count(strings.Join(p.heard, "\n"), "get-ok"); got != 50 {
		t.Errorf("%d answers, want 50", got)
	}
}

func TestMemoryAlarm(t *testing.T) {
	f := newFixture(t, broker.Options{MemoryMax: 100_000})
	pub, con := f.open(1), f.open(1)
	pub.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")}).hear()
	for range 10 {
		pub.publish(1, "", "q", strings.Repeat("x", 10_000), amqpproto.Properties{})
	}
	pub.want()
	if st := f.server.Stats(); !st.Blocked || st.Published != 10 {
		t.Errorf("%+v", st)
	}
	// The client is not read any more from the next publish on, which is kept; everything
	// before it was read.
	pub.method(1, &amqpproto.BasicQos{PrefetchCount: 1}).want("1 basic.qos-ok")
	pub.publish(1, "", "q", "later", amqpproto.Properties{}).want("0 connection.blocked low on memory")
	pub.method(1, &amqpproto.BasicQos{PrefetchCount: 2}).want()
	f.clock.Advance(10 * time.Minute) // no heartbeat of a client that is not read can be missed
	pub.conn.Tick(f.clock.Now())
	if pub.wire.Aborted > 0 {
		t.Fatal(pub.wire.Cause())
	}
	pub.hear()
	con.method(1, &amqpproto.BasicGet{Queue: []byte("q"), NoAck: true}).hear()
	pub.want() // under the limit, but not under the lower mark
	con.method(1, &amqpproto.BasicGet{Queue: []byte("q"), NoAck: true}).hear()
	if got := pub.hear(); got != "0 connection.unblocked\n1 basic.qos-ok" {
		t.Errorf("heard %q", got)
	}
	if st := f.server.Stats(); st.Blocked || st.Published != 11 {
		t.Errorf("%+v", st)
	}
	f.last(broker.MemoryBlocked)
	f.last(broker.MemoryUnblocked)
}

// At the limit, messages that leave and arrive do not end and begin the alarm again and
// again: it lasts for a second, and until the lower mark.
func TestMemoryAlarmDoesNotFlutter(t *testing.T) {
	f := newFixture(t, broker.Options{MemoryMax: 100_000})
	pub, con := f.open(1), f.open(1)
	pub.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")}).hear()
	fill := func() (blocked int) {
		for !f.server.Stats().Blocked {
			pub.publish(1, "", "q", strings.Repeat("x", 10_000), amqpproto.Properties{})
		}
		pub.publish(1, "", "q", "held", amqpproto.Properties{})
		return strings.Count(pub.hear(), "connection.blocked")
	}
	get := func(n int) string {
		for range n {
			con.method(1, &amqpproto.BasicGet{Queue: []byte("q"), NoAck: true}).hear()
		}
		return pub.hear()
	}
	if n := fill(); n != 1 {
		t.Fatalf("blocked %d times", n)
	}
	if got := get(5); got != "" {
		t.Errorf("heard %q in the first second", got)
	}
	f.clock.Advance(time.Second - time.Millisecond)
	pub.want()
	f.clock.Advance(time.Millisecond) // nothing happens but that time passes
	pub.want("0 connection.unblocked")
	if n := fill(); n != 1 {
		t.Errorf("blocked %d times", n)
	}
	f.clock.Advance(2 * time.Second)
	if got := get(1); got != "" {
		t.Errorf("heard %q above the lower mark", got)
	}
	if got := get(1); got != "0 connection.unblocked" {
		t.Errorf("heard %q under the lower mark", got)
	}
}

// A client that sends without end costs limited memory.
func TestLimits(t *testing.T) {
	f := newFixture(t, broker.Options{ConsumersMax: 2, BodyMax: 100})
	p := f.open(2)
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")}).hear()
	for _, tag := range []string{"a", "b"} {
		p.method(1, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte(tag)}).hear()
	}
	p.method(2, &amqpproto.BasicConsume{Queue: []byte("q")}).want(
		"2 channel.close [406 PRECONDITION_FAILED - cannot consume from queue 'q' in vhost '/': consumer limit of the broker (2) is reached basic.consume]")
	p.method(2, &amqpproto.ChannelCloseOk{}).method(2, &amqpproto.ChannelOpen{}).hear()
	head := amqpproto.AppendBasicPublish(nil, 2, "", "q", false, false)
	p.say(amqpproto.AppendContentHeader(head, 2, amqpproto.ClassBasic, 101, []byte{0, 0})).want(
		"2 channel.close [406 PRECONDITION_FAILED - message size 101 is larger than configured max size 100 basic.publish]")
	p.say(amqpproto.AppendBody(nil, 2, []byte("dropped"), 4096)).method(2, &amqpproto.QueueDeclare{}).want()
	p.method(2, &amqpproto.ChannelCloseOk{}).method(2, &amqpproto.ChannelOpen{}).want("2 channel.open-ok")
	p.say(amqpproto.AppendContentHeader(head, 2, amqpproto.ClassBasic, 1<<63, []byte{0, 0})).want(
		"0 connection.close [501 FRAME_ERROR - content header declares a body of 9223372036854775808 octets basic.publish]")
}

func TestRefusedAtOnce(t *testing.T) {
	head := amqpproto.AppendBasicPublish(nil, 1, "", "q", false, false)
	header := amqpproto.AppendContentHeader(head, 1, amqpproto.ClassBasic, 3, []byte{0, 0})
	for name, row := range map[string]struct {
		in   []byte
		want string
	}{
		"a body longer than declared": {amqpproto.AppendBody(header, 1, []byte("four"), 4096),
			"0 connection.close [501 FRAME_ERROR - a body frame of 4 octets, 3 of the declared 3 are left basic.publish]"},
		"a channel over the maximum": {must(amqpproto.AppendMethod(nil, 2048, &amqpproto.ChannelOpen{})),
			"0 connection.close [530 NOT_ALLOWED - channel number 2048 is over the negotiated channel_max (2047) channel.open]"},
		"an unknown method": {amqpproto.AppendFrame(nil, amqpproto.FrameMethod, 1, []byte{0, 50, 0, 99}),
			"0 connection.close [503 COMMAND_INVALID - method is unknown method(50,99)]"},
		"an unknown class": {amqpproto.AppendFrame(nil, amqpproto.FrameMethod, 1, []byte{0, 99, 0, 1}),
			"0 connection.close [540 NOT_IMPLEMENTED - class 99 is unknown method(99,1)]"},
		"an unknown field type": {must(amqpproto.AppendMethod(nil, 1, &amqpproto.QueueDeclare{Queue: []byte("q"), Arguments: amqpproto.RawTable("\x01a?")})),
			`0 connection.close [502 SYNTAX_ERROR - table field "a": field type '?' is unknown queue.declare]`},
		"too few arguments": {amqpproto.AppendFrame(nil, amqpproto.FrameMethod, 1, []byte{0, 60, 0, 80, 0}),
			"0 connection.close [501 FRAME_ERROR - arguments end inside delivery-tag basic.ack]"},
	} {
		f := newFixture(t, broker.Options{})
		p := f.open(1)
		p.say(row.in)
		if got := p.hear(); got != row.want {
			t.Errorf("%s: heard\n%s\nwant\n%s", name, got, row.want)
		}
		p.say([]byte{1, 0, 9, 0, 0, 0, 4, 0, 60, 0, 99, 0xCE}).want() // dropped until close-ok
		p.method(0, &amqpproto.ConnectionCloseOk{}).want("eof")
	}
}

func must(b []byte, err error) []byte {
	if err != nil {
		panic(err)
	}
	return b
}

func TestFrameErrorsEndTheConversation(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	p.say([]byte{1, 0, 1, 0, 0, 0, 4, 0, 60, 0, 99, 0}).want("0 connection.close [501 FRAME_ERROR - frame ends with 0x00 and not 0xce: the sender has lost count method(0,0)]")
	p.method(0, &amqpproto.ConnectionCloseOk{}).want() // nothing can be told apart any more
	f.clock.Advance(3 * time.Second)
	p.want("eof")
	if p.wire.Aborted > 0 {
		t.Error("the socket was cut, with connection.close perhaps unread")
	}
}

func TestHeartbeats(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	for range 4 {
		f.clock.Advance(30 * time.Second)
		p.conn.Tick(f.clock.Now())
		p.flush()
		p.say(amqpproto.AppendHeartbeat(nil))
	}
	if got := p.hear(); strings.Count(got, "heartbeat") < 3 || strings.Contains(got, "eof") {
		t.Errorf("heard %q", got)
	}
	f.clock.Advance(121 * time.Second)
	p.want("eof")
	if p.wire.Aborted != 1 {
		t.Error("a silent client was not cut")
	}
}

func TestCloseServer(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p, q := f.open(1), f.dial("")
	f.server.Close("broker forced connection closure with reason 'shutdown'")
	p.want("0 connection.close [320 CONNECTION_FORCED - broker forced connection closure with reason 'shutdown' method(0,0)]")
	p.method(0, &amqpproto.ConnectionCloseOk{}).want("eof")
	q.want("eof")
	if st := f.server.Stats(); st.Connections != 0 || st.Channels != 0 {
		t.Errorf("%+v", st)
	}
}
