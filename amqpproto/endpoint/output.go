package endpoint

import (
	"slices"

	"zamqp/amqpproto"
)

const (
	// OutputKeep is the capacity that an output in use keeps, even if it needs less.
	OutputKeep = 64 << 10
	// OutputIdle is the capacity that Rest leaves, enough for a heartbeat or an ack.
	OutputIdle = 64
)

// Output holds whole frames that were not sent yet, in one buffer that grows and is
// reused. Everything that a turn sends is appended here and sent together. Lent bodies
// are not copied, and are encoded when the socket takes them.
//
// The zero value is empty.
type Output struct {
	// Buf is where frames are appended, after Room. Its beginning may have been sent.
	Buf []byte

	off  int    // octets of Buf that were sent
	sent uint64 // number of all octets that were ever sent
	peak int    // decaying maximum of the size that a burst needed

	lent largeBodies // bodies between the octets of Buf
}

// Pending returns the octets to send next.
func (o *Output) Pending() []byte { return o.lent.pending(o.Buf, o.off) }

// Len returns how many octets were not sent yet.
func (o *Output) Len() int { return len(o.Buf) - o.off + o.lent.len() }

// Sent returns how many octets were ever sent.
func (o *Output) Sent() uint64 { return o.sent }

// End returns what Sent will be when everything that is here now has been sent.
func (o *Output) End() uint64 { return o.sent + uint64(o.Len()) }

// Held returns how many octets of memory the output uses above what every output may
// keep.
func (o *Output) Held() int { return max(len(o.Buf)-OutputKeep, 0) + len(o.lent.piece) }

// Room makes the space of sent octets usable again when that is worth the copy. Call it
// before appending to Buf.
func (o *Output) Room() {
	if o.off >= OutputKeep && o.off >= len(o.Buf)/2 {
		o.peak = max(o.peak, len(o.Buf))
		o.Buf = o.Buf[:copy(o.Buf, o.Buf[o.off:])]
		o.lent.moved(o.off)
		o.off = 0
	}
}

// Grow makes room for a content: size octets and, unless it will be lent, the body.
// Otherwise append might copy the body several times while the buffer grows.
func (o *Output) Grow(size int, body []byte, frameMax uint32) {
	if len(body) <= amqpproto.LargeBody {
		size += bodyFrames(len(body), frameMax)
	}
	o.Buf = slices.Grow(o.Buf, size)
}

// Body appends the frames of a body, which is copied.
func (o *Output) Body(channel uint16, body []byte, frameMax uint32) {
	o.Buf = amqpproto.AppendBody(o.Buf, channel, body, frameMax)
}

// Lend sends a body after what Buf holds now, without a copy. The body must not change
// until done is called, which happens when it was encoded or dropped. done may be nil. A
// client lends each body over amqpproto.LargeBody and leaves freeing it to the garbage
// collector. A broker lends bodies that are in memory of their own, and counts their
// users.
func (o *Output) Lend(channel uint16, body []byte, frameMax uint32, done func()) {
	o.lent.push(len(o.Buf), channel, body, frameMax, done)
}

// Left forgets the first n octets of Pending.
func (o *Output) Left(n int) {
	o.off += o.lent.left(n)
	o.sent += uint64(n)
	if o.off < len(o.Buf) {
		return
	}
	o.peak = max(o.peak-o.peak/8, len(o.Buf))
	o.lent.moved(o.off)
	o.Buf, o.off = o.Buf[:0], 0
	if cap(o.Buf) > OutputKeep && cap(o.Buf)/8 > o.peak {
		o.Buf = nil // it grew in an old burst, and far less is needed now
	}
}

// Rest frees the buffer of an output that has nothing to send. It matters for a broker
// with thousands of idle connections; a client has few, and they are not idle.
func (o *Output) Rest() {
	if o.Len() == 0 && cap(o.Buf) > OutputIdle {
		o.Buf, o.off, o.peak = nil, 0, 0
	}
}

// Drop releases everything, because the connection has ended.
func (o *Output) Drop() {
	lent := o.lent
	*o = Output{sent: o.sent}
	lent.drop()
}
