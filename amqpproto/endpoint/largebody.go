package endpoint

import "zamqp/amqpproto"

// bodyPiece is roughly how many octets of a large body are encoded at a time.
const bodyPiece = 256 << 10

// largeBodies holds the bodies that were lent to an output. They are not copied, and are
// encoded piece by piece when the octets before them have been sent. All other octets
// are in the output's buffer. Each body knows its position in that buffer, so the order
// on the wire is the same as if everything were in the buffer.
type largeBodies struct {
	list   []largeBody
	piece  []byte // encoded frames of the first body
	off    int    // octets of piece that were sent
	unsent int    // octets of all frames that are not encoded
}

type largeBody struct {
	at       int // position in the owner's buffer: the octets before it are sent first
	channel  uint16
	frameMax uint32
	body     []byte // the part that is not encoded yet
	done     func()
}

// push adds a body after the first at octets of the buffer.
func (l *largeBodies) push(at int, channel uint16, body []byte, frameMax uint32, done func()) {
	if frameMax == 0 || frameMax > bodyPiece {
		frameMax = bodyPiece // a frame may be shorter than it could be
	}
	l.list = append(l.list, largeBody{at, channel, frameMax, body, done})
	l.unsent += bodyFrames(len(body), frameMax)
}

// len returns how many octets are to be sent in addition to the buffer.
func (l *largeBodies) len() int { return len(l.piece) - l.off + l.unsent }

// pending returns the octets to send next: from the buffer, where off octets were
// sent already, or from a body.
func (l *largeBodies) pending(buf []byte, off int) []byte {
	if len(l.piece) == 0 {
		switch {
		case len(l.list) == 0:
			return buf[off:]
		case off < l.list[0].at:
			return buf[off:l.list[0].at]
		}
		l.encode()
	}
	return l.piece[l.off:]
}

// encode makes the next piece.
func (l *largeBodies) encode() {
	b := &l.list[0]
	room := bodyRoom(b.frameMax)
	n := min(bodyPiece/room*room, len(b.body))
	if cap(l.piece) == 0 {
		l.piece = make([]byte, 0, bodyFrames(n, b.frameMax))
	}
	l.piece = amqpproto.AppendBody(l.piece, b.channel, b.body[:n], b.frameMax)
	l.unsent -= len(l.piece)
	if b.body = b.body[n:]; len(b.body) > 0 {
		return
	}
	done := b.done
	*b = largeBody{}
	l.list = l.list[1:]
	if done != nil {
		done()
	}
}

// left records that n octets from pending were sent. It returns how many of them were
// from the buffer.
func (l *largeBodies) left(n int) (ofBuffer int) {
	if len(l.piece) == 0 {
		return n
	}
	if l.off += n; l.off == len(l.piece) {
		l.piece, l.off = l.piece[:0], 0
		if len(l.list) == 0 {
			*l = largeBodies{}
		}
	}
	return 0
}

// moved records that n octets were removed from the front of the buffer.
func (l *largeBodies) moved(n int) {
	for i := range l.list {
		l.list[i].at -= n
	}
}

// drop releases everything.
func (l *largeBodies) drop() {
	list := l.list
	*l = largeBodies{}
	for i := range list {
		if list[i].done != nil {
			list[i].done()
		}
	}
}

// bodyRoom is how many octets of a body a frame takes, as amqpproto.AppendBody
// makes it.
func bodyRoom(frameMax uint32) int {
	if frameMax <= amqpproto.FrameOverhead {
		frameMax = amqpproto.FrameMin
	}
	return int(frameMax - amqpproto.FrameOverhead)
}

// bodyFrames is the length of the frames of a body of n octets.
func bodyFrames(n int, frameMax uint32) int {
	room := bodyRoom(frameMax)
	return n + (n+room-1)/room*amqpproto.FrameOverhead
}
