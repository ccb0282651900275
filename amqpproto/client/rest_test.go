package client_test

import (
	"runtime"
	"testing"
	"time"

	"zamqp/amqpproto"
	"zamqp/amqpproto/client"
)

// heap is the memory that is in use.
func heap() int {
	var m runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&m)
	return int(m.HeapAlloc)
}

// TestBurstGivesItsMemoryBack has many publishes unconfirmed at once, and then few or none:
// the memory for the many is freed after a while.
func TestBurstGivesItsMemoryBack(t *testing.T) {
	const burst, most = 60_000, 2 << 20 // a burst needs some 14 MB
	for _, row := range []struct {
		name string
		few  int // publishes at once, after the burst
	}{{"then nothing", 0}, {"then few", 3}, {"then some", 100}} {
		t.Run(row.name, func(t *testing.T) {
			d := newDirect(t, client.Config{PublishMax: 1 << 30, KeepIDs: true}, &acker{})
			var done counter
			o := client.Outgoing{RoutingKey: "q", Lent: true}
			sent := uint64(0)
			cycle := func(n int) {
				for range n {
					must(t, d.client.Publish(nil, &o, &done))
					if sent++; sent%1000 == 0 {
						d.flush()
					}
				}
				for len(d.flush()) > 0 {
				}
				if n > 0 {
					ack, err := amqpproto.AppendMethod(nil, publishChannel, &amqpproto.BasicAck{DeliveryTag: sent, Multiple: true})
					must(t, err)
					d.turn(ack)
				}
			}
			cycle(1)
			before := heap()
			cycle(burst)
			for range 40 { // a minute, with a heartbeat now and then
				d.now = d.now.Add(1500 * time.Millisecond)
				cycle(row.few)
				d.turn(amqpproto.AppendHeartbeat(nil))
			}
			if kept := heap() - before; kept > most {
				t.Errorf("%d octets are kept a minute after a burst of %d publishes, want at most %d", kept, burst, most)
			}
			if n, _ := d.client.Unconfirmed(); n != 0 {
				t.Errorf("%d publishes are unconfirmed", n)
			}
			runtime.KeepAlive(d)
		})
	}
}

// TestSteadyPublishesKeepTheirRing: if bursts come all the time, their memory is neither
// freed nor allocated again.
func TestSteadyPublishesKeepTheirRing(t *testing.T) {
	d := newDirect(t, client.Config{PublishMax: 1 << 30, KeepIDs: true}, &acker{})
	var done counter
	o := client.Outgoing{RoutingKey: "q", Lent: true}
	sent := uint64(0)
	ack := make([]byte, 0, 64)
	cycle := func() {
		for range 2000 {
			_ = d.client.Publish(nil, &o, &done)
			sent++
		}
		for len(d.flush()) > 0 {
		}
		ack, _ = amqpproto.AppendMethod(ack[:0], publishChannel, &amqpproto.BasicAck{DeliveryTag: sent, Multiple: true})
		d.turn(ack)
		d.now = d.now.Add(1500 * time.Millisecond)
		d.turn(amqpproto.AppendHeartbeat(ack[:0]))
	}
	for range 20 {
		cycle()
	}
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range 40 {
		cycle()
	}
	runtime.ReadMemStats(&after)
	if n := after.TotalAlloc - before.TotalAlloc; n > 100_000 {
		t.Errorf("%d octets were allocated in a minute of equal bursts", n)
	}
}
