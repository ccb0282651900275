package client

import (
	"time"

	"zamqp/amqpproto/endpoint"
)

// clock is the time as the machine knows it: nanoseconds since just before its
// first Tick, so that 0 is free to mean none.
type clock struct {
	base time.Time
	now  int64
}

// set moves the clock to t; it never goes back.
func (k *clock) set(t time.Time) int64 {
	if k.base.IsZero() {
		k.base = t.Add(-1)
	}
	k.now = max(k.now, int64(t.Sub(k.base)))
	return k.now
}

// time turns an instant of the clock back, 0 to the zero Time.
func (k *clock) time(at int64) time.Time {
	if at == 0 {
		return time.Time{}
	}
	return k.base.Add(time.Duration(at))
}

// deadline is a span that starts at the next Tick. Between Ticks the machine's
// idea of now may be as old as half a heartbeat, so a deadline that is set there
// must not be reckoned from it.
type deadline struct {
	in time.Duration // 0 = not set
	at int64         // 0 = starts at the next Tick
}

func (d *deadline) set(in time.Duration) { *d = deadline{in: max(in, 1)} }

func (d *deadline) stop() { *d = deadline{} }

func (d *deadline) armed() bool { return d.in != 0 }

// due reports, once, that the deadline has passed. Until then it starts it if
// need be and lowers *next to it.
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
