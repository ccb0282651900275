package client

import (
	"slices"

	"zamqp/amqpproto"
)

const (
	// outMark is how much may wait in the buffer before publishes wait outside of
	// it. A loop stops reading a peer whose output piles up (1 MiB by default), and
	// a client that is not read sees neither confirms nor connection.blocked nor
	// heartbeats. What waits outside can still expire unsent, too.
	outMark = 512 << 10
	// outKeep is the capacity that is never given back.
	outKeep = 64 << 10
)

// output holds whole frames that have not left yet. One buffer, grown by append
// and reused.
type output struct {
	buf  []byte
	off  int    // octets of buf that have left
	sent uint64 // octets that have left, ever
	peak int    // decaying maximum of what a burst needed

	large amqpproto.LargeBodies // that are in between
}

// pending is what has not left, as far as it is to leave next.
func (o *output) pending() []byte { return o.large.Pending(o.buf, o.off) }

func (o *output) len() int { return len(o.buf) - o.off + o.large.Len() }

// end is the position in the stream of octets just behind what is in the buffer.
func (o *output) end() uint64 { return o.sent + uint64(o.len()) }

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
	o.sent += uint64(n)
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

// body appends the frames of a body. One that is large is encoded as the socket
// takes it: it stays as it is.
func (o *output) body(channel uint16, body []byte, frameMax uint32) {
	if len(body) > amqpproto.LargeBody {
		o.large.Push(len(o.buf), channel, body, frameMax, nil)
		return
	}
	o.buf = amqpproto.AppendBody(o.buf, channel, body, frameMax)
}

// reserve makes room for a content, with size octets besides the body. Once, where
// append would copy a body several times on its way.
func (o *output) reserve(size int, body []byte, frameMax uint32) {
	if len(body) <= amqpproto.LargeBody {
		size += len(body) + (len(body)/int(frameMax-amqpproto.FrameOverhead)+3)*amqpproto.FrameOverhead
	}
	o.buf = slices.Grow(o.buf, size)
}
