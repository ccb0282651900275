package client

import (
	"time"

	"zamqp/amqpproto/endpoint"
)

// clock is the client's time: nanoseconds since just before the first Tick, so that 0
// can mean none.
type clock struct {
	base time.Time
	now  int64
}

// set moves the clock to t. It never moves back.
func (k *clock) set(t time.Time) int64 {
	if k.base.IsZero() {
		k.base = t.Add(-1)
	}
	k.now = max(k.now, int64(t.Sub(k.base)))
	return k.now
}

// time converts a time of the clock to a time.Time, and 0 to the zero Time.
func (k *clock) time(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return k.base.Add(time.Duration(at))
}

// deadline is a duration that starts at the next Tick. Between Ticks the clock may be
// as old as half a heartbeat interval, so a deadline must not be computed from it.
type deadline struct {
	in time.Duration // 0 = not set
	at int64         // 0 = starts at the next Tick
}

func (d *deadline) set(in time.Duration) { *d = deadline{in: max(in, 1)} }

func (d *deadline) stop() { *d = deadline{} }

func (d *deadline) armed() bool { return d.in != 0 }

// due reports, once, that the deadline has passed. Before that it starts the deadline
// if necessary and lowers *next to it.
func (d *deadline) due(now int64, next *int64) bool {
	if d.in == 0 {
		return false
	}
	if d.at == 0 {
		d.at = now + int64(d.in)
	}
	if now >= d.at {
		d.stop()
		return true
	}
	endpoint.Sooner(next, d.at)
	return false
}
