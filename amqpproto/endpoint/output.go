package endpoint

import (
	"slices"

	"zamqp/amqpproto"
)

const (
	// OutputKeep is the capacity of an output that is in use: it is not given back
	// however little of it is needed.
	OutputKeep = 64 << 10
	// OutputIdle is the capacity that Rest leaves, enough for a heartbeat or an ack.
	OutputIdle = 64
)

// Output holds whole frames that have not left yet, in one buffer that append
// grows and that is used again. Whatever a turn has to say is appended here and
// leaves together. Bodies that are lent stay where they are, and are encoded as
// the socket takes them.
//
// The zero value is empty.
type Output struct {
	// Buf is what frames are appended to, after Room. Its beginning may have left.
	Buf []byte

	off  int    // octets of Buf that have left
	sent uint64 // octets that have left, ever
	peak int    // decaying maximum of what a burst needed

	lent largeBodies // bodies between the octets of Buf
}

// Pending is what has not left, as far as it is to leave next.
func (o *Output) Pending() []byte { return o.lent.pending(o.Buf, o.off) }

// Len is how many octets have not left.
func (o *Output) Len() int { return len(o.Buf) - o.off + o.lent.len() }

// Sent is how many octets have left, ever.
func (o *Output) Sent() uint64 { return o.sent }

// End is what Sent will be when all that is here now has left.
func (o *Output) End() uint64 { return o.sent + uint64(o.Len()) }

// Held is how many octets of memory the output takes, above those that each may
// keep.
func (o *Output) Held() int { return max(len(o.Buf)-OutputKeep, 0) + len(o.lent.piece) }

// Room makes the space of what has left usable once it is worth the copy. Call it
// before appending to Buf.
func (o *Output) Room() {
	if o.off >= OutputKeep && o.off >= len(o.Buf)/2 {
		o.peak = max(o.peak, len(o.Buf))
		o.Buf = o.Buf[:copy(o.Buf, o.Buf[o.off:])]
		o.lent.moved(o.off)
		o.off = 0
	}
}

// Grow makes room for a content: size octets besides the body, and the body if it
// is not to be lent. Otherwise append would copy the body several times on its way.
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

// Lend has a body sent behind what Buf holds now, without a copy. It stays as it is
// until done is called: when it is encoded, or dropped. done may be nil. A client
// lends each body over amqpproto.LargeBody, and the garbage collector knows when
// it has gone; a broker lends those that lie in memory of their own, and counts
// who holds them.
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
		o.Buf = nil // a burst long ago; what comes now needs far less
	}
}

// Rest gives the buffer of an output back that has nothing to say. A broker has
// thousands of connections that are idle; a client has few, which are not.
func (o *Output) Rest() {
	if o.Len() == 0 && cap(o.Buf) > OutputIdle {
		o.Buf, o.off, o.peak = nil, 0, 0
	}
}

// Drop lets go of everything: the connection is over.
func (o *Output) Drop() {
	lent := o.lent
	*o = Output{sent: o.sent}
	lent.drop()
}
