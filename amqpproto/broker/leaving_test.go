package broker_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

var goodbye = &amqpproto.ConnectionClose{ReplyCode: 200}

// hangUp is the client's end of its socket.
func (p *peer) hangUp() {
	p.t.Helper()
	p.turn()
	if p.conn.EOF() {
		p.t.Fatal("the broker wants to say more")
	}
	p.lose(nil)
}

// After close-ok it is the client that closes the socket: a client that finds the
// end of the stream during its own close takes that for a failure.
func TestCloseOkLeavesTheSocketOpen(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	p.method(0, goodbye).want("0 connection.close-ok")
	if st := f.server.Stats(); st.Connections != 0 || st.Closing != 1 || st.Channels != 0 {
		t.Errorf("%+v", st)
	}
	if e := f.last(broker.ConnectionClosed); e.Err != nil {
		t.Errorf("closed for %v", e.Err)
	}
	// What the client sends now is ignored, frames or not.
	p.method(1, &amqpproto.QueueDeclare{Queue: []byte("q")}).want()
	p.method(0, goodbye).want("0 connection.close-ok")
	p.say([]byte(strings.Repeat("no frame", 10_000))).want()
	p.say(make([]byte, 1<<20)).want()
	p.hangUp()
	if st := f.server.Stats(); st.Closing != 0 || st.Hurried != 0 || st.Queues != 0 {
		t.Errorf("%+v", st)
	}
	n := 0
	for _, e := range f.events {
		if e.Kind == broker.ConnectionClosed {
			n++
		}
	}
	if n != 1 {
		t.Errorf("the end of one connection was told %d times", n)
	}
}

// A client that does not close its socket is not waited for without end.
func TestClientThatKeepsItsSocket(t *testing.T) {
	for _, row := range []struct {
		name string
		end  func(p *peer)
		wait time.Duration
	}{
		{"after close-ok", func(p *peer) { p.method(0, goodbye) }, 30 * time.Second},
		{"after connection.close", func(p *peer) { p.method(9, &amqpproto.QueueDeclare{}) }, 30 * time.Second},
		{"after both", func(p *peer) { p.method(9, &amqpproto.QueueDeclare{}).method(0, goodbye) }, 30 * time.Second},
	} {
		f := newFixture(t, broker.Options{})
		p := f.open(0)
		row.end(p)
		p.hear()
		f.clock.Advance(row.wait - time.Millisecond)
		p.want()
		f.clock.Advance(time.Millisecond)
		p.want("eof")
		if st := f.server.Stats(); st.Closing != 0 || st.Hurried != 1 {
			t.Errorf("%s: %+v", row.name, st)
		}
	}
}

// RabbitMQ waits no longer than a heartbeat.
func TestHeartbeatShortensTheWait(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.dial("")
	p.say([]byte(amqpproto.ProtocolHeader))
	p.startOk("PLAIN", []byte("\x00guest\x00guest"), everything)
	p.method(0, &amqpproto.ConnectionTuneOk{ChannelMax: 10, FrameMax: 4096, Heartbeat: 3})
	p.method(0, &amqpproto.ConnectionOpen{VirtualHost: []byte("/")}).method(0, goodbye).hear()
	f.clock.Advance(3*time.Second - time.Millisecond)
	p.want()
	f.clock.Advance(time.Millisecond)
	p.want("eof")
}

// Everything that belongs to a connection is gone when its end is reported: another client
// that waits for that finds the name of an exclusive queue free, and the messages back.
func TestAllIsGoneAtCloseOk(t *testing.T) {
	for name, end := range map[string]func(p *peer){
		"client": func(p *peer) { p.method(0, goodbye) },
		"broker": func(p *peer) { p.method(9, &amqpproto.QueueDeclare{}) },
	} {
		f := newFixture(t, broker.Options{})
		p, other := f.open(1), f.open(1)
		p.method(1, &amqpproto.QueueDeclare{Queue: []byte("own"), Exclusive: true}).method(1, &amqpproto.QueueDeclare{Queue: []byte("q")})
		p.publish(1, "", "q", "x", amqpproto.Properties{}).method(1, &amqpproto.BasicGet{Queue: []byte("q")}).hear()
		end(p)
		if got := p.hear(); !strings.Contains(got, "connection.close") {
			t.Fatalf("%s: heard %q", name, got)
		}
		other.method(1, &amqpproto.QueueDeclare{Queue: []byte("own"), Exclusive: true}).want("1 queue.declare-ok [own 0 0]")
		other.method(1, &amqpproto.BasicGet{Queue: []byte("q"), NoAck: true}).want("1 basic.get-ok [1 true  q 0]", "1 header 1 map[]", `1 body "x"`)
		p.hangUp()
		other.method(1, &amqpproto.QueueDeclare{Queue: []byte("own"), Passive: true, Exclusive: true}).want("1 queue.declare-ok [own 0 0]")
	}
}

// The number of closed connections is limited: the one that has waited longest goes.
func TestLeavingAreBounded(t *testing.T) {
	f := newFixture(t, broker.Options{LeavingMax: 2})
	var all []*peer
	for range 4 {
		p := f.open(0)
		p.method(0, goodbye).want("0 connection.close-ok")
		all = append(all, p)
	}
	all[0].want("eof")
	all[1].want("eof")
	all[2].want()
	if st := f.server.Stats(); st.Closing != 2 || st.Hurried != 2 {
		t.Errorf("%+v", st)
	}
	if !f.server.HurryOne() || all[2].hear() != "eof" || !f.server.HurryOne() || all[3].hear() != "eof" || f.server.HurryOne() {
		t.Error("not hurried one after the other")
	}
	if all[3].wire.Aborted > 0 {
		t.Error("hurried, a client does not hear the last answer")
	}
}

// A server that shuts down does not wait for clients that have already left.
func TestCloseServerWithLeaving(t *testing.T) {
	f := newFixture(t, broker.Options{LeavingMax: 1})
	p, busy, late := f.open(0), f.open(0), f.open(0)
	p.method(0, goodbye).want("0 connection.close-ok")
	f.server.Close("bye")
	p.want("eof")
	for _, q := range []*peer{busy, late} { // both get the close, bound or not
		q.want("0 connection.close [320 CONNECTION_FORCED - bye method(0,0)]")
		q.method(0, &amqpproto.ConnectionCloseOk{}).want("eof")
	}
	if st := f.server.Stats(); st.Connections != 0 || st.Closing != 0 {
		t.Errorf("%+v", st)
	}
}

// The end that nobody announced is one.
func TestLostWhileOpen(t *testing.T) {
	f := newFixture(t, broker.Options{})
	p := f.open(1)
	p.lose(nil)
	if e := f.last(broker.ConnectionClosed); e.Err == nil {
		t.Error("told as an orderly end")
	}
	q := f.open(1)
	q.lose(errors.New("reset"))
	if st := f.server.Stats(); st.Connections != 0 || st.Closing != 0 {
		t.Errorf("%+v", st)
	}
}
