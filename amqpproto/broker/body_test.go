package broker_test

import (
	"bytes"
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/streadway/amqp"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// turnMax is how many octets of one body a turn may handle at most.
const turnMax = 1<<20 + 128<<10

// large is a broker through which large bodies pass, and records what each turn does with
// them.
type large struct {
	*crowd
	size      int
	body      []byte
	turning   bool   // a turn goes on
	allocated uint64 // until its beginning
	most      uint64 // allocated in one turn, on Go's heap
	out       int    // the most that was encoded in one turn
	discarded int    // in this turn
	mapped    int    // octets from Options.Allocate
}

func newLarge(t *testing.T, dir string) *large {
	l := &large{size: 64<<20 + 12345}
	if testing.Short() || broker.RaceDetector {
		l.size = 12<<20 + 12345
	}
	l.body = make([]byte, l.size)
	for i := 0; i+8 <= len(l.body); i += 8 {
		binary.LittleEndian.PutUint64(l.body[i:], uint64(i)*0x9e3779b97f4a7c15)
	}
	// This memory costs nothing until it is touched, like that of the operating system; it is
	// counted separately.
	spare := map[int][][]byte{}
	o := broker.Options{DataDir: dir, BodyMax: 256 << 20}
	o.Allocate = func(n int) []byte {
		if l.crowd != nil && n > turnMax && l.mostIn() > turnMax {
			t.Errorf("%d octets of memory are taken when %d of a body have come: they have to be copied", n, l.mostIn())
		}
		l.mapped += n
		if s := spare[n]; len(s) > 0 {
			spare[n] = s[1:]
			return s[0]
		}
		return make([]byte, n)
	}
	o.Free = func(b []byte) {
		l.mapped -= len(b)
		if len(b) > turnMax {
			clear(b)
			spare[len(b)] = append(spare[len(b)], b)
		}
	}
	o.Discard = func(b []byte) { l.discarded += len(b) }
	for range 2 { // of the two that the disk and the queues may have at a time
		n := (l.size + 15) &^ 7
		spare[n] = append(spare[n], make([]byte, n))
	}
	l.crowd = newCrowd(t, o)
	l.gauges = l.look
	return l
}

// mostIn is how much of a publish has come on any connection.
func (l *large) mostIn() int {
	most := 0
	for _, p := range l.peers {
		most = max(most, p.came)
	}
	return most
}

// look is called at the beginning and at the end of each turn.
func (l *large) look() []int {
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if l.turning = !l.turning; l.turning {
		l.allocated = m.TotalAlloc
		return []int{}
	}
	l.most = max(l.most, m.TotalAlloc-l.allocated)
	for _, p := range l.peers {
		l.out = max(l.out, p.wrote)
		p.wrote = 0
	}
	if l.discarded > turnMax {
		l.t.Errorf("%d octets were given back in one turn", l.discarded)
	}
	l.discarded = 0
	return []int{}
}

func (l *large) check() {
	l.t.Helper()
	if l.out > turnMax {
		l.t.Errorf("%d octets were encoded in one turn, want at most %d", l.out, turnMax)
	}
	if l.most > 4*turnMax {
		l.t.Errorf("%d octets of memory were allocated in one turn, want at most %d", l.most, 4*turnMax)
	}
	l.t.Logf("%d octets in %d turns, at most %d encoded and %d allocated in one", l.size, l.turns, l.out, l.most)
}

// publish sends the body a frame at a time.
func (l *large) publish(p *crowdPeer, exchange, key string, mandatory bool) {
	l.t.Helper()
	props := amqpproto.Properties{DeliveryMode: 2}
	props.SetFlags()
	b := amqpproto.AppendBasicPublish(nil, 1, exchange, key, mandatory, false)
	b, err := amqpproto.AppendContentHeaderProperties(b, 1, amqpproto.ClassBasic, uint64(l.size), &props)
	if err != nil {
		l.t.Fatal(err)
	}
	p.in = append(p.in, b...)
	p.came = 0
	frame := make([]byte, 0, 32<<10)
	for rest := l.body; len(rest) > 0; {
		n := min(len(rest), 32<<10-amqpproto.FrameOverhead)
		frame = amqpproto.AppendFrame(frame[:0], amqpproto.FrameBody, 1, rest[:n])
		p.in = append(p.in, frame...)
		p.came += n
		rest = rest[n:]
		for len(p.in) > 0 && l.turn() {
		}
	}
	l.settle()
	p.came = 0
}

// receive makes p check what comes, and count the bodies that are the body.
func (l *large) receive(p *crowdPeer) (whole *int) {
	whole = new(int)
	var kept []byte
	at := 0
	p.sink = func(out []byte) {
		kept = append(kept, out...)
		n := 0
		for {
			f, m, err := amqpproto.CutFrame(kept[n:], 131072)
			if err != nil {
				l.t.Fatal(err)
			}
			if m == 0 {
				break
			}
			n += m
			switch {
			case f.Type == amqpproto.FrameBody:
				if !bytes.Equal(f.Payload, l.body[at:min(at+len(f.Payload), l.size)]) {
					l.t.Fatalf("the body is another one from octet %d on", at)
				}
				if at += len(f.Payload); at == l.size {
					*whole++
					at = 0
				}
			case at != 0 && f.Channel == 1:
				l.t.Fatalf("%s came in the middle of a body", f)
			}
		}
		kept = append(kept[:0], kept[n:]...)
	}
	return whole
}

// TestLargeBodies: whatever happens to a large body, a turn handles no more than about a
// megabyte of it.
func TestLargeBodies(t *testing.T) {
	dir := t.TempDir()
	l := newLarge(t, dir)
	p, q := l.open(), l.open()
	got, back := l.receive(q), l.receive(p)
	p.declare("dead", nil, true)
	p.declare("large", amqp.Table{"x-dead-letter-exchange": "", "x-dead-letter-routing-key": "dead"}, true)
	p.do(&amqpproto.ConfirmSelect{})
	empty := l.mapped

	l.publish(p, "", "nowhere", true)
	if *back != 1 || l.server.Stats().Returned != 1 {
		t.Errorf("%d bodies came back that no queue takes, want 1", *back)
	}
	l.publish(p, "", "large", false)
	q.do(&amqpproto.BasicGet{Queue: []byte("large")})
	q.do(&amqpproto.BasicNack{DeliveryTag: 1, Requeue: true})
	q.say(1, &amqpproto.BasicConsume{Queue: []byte("large")})
	// What is answered meanwhile comes behind it, on the same channel.
	q.do(&amqpproto.QueueDeclare{Queue: []byte("large"), Passive: true})
	q.do(&amqpproto.BasicNack{DeliveryTag: 2})
	if l.ready("dead") != 1 {
		t.Fatalf("%d dead letters", l.ready("dead"))
	}
	q.do(&amqpproto.BasicConsume{Queue: []byte("dead")})
	if *got != 3 {
		t.Errorf("%d bodies were delivered, want 3", *got)
	}
	l.check()

	// It is on disk as well.
	q.gone = true
	q.conn.Lost(nil)
	l.settle()
	if err := l.server.CloseStore(); err != nil {
		t.Fatal(err)
	}
	again := newLarge(t, dir)
	r := again.open()
	got = again.receive(r)
	r.do(&amqpproto.BasicGet{Queue: []byte("dead")})
	if *got != 1 {
		t.Fatal("the body is not back after a restart")
	}
	r.do(&amqpproto.BasicAck{DeliveryTag: 1})
	if n := again.server.Stats().Memory; n > 1<<20 || again.mapped > empty+8<<20 {
		t.Errorf("%d octets of memory are counted and %d are held when all is over", n, again.mapped)
	}
	again.check()
}

// A large body that never becomes complete, or that its reader does not take, leaves no
// memory behind.
func TestLargeBodiesThatEnd(t *testing.T) {
	l := newLarge(t, "")
	other := l.open()
	other.declare("q", nil, false)
	empty := l.mapped
	for _, ends := range []func(p *crowdPeer){
		func(p *crowdPeer) { p.gone = true; p.conn.Lost(nil) },
		func(p *crowdPeer) { p.say(0, &amqpproto.ConnectionClose{ReplyCode: 200}) },
	} {
		p := l.open()
		props := amqpproto.Properties{DeliveryMode: 2}
		props.SetFlags()
		b := amqpproto.AppendBasicPublish(nil, 1, "", "q", false, false)
		b, _ = amqpproto.AppendContentHeaderProperties(b, 1, amqpproto.ClassBasic, uint64(l.size), &props)
		p.in = amqpproto.AppendBody(b, 1, l.body[:2<<20], 32<<10)
		l.settle()
		ends(p)
		l.settle()

		l.publish(other, "", "q", false)
		p = l.open()
		p.say(1, &amqpproto.BasicConsume{Queue: []byte("q"), NoAck: true})
		for range 8 {
			l.turn()
		}
		ends(p)
		if !p.gone {
			l.settle()
			p.gone = true
			p.conn.Lost(nil)
		}
		l.settle()
		if n := l.server.Stats().Memory; n > 1<<20 || l.mapped > empty+8<<20 {
			t.Errorf("%d octets of memory are counted and %d are held when all is over", n, l.mapped-empty)
		}
	}
	l.check()
}
