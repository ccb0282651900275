package client

import (
	"zamqp/amqpproto"
	"zamqp/amqpproto/endpoint"
)

// tagState is the state of one delivery tag.
type tagState uint8

const (
	tagFinal       tagState = iota // settled, and the answer to the broker is encoded
	tagOutstanding                 // delivered, not settled
	tagAcked                       // acked; the next flush encodes the ack
	tagKept                        // given back; the broker gets it back when the channel ends
)

// window holds the state of the tags of one channel, from the lowest that is not
// final, or a little before it, to the last delivered one: one octet for each.
type window struct {
	tags        endpoint.Sequence[tagState]
	outstanding int      // not settled
	kept        int      // in state tagKept
	offsets     []int64  // stream offsets, a ring as long as that of tags; nil for other queues
	acked       []uint64 // in state tagAcked, in the order of their Acks
}

const (
	// windowKeep is the size of the ring that is never freed.
	windowKeep = 4096
	// windowPass is how many final tags are removed at a time. A message that was not settled
	// for long may have very many of them behind it.
	windowPass = 64 << 10
)

// reset starts the tags of a new channel.
func (w *window) reset() {
	w.outstanding, w.kept, w.acked = 0, 0, w.acked[:0]
	w.tags.Reset()
	w.tags.Shrink(windowKeep)
}

// take records the delivery of tag. It returns false if another tag was expected.
func (w *window) take(tag uint64) bool {
	if tag != w.tags.Next() || tag == 0 {
		return false
	}
	if w.tags.Full() {
		// flush does not remove tags that were rejected or need no ack.
		for n := 0; n < windowPass && w.tags.Len() > 0 && *w.tags.At(w.tags.Base()) == tagFinal; n++ {
			w.tags.Pass()
		}
	}
	*w.tags.Push() = tagOutstanding
	w.outstanding++
	return true
}

// settle moves an outstanding tag to a new state. It returns false if the tag was
// settled before or never came.
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

// giveBack appends a nack or reject with requeue for each kept tag.
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

// nackAll appends one nack with requeue for all tags that are not settled. Acks must be
// encoded before, because the nack includes their tags.
func (w *window) nackAll(dst []byte, channel uint16) []byte {
	last := uint64(0)
	for ; w.tags.Len() > 0; w.tags.Pass() {
		if s := *w.tags.At(w.tags.Base()); s == tagOutstanding || s == tagKept {
			last = w.tags.Base() // the nack must name a tag that the broker still holds
		}
	}
	w.outstanding, w.kept = 0, 0
	w.tags.Shrink(windowKeep)
	if last != 0 {
		dst = amqpproto.AppendBasicNack(dst, channel, last, true, true)
	}
	return dst
}

// flush appends the acks. Those from the base to the first outstanding tag become one
// multiple ack, which saves the broker most of its work. Those after it are acked one
// by one. Rejects and nacks are encoded at once, so they always come before a
// multiple ack that includes their tag. frames counts the basic.acks. When very many tags
// have become final at once, the next flushes remove them.
func (w *window) flush(dst []byte, channel uint16) (out []byte, frames int) {
	last := uint64(0)
	for n := 0; n < windowPass && w.tags.Len() > 0; n++ {
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
