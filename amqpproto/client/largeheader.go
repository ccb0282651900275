package client

import (
	"encoding/binary"
	"fmt"

	"zamqp/amqpproto"
)

// A content header cannot be split over frames, and a broker may make a header longer
// than it received it, for example with x-death. RabbitMQ sends it however large it
// is. So frame_max does not bound the header frames that we receive. Larger ones are
// collected piece by piece, because the loop does not buffer a frame of that size.

// headerMaxLeast is the lower bound of headerMax.
const headerMaxLeast = 1 << 20

// headerMax is the largest content header frame, in octets, whose message may go to a
// handler: see Delivery.Fault. A header over BodyMax is refused like a body of that
// size.
func (c *Conn) headerMax() uint64 { return max(16*uint64(c.frameMax), headerMaxLeast) }

// largeHeader is a content header over frame_max that is being received.
type largeHeader struct {
	on      bool
	skip    bool // its octets are dropped
	channel uint16
	size    uint64 // octets of the payload and the frame-end
	got     uint64 // how many of them have arrived
	buf     []byte // grows with the octets that arrive, not to the declared size
}

// beginsLarge reports whether in begins with a content header over frame_max.
func (c *Conn) beginsLarge(in []byte) bool {
	if len(in) < 7 || in[0] != amqpproto.FrameHeader || c.state != connOpen && c.state != awaitCloseOk {
		return false
	}
	size := uint64(binary.BigEndian.Uint32(in[3:]))
	return size+amqpproto.FrameOverhead > uint64(c.frameMax)
}

// takeLarge handles the first or next piece of a large header. After the last piece
// the channel gets the frame.
func (c *Conn) takeLarge(in []byte) (n int, err error) {
	l := &c.large
	if !l.on {
		*l = largeHeader{on: true, channel: binary.BigEndian.Uint16(in[1:]), size: uint64(binary.BigEndian.Uint32(in[3:])) + 1}
		l.skip = c.state == awaitCloseOk || l.size > max(c.client.cfg.BodyMax, c.headerMax())
		n = 7
	}
	part := in[n:min(uint64(len(in)), uint64(n)+l.size-l.got)]
	n += len(part)
	l.got += uint64(len(part))
	if !l.skip {
		l.buf = append(l.buf, part...)
	}
	if l.got < l.size {
		return n, nil
	}
	done := *l
	*l = largeHeader{}
	if len(part) > 0 && part[len(part)-1] != amqpproto.FrameEnd {
		return n, connectionError(amqpproto.FrameError, 0, "frame ends with 0x%02x and not 0xce: the sender has lost count", part[len(part)-1])
	}
	return n, c.onLarge(&done)
}

// onLarge gives the frame to its channel.
func (c *Conn) onLarge(l *largeHeader) error {
	if c.state == awaitCloseOk {
		return nil
	}
	ch, err := c.channel(l.channel)
	if err != nil {
		return err
	}
	if l.skip {
		if ch.state == channelOpen && ch.in.Busy() {
			return ch.owner.onTooLarge(&amqpproto.ChannelError{Code: amqpproto.ContentTooLarge, Method: ch.in.Method(), Channel: l.channel,
				Text: fmt.Sprintf("a content header of %d octets, at most %d are taken", l.size-1, max(c.client.cfg.BodyMax, c.headerMax()))})
		}
		return nil
	}
	if whole := l.size - 1 + amqpproto.FrameOverhead; whole > c.headerMax() {
		ch.in.fault = fmt.Errorf("its content header has %d octets, over the %d that are taken at a frame_max of %d", whole, c.headerMax(), c.frameMax)
	}
	return ch.onFrame(amqpproto.Frame{Type: amqpproto.FrameHeader, Channel: l.channel, Payload: l.buf[:len(l.buf)-1]})
}
