package broker_test

import (
	"runtime"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/broker"
)

// mute is a Wire that does nothing.
type mute struct{}

func (mute) Wake()       {}
func (mute) Close()      {}
func (mute) Abort(error) {}

// A connection that has published and consumed, and now is idle, holds little.
func TestIdleConnectionsAreSmall(t *testing.T) {
	if testing.Short() {
		t.Skip("collects garbage")
	}
	f := newFixture(t, broker.Options{})
	hello := greeting(t)
	work := method(t, nil, 1, &amqpproto.QueueDeclare{Queue: []byte("q")})
	work = method(t, work, 1, &amqpproto.ConfirmSelect{})
	work = method(t, work, 2, &amqpproto.BasicConsume{Queue: []byte("q"), ConsumerTag: []byte("c"), NoAck: true})
	for range 20 {
		work = append(work, publication(t, 1, "", "q", "a body of some length, so that buffers grow", amqpproto.Properties{}, false)...)
	}
	const n = 2000
	conns := make([]*broker.Conn, n)
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC() // what the first has found dead may be swept now
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	warm := newFeeder(t, f)
	warm.method(&amqpproto.QueueDeclare{Queue: []byte("q")})
	warm.turn(publishes(t, "q", amqpproto.Properties{})) // what all share is there
	before := heap()
	for i := range conns {
		c := f.server.Connect(mute{}, nil)
		conns[i] = c
		for _, in := range [][]byte{hello, work} {
			if k, err := c.Feed(in); k != len(in) || err != nil {
				t.Fatal(k, err)
			}
			c.Tick(f.clock.Now())
			c.Sent(len(c.Pending()))
		}
	}
	for range 4 {
		f.clock.Advance(31 * time.Second)
		for _, c := range conns {
			c.Tick(f.clock.Now())
			c.Sent(len(c.Pending()))
		}
	}
	each := int64(heap()-before) / n
	t.Logf("%d octets for a connection with two channels and a consumer", each)
	if each > 3072 {
		t.Errorf("an idle connection holds %d octets, want at most 3072", each)
	}
	runtime.KeepAlive(conns)
}
