package broker

import (
	"unsafe"

	"zamqp/amqpproto/endpoint"
)

// delivery is a message that was delivered and is not acked.
type delivery struct {
	entry
	tag      uint64
	queue    *queue    // nil = settled
	consumer *consumer // nil = basic.get
}

// deliverySize is the memory of an unacked delivery, in octets.
const deliverySize = int64(unsafe.Sizeof(delivery{}))

// unacked is the unacked deliveries of a channel, in the order of their delivery
// tags, with holes where some were settled out of order. Holes are squeezed out, so
// that one message that stays unacked for ever costs no room for others. So the number of a place is no
// delivery tag, as it is in the client, whose window of tags is an octet for each.
type unacked struct {
	places endpoint.Sequence[delivery] // neither end is a hole
	live   int                         // without holes
}

// unackedKeep is the length of ring that an empty one keeps.
const unackedKeep = 512

// len is how many places there are, holes included.
func (l *unacked) len() int { return l.places.Len() }

// at is what is in a place, counted from the first.
func (l *unacked) at(i int) *delivery { return l.places.At(l.places.Base() + uint64(i)) }

// push appends a delivery.
func (l *unacked) push(d delivery) {
	if n := l.len(); n > 0 && l.places.Full() && l.live <= n/2 {
		l.squeeze()
	}
	l.live++
	*l.places.Push() = d
}

// squeeze takes the holes out.
func (l *unacked) squeeze() {
	kept := 0
	for i := range l.len() {
		if d := l.at(i); d.queue != nil {
			if i != kept {
				*l.at(kept) = *d
				*d = delivery{}
			}
			kept++
		}
	}
	for l.len() > kept {
		l.places.Pull()
	}
}

// find returns the place of a tag, -1 if it is not there.
func (l *unacked) find(tag uint64) int {
	n := l.len()
	if n == 0 {
		return -1
	}
	first := l.at(0).tag
	if tag < first {
		return -1
	}
	// Without holes squeezed out, tags are contiguous and this is the place.
	if i := tag - first; i < uint64(n) && l.at(int(i)).tag == tag {
		return l.whole(int(i))
	}
	low, high := 0, n
	for low < high {
		mid := int(uint(low+high) >> 1)
		if l.at(mid).tag < tag {
			low = mid + 1
		} else {
			high = mid
		}
	}
	if low < n && l.at(low).tag == tag {
		return l.whole(low)
	}
	return -1
}

// whole is i, or -1 for a hole.
func (l *unacked) whole(i int) int {
	if l.at(i).queue == nil {
		return -1
	}
	return i
}

// take appends to dst what an ack of tag settles and takes it out: the one
// delivery or, with multiple, all up to it; tag 0 is all. ok is false if the
// tag is not there.
func (l *unacked) take(dst []delivery, tag uint64, multiple bool) (_ []delivery, ok bool) {
	if tag == 0 && multiple {
		return l.takeTo(dst, l.len()-1), true
	}
	i := l.find(tag)
	if i < 0 {
		return dst, false
	}
	if multiple {
		return l.takeTo(dst, i), true
	}
	d := l.at(i)
	dst = append(dst, *d)
	d.queue, d.consumer, d.msg = nil, nil, nil // the tag stays, for find
	l.live--
	l.trim()
	return dst, true
}

// takeTo takes out all up to place i.
func (l *unacked) takeTo(dst []delivery, i int) []delivery {
	for ; i >= 0; i-- {
		d := l.at(0)
		if d.queue != nil {
			dst = append(dst, *d)
			l.live--
		}
		l.places.Pass()
	}
	l.trim()
	return dst
}

// shift takes the first delivery out. There is one.
func (l *unacked) shift() delivery {
	d := *l.at(0)
	l.places.Pass()
	l.live--
	l.trim()
	return d
}

// upTo is how many an ack of all up to tag settles, at most; 0 if the tag is not
// there.
func (l *unacked) upTo(tag uint64) int {
	if tag == 0 {
		return l.len()
	}
	return l.find(tag) + 1
}

// trim takes holes off both ends.
func (l *unacked) trim() {
	for l.len() > 0 && l.at(0).queue == nil {
		l.places.Pass()
	}
	for l.len() > 0 && l.at(l.len()-1).queue == nil {
		l.places.Pull()
	}
	l.places.Shrink(unackedKeep)
}
