package client

import (
	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// tagState is what became of one delivery tag.
type tagState uint8

const (
	tagFinal       tagState = iota // settled, and the broker has been or is being told
	tagOutstanding                 // delivered, not settled
	tagAcked                       // to be acked; leaves with the next flush
	tagKept                        // given back, but only the end of the channel tells the broker
)

// window holds the state of the tags of one channel from the lowest that is not
// final up to the last that came: an octet for each.
type window struct {
	tags        endpoint.Sequence[tagState]
	outstanding int      // not settled
	kept        int      // in state tagKept
	offsets     []int64  // of a stream, a ring as long as that of tags; nil for other queues
	acked       []uint64 // in state tagAcked, in the order of their Acks
}

// windowKeep is the size of ring that is never given back.
const windowKeep = 4096

// reset starts the tags of a new channel.
func (w *window) reset() {
	w.outstanding, w.kept, w.acked = 0, 0, w.acked[:0]
	w.tags.Reset()
	w.tags.Shrink(windowKeep)
}

// take notes the delivery of tag; false if it is not the one that must come.
func (w *window) take(tag uint64) bool {
	if tag != w.tags.Next() || tag == 0 {
		return false
	}
	if w.tags.Len() == w.tags.Cap() {
		// What was rejected or needs no ack is not passed over by any flush.
		for w.tags.Len() > 0 && *w.tags.At(w.tags.Base()) == tagFinal {
			w.tags.Pass()
		}
	}
	*w.tags.Push() = tagOutstanding
	w.outstanding++
	return true
}

// settle moves an outstanding tag on; false if it was settled before or never
// came.
func (w *window) settle(tag uint64, to tagState) bool {
	if !w.tags.Has(tag) || *w.tags.At(tag) != tagOutstanding {
		return false
	}
	*w.tags.At(tag) = to
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
	for t := w.tags.Base(); t < w.tags.Next() && w.kept > 0; t++ {
		if s := w.tags.At(t); *s == tagKept {
			dst = has.appendGiveBack(dst, channel, t, true)
			*s = tagFinal
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
	for w.tags.Len() > 0 {
		s := *w.tags.At(w.tags.Base())
		if s == tagOutstanding || s == tagKept {
			break
		}
		if s == tagAcked {
			last = w.tags.Base() // the multiple ack must name a tag that the broker still holds
		}
		w.tags.Pass()
	}
	if last != 0 {
		dst = amqpproto.AppendBasicAck(dst, channel, last, true)
		frames++
	}
	if w.tags.Len() > 0 {
		for _, tag := range w.acked {
			if w.tags.Has(tag) {
				dst = amqpproto.AppendBasicAck(dst, channel, tag, false)
				*w.tags.At(tag) = tagFinal
				frames++
			}
		}
	}
	w.acked = w.acked[:0]
	if cap(w.acked) > 16*windowKeep {
		w.acked = nil
	}
	w.tags.Shrink(16 * windowKeep)
	return dst, frames
}
