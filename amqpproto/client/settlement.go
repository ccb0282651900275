package client

import "zamqp/amqpproto"

// tagState is what became of one delivery tag.
type tagState uint8

const (
	tagFinal       tagState = iota // settled, and the broker has been or is being told
	tagOutstanding                 // delivered, not settled
	tagAcked                       // to be acked; leaves with the next flush
	tagKept                        // given back, but only the end of the channel tells the broker
)

// window holds the state of the tags of one channel from the lowest that is not
// final up to the last that came. Tags of a channel with one consumer are 1, 2,
// 3 … without a gap, so a ring needs one octet for each and no map.
type window struct {
	ring        []tagState // its length is a power of two; tag t is at t&(len-1)
	base, next  uint64     // the ring holds base ≤ t < next
	outstanding int        // not settled
	kept        int        // in state tagKept
	offsets     []int64    // of a stream, indexed as ring; nil for other queues
	acked       []uint64   // in state tagAcked, in the order of their Acks
}

// windowKeep is the size of ring that is never given back.
const windowKeep = 4096

func (w *window) at(tag uint64) *tagState { return &w.ring[tag&uint64(len(w.ring)-1)] }

// reset starts the tags of a new channel.
func (w *window) reset() {
	w.base, w.next, w.outstanding, w.kept, w.acked = 1, 1, 0, 0, w.acked[:0]
	if len(w.ring) > windowKeep {
		w.ring = nil
	}
}

// take notes the delivery of tag; false if it is not the one that must come.
func (w *window) take(tag uint64) bool {
	if tag != w.next || tag == 0 {
		return false
	}
	if w.next-w.base == uint64(len(w.ring)) {
		// What was rejected or needs no ack is not passed over by any flush.
		for w.base < w.next && *w.at(w.base) == tagFinal {
			w.base++
		}
	}
	if w.next-w.base == uint64(len(w.ring)) {
		w.grow()
	}
	w.next++
	*w.at(tag) = tagOutstanding
	w.outstanding++
	return true
}

func (w *window) grow() {
	old := *w
	w.ring = make([]tagState, max(64, 2*len(w.ring)))
	for t := old.base; t < old.next; t++ {
		*w.at(t) = *old.at(t)
	}
}

// settle moves an outstanding tag on; false if it was settled before or never
// came.
func (w *window) settle(tag uint64, to tagState) bool {
	if tag < w.base || tag >= w.next || *w.at(tag) != tagOutstanding {
		return false
	}
	*w.at(tag) = to
	w.outstanding--
	switch to {
	case tagAcked:
		w.acked = append(w.acked, tag)
	case tagKept:
		w.kept++
	}
	return true
}

// giveBack appends what returns each tag that was kept.
func (w *window) giveBack(dst []byte, channel uint16, has capabilities) []byte {
	for t := w.base; t < w.next && w.kept > 0; t++ {
		if *w.at(t) == tagKept {
			dst = has.appendGiveBack(dst, channel, t, true)
			*w.at(t) = tagFinal
			w.kept--
		}
	}
	return dst
}

// flush appends the acks: those from the base up to the first outstanding tag as
// one multiple ack, which saves the broker most of its work, those beyond it one
// by one. A reject or nack goes out at once and so is always ahead of the
// multiple ack that passes over its tag. frames counts the basic.acks.
func (w *window) flush(dst []byte, channel uint16) (out []byte, frames int) {
	last := uint64(0)
	for w.base < w.next {
		s := *w.at(w.base)
		if s == tagOutstanding || s == tagKept {
			break
		}
		if s == tagAcked {
			last = w.base // the multiple ack must name a tag that the broker still holds
		}
		w.base++
	}
	if last != 0 {
		dst = amqpproto.AppendBasicAck(dst, channel, last, true)
		frames++
	}
	if w.base < w.next {
		for _, tag := range w.acked {
			if tag >= w.base {
				dst = amqpproto.AppendBasicAck(dst, channel, tag, false)
				*w.at(tag) = tagFinal
				frames++
			}
		}
	}
	w.acked = w.acked[:0]
	if cap(w.acked) > 16*windowKeep {
		w.acked = nil
	}
	if w.base == w.next && len(w.ring) > 16*windowKeep {
		w.ring = nil
	}
	return dst, frames
}
