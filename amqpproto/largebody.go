package amqpproto

import "math"

// LargeBody is the length in octets over which a body is large: it is worked off
// in pieces, so that no turn of a loop handles much more of it than that.
const LargeBody = 1 << 20

// BodyPiece is about how many octets of a large body are encoded at a time.
const BodyPiece = 256 << 10

// LargeBodies is the large bodies in an output. They stay where they are, and are
// encoded piece by piece as the octets before them have left. All else is in the
// owner's buffer, which knows only where in it they belong; so the order on the
// wire is that of an output that holds everything. The zero value is empty.
type LargeBodies struct {
	list  []largeBody
	piece []byte // encoded frames of the first one
	off   int    // octets of piece that have left
	left  int    // octets of all frames that are not encoded
}

type largeBody struct {
	at       int // in the owner's buffer: what is before it goes first
	channel  uint16
	frameMax uint32
	body     []byte // what is not encoded
	done     func()
}

// Push puts a body behind the first at octets of the buffer. The body stays as it
// is until done is called: when it is encoded, or dropped.
func (l *LargeBodies) Push(at int, channel uint16, body []byte, frameMax uint32, done func()) {
	if frameMax == 0 || frameMax > BodyPiece {
		frameMax = BodyPiece // a frame may be shorter than it could be
	}
	l.list = append(l.list, largeBody{at, channel, frameMax, body, done})
	l.left += bodyFrames(len(body), frameMax)
}

// Busy says whether there is anything to send but the buffer.
func (l *LargeBodies) Busy() bool { return len(l.list) > 0 || len(l.piece) > 0 }

// Len is how many octets are to be sent besides the buffer.
func (l *LargeBodies) Len() int { return len(l.piece) - l.off + l.left }

// Held is how many octets of memory encoded pieces take.
func (l *LargeBodies) Held() int { return len(l.piece) }

// Pending returns what is to be sent next, of the buffer, of which off octets have
// left, or of a body.
func (l *LargeBodies) Pending(buf []byte, off int) []byte {
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
func (l *LargeBodies) encode() {
	b := &l.list[0]
	room := bodyRoom(b.frameMax)
	n := min(BodyPiece/room*room, len(b.body))
	if cap(l.piece) == 0 {
		l.piece = make([]byte, 0, bodyFrames(n, b.frameMax))
	}
	l.piece = AppendBody(l.piece, b.channel, b.body[:n], b.frameMax)
	l.left -= len(l.piece)
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

// Sent tells that n octets of what Pending returned have left. It returns how many
// of them were of the buffer.
func (l *LargeBodies) Sent(n int) (ofBuffer int) {
	if len(l.piece) == 0 {
		return n
	}
	if l.off += n; l.off == len(l.piece) {
		l.piece, l.off = l.piece[:0], 0
		if len(l.list) == 0 {
			*l = LargeBodies{}
		}
	}
	return 0
}

// Moved tells that n octets were taken off the front of the buffer.
func (l *LargeBodies) Moved(n int) {
	for i := range l.list {
		l.list[i].at -= n
	}
}

// Drop lets go of everything.
func (l *LargeBodies) Drop() {
	list := l.list
	*l = LargeBodies{}
	for i := range list {
		if list[i].done != nil {
			list[i].done()
		}
	}
}

// bodyRoom is how many octets of a body a frame takes.
func bodyRoom(frameMax uint32) int {
	switch {
	case frameMax > FrameOverhead:
		return int(frameMax - FrameOverhead)
	case frameMax > 0:
		return FrameMin - FrameOverhead
	}
	return min(longMax, math.MaxInt)
}

// bodyFrames is the length of the frames of a body of n octets, at least 1.
func bodyFrames(n int, frameMax uint32) int {
	room := bodyRoom(frameMax)
	return n + ((n-1)/room+1)*FrameOverhead
}
