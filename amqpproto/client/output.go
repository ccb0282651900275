package client

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
}

// pending is what has not left.
func (o *output) pending() []byte { return o.buf[o.off:] }

func (o *output) len() int { return len(o.buf) - o.off }

// end is the position in the stream of octets just behind what is in the buffer.
func (o *output) end() uint64 { return o.sent + uint64(o.len()) }

// room makes the space before off usable once it is worth the copy. Call it
// before appending to buf.
func (o *output) room() {
	if o.off >= outKeep && o.off >= len(o.buf)/2 {
		o.peak = max(o.peak, len(o.buf))
		o.buf = o.buf[:copy(o.buf, o.buf[o.off:])]
		o.off = 0
	}
}

// drop forgets the first n octets of pending.
func (o *output) drop(n int) {
	o.off += n
	o.sent += uint64(n)
	if o.off < len(o.buf) {
		return
	}
	o.peak = max(o.peak-o.peak/8, len(o.buf))
	o.buf, o.off = o.buf[:0], 0
	if cap(o.buf) > outKeep && cap(o.buf)/8 > o.peak {
		o.buf = nil // a burst long ago; what comes now needs far less
	}
}
