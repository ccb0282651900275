package broker

import "zamqp/amqpproto"

const (
	// outKeep is the capacity that a connection in use never gives back.
	outKeep = 64 << 10
	// outIdle is what an idle one keeps.
	outIdle = 64
)

// output holds whole frames that have not left yet. One buffer, grown by append
// and reused.
type output struct {
	buf  []byte
	off  int // octets of buf that have left
	peak int // decaying maximum of what a burst needed

	delivered int // octets of deliveries among what is pending, at most

	large amqpproto.LargeBodies // that are in between
}

// pending is what has not left, as far as it is to leave next.
func (o *output) pending() []byte { return o.large.Pending(o.buf, o.off) }

func (o *output) len() int { return len(o.buf) - o.off + o.large.Len() }

// answers is what is pending without the deliveries, at least.
func (o *output) answers() int { return o.len() - o.delivered }

// room makes the space before off usable once it is worth the copy. Call it
// before appending to buf.
func (o *output) room() {
	if o.off >= outKeep && o.off >= len(o.buf)/2 {
		o.peak = max(o.peak, len(o.buf))
		o.buf = o.buf[:copy(o.buf, o.buf[o.off:])]
		o.large.Moved(o.off)
		o.off = 0
	}
}

// drop forgets the first n octets of pending.
func (o *output) drop(n int) {
	o.off += o.large.Sent(n)
	o.delivered = min(o.delivered, o.len())
	if o.off < len(o.buf) {
		return
	}
	o.peak = max(o.peak-o.peak/8, len(o.buf))
	o.large.Moved(o.off)
	o.buf, o.off = o.buf[:0], 0
	if cap(o.buf) > outKeep && cap(o.buf)/8 > o.peak {
		o.buf = nil // a burst long ago; what comes now needs far less
	}
}

// rest gives the buffer back of a connection that has nothing to say.
func (o *output) rest() {
	if o.len() == 0 && cap(o.buf) > outIdle {
		*o = output{}
	}
}
